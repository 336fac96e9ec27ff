"""Pairs, checks and who sees them."""

from collections import Counter

import pytest

from cafa.common.errors import InputError
from metrics.study.design import Design, StudySettings, assign, choose_checks, choose_pairs, media_name
from tests.metrics.study.toy import SYSTEMS, toy_prompts

PROMPTS = toy_prompts(30)
KEYS = set(PROMPTS["clip_id"] + "/" + PROMPTS["caption_id"] + "/" + PROMPTS["protocol"])
AVAILABLE = {name: set(KEYS) for name in SYSTEMS}
SETTINGS = StudySettings(system="ours", opponents=("theirs", "others"), pairs=12, ratings=5, pairs_per_rater=16)


def own_prompts():
    return PROMPTS[PROMPTS["label"] == PROMPTS["own_label"]]


@pytest.fixture(scope="module")
def design() -> Design:
    return assign(choose_pairs(PROMPTS, AVAILABLE, SETTINGS), choose_checks(own_prompts(), SETTINGS), SETTINGS)


def test_every_comparison_has_its_pairs_on_different_clips(design: Design) -> None:
    pairs = [pair for pair in design.pairs.values() if pair.kind == "pair"]
    assert Counter((pair.second, pair.protocol) for pair in pairs) == {
        (opponent, protocol): 12 for opponent in ("theirs", "others") for protocol in ("matched", "cross")
    }
    for opponent in ("theirs", "others"):
        for protocol in ("matched", "cross"):
            clips = [pair.clip_id for pair in pairs if (pair.second, pair.protocol) == (opponent, protocol)]
            assert len(set(clips)) == 12


def test_pairs_are_rated_equally_often_and_on_both_sides(design: Design) -> None:
    pairs = {name for name, pair in design.pairs.items() if pair.kind == "pair"}
    shown = [one for row in design.sets for one in row if one.pair in pairs]
    times = Counter(one.pair for one in shown)
    assert set(times) == pairs
    assert set(times.values()) == {5}
    left = Counter(one.pair for one in shown if one.first_left)
    assert all(left[pair] in (2, 3) for pair in pairs)
    for row in design.sets:
        assert len({one.pair for one in row}) == len(row)
        assert design.pairs[row[0].pair].kind == "pair"
        assert sum(design.pairs[one.pair].kind != "pair" for one in row) == SETTINGS.checks


def test_a_design_is_the_same_again_and_another_with_another_seed(design: Design) -> None:
    again = assign(choose_pairs(PROMPTS, AVAILABLE, SETTINGS), choose_checks(own_prompts(), SETTINGS), SETTINGS)
    assert again == design == Design.from_json(design.as_json())
    other = SETTINGS.model_copy(update={"seed": 1})
    assert set(choose_pairs(PROMPTS, AVAILABLE, other)) != set(choose_pairs(PROMPTS, AVAILABLE, SETTINGS))


def test_names_of_files_tell_nothing(design: Design) -> None:
    names = [media_name(pair, which, 0) for pair in design.pairs.values() for which in ("first", "second")]
    assert len(set(names)) == len(names)
    assert not any(system in name for name in names for system in SYSTEMS)


def test_too_few_samples_are_refused_with_their_number() -> None:
    few = {**AVAILABLE, "theirs": set(sorted(KEYS)[:8])}
    with pytest.raises(InputError, match=r"ours against theirs, matched: 4 prompts.*12 pairs are asked for"):
        choose_pairs(PROMPTS, few, SETTINGS)


def test_checks_need_two_categories() -> None:
    one = own_prompts()[own_prompts()["label"] == "dog barking"]
    with pytest.raises(InputError, match="2 attention checks need as many clips, of two categories"):
        choose_checks(one, SETTINGS)


def test_a_system_is_not_its_own_opponent() -> None:
    with pytest.raises(ValueError, match="each system once"):
        StudySettings(system="ours", opponents=("ours",))
