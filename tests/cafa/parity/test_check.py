import hashlib
import json
import resource
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cafa.cli.parity import command
from cafa.common.errors import InputError
from cafa.parity.check import check_generator
from cafa.parity.golden import GoldenArrays, ParityRow, read_golden_arrays
from cafa.parity.weights import golden_input, golden_tensor


@pytest.fixture(scope="session")
def folder(golden_generator: Path) -> Path:
    return golden_generator


def rows_of(folder: Path, stem: str) -> dict[str, ParityRow]:
    rows = list(check_generator(folder, [stem]))
    assert {row.name for row in rows} == {f"{stem}/{name}" for name in np.load(folder / f"{stem}.npz")}
    assert len(rows) == len({row.name for row in rows})
    return {row.name.split("/")[1]: row for row in rows}


def assert_ok(rows: dict[str, ParityRow], compared: int) -> None:
    assert [str(row) for row in rows.values() if not row.ok] == []
    assert sum(row.max_abs_difference is not None for row in rows.values()) == compared


def test_denoiser_with_adapter_equals_the_published_one(folder: Path):
    rows = rows_of(folder, "tiny_dit")
    assert_ok(rows, 17)
    assert all(row.max_abs_difference <= 2e-5 for row in rows.values() if row.max_abs_difference is not None)


def test_sampler_equals_the_published_one(folder: Path):
    rows = rows_of(folder, "tiny_sampler")
    assert_ok(rows, 10)
    final = np.load(folder / "tiny_sampler.npz")["sde_final"]
    assert rows["sde_final"].max_abs_difference <= 1e-5 * np.abs(final).max()
    assert rows["official_sample_k_seed0_final"].note.startswith("not compared")


def test_small_autoencoder_equals_the_published_one(folder: Path):
    rows = rows_of(folder, "tiny_vae")
    assert_ok(rows, 4)
    assert all(row.max_abs_difference <= 1e-5 for row in rows.values() if row.max_abs_difference is not None)


def test_number_conditioner_equals_the_published_one(folder: Path):
    rows = rows_of(folder, "number_conditioner")
    assert_ok(rows, 1)
    assert rows["embeds"].max_abs_difference <= 1e-6


@pytest.mark.slow
def test_video_features_equal_the_published_ones(folder: Path):
    assert_ok(rows_of(folder, "avclip"), 3)


@pytest.mark.slow  # the small one takes the same path in a second
def test_full_size_autoencoder_equals_the_published_one(folder: Path):
    assert_ok(rows_of(folder, "full_vae"), 4)


@pytest.mark.slow
def test_full_size_denoiser_equals_the_published_one(folder: Path):
    assert_ok(rows_of(folder, "full_dit"), 3)
    if sys.platform == "linux":
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 20 * 1024**2  # kB


def altered(source: Path, target: Path, stem: str, **changes: np.ndarray) -> Path:
    """A copy of a pair of files with some arrays replaced or added, and the checksum made right."""
    arrays = dict(np.load(source / f"{stem}.npz")) | changes
    np.savez(target / f"{stem}.npz", **arrays)
    about = json.loads((source / f"{stem}.json").read_text())
    about["npz_sha256"] = hashlib.sha256((target / f"{stem}.npz").read_bytes()).hexdigest()
    (target / f"{stem}.json").write_text(json.dumps(about))
    return target


def test_an_altered_value_fails_and_the_command_says_so(folder: Path, tmp_path: Path):
    wrong = np.load(folder / "number_conditioner.npz")["embeds"]
    wrong[3, 0, 5] += 1e-4
    altered(folder, tmp_path, "number_conditioner", embeds=wrong, extra=np.zeros(2))
    result = CliRunner().invoke(command, ["generator", "--golden", str(tmp_path)])
    assert result.exit_code == 1
    assert "0.0001" in result.output
    assert "number_conditioner/extra" in result.output
    assert "no rule for an array of this name" in result.output
    assert str(result.exception) == "3 arrays, 2 failed"


def test_the_command_succeeds_with_one_line_per_array(folder: Path):
    result = CliRunner().invoke(command, ["generator", "--golden", str(folder), "--only", "number_conditioner"])
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()[1:3]] == [
        "number_conditioner/values",
        "number_conditioner/embeds",
    ]


def test_other_arrays_of_the_same_layout_are_read_from_their_own_folder(folder: Path, tmp_path: Path):
    # another name, other values in, so other values out: the stored result no longer fits
    arrays = dict(np.load(folder / "number_conditioner.npz"))
    shutil.copy(folder / "number_conditioner.json", tmp_path)
    arrays["values"] = arrays["values"][::-1].copy()
    altered(folder, tmp_path, "number_conditioner", **arrays)
    (row,) = (row for row in check_generator(tmp_path) if row.note != "input")
    assert not row.ok
    altered(folder, tmp_path, "number_conditioner", values=arrays["values"], embeds=arrays["embeds"][::-1])
    for suffix in (".json", ".npz"):
        (tmp_path / f"number_conditioner{suffix}").rename(tmp_path / f"other{suffix}")
    (row,) = (row for row in check_generator(tmp_path) if row.note != "input")
    assert (row.name, row.ok) == ("other/embeds", True)


def test_a_file_that_no_rule_knows_fails(tmp_path: Path):
    np.savez(tmp_path / "odd.npz", value=np.zeros(3))
    (tmp_path / "odd.json").write_text("{}")
    (row,) = check_generator(tmp_path)
    assert (row.name, row.ok) == ("odd/value", False)


def test_unusable_folders_are_refused(folder: Path, tmp_path: Path):
    with pytest.raises(InputError, match="no golden arrays"):
        next(check_generator(tmp_path))
    with pytest.raises(InputError, match="called nonsense"):
        next(check_generator(folder, ["nonsense"]))
    shutil.copy(folder / "tiny_dit.json", tmp_path / "tiny_dit.json")
    with pytest.raises(InputError, match="is missing beside"):
        read_golden_arrays(tmp_path / "tiny_dit.json")
    shutil.copy(folder / "tiny_vae.npz", tmp_path / "tiny_dit.npz")
    with pytest.raises(InputError, match=r"is not the file that tiny_dit\.json describes"):
        read_golden_arrays(tmp_path / "tiny_dit.json")


def test_comparison_is_strict_about_shapes_and_numbers():
    golden = GoldenArrays("g", {}, {"a": np.array([[1.0, 2.0], [100.0, 200.0]])})
    stored = golden.arrays["a"]
    assert golden.compare("a", stored + 0.5, 0.5)[0].ok
    assert golden.compare("a", stored + 0.5, 0.4)[0].ok is False
    assert golden.compare("a", stored[:1], 9)[0].ok is False
    assert golden.compare("a", stored * np.nan, 9)[0].ok is False
    assert golden.compare("a", stored + 1, 0.01, relative=True)[0].ok
    (row,) = golden.compare("a", stored + 1, 0.01, relative=True, steps=True)
    assert (row.ok, row.max_abs_difference, row.tolerance) == (False, 1, 0.02)
    assert golden.compare("b", stored, 1) == []


@pytest.mark.parametrize(
    ("name", "shape", "mean", "deviation"),
    [
        ("a.gamma", (4000,), 1, 0.1),
        ("a.beta", (4000,), 0, 0.1),
        ("a.weight_g", (4000, 1, 1), 0.6, 0.06),
        ("a.alpha", (4000,), 0, 0.2),
        ("a.weights", (4000,), 0, 1),
        ("a.weight", (40, 100), 0, 0.05),
        ("a.scale", (4000,), 0, 0.1),
    ],
)
def test_rule_of_the_golden_weights(name: str, shape: tuple[int, ...], mean: float, deviation: float):
    value = golden_tensor(name, shape)
    assert value.shape == shape
    assert value.dtype == torch.float32
    assert value.mean().item() == pytest.approx(mean, abs=0.06 * max(deviation, 0.1))
    assert value.std().item() == pytest.approx(deviation, rel=0.05)
    assert torch.equal(golden_tensor(name, shape), value)
    assert not torch.equal(golden_tensor("b" + name, shape), value)


def test_inputs_made_by_name_are_those_of_the_published_run(folder: Path):
    about = json.loads((folder / "full_dit.json").read_text())
    for name in ("x", "hint", "cross", "glob"):
        value = golden_input(f"input.full.{name}", about["input_shapes"][name], 2.0 if name == "hint" else 1.0)
        assert hashlib.sha256(value.half().numpy().tobytes()).hexdigest() == about["input_sha256"][name]
