"""What judges find of a few sounds of one clip: the values that `cafa evaluate` finds of each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from metrics.functional.desync import desync
from metrics.functional.similarity import cosine_similarity
from metrics.judges.interface import Panel
from metrics.tables.sample_metrics import class_probabilities

#: judge -> what it finds of a sound that has a picture and a prompt, and no other sound to be compared with
VALUES_OF = {"clap": ("CLAP",), "synchformer": ("DeSync",), "classifier": ("Speech", "Music")}


def values_of_sounds(
    panel: Panel, picture: Path, prompt: str, sounds: Sequence[Path], start: float = 0.0
) -> list[dict[str, float]]:
    """CLAP, DeSync, and the probabilities of Speech and Music, of every sound: those that the panel's judges give.

    Parameters
    ----------
    panel : Panel
    picture : Path
        Video of the clip.
    prompt : str
    sounds : sequence of Path
        Judged one by one, as a batch of one in `cafa evaluate`.
    start : float
        Second of the picture at which the sounds begin.

    Returns
    -------
    list of dict

    Raises
    ------
    ClipError
        If picture or sounds are shorter than what is judged, or cannot be used.
    """
    video = panel.embed_video(panel.decode_video(picture, start)) if panel.needs_video else {}
    names = [judge for judge in VALUES_OF if judge in panel.judges]
    text = panel.embed_text([prompt]) if "clap" in names else np.zeros((1, 0))
    found = []
    for sound in sounds:
        columns = panel.embed_audio([panel.prepare_audio(sound, names)], [video], names)
        values: dict[str, float] = {}
        if "clap" in names:
            values["CLAP"] = float(cosine_similarity(columns["clap"]["embedding"], text)[0])
        if "synchformer" in names:
            offsets = columns["synchformer"]
            grid = panel.facts("synchformer")["grid"]
            values["DeSync"] = float(desync(offsets["logits_first"], offsets["logits_last"], grid).seconds[0])
        if "classifier" in names and panel.reported_classes:
            classes = class_probabilities(columns["classifier"]["logits"], panel.reported_classes)
            values |= {name: float(value[0]) for name, value in classes.items()}
        found.append(values)
    return found
