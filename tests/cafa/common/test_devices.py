import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner

from cafa.cli import cli, options
from cafa.common.devices import check_device, why_no_cuda
from cafa.common.errors import InputError


def test_a_driver_too_old_for_the_build_is_named_with_the_index_to_use() -> None:
    text = why_no_cuda("13.0", "2.13.0+cu130", "550.54.14")
    assert "needs driver 580, and the driver is 550.54.14" in text
    assert "pip install --force-reinstall torch==2.13.0 --index-url https://download.pytorch.org/whl/cu126" in text
    assert why_no_cuda("13.0", "2.13.0", "470.1").endswith("the driver is 470.1: update the driver")


def test_no_driver_no_build_and_no_gpu_are_told_apart() -> None:
    assert "a build without CUDA: pip install" in why_no_cuda(None, "2.13.0+cpu", "580.1")
    assert "has no NVIDIA driver" in why_no_cuda("13.0", "2.13.0", None)
    assert "CUDA_VISIBLE_DEVICES" in why_no_cuda("13.0", "2.13.0", "580.1")


def test_devices() -> None:
    assert check_device("cpu") == "cpu"
    with pytest.raises(InputError, match="torch knows no such device"):
        check_device("gpu0")


@pytest.mark.parametrize(("device", "tf32"), [("cpu", True), ("cuda", False), ("cuda:1", False)])
def test_commands_convolve_exactly_on_a_gpu(monkeypatch: pytest.MonkeyPatch, device: str, tf32: bool) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # torch's default
    monkeypatch.setattr(options, "check_device", lambda name: name)
    found: list[bool] = []

    @click.command()
    @options.device_option
    def command(device: str) -> None:
        found.append(torch.backends.cudnn.allow_tf32)

    CliRunner().invoke(command, ["--device", device], catch_exceptions=False)
    assert found == [tf32]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    "verb", [["train", "adapter"], ["samples", "make"], ["embed", "reference"], ["features", "text"]]
)
def test_every_command_refuses_cuda_without_cuda(verb: list[str]) -> None:
    with pytest.raises(InputError, match=r"^--device cuda: torch [^\n]*$"):
        CliRunner().invoke(cli, [*verb, "--device", "cuda"], catch_exceptions=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_cuda_is_refused_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cafa", "train", "adapter", "--device", "cuda"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("cafa: error: --device cuda: torch ")
    assert done.stderr.count("\n") == 1


def test_a_command_asked_to_end_says_so_without_a_traceback(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = (
        "import pathlib, time, cafa.cli\n"
        f"def wait(): pathlib.Path({str(ready)!r}).touch(); time.sleep(60)\n"
        "cafa.cli.cli = wait\n"
        "cafa.cli.main()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    while not ready.exists():
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 143
    assert said == "cafa: asked to end by SIGTERM: the same command goes on from here\n"
