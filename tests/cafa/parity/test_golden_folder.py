"""Where golden arrays come from: an option, the environment, the checkout."""

import subprocess
from pathlib import Path

import pytest

from cafa.common.errors import InputError
from cafa.parity import golden_folder as module
from cafa.parity.golden_folder import golden_folder, published_clip

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAFA_GOLDEN", raising=False)
    monkeypatch.delenv("CAFA_SHARED", raising=False)


@pytest.mark.parametrize("part", ["generator", "evaluators"])
def test_the_checkout_has_them(part: str) -> None:
    assert golden_folder(part) == ROOT / "tests" / "golden" / part
    assert list(golden_folder(part).glob("*.npz"))


def test_option_comes_before_environment_before_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "generator").mkdir()
    monkeypatch.setenv("CAFA_GOLDEN", str(tmp_path))
    assert golden_folder("generator") == tmp_path / "generator"
    assert golden_folder("generator", tmp_path / "other") == tmp_path / "other"
    with pytest.raises(InputError, match=r"CAFA_GOLDEN is .* no folder 'evaluators'"):
        golden_folder("evaluators")


def test_an_installed_package_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BESIDE", tmp_path / "site-packages")
    with pytest.raises(InputError, match=r"tests/golden of the repository .* CAFA_GOLDEN"):
        golden_folder("generator")


def test_clips_are_found_beside_the_arrays_or_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "golden" / "evaluators" / "x.npz"
    monkeypatch.setenv("CAFA_SHARED", str(tmp_path / "shared"))
    assert published_clip(file, "drum.mp4") is None
    for root in (tmp_path / "shared", tmp_path):
        clip = root / "clips" / "groundtruth" / "drum.mp4"
        clip.parent.mkdir(parents=True)
        clip.touch()
        assert published_clip(file, "drum.mp4") == clip


def test_the_arrays_are_small_and_complete() -> None:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "tests/golden"], capture_output=True, text=True, check=True
    ).stdout.split()
    folder = ROOT / "tests" / "golden"
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {str(path.relative_to(ROOT)) for path in files} == set(listed)
    assert sum(path.stat().st_size for path in files) < 3e6
    assert {path.stem for path in (folder / "generator").glob("*.json")} == {
        path.stem for path in (folder / "generator").glob("*.npz")
    }
