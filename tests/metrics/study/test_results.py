"""From answers of every form to the table: what counts, and what is left out and why."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cafa.common.errors import InputError
from metrics.study.answers import hand_in, read_answers
from metrics.study.build import study_digest
from metrics.study.design import QUESTIONS, StudySettings, assign, choose_checks, choose_pairs
from metrics.study.platforms import write_platform_files
from metrics.study.results import ResultsSettings, StudyKey, sort_answers, write_results
from metrics.study.win_rates import win_rates
from tests.metrics.study.toy import SYSTEMS, toy_hand_ins, toy_prompts

PROMPTS = toy_prompts(60)
SETTINGS = StudySettings(system="ours", opponents=("theirs", "others"), pairs=30, ratings=6, pairs_per_rater=20)
TRUE = {"theirs": 0.8, "others": 0.35}


@pytest.fixture(scope="module")
def key() -> StudyKey:
    keys = set(PROMPTS["clip_id"] + "/" + PROMPTS["caption_id"] + "/" + PROMPTS["protocol"])
    own = PROMPTS[PROMPTS["label"] == PROMPTS["own_label"]]
    pairs = choose_pairs(PROMPTS, dict.fromkeys(SYSTEMS, keys), SETTINGS)
    return StudyKey(SETTINGS, assign(pairs, choose_checks(own, SETTINGS), SETTINGS))


def as_json(one) -> dict:
    return {**dataclasses.asdict(one), "rows": [dataclasses.asdict(row) for row in one.rows]}


def test_known_preferences_are_recovered_and_careless_raters_left_out(key: StudyKey, tmp_path: Path) -> None:
    hand_ins = toy_hand_ins(key, SETTINGS, TRUE, np.random.default_rng(5), careless=8)
    published = pd.DataFrame(
        [("theirs", "quality", "cross", 0.88)], columns=["opponent", "criterion", "protocol", "win_rate"]
    )
    table = write_results(hand_ins, key, ResultsSettings(), tmp_path, published)
    assert len(table) == 2 * 3 * 2
    for row in table.itertuples():
        assert row.low <= TRUE[row.opponent] <= row.high
        assert row.pairs == 30
    excluded = pd.read_csv(tmp_path / "exclusions.csv")
    # A careless rater passes a check of three questions by chance once in eight, one of one question every other time.
    assert set(excluded["reason"]) == {"failed_check"}
    assert 6 <= len(excluded) <= 8
    assert set(excluded["rater"]) <= {f"rater{number}" for number in range(8)}
    card = json.loads((tmp_path / "table3.card.json").read_text())
    assert card["excluded"] == {"failed_check": len(excluded)}
    assert card["raters"] == len(hand_ins) - len(excluded)
    text = (tmp_path / "table3.md").read_text()
    assert "Align. OC" in text
    assert "PA UC" in text
    assert "(paper 0.88)" in text
    assert len(pd.read_csv(tmp_path / "answers.csv")) == card["ratings"]


def test_intervals_hold_the_truth_in_most_of_twenty_studies(key: StudyKey) -> None:
    held, cells = 0, 0
    for run in range(20):
        rng = np.random.default_rng(100 + run)
        answers = sort_answers(toy_hand_ins(key, SETTINGS, TRUE, rng), key, ResultsSettings()).answers
        for row in win_rates(answers, resamples=200, seed=run).itertuples():
            held += row.low <= TRUE[row.opponent] <= row.high
            cells += 1
    assert held / cells > 0.9


def test_each_reason_for_leaving_out(key: StudyKey, tmp_path: Path) -> None:
    good, *others = toy_hand_ins(key, SETTINGS, TRUE, np.random.default_rng(1))[:7]

    def changed(one, **fields):
        return dataclasses.replace(one, **fields)

    fast = changed(others[0], rows=tuple(dataclasses.replace(row, seconds=1.0) for row in others[0].rows))
    left = dict.fromkeys(QUESTIONS, "left")
    pairs_only = tuple(row for row in others[1].rows if key.design.pairs[row.pair].kind == "pair")
    one_side = changed(others[1], rows=tuple(dataclasses.replace(row, answers=left) for row in pairs_only))
    started = changed(others[2], rows=others[2].rows[:5])
    another = changed(others[3], digest="0123")
    strange = changed(others[4], rows=(dataclasses.replace(others[4].rows[0], pair="nothing"), *others[4].rows[1:]))
    hand_ins = [good, good, fast, one_side, started, another, strange]
    result = sort_answers(hand_ins, key, ResultsSettings())
    reasons = result.exclusions.groupby("reason")["rows"].sum().to_dict()
    assert reasons == {
        "repeated": len(good.rows),
        "too_fast": len(fast.rows),
        "one_side": len(pairs_only),
        "incomplete": 5,
        "another_study": len(another.rows),
        "unknown_pair": 1,
    }
    assert set(result.answers["rater"]) == {good.rater, strange.rater}
    with pytest.raises(InputError, match=r"no answer of 1 hand-ins is left.*too_fast"):
        write_results([fast], key, ResultsSettings(), tmp_path)


def test_every_form_of_answers_gives_the_same(key: StudyKey, tmp_path: Path) -> None:
    hand_ins = toy_hand_ins(key, SETTINGS, TRUE, np.random.default_rng(2))
    saved, received = tmp_path / "saved", tmp_path / "received"
    saved.mkdir()
    received.mkdir()
    for one in hand_ins:
        (saved / f"{one.rater}.json").write_text(json.dumps(as_json(one)))
    (received / "answers.jsonl").write_text("".join(json.dumps(as_json(one)) + "\n" for one in hand_ins))
    truth, turk = tmp_path / "ground_truth", tmp_path / "turk.csv"
    (truth / "worker-response").mkdir(parents=True)
    lines = []
    for one in hand_ins:
        for number, row in enumerate(one.rows):
            radio = {name: {"left": side == "left", "right": side == "right"} for name, side in row.answers.items()}
            host = {"left": f"https://host/page/{row.left}", "right": f"https://host/page/{row.right}"}
            content = {**radio, **host, "pair": row.pair}
            answer = {"workerId": one.rater, "timeSpentInSeconds": row.seconds, "answerContent": content}
            place = truth / "worker-response" / f"{one.rater}-{number}.json"
            place.write_text(json.dumps({"answers": [answer]}))
            lines.append(
                {
                    "WorkerId": one.rater,
                    "AssignmentStatus": "Submitted",
                    "WorkTimeInSeconds": row.seconds,
                    "Input.pair": row.pair,
                    "Input.left": host["left"],
                    "Input.right": host["right"],
                    "Answer.taskAnswers": json.dumps([radio]),
                }
            )
    with turk.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    tables = []
    for place in (saved, received, truth, turk):
        answers = sort_answers(read_answers(place), key, ResultsSettings()).answers
        tables.append(answers.sort_values(["rater", "pair", "criterion"]).reset_index(drop=True))
    assert len(tables[0]) > 1000
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rater": 3}, "'rater' must be a text, got 3"),
        ({"rows": "none"}, "'rows' must be a list"),
        ({"rows": [{"pair": "p", "left": "a", "right": "b", "answers": {"quality": "left"}}]}, "row 1: answers to"),
        ({"rows": [{"pair": "p", "left": "a"}]}, "row 1: 'right' must be a text"),
    ],
)
def test_a_hand_in_of_another_form_is_refused(key: StudyKey, change: dict, message: str) -> None:
    value = {"study": "s", "digest": "d", "rater": "r", "rows": []}
    assert hand_in(value, "here").rows == ()
    with pytest.raises(InputError, match=message):
        hand_in({**value, **change}, "here")


def test_platforms_get_a_form_and_a_task_for_each_rating(key: StudyKey, tmp_path: Path) -> None:
    files = write_platform_files(key, "https://host/page/", tmp_path)
    assert [path.name for path in files] == [
        "ground_truth.liquid.html",
        "ground_truth.manifest.jsonl",
        "mechanical_turk.html",
        "mechanical_turk.csv",
    ]
    count = sum(len(one) for one in key.design.sets)
    manifest = [json.loads(line) for line in files[1].read_text().splitlines()]
    with files[3].open() as file:
        table = list(csv.DictReader(file))
    assert len(manifest) == len(table) == count
    assert manifest[0]["left"].startswith("https://host/page/media/")
    form = files[0].read_text()
    assert "{{ task.input.caption | escape }}" in form
    assert "${left}" in files[2].read_text()
    for criterion in QUESTIONS:
        assert f'name="{criterion}" value="right" required' in form
    assert "tie" not in form
    with pytest.raises(InputError, match="https addresses, got 'http://here'"):
        write_platform_files(key, "http://here", tmp_path)


def test_a_key_is_asked_for_by_name(key: StudyKey, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no key of a study at"):
        StudyKey.read(tmp_path / "key.json")
    (tmp_path / "key.json").write_text("{}")
    with pytest.raises(InputError, match="is not the key of a study"):
        StudyKey.read(tmp_path / "key.json")
    text = {"settings": SETTINGS.model_dump(mode="json"), **key.design.as_json()}
    (tmp_path / "key.json").write_text(json.dumps(text))
    assert study_digest(StudyKey.read(tmp_path / "key.json").design) == study_digest(key.design)
