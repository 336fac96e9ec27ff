"""The receiver: only whole, checked answers reach the file, and a crash costs nothing that was confirmed."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from metrics.study.build import PageSettings, StudySources, build_study
from metrics.study.design import QUESTIONS, StudySettings
from metrics.study.serve import LARGEST, AnswerFile, study_app
from tests.metrics.study.toy import toy_prompts, write_toy_sources

SETTINGS = StudySettings(system="ours", opponents=("theirs",), pairs=4, ratings=2, pairs_per_rater=4)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    prompts = toy_prompts(6)
    build_study(prompts, StudySources(*write_toy_sources(folder, prompts)), SETTINGS, PageSettings(), folder / "study")
    return folder / "study"


def a_hand_in(study: Path, rater: str = "a") -> dict:
    data = json.loads((study / "page" / "data.js").read_text().removeprefix("window.STUDY = ").removesuffix(";\n"))
    answers = dict.fromkeys(QUESTIONS, "left")
    rows = [{**shown, "answers": answers, "seconds": 9.5} for shown in data["sets"][0]]
    return {"study": data["study"], "digest": data["digest"], "rater": rater, "set": 0, "rows": rows}


def test_the_page_names_no_system_and_the_key_stays_outside(study: Path) -> None:
    text = (study / "page" / "data.js").read_text()
    assert "ours" not in text
    assert "theirs" not in text
    assert not list((study / "page").rglob("key*"))
    app = TestClient(study_app(study, study / "unused.jsonl"))
    assert app.get("/").status_code == 200
    video = next((study / "page" / "media").glob("*.mp4")).name
    part = app.get(f"/media/{video}", headers={"Range": "bytes=0-9"})
    assert (part.status_code, len(part.content)) == (206, 10)
    for path in ("/../key.json", "/%2e%2e/key.json", "/media/../../key.json"):
        assert app.get(path).status_code == 404


def test_raters_get_sets_in_turn_and_the_same_again(study: Path, tmp_path: Path) -> None:
    app = TestClient(study_app(study, tmp_path / "answers.jsonl"))
    first, second = app.get("/set?rater=a").json()["set"], app.get("/set?rater=b").json()["set"]
    assert first != second
    assert app.get("/set?rater=a").json()["set"] == first
    assert app.get("/set").status_code == 400


def test_answers_are_appended_and_wrong_ones_refused(study: Path, tmp_path: Path) -> None:
    place = tmp_path / "answers.jsonl"
    app = TestClient(study_app(study, place))
    assert app.post("/answers", json=a_hand_in(study)).json() == {"received": 6}
    good = a_hand_in(study)
    wrong = [
        (json.dumps({**good, "digest": "other"}), 400, "reload the page"),
        (json.dumps({**good, "rows": [{}]}), 400, "row 1"),
        ("[]", 400, "no object"),
        ("{", 400, "Expecting"),
        ("x" * (LARGEST + 1), 413, "bytes"),
    ]
    for body, status, message in wrong:
        answer = app.post("/answers", content=body)
        assert answer.status_code == status
        assert message in answer.json()["error"]
    file = AnswerFile(place)
    assert [one.rater for one in file.read()] == ["a"]


def test_a_cut_line_is_put_aside(tmp_path: Path) -> None:
    place = tmp_path / "answers.jsonl"
    place.write_text('{"a": 1}\n{"b": ')
    assert AnswerFile(place).cut
    assert place.read_text() == '{"a": 1}\n'
    assert (tmp_path / "answers.jsonl.cut").read_text() == '{"b": \n'
    assert not AnswerFile(place).cut


def test_who_runs_the_receiver_is_told_of_a_cut_line(
    study: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "answers.jsonl"
    place.write_text(json.dumps(a_hand_in(study)) + '\n{"b": ')
    study_app(study, place)
    assert f"the last line of {place} was cut and lies in answers.jsonl.cut" in caplog.text
    caplog.clear()
    study_app(study, place)
    assert not caplog.text


def test_what_was_confirmed_survives_a_kill(study: Path, tmp_path: Path) -> None:
    import httpx

    place, port = tmp_path / "answers.jsonl", 18_765
    command = [sys.executable, "-m", "cafa", "study", "serve", str(study), "--answers", str(place), "--port", str(port)]
    confirmed: list[str] = []

    def send(number: int) -> None:
        for turn in range(200):
            rater = f"rater-{number}-{turn}"
            try:
                answer = httpx.post(f"http://127.0.0.1:{port}/answers", json=a_hand_in(study, rater), timeout=5)
            except httpx.HTTPError:
                return
            if answer.status_code == 200:
                confirmed.append(rater)

    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_until_it_listens(port)
        senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        for sender in senders:
            sender.start()
        while len(confirmed) < 40:
            time.sleep(0.01)
        server.send_signal(signal.SIGKILL)
        for sender in senders:
            sender.join()
    finally:
        server.kill()
        server.wait()
    found = [one.rater for one in AnswerFile(place).read()]
    assert len(confirmed) >= 40
    assert set(confirmed) <= set(found)
    assert len(found) == len(set(found))


def _wait_until_it_listens(port: int) -> None:
    import httpx

    for _ in range(200):
        try:
            httpx.get(f"http://127.0.0.1:{port}/", timeout=1)
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    pytest.fail("the receiver does not answer")
