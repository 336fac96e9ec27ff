"""Downloads that are cut: by the network, a signal, a second process; and large ones."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cafa.common.errors import WeightsError
from cafa.weights.folder import LOCK
from tests.cafa.weights.conftest import BODY, DIGEST, Shop

BIG = bytes(range(256)) * 4096 * 4


def start(shop: Shop, *arguments: str) -> subprocess.Popen[str]:
    """`cafa weights ...` in a process of its own."""
    command = [sys.executable, "-m", "cafa", "weights", *arguments, "--table", str(shop.table)]
    environment = {**os.environ, "CAFA_WEIGHTS": str(shop.folder)}
    pipe = subprocess.PIPE
    # Jobs in the background of a shell ignore Ctrl-C; the command must know it all the same.
    own = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True, preexec_fn=own)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


def wait_for_bytes(shop: Shop, least: int, process: subprocess.Popen[str]) -> int:
    """Size of the part that has come, as soon as it is large enough."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        sizes = [path.stat().st_size for path in shop.folder.glob(".fetching/.*.part")]
        if max(sizes, default=0) >= least:
            return max(sizes)
        time.sleep(0.02)
    raise AssertionError(process.communicate())


def ranges(shop: Shop) -> list[str]:
    return [answer.headers.get("Range", "") for answer in shop.server.answers if answer.path == shop.cdn]


def test_a_cut_within_a_run_and_between_runs(shop: Shop) -> None:
    shop.server.moods[shop.cdn] = ["cut 1000", "cut 2000", *["status 500"] * 9]
    with pytest.raises(WeightsError, match="HTTP 500"):
        shop.get("net")
    del shop.server.moods[shop.cdn]
    shop.get("net")
    assert shop.server.bytes_of(shop.cdn) - 4 * 3 == len(BODY)  # no byte twice; three answers "busy"
    assert ranges(shop)[-1] == "bytes=3000-"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 1), (signal.SIGKILL, -9)])
def test_a_signal_leaves_a_part_that_is_taken_up(shop: Shop, sent: signal.Signals, code: int) -> None:
    shop.server.repositories["lab/net"].lfs["model.safetensors"] = BIG
    shop.server.moods[shop.cdn] = ["hold 300000"]
    process = start(shop, "get", "net")
    wait_for_bytes(shop, 300_000, process)
    process.send_signal(sent)
    begun = time.monotonic()
    found, _, errors = finish(process)
    assert found == code, errors
    assert time.monotonic() - begun < 10
    assert "Traceback" not in errors
    assert "net/model.safetensors" not in shop.there()
    shop.server.release.set()
    found, output, errors = finish(start(shop, "get", "net"))
    assert found == 0, errors
    assert "net: " in output
    assert (shop.folder / "net/model.safetensors").read_bytes() == BIG
    assert ranges(shop)[-1] == "bytes=300000-"


def test_a_part_of_another_version_is_not_joined(shop: Shop) -> None:
    """A host without validators, and a table with a SHA-256: the joined file is noticed, and comes from nothing."""
    shop.folder.joinpath(".fetching").mkdir(parents=True)
    url = f"{shop.server.url}/files/plain.pth"
    shop.folder.joinpath(".fetching/.plain.pth.part").write_bytes(b"x" * 5000)
    shop.folder.joinpath(".fetching/.plain.pth.part.json").write_text(json.dumps({"url": url, "validator": None}))
    said: list[str] = []
    shop.get("plain", accept=("plain",), log=said.append)
    assert "plain: what had come before did not fit: from the beginning" in said
    assert (shop.folder / "plain.pth").read_bytes() == BODY


def test_a_server_without_ranges(shop: Shop) -> None:
    shop.server.moods["/files/plain.pth"] = ["cut 5000", "deaf"]
    shop.get("plain", accept=("plain",))
    assert (shop.folder / "plain.pth").read_bytes() == BODY


def test_two_processes_fetch_a_file_once(shop: Shop) -> None:
    shop.server.repositories["lab/net"].lfs["model.safetensors"] = BIG
    shop.server.slow = 0.02
    ends = [finish(process) for process in [start(shop, "get", "net"), start(shop, "get", "net")]]
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert shop.server.bytes_of(shop.cdn) == len(BIG)
    assert shop.there() == ["net/config.json", "net/model.safetensors", LOCK]
    assert set(json.loads((shop.folder / LOCK).read_text())["files"]) == {"net/config.json", "net/model.safetensors"}


def test_two_files_at_once(shop: Shop) -> None:
    """While one is held, another one comes."""
    shop.server.moods[shop.cdn] = ["hold 10"]
    process = start(shop, "get", "net")
    until = time.monotonic() + 30
    while not (shop.folder / "net/config.json").is_file() and time.monotonic() < until:
        time.sleep(0.02)
    assert (shop.folder / "net/config.json").is_file()
    assert not (shop.folder / "net/model.safetensors").is_file()
    shop.server.release.set()
    code, _, errors = finish(process)
    assert code == 0, errors


def test_as_a_user(shop: Shop) -> None:
    """list, get, verify, a wrong byte, remove: what is printed, and the exit codes."""

    def run(*arguments: str) -> tuple[int, str, str]:
        return finish(start(shop, *arguments))

    code, output, _ = run("list")
    assert code == 0
    assert output.splitlines()[1].split()[:4] == ["net", "?", "generate", "-"]
    code, output, _ = run("get", "--for", "generate")
    assert code == 0
    assert f"SHA-256 {DIGEST[:12]}..., checked against the hub (SHA-256)" in output
    assert "checked" in run("list", "--for", "generate")[1].splitlines()[1]
    rows = json.loads(run("list", "--json")[1])
    assert [row["name"] for row in rows if row["checked"]] == ["net", "net_config"]
    assert run("verify")[0] == 0
    assert run("where")[1] == f"{shop.folder}\n"
    assert run("where", "net")[1].splitlines()[0] == str(shop.folder / "net/model.safetensors")
    file = shop.folder / "net/model.safetensors"
    file.write_bytes(BODY[:-1] + b"!")
    code, output, errors = run("verify", "net")
    assert (code, errors) == (1, "cafa: error: not verified: net\n")
    assert "net_config: ok: SHA-256" in output
    assert "net: wrong: the file has SHA-256" in output
    assert f"1 of 2 files verified in {shop.folder}" in output
    code, output, _ = run("remove", "net")
    assert (code, output.splitlines()) == (0, ["net: 12288 bytes freed", "net_config: 9 bytes freed"])
    assert shop.there() == [LOCK]
    assert run("where", "net")[0] == 1
    code, _, errors = run("get")
    assert (code, "name models or files" in errors) == (1, True)


def test_another_folder(shop: Shop, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    code, output, errors = finish(start(shop, "get", "net", "--to", str(elsewhere)))
    assert code == 0, errors
    assert output.endswith(f"Set CAFA_WEIGHTS={elsewhere} so that other commands find them.\n")
    assert (elsewhere / "net/model.safetensors").read_bytes() == BODY


@pytest.mark.slow
def test_a_large_file_that_is_cut_twice(shop: Shop) -> None:
    """200 MB: cut by the network, then by a kill, then complete; no byte comes twice."""
    size = 200_000_000
    big = (bytes(range(256)) * (size // 256 + 1))[:size]
    shop.server.repositories["lab/net"].lfs["model.safetensors"] = big
    shop.server.moods[shop.cdn] = ["cut 80000000", "hold 60000000"]
    process = start(shop, "get", "net")
    came = wait_for_bytes(shop, 140_000_000, process)
    process.kill()
    process.communicate()
    shop.server.release.set()
    code, _, errors = finish(start(shop, "get", "net"))
    assert code == 0, errors
    assert ranges(shop) == ["", "bytes=80000000-", f"bytes={came}-"]
    assert shop.server.bytes_of(shop.cdn) == size
    assert (shop.folder / "net/model.safetensors").stat().st_size == size
    assert finish(start(shop, "verify", "net"))[0] == 0
