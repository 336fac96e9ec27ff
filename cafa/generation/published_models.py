"""The published model of CAFA, registered once from the files that `cafa weights get --for generate` fetches."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from cafa.common import weight_files
from cafa.common.errors import WeightsError
from cafa.common.files import read_json
from cafa.common.weight_files import WeightSource
from cafa.models.folders import CARD
from cafa.weights.folder import STAGING, read_record, weights_folder

#: name of the published model, where a folder of models or an adapter may be named
NAME = "cafa"
#: below the folder of weights
REGISTERED = f"registered/{NAME}"
CHECKPOINT, TEXT, VIDEO = "cafa_avclip", "t5_base", "synchformer"


class MissingWeightsError(WeightsError):
    """Files of the published model are not in the folder of weights."""


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def published_models(folder: str | Path | None = None, say: Callable[[str], None] = _say) -> Path:
    """Folder of the published model: ``backbone``, ``adapter`` and ``av_clip``.

    The model folders are made at the first call, from one checkpoint, T5 and Synchformer, and again after a file was
    replaced. A process waits for another one that makes them; what an interrupted one made is used.

    Parameters
    ----------
    folder : path, optional
        Folder of weights, see :func:`cafa.weights.folder.weights_folder`.
    say : callable
        Gets a line before the models are registered, with the licences.

    Raises
    ------
    MissingWeightsError
        If files are not there.
    WeightsError
        If a file is not the one that was checked, or does not fit.
    """
    place = weights_folder(folder)
    target, rows = place / REGISTERED, weight_files.read_weight_sources()
    wanted = [row for row in rows.values() if row.model_name in (CHECKPOINT, TEXT, VIDEO)]
    if missing := [row.name for row in wanted if not (place / row.relative_path).is_file()]:
        raise MissingWeightsError(
            f"the published model is not complete in {place} (missing: {', '.join(missing)}): "
            "`cafa weights get --for generate` fetches it"
        )
    if not _outdated(place, target, rows):
        return target
    (place / STAGING).mkdir(parents=True, exist_ok=True)
    with FileLock(place / STAGING / "registered.lock"):
        if outdated := _outdated(place, target, rows):
            from cafa.models.registry import parse_pretrained, register

            table = weight_files.packaged_table()
            say(f"registering the published model, once: {', '.join(outdated)} in {target}")
            for name in (CHECKPOINT, TEXT, VIDEO):
                say(f"  {rows[name].relative_path}: licence: {rows[name].licence}")
            for name in outdated:
                register(parse_pretrained(_settings(place, target, rows)[name]), target / name, table)
    return target


def _settings(place: Path, target: Path, rows: dict[str, WeightSource]) -> dict[str, str]:
    """Settings of the model folders, in the order in which they are made, as JSON."""
    checkpoint, video = (place / rows[name].relative_path for name in (CHECKPOINT, VIDEO))
    digest = _recorded(place).get(rows[CHECKPOINT].relative_path)
    text = str((place / rows[TEXT].relative_path).parent)

    def checked(name: str) -> dict[str, str]:
        return {name: digest} if digest else {}

    settings: dict[str, dict[str, Any]] = {
        "backbone": {
            "kind": "stable_audio_open",
            "source": str(checkpoint),
            "text_source": text,
            "sha256": checked("model.safetensors"),
        },
        "adapter": {
            "kind": "cafa_adapter",
            "file": str(checkpoint),
            "backbone": str(target / "backbone"),
            "sha256": checked(checkpoint.name),
        },
        "av_clip": {"kind": "synchformer", "file": str(video)},
    }
    return {name: json.dumps(values) for name, values in settings.items()}


def _recorded(place: Path) -> dict[str, str]:
    """SHA-256 of files that were checked, by their place in the folder of weights."""
    return {path: entry.sha256 for path, entry in read_record(place).files.items()}


def _outdated(place: Path, target: Path, rows: dict[str, WeightSource]) -> list[str]:
    """Model folders that are to be made: without a card, or with one of other files or of another place."""
    recorded = _recorded(place)
    text = Path(rows[TEXT].relative_path)
    files = {
        "backbone": {"model.safetensors": rows[CHECKPOINT].relative_path, "text/model.safetensors": text.as_posix()},
        "adapter": {Path(rows[CHECKPOINT].relative_path).name: rows[CHECKPOINT].relative_path},
        "av_clip": {Path(rows[VIDEO].relative_path).name: rows[VIDEO].relative_path},
    }
    outdated = []
    for name, held in files.items():
        card = read_json(target / name / CARD) if (target / name / CARD).is_file() else None
        same = card is not None and all(
            recorded.get(path, card["files"].get(file)) == card["files"].get(file) for file, path in held.items()
        )
        here = same and card is not None and all(Path(found).is_relative_to(place) for found in card["places"].values())
        if not here or (name == "adapter" and "backbone" in outdated):
            outdated.append(name)
    return outdated
