"""`cafa serve`: generation over HTTP."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from cafa.cli.service_options import service_options

if TYPE_CHECKING:
    from cafa.service.limits import Limits


@click.command()
@service_options
def command(
    host: str,
    port: int,
    token: str | None,
    folder: Path | None,
    limits: "Limits",
    models: Path | None,
    judged_by: Literal["auto", "real", "miniature", "none"],
    device: str,
    **options: Any,
) -> None:
    """Make sound for other programs: upload a video, ask for sound, get files; docs/service.md describes the API.

    Models are loaded once, and jobs are made one after the other.
    """
    from cafa.generation.generate_options import GenerateOptions
    from cafa.service.run import Place, ServiceRequest, serve
    from metrics.evaluation.rank_takes import TakePanel

    place, asked = Place(host, port, token, folder), GenerateOptions(device=device, **options)
    request = ServiceRequest(place, models, asked, limits, TakePanel(judged_by, device=device, models=models))
    serve(request, say=click.echo)
