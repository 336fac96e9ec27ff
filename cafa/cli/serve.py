"""`cafa serve`: generation over HTTP."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    **options: Any,
) -> None:
    """Make sound for other programs: upload a video, ask for sound, get files; docs/service.md describes the API.

    Models are loaded once, and jobs are made one after the other.
    """
    from cafa.generation.generate_files import GenerateOptions
    from cafa.service.run import Place, ServiceRequest, serve

    serve(ServiceRequest(Place(host, port, token, folder), models, GenerateOptions(**options), limits), say=click.echo)
