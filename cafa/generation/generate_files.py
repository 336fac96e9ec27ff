"""`cafa generate`: new sound for one video or many, as files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cafa.common.errors import ClipError, InputError, MissingClipError
from cafa.common.judged_takes import TakeJudges
from cafa.common.ledger import OK, ledger_row, write_ledger
from cafa.generation.foley import FoleyPipeline
from cafa.generation.generate_options import GenerateOptions, GenerateRequest
from cafa.generation.make_sounds import SoundMaker
from cafa.generation.model_choice import default_models
from cafa.generation.steps import OnProgress
from cafa.generation.wanted_sounds import Wanted, several_are_wanted, wanted_sounds

LEDGER = "generate.ledger.parquet"

__all__ = ["LEDGER", "GenerateOptions", "GenerateRequest", "generate_files"]


def generate_files(
    request: GenerateRequest,
    say: Callable[[str], None] = print,
    judges: TakeJudges | None = None,
    pipeline: FoleyPipeline | None = None,
    on_progress: OnProgress | None = None,
) -> list[Path]:
    """Make new sound for videos, and write it; what was made before by an equal request is not made again.

    Parameters
    ----------
    request : GenerateRequest
    say : callable
        Gets lines for a person: each file, what of a video is damaged, scores of takes, how long it will take.
    judges : callable, optional
        Of several takes (:class:`cafa.common.judged_takes.TakeJudges`).
    pipeline : FoleyPipeline, optional
        One of the same options that is loaded already.
    on_progress : callable, optional
        See :meth:`cafa.generation.foley.FoleyPipeline.generate`.

    Returns
    -------
    list of Path
        The files, ordered by video, prompt, then seed (of takes: the best first), and as `request.write` has them.

    Raises
    ------
    ClipError
        If the one video that is asked for cannot be used.
    InputError
        If a prompt has no word or too many, or a file is that of another request.
    MissingClipError
        If some of several videos have no sound; the others have.
    WeightsError
        If the models are not there; says how to get them.
    """
    request = _decided(request)
    wanted = wanted_sounds(request)
    options = request.options
    pipeline = pipeline or FoleyPipeline(
        request.models or default_models(options.backbone, options.adapter, say), options.system(), options.device
    )
    maker = SoundMaker(pipeline, say, judges, on_progress)
    if not several_are_wanted(request):
        return maker.make(request)
    return _many(maker, wanted, request.output_folder, say)


def _decided(request: GenerateRequest) -> GenerateRequest:
    return replace(request, options=request.options.decided())


def _many(maker: SoundMaker, wanted: list[Wanted], folder: Path, say: Callable[[str], None]) -> list[Path]:
    """Every video by itself; one that cannot be used is a row of the ledger, and the next one follows."""
    written: list[Path] = []
    rows: list[dict[str, Any]] = []
    for number, one in enumerate(wanted, start=1):
        say(f"[{number}/{len(wanted)}] {one.name}")
        status, detail = OK, ""
        try:
            if one.fault:
                raise ClipError("bad_row", one.fault)
            if not one.request.video.is_file():
                raise ClipError("missing_file", f"no video at {one.request.video}")
            written += maker.make(one.request)
        except ClipError as error:
            status, detail = error.reason, error.detail
        except InputError as error:
            status, detail = "bad_row", str(error)
        if status != OK:
            say(f"no sound for {one.name}: {status}: {detail}")
        rows.append(ledger_row(one.name, "generate", status, detail, one.line))
        write_ledger(folder / LEDGER, rows)
    lost = [row for row in rows if row["status"] != OK]
    if lost:
        raise MissingClipError(
            f"{len(lost)} of {len(rows)} have no new sound, the others have: `cafa ledger show {folder / LEDGER}`"
        )
    return written
