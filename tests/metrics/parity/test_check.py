import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cafa.common.errors import InputError
from cafa.parity.report import ParityError
from metrics.parity.check import check_evaluators
from metrics.parity.report import report_evaluators


def part_of(golden: Path, folder: Path, stem: str, without: str) -> Path:
    """A golden folder with one file, without the arrays of some name."""
    arrays = dict(np.load(golden / f"{stem}.npz"))
    kept = {name: value for name, value in arrays.items() if without not in name}
    assert len(kept) < len(arrays)
    np.savez(folder / f"{stem}.npz", **kept)
    return folder


def check(folder: Path, stem: str) -> None:
    rows = list(check_evaluators(folder, [stem]))
    assert [str(row) for row in rows if not row.ok] == []
    suffix = ".json" if stem == "metrics" else ".npz"
    stored = json.loads((folder / "metrics.json").read_text()) if suffix == ".json" else np.load(folder / f"{stem}.npz")
    assert {row.name for row in rows} == {f"{stem}/{name}" for name in stored}
    assert any(row.max_abs_difference is not None for row in rows)


@pytest.mark.parametrize("stem", ["metrics", "clap_keymap", "mel_frontends", "panns"])
def test_equal_to_the_published_evaluators(golden: Path, stem: str):
    check(golden, stem)


@pytest.mark.shared
@pytest.mark.parametrize("stem", ["ib_audio_preproc_drum_gt", "video_preproc_drum"])
def test_a_real_clip_is_prepared_as_the_published_evaluators_do(
    shared: Path, golden: Path, stem: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CAFA_SHARED", str(shared))
    check(golden, stem)


@pytest.mark.slow
@pytest.mark.parametrize("stem", ["clap_htsat_base", "synchformer", "imagebind"])
def test_large_networks_equal_the_published_ones(golden: Path, stem: str):
    check(golden, stem)


def front_ends(golden: Path, folder: Path, **changes: np.ndarray) -> Path:
    np.savez(folder / "mel_frontends.npz", **{**np.load(golden / "mel_frontends.npz"), **changes})
    return folder


def test_a_difference_is_found_and_makes_the_status_1(golden: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    stored = np.load(golden / "mel_frontends.npz")["ib_mel_tail"].copy()
    stored[1, 2, 3] += 0.01
    folder = front_ends(golden, tmp_path, ib_mel_tail=stored)
    with pytest.raises(ParityError, match="8 arrays, 1 failed"):
        report_evaluators(folder, ())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.endswith("FAIL")] == ["mel_frontends/ib_mel_tail"]
    shutil.copy(golden / "mel_frontends.npz", tmp_path)
    assert report_evaluators(folder, ()) == "8 arrays, 0 failed"


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"ib_mel_tail": np.full((3, 3, 8), np.nan)}, ""),
        ({"ib_mel_tail": np.zeros((3, 3, 7))}, "shape (3, 3, 8), stored (3, 3, 7)"),
        ({"surprise": np.zeros(2)}, "no rule for this array"),
    ],
)
def test_nan_shape_and_unknown_arrays_fail(golden: Path, tmp_path: Path, change: dict, note: str):
    failed = [row for row in check_evaluators(front_ends(golden, tmp_path, **change)) if not row.ok]
    assert [row.name for row in failed] == [f"mel_frontends/{name}" for name in change]
    assert failed[0].note == note


def test_unknown_file_fails_and_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="holds no golden arrays"):
        list(check_evaluators(tmp_path))
    np.savez(tmp_path / "openl3.npz", x=np.zeros(3))
    assert [(row.name, row.ok) for row in check_evaluators(tmp_path)] == [("openl3/x", False)]
    with pytest.raises(InputError, match="no golden arrays called panns"):
        list(check_evaluators(tmp_path, ["panns"]))


def test_arrays_that_describe_others_are_needed(golden: Path, tmp_path: Path):
    folder = part_of(golden, tmp_path, "panns", "shape")
    with pytest.raises(InputError, match=r"panns\.npz has no array 'logmel_16000_shape'"):
        list(check_evaluators(folder))


def test_missing_lists_and_clips_are_named(golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copy(golden / "imagebind.npz", tmp_path)
    with pytest.raises(InputError, match=r"imagebind\.npz needs imagebind_keys\.json beside it"):
        list(check_evaluators(tmp_path))
    monkeypatch.setenv("CAFA_SHARED", str(tmp_path))
    for stem in ("video_preproc_drum", "ib_audio_preproc_drum_gt"):
        rows = list(check_evaluators(golden, [stem]))
        assert {row.name for row in rows} == {f"{stem}/{name}" for name in np.load(golden / f"{stem}.npz")}
        assert all(row.max_abs_difference is None and "needs the clip drum.mp4" in row.note for row in rows)
