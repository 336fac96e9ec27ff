"""`cafa demo`: a page to try it on."""

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
    """Show a page to try it on: a video and a prompt, the new sound against its pictures, files to keep.

    The API of `cafa serve` is there as well. The page needs the extra `demo` (Gradio).
    """
    from cafa.generation.generate_options import GenerateOptions
    from cafa.service.run import Place, ServiceRequest, demo
    from metrics.evaluation.rank_takes import TakePanel

    place, asked = Place(host, port, token, folder), GenerateOptions(device=device, **options)
    request = ServiceRequest(place, models, asked, limits, TakePanel(judged_by, device=device, models=models))
    demo(request, say=click.echo)
