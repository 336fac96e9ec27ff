"""What a laboratory gets wrong: all of it is said at once, before any job of the paper's own configuration."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.lab.full_run import ROOT, environment, fetch_archives, prepare, snakemake
from tests.lab.overlay import overlay
from tests.lab.server import Web, serving

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1\nsize 5\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>Log in</title></head><body>Please log in.</body></html>\n"


class Lab(NamedTuple):
    """Folder of a laboratory, that of its web, and its server."""

    root: Path
    web_folder: Path
    web: Web

    def run(self, *arguments: str) -> tuple[int, str]:
        """Snakemake in the laboratory's folder: exit code and all that it said."""
        done = subprocess.run(
            snakemake(self.root, *arguments), cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def made(self) -> list[str]:
        """What jobs have left below the results, but for logs."""
        results = self.root / "results/paper"
        files = (path.relative_to(results) for path in results.rglob("*") if path.is_file())
        return sorted(str(path) for path in files if not re.search(r"(^|/)(logs/|\.)", str(path)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    root, web_folder = folder / "lab", folder / "web"
    digests, sizes = prepare(root, web_folder, shared / "clips/groundtruth", full_panns=False)
    with serving(web_folder) as web:
        fetch_archives(root, web)
        snakemake(root, config=overlay(web.address, digests, sizes))
        yield Lab(root, web_folder, web)


@pytest.fixture
def lab(whole: Lab, tmp_path: Path) -> Lab:
    """A copy that a test may spoil; its server is that of `whole`."""
    shutil.copytree(whole.root, tmp_path / "lab", symlinks=True, ignore=shutil.ignore_patterns("results", ".snakemake"))
    return whole._replace(root=tmp_path / "lab")


def flip_a_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_everything_is_said_at_once_and_no_job_runs(lab: Lab) -> None:
    weights = lab.root / "weights"
    (weights / "imagebind_huge.pth").unlink()
    (weights / "flan-t5-large/model.safetensors").unlink()
    flip_a_byte(weights / "synchformer_state_dict.pth")
    (weights / "stable-audio-open-1.0/vae/diffusion_pytorch_model.safetensors").write_bytes(POINTER)
    (weights / "CAFA_avclip.safetensors").write_bytes(PAGE)
    shutil.rmtree(lab.root / "data/vggsound")
    shutil.rmtree(lab.root / "archives")
    shutil.rmtree(lab.root / "published")
    code, text = lab.run("--cores", "1", "preflight")
    assert code != 0
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    for name, what in {
        "imagebind_huge.pth": "download",
        "flan-t5-large": "model.safetensors",
        "synchformer_state_dict.pth": "SHA-256",
        "vae/diffusion_pytorch_model.safetensors": "Git LFS",
        "CAFA_avclip.safetensors": "web page",
        "data/vggsound": "no folder",
        "archives": "no folder",
        "published/mmaudio_large": "",
    }.items():
        assert [line for line in errors if name in line and what in line], f"{name} ({what}) is not in:\n{text}"
    assert lab.made() == []


def test_lists_that_the_web_does_not_give_stop_the_run_with_a_reason(whole: Lab, lab: Lab) -> None:
    lists = whole.web_folder / "lists"
    (lists / "test.csv").rename(lists / "test.away")
    (lists / "visualsound.csv").rename(lists / "visualsound.away")
    (lists / "visualsound.csv").write_bytes(PAGE)
    try:
        names = [f"results/paper/manifests/{name}.parquet" for name in ("vggsound_test", "visualsound")]
        code, text = lab.run("--cores", "2", "--keep-going", *names)
    finally:
        for name in ("test", "visualsound"):
            (lists / f"{name}.away").rename(lists / f"{name}.csv")
    assert code != 0
    assert re.search(r"list results/paper/lists/test.csv cannot be fetched: .*404", text), text
    assert re.search(r"list results/paper/lists/visualsound.csv cannot be fetched: checksum", text), text
    assert lab.made() == []
