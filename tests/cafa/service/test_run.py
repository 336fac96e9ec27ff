"""`cafa serve` as a program: it says where it is, ends cleanly, and a kill leaves whole files only."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import httpx
import pytest
import soundfile
from click.testing import CliRunner

from cafa.cli import cli
from cafa.common.errors import InputError, WeightsError
from cafa.service.engine import Engine
from cafa.service.run import Place, ServiceRequest, demo, serve
from tests.cafa.service.conftest import write_video
from tests.cafa.service.makers import SteppingMaker


@contextmanager
def served(models: Path, folder: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running `cafa serve` and its address."""
    words = [sys.executable, "-m", "cafa", "serve", "--models", str(models), "--steps", "2", "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(
        [*words, "--folder", str(folder), *more], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert server.stdout is not None
        line = next(line for line in server.stdout if "http://" in line)
        yield server, line.split("API at ")[1].split("/v1/")[0]
    finally:
        server.kill()
        server.wait()


def ask(address: str, video: Path, **more: object) -> str:
    sent = httpx.post(f"{address}/v1/videos?name=a.mp4", content=video.read_bytes(), timeout=30).json()
    job = httpx.post(f"{address}/v1/jobs", json={"video": sent["id"], "prompt": "a dog", **more}, timeout=30)
    found: str = job.json()["id"]
    return found


def state(address: str, job: str) -> str:
    found: str = httpx.get(f"{address}/v1/jobs/{job}", timeout=30).json()["state"]
    return found


def whole(path: Path) -> None:
    """Read a file to its end."""
    if path.suffix in (".wav", ".flac"):
        assert len(soundfile.read(path)[0]) > 0
    elif path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".svg":
        assert path.read_text().endswith("</svg>")
    else:
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) > 0


def test_a_killed_service_leaves_whole_files_and_its_results(tiny_models: Path, video: Path, tmp_path: Path) -> None:
    folder = tmp_path / "service"
    with served(tiny_models, folder) as (server, address):
        done = ask(address, video)
        while state(address, done) not in ("done", "failed"):
            time.sleep(0.05)
        long = write_video(tmp_path / "long.mp4", 2)
        others = [ask(address, long, takes=8) for _ in range(2)]
        while state(address, others[0]) == "queued":
            time.sleep(0.02)
        time.sleep(0.3)
        server.send_signal(signal.SIGKILL)
        server.wait()
    visible = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    assert len(visible) > 8
    for path in visible:
        if path.suffix != ".part" and path.name != ".writing.lock":
            whole(path)
    with Engine(SteppingMaker(), folder) as engine:
        assert engine.job(done).state == "done"
        whole(engine.file(done, 0, "wav"))
        assert [engine.job(name).state for name in others] == ["failed", "failed"]
        assert "the service was stopped" in (engine.job(others[0]).error or "")
        assert [path.name for path in engine.folder_of(others[0]).iterdir()] == ["job.json"]
    assert not [path for path in folder.rglob("*") if path.suffix == ".part" or ".part." in path.name]


def test_ctrl_c_ends_it_cleanly(tiny_models: Path, video: Path, tmp_path: Path) -> None:
    with served(tiny_models, tmp_path / "service", "--token", "sesame") as (server, address):
        assert httpx.get(f"{address}/v1/models", timeout=30).status_code == 401
        allowed = {"Authorization": "Bearer sesame"}
        assert httpx.get(f"{address}/v1/models", headers=allowed, timeout=30).status_code == 200
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 0
        assert server.stdout is not None
        assert server.stdout.read().splitlines()[-1] == "ended"


def test_others_need_a_token(tiny_models: Path) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(InputError, match=r"others can reach .*--token or the variable CAFA_TOKEN"):
            serve(ServiceRequest(Place(host), tiny_models))
        with pytest.raises(InputError, match="others can reach"):
            demo(ServiceRequest(Place(host), tiny_models))
    Place("0.0.0.0", token="sesame").check()


def test_an_address_that_is_taken_is_said_so() -> None:
    first = Place(port=0).listen()
    try:
        first.listen()
        with pytest.raises(InputError, match=r"cannot listen on 127\.0\.0\.1 port .* --port names another"):
            Place(port=first.getsockname()[1]).listen()
    finally:
        first.close()


@pytest.mark.parametrize("verb", ["serve", "demo"])
def test_without_models_the_command_says_how_to_get_them(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if verb == "demo":
        pytest.importorskip("gradio", reason="gradio is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAFA_WEIGHTS", str(tmp_path / "weights"))
    result = CliRunner().invoke(cli, [verb, "--port", "0", "--folder", str(tmp_path / "service")])
    assert isinstance(result.exception, WeightsError)
    assert "cafa weights get --for generate" in str(result.exception)
    assert "make table1" in str(result.exception)


def test_without_gradio_the_page_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(InputError, match=r"needs gradio, which is not installed: pip install 'cafa\[demo\]'"):
        demo(ServiceRequest(Place(folder=tmp_path)))
