"""Options shared by the verbs, so that the same thing is always called the same."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cafa.common.devices import check_device
from cafa.common.gpus import DEAL, take_gpus
from cafa.common.resume import VARIABLE
from cafa.common.shards import parse_shard
from cafa.common.writing_errors import check_writable

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def writable(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Callback of options that name what is written: refuses a place that takes no files, before any work."""
    for place in value if isinstance(value, tuple) else () if value is None else (value,):
        check_writable(place)
    return value


def files(name: str, *, required: bool = True, help: str, callback: Callable[..., Any] | None = None) -> Decorator:
    """Option that may be given several files, each after its own flag."""
    return click.option(name, multiple=True, required=required, callback=callback, help=f"{help}; may be repeated")


def folder(name: str, *, help: str) -> Decorator:
    """Option that names a folder; one that is written (``--output...``) is checked before any work."""
    callback = writable if name.startswith("--output") else None
    return click.option(name, required=True, type=click.Path(path_type=Path), callback=callback, help=help)


def settings_option(model: str) -> Decorator:
    """Option ``--settings`` holding a JSON object validated by the named model."""
    return click.option("--settings", default="{}", help=f"JSON object, fields of {model}")


def shards_option(what: str, name: str = "--shards") -> Decorator:
    """Option that says how many shards there are, so that files of an older cut are not read."""
    return click.option(name, type=click.IntRange(1), help=f"shards of {what} [default: all that are there]")


def _parse_shard(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, int]:
    return parse_shard(value)


def _set_threads(ctx: click.Context, param: click.Parameter, value: int) -> int:
    import torch

    torch.set_num_threads(value)
    return value


def _check_device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value == "cuda" and DEAL in os.environ:
        take_gpus(ctx.params.get("processes", 1))  # before torch looks for them
    return check_device(value)


shard_option = click.option("--shard", default="0/1", callback=_parse_shard, help="index/count, index from 0")
seed_option = click.option("--seed", required=True, type=int, help="base seed")
threads_option = click.option(
    "--threads", default=1, type=click.IntRange(1), callback=_set_threads, expose_value=False,
    help="threads of a job; results are equal bit for bit only at equal counts",
)  # fmt: skip


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
