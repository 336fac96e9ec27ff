"""`cafa judges check`: the miniature's judges, measured on clips that they were not trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cafa.common.files import write_json
from cafa.media.mel import MelSettings, log_mel
from cafa.world.controls import oracle_sound
from metrics.judge_quality.miniature import Dub, measure
from metrics.judge_quality.verdict import report, thresholds, trained_measures, verdict_lines
from metrics.judges.trained import MicroJudges
from metrics.judges.training.clips import Clips
from metrics.judges.training.from_files import ClipFiles


def check_trained_judges(
    judges: Path,
    files: ClipFiles,
    limits: Mapping[str, Any],
    *,
    events: str | Path | None,
    seed: int,
    output: Path,
    device: str = "cpu",
) -> str:
    """Measure the judges and write the verdict, whatever it is.

    Parameters
    ----------
    judges : path
        Folder of the judges' model folders.
    files : ClipFiles
        Of the clips.
    limits : mapping
        Thresholds, ``{judge: {measure: number}}``, in place of those of :mod:`metrics.judges.kinds`.
    events : path, optional
        Event times of the rendered clips; without them, pairs of a clip and another label's sound are not measured.
    seed : int
    output : path
        JSON to write.
    device : str

    Returns
    -------
    str
        The verdict, as lines.

    Raises
    ------
    InputError
        If a threshold is of no judge or measure, or a clip's label is one that the judges do not know.
    """
    measures = trained_measures()
    wanted = thresholds(dict(limits), measures)
    clips = files.read()
    loaded = MicroJudges(judges, device)
    other = None if events is None else other_label_sound(events, clips, loaded.mel, seed)
    weights = {name: judge.weights_sha256 for name, judge in loaded.trained.items()}
    result = report(measure(loaded, clips, seed, other), wanted, weights, measures)
    measured = {name: judge.verdict() for name, judge in loaded.measured.items()}
    result["judges"] |= measured
    result["good"] = result["good"] and all(verdict["good"] for verdict in measured.values())
    write_json(output, result)
    return "\n".join(verdict_lines(result))


def other_label_sound(events: str | Path, clips: Clips, mel: Mapping[str, Any], seed: int) -> Dub:
    """Function from a clip's row to the log-mel of another label's sound at the clip's own event times.

    Parameters
    ----------
    events : path
        Event times of the rendered clips (parquet).
    clips : Clips
    mel : mapping
        Settings of the log-mels that the judges were trained on, and possibly more.
    seed : int
        That the clips were rendered with.
    """
    times = pd.read_parquet(events).set_index("clip_id")
    settings = MelSettings(**{name: mel[name] for name in MelSettings.model_fields})

    def sound(row: int, label: str) -> np.ndarray:
        clip_id = clips.clip_ids[row]
        about = times.loc[clip_id]
        wave = oracle_sound(clip_id, label, label, list(about["event_times"]), list(about["event_levels"]), seed)
        return log_mel(wave, settings)

    return sound
