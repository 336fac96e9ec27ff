"""Takes: ranked by whoever judges, kept, recorded; and what is said where nobody does."""

from pathlib import Path

import numpy as np
import pytest

from cafa.common.errors import InputError
from cafa.common.judged_takes import Judgement, NoJudgesError, Takes, TakeScore
from cafa.generation.generate_options import GenerateRequest
from cafa.generation.takes import Chosen, TakesRecord, choose_takes


def sounds(count: int) -> dict[int, tuple[np.ndarray, int]]:
    return {5 + k: (np.full((1, 800), 0.1 * k, np.float32), 8000) for k in range(count)}


class Loudest:
    """Says that the loudest is the best."""

    def __init__(self) -> None:
        self.asked: list[Takes] = []

    def __call__(self, takes: Takes) -> Judgement:
        import soundfile

        self.asked.append(takes)
        values = [float(soundfile.read(path)[0].max()) for path in takes.sounds]
        return Judgement(tuple(TakeScore(v, {"peak": v}) for v in values), {"ear": "00"}, ("one ear only",))


def nobody(takes: Takes) -> Judgement:
    raise NoJudgesError("all are out")


def test_the_best_are_kept_in_order_and_all_scores_are_said(tmp_path: Path) -> None:
    said: list[str] = []
    judge = Loudest()
    chosen = choose_takes(sounds(4), 2, judge, tmp_path / "v.mp4", "dog", miniature=True, say=said.append)
    assert chosen.seeds == (8, 7)
    assert said[0] == "note: one ear only"
    assert [line.split()[3].rstrip(":") for line in said[1:]] == ["8", "7", "6", "5"]
    assert [line.rsplit(" ", 1)[1] for line in said[1:]] == ["kept", "kept", "left", "left"]
    assert judge.asked[0].miniature
    assert judge.asked[0].seconds == pytest.approx(0.1)
    assert chosen.facts(7, 4)["rank"] == 2
    assert chosen.facts(7, 4)["scores"]["8"]["total"] == pytest.approx(0.3, abs=1e-3)


@pytest.mark.parametrize(("judge", "why"), [(None, "since no judge was given"), (nobody, "all are out")])
def test_without_judges_the_first_are_kept_and_it_is_said(judge: object, why: str, tmp_path: Path) -> None:
    said: list[str] = []
    chosen = choose_takes(sounds(3), 1, judge, tmp_path / "v.mp4", "dog", miniature=False, say=said.append)  # type: ignore[arg-type]
    assert chosen == Chosen((5,))
    assert why in said[0]
    assert "seed 5 of 3 is kept" in said[0]


def test_a_choice_by_judges_is_remembered_and_one_by_nobody_is_made_again(tmp_path: Path) -> None:
    record = TakesRecord(tmp_path)
    assert record.kept({"prompt": "dog"}) is None
    record.add({"prompt": "dog"}, Chosen((5,)))
    assert record.kept({"prompt": "dog"}) is None
    assert record.last({"prompt": "dog"}) == (5,)
    record.add({"prompt": "dog"}, Chosen((7, 5), {5: {"total": 0.1}, 7: {"total": 0.2}}, {"clap": "00"}))
    assert record.kept({"prompt": "dog"}) == (7, 5)
    assert record.kept({"prompt": "cat"}) is None


def test_requests_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    for more, why in (
        ({"takes": 2, "keep": 3}, "of 2 takes 3 cannot be kept"),
        ({"takes": 2, "seeds": (0, 1)}, "give one seed"),
        ({"write": ()}, "nothing would be written"),
        ({"write": ("mp3",)}, "got mp3"),
    ):
        with pytest.raises(InputError, match=why):
            GenerateRequest(tmp_path, ("dog",), **more)  # type: ignore[arg-type]
