"""Options that `cafa serve` and `cafa demo` share."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cafa.cli.options import auto_device_option, machine_threads_option, writable
from cafa.cli.settings import Settings

_OPTIONS = (
    click.option("--host", default="127.0.0.1", help="address to listen on; any but this machine's own needs --token"),
    click.option("--port", default=8766, type=click.IntRange(0, 65535), help="port to listen on; 0: any that is free"),
    click.option("--token", envvar="CAFA_TOKEN", show_envvar=True, help="what every caller must send"),
    click.option(
        "--folder",
        type=click.Path(path_type=Path, file_okay=False),
        callback=writable,
        help="where uploads and results are kept  [default: in the user's cache]",
    ),
    click.option(
        "--limits",
        default="{}",
        type=Settings("cafa.service.limits.Limits"),
        help="JSON object, or a file of JSON or YAML, with the fields of cafa.service.limits.Limits",
    ),
    click.option(
        "--models",
        type=click.Path(path_type=Path),
        help="folder of models  [default: results/models, else those of `cafa weights get --for generate`]",
    ),
    click.option("--backbone", default="backbone", help="folder of the backbone below --models"),
    click.option("--adapter", default="adapter", help="folder of the adapter below --models"),
    click.option("--steps", type=click.IntRange(2), help="sampling steps  [default: the backbone's own]"),
    click.option("--half/--no-half", default=None, help="16 bits  [default: on a GPU of CUDA]"),
    click.option(
        "--judges",
        "judged_by",
        type=click.Choice(["auto", "real", "miniature", "none"]),
        default="auto",
        help="who ranks takes; auto: the published judges that are there, the miniature's for its own models",
    ),
    machine_threads_option,
    auto_device_option,
)


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where a service listens, what it takes, and which models it has."""
    return functools.reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)
