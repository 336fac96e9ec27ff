"""Which of several takes is best, by the judges of `cafa evaluate` that are there.

The total of a take is ``CLAP - 0.2 * DeSync - 0.5 * (Speech + Music)``: cosine of prompt and sound, seconds that
picture and sound are apart, and the probability of speech and of music, each only where the prompt does not ask for it.
What no judge gives is left out for all takes alike. The weights are a choice, fitted to nothing: half a second of
DeSync, or a fifth of a probability, weighs as much as 0.1 of CLAP. The values are those of the columns of
`cafa evaluate`, which scores the first 8 s; of a longer take they are the mean over windows of that length
(:mod:`metrics.evaluation.take_windows`), which are the same for all takes.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from cafa.common.errors import ClipError, InputError, WeightsError
from cafa.common.judged_takes import Judgement, NoJudgesError, Takes, TakeScore
from cafa.models.weights import read_weight_sources
from cafa.weights.folder import judges_folder
from metrics.evaluation.from_files import DEFAULT_SECONDS, JudgeChoice
from metrics.evaluation.one_clip import VALUES_OF, values_of_sounds
from metrics.evaluation.take_windows import Window, cut_sounds, mean_of_windows, windows_over
from metrics.judges.interface import Panel

#: what a metric adds to the total
WEIGHTS = {"CLAP": 1.0, "DeSync": -0.2, "Speech": -0.5, "Music": -0.5}
#: beginnings of words by which a prompt asks for a class
ASKED = {
    "Speech": "speech speak spoke talk voice say said tell whisper shout yell narrat convers lectur announc preach",
    "Music": "music song sing sang melod orchestr guitar piano violin cello drum flute trumpet saxophon banjo ukulele "
    "accordion synth choir",
}


class TakePanel:
    """Judges of takes, opened at the first use.

    Parameters
    ----------
    kind : {"auto", "real", "miniature", "none"}
        ``auto``: the miniature's for sounds of its own models, the published ones for others.
    weights : Path, optional
        Folder of the judges' weights; by default where `cafa evaluate` looks.
    unverified : bool
        Accept published weights for which the table of weights has no SHA-256.
    device : str
    models : Path, optional
        Folder of the models that made the sounds: the miniature's judges lie in it, and their verdict beside it.
    """

    def __init__(
        self,
        kind: Literal["auto", "real", "miniature", "none"] = "auto",
        weights: Path | None = None,
        unverified: bool = False,
        device: str = "cpu",
        models: Path | None = None,
    ) -> None:
        self._kind = kind
        self._models = models
        self._choice = JudgeChoice(weights=weights, unverified=unverified, device=device)
        self._panels: dict[tuple[bool, float], tuple[Panel, tuple[str, ...]]] = {}

    def __call__(self, takes: Takes) -> Judgement:
        """Judge takes.

        Raises
        ------
        NoJudgesError
            If there is no judge, or the takes are too short for all of them.
        """
        if self._kind == "none":
            raise NoJudgesError("no judge is wanted")
        miniature = takes.miniature if self._kind == "auto" else self._kind == "miniature"
        panel, notes = self._open(miniature, takes.seconds)
        windows = windows_over(takes.seconds, panel.seconds)
        try:
            found = _values(panel, takes, windows)
        except ClipError as error:
            raise NoJudgesError(f"the judges cannot judge them: {error.detail}") from error
        scores = tuple(TakeScore(total(values, takes.prompt), values) for values in found)
        weights = {name: judge.weights_sha256 for name, judge in panel.judges.items()}
        return Judgement(scores, weights, notes, len(windows))

    def _open(self, miniature: bool, seconds: float) -> tuple[Panel, tuple[str, ...]]:
        """Judges for sounds of a length, and which are not there."""
        length = 0.0 if miniature else min(DEFAULT_SECONDS, int(seconds * 100) / 100)
        if (miniature, length) not in self._panels:
            self._panels.clear()  # at most one set of networks in memory
            opened = self._open_miniature() if miniature else self._open_published(length)
            self._panels[miniature, length] = opened
        return self._panels[miniature, length]

    def _open_miniature(self) -> tuple[Panel, tuple[str, ...]]:
        needed = frozenset({"clap", "synchformer"})
        choice = replace(self._choice, kind="miniature")
        if self._models is not None and choice.weights is None:
            choice = replace(choice, weights=self._models / "judges", check=self._models.parent / "judges.json")
        try:
            return choice.open(needed), ()
        except (InputError, WeightsError) as error:
            raise NoJudgesError(str(error)) from error

    def _open_published(self, seconds: float) -> tuple[Panel, tuple[str, ...]]:
        from metrics.judges.published_files import find_weights

        folder, sources = self._choice.weights or judges_folder(), read_weight_sources(None)
        there, missing, notes = [], [], []
        for judge in VALUES_OF:
            try:
                find_weights(folder, sources, [judge])
                there.append(judge)
            except WeightsError:
                missing.append(judge)
        if not there:
            raise NoJudgesError(f"no judge's weights are in {folder}: `cafa weights get --for evaluate` fetches them")
        if missing:
            notes.append(f"no judge {', '.join(missing)} is in {folder}: not judged is {_names(missing)}")
        choice = replace(self._choice, kind="real", weights=folder, seconds=seconds)
        try:
            return choice.open(frozenset(there)), tuple(notes)
        except InputError as error:  # too short for synchronisation
            rest = frozenset(there) - {"synchformer"}
            if not rest or rest == frozenset(there):
                raise NoJudgesError(str(error)) from error
            return choice.open(rest), (*notes, f"DeSync is not judged: {error}")
        except WeightsError as error:
            raise NoJudgesError(str(error)) from error


def _values(panel: Panel, takes: Takes, windows: list[Window]) -> list[dict[str, float]]:
    """Values of every take, over all windows."""
    if len(windows) == 1:
        return values_of_sounds(panel, takes.picture, takes.prompt, takes.sounds)
    found = []
    for window in windows:
        with TemporaryDirectory() as folder:
            sounds = cut_sounds(takes.sounds, window.start, panel.seconds, Path(folder))
            found.append(values_of_sounds(panel, takes.picture, takes.prompt, sounds, window.start))
    return [mean_of_windows(of_take, windows) for of_take in zip(*found, strict=True)]


def _names(judges: list[str]) -> str:
    return ", ".join(name for judge in judges for name in VALUES_OF[judge])


def total(values: Mapping[str, float], prompt: str) -> float:
    """One number for a take: higher is better.

    Parameters
    ----------
    values : mapping of str to float
        By metric; those of no weight, and classes that the prompt asks for, do not count.
    prompt : str

    Examples
    --------
    >>> total({"CLAP": 0.4, "DeSync": 0.5, "Speech": 0.2}, "a dog barks")
    0.2
    >>> total({"CLAP": 0.4, "DeSync": 0.5, "Speech": 0.2}, "a man talks to his dog")
    0.3
    """
    parts = (WEIGHTS[name] * value for name, value in values.items() if name in WEIGHTS and not asks(prompt, name))
    return round(sum(parts), 12)


def asks(prompt: str, name: str) -> bool:
    """Whether a prompt asks for speech or music, by words that begin so; never for another name.

    Examples
    --------
    >>> asks("A woman is singing", "Music"), asks("a dog barks", "Music"), asks("a dog barks", "CLAP")
    (True, False, False)
    """
    return name in ASKED and re.search(rf"\b({'|'.join(ASKED[name].split())})", prompt.lower()) is not None
