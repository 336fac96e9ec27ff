"""Options shared by the verbs, so that the same thing is always called the same."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cafa.cli.settings import JsonObject, Settings, SettingsText
from cafa.common.devices import best_device, check_device, exact_convolutions, machine_threads, torch_threads
from cafa.common.gpus import DEAL, take_gpus
from cafa.common.resume import VARIABLE
from cafa.common.shards import parse_shard
from cafa.common.writing_errors import check_writable

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
#: where the number of threads is noted between parsing and the call
THREADS = "cafa.threads"


def writable(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Callback of options that name what is written: refuses a place that takes no files, before any work."""
    for place in value if isinstance(value, tuple) else () if value is None else (value,):
        check_writable(place)
    return value


def files(
    name: str,
    *,
    required: bool = True,
    help: str,
    callback: Callable[..., Any] | None = None,
    paths: bool = False,
) -> Decorator:
    """Option that may be given several files, each after its own flag; as strings, or with `paths` as paths."""
    kind = click.Path(path_type=Path) if paths else None
    help = f"{help}; may be repeated"
    return click.option(name, multiple=True, required=required, callback=callback, type=kind, help=help)


def folder(name: str, *, help: str) -> Decorator:
    """Option that names a folder; one that is written (``--output...``) is checked before any work."""
    callback = writable if name.startswith("--output") else None
    return click.option(name, required=True, type=click.Path(path_type=Path), callback=callback, help=help)


def settings_option(model: str, *, required: bool = False) -> Decorator:
    """Option ``--settings`` as the text of a JSON object with the fields of the named model; a file is read."""
    help = f"JSON object, or a file of JSON or YAML, with the fields of {model}"
    default = None if required else "{}"
    return click.option("--settings", default=default, required=required, type=SettingsText(), help=help)


def validated_settings(model: str, more: str = "", *, default: str | None = "{}") -> Decorator:
    """Option ``--settings`` as an object of the named model, ``module.Name``."""
    help = f"JSON object, or a file of JSON or YAML, with the fields of {model}{more}"
    return click.option("--settings", default=default, type=Settings(model), help=help)


def object_option(name: str, *, help: str) -> Decorator:
    """Option that holds a JSON object of any fields, as a dict."""
    return click.option(name, default="{}", type=JsonObject(), help=f"JSON object, or a file of JSON or YAML: {help}")


def shards_option(what: str, name: str = "--shards") -> Decorator:
    """Option that says how many shards there are, so that files of an older cut are not read."""
    return click.option(name, type=click.IntRange(1), help=f"shards of {what} [default: all that are there]")


def _parse_shard(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, int]:
    return parse_shard(value)


def _note_threads(ctx: click.Context, param: click.Parameter, value: int) -> int:
    ctx.meta[THREADS] = value
    return value


def _threads(default: int | Callable[[], int], help: str) -> Decorator:
    """Option ``--threads``: the command is called with so many threads of torch, and parsing sets none."""

    def option(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_threads(*args: Any, **kwargs: Any) -> Any:
            with torch_threads(click.get_current_context().meta[THREADS]):
                return command(*args, **kwargs)

        return click.option(
            "--threads",
            default=default,
            show_default=True if isinstance(default, int) else "all of the machine's, or OMP_NUM_THREADS",
            type=click.IntRange(1),
            callback=_note_threads,
            expose_value=False,
            help=help,
        )(with_threads)

    return option


threads_option = _threads(1, "threads of a job; results are equal bit for bit only at equal counts")
machine_threads_option = _threads(
    machine_threads, "threads of the processor; results are equal bit for bit only at equal counts, else to rounding"
)


def _check_device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value == "cuda" and DEAL in os.environ:
        take_gpus(ctx.params.get("processes", 1))  # before torch looks for them
    name = check_device(best_device() if value == "auto" else value)
    if name.startswith("cuda"):
        exact_convolutions()
    return name


store_option = click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    envvar="CAFA_EMBEDDINGS",
    help="folder of embeddings that runs share  [default: the variable CAFA_EMBEDDINGS, or none]",
)
shard_option = click.option("--shard", default="0/1", callback=_parse_shard, help="index/count, index from 0")
seed_option = click.option("--seed", required=True, type=int, help="base seed")


def _answer(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        if ctx.meta.setdefault(VARIABLE, value) != value:
            raise click.UsageError("give either --restart or --resume-anyway", ctx)
        os.environ[VARIABLE] = value  # processes that the command starts know it, too


def _answer_option(flag: str, value: str, help: str) -> Decorator:
    return click.option(flag, flag_value=value, callback=_answer, expose_value=False, default=None, help=help)


_restart = _answer_option("--restart", "restart", "throw away work of other settings, inputs or versions")
_resume = _answer_option("--resume-anyway", "resume", "go on with such work as it is; otherwise the command stops")


def resume_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options ``--restart`` and ``--resume-anyway``: what to do with work of other settings, inputs or versions."""
    return _restart(_resume(command))


device_option = click.option("--device", default="cpu", callback=_check_device, help="torch device")
auto_device_option = click.option(
    "--device", default="auto", callback=_check_device, help="torch device; auto: cuda, else mps, else cpu"
)
encoding_option = click.option(
    "--encoding", default=None, help="of the list, where it is neither UTF-8 nor has a byte order mark: cp1252, ..."
)
follow_links_option = click.option(
    "--follow-links", is_flag=True, help="trust symbolic links that lead out of --root, to another disk for instance"
)
caption_words_option = click.option(
    "--caption-words", type=click.IntRange(1), help="most words of a caption that the text encoder takes [default: any]"
)
separator_option = click.option(
    "--separator", default=None, help="of the list, a character or tab  [default: found by the first line]"
)
