import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cafa.common.errors import InputError, WeightsError
from cafa.common.files import sha256_file
from cafa.models.weights import (
    COLUMNS,
    WeightSource,
    load_checkpoint,
    load_strict,
    read_weight_sources,
    rename_prefixes,
    require_file,
)

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.tensor([1.0, 2.0])}


def source(sha256: str | None = None) -> WeightSource:
    return WeightSource("judge", "https://example.org/judge.pth", sha256, "CC-BY-4.0", "metrics: X")


def write_table(path: Path, *rows: tuple[str, ...]) -> Path:
    path.write_text("\n".join("\t".join(row) for row in (COLUMNS, *rows)) + "\n")
    return path


def test_the_projects_table_is_valid_and_names_every_judge():
    rows = read_weight_sources()
    assert {"panns_cnn14_16k", "laion_clap", "imagebind_huge", "synchformer", "roberta_vocab"} <= set(rows)
    for row in rows.values():
        assert row.url.startswith("https://")
        assert row.licence
        assert row.used_by
        assert row.sha256 or row.note, f"{row.name}: no SHA-256 and no note that says why"
    for name in ("panns_cnn14_16k", "laion_clap", "imagebind_huge", "synchformer"):
        assert rows[name].sha256, f"{name}: the judges of config/paper.yaml are registered by this table alone"


def test_table_refuses_bad_rows(tmp_path: Path):
    good = ("x", "https://x", "", "", "MIT", "m", "")
    with pytest.raises(InputError, match="is not a SHA-256"):
        read_weight_sources(write_table(tmp_path / "a.tsv", ("x", "https://x", "abc", "", "MIT", "m", "")))
    with pytest.raises(InputError, match="listed twice"):
        read_weight_sources(write_table(tmp_path / "b.tsv", good, good))
    (tmp_path / "c.tsv").write_text("name\turl\n")
    with pytest.raises(InputError, match="columns are"):
        read_weight_sources(tmp_path / "c.tsv")
    row = read_weight_sources(write_table(tmp_path / "d.tsv", good))["x"]
    assert (row.sha256, row.bytes) == (None, None)
    with pytest.raises(InputError, match="'1,234' is not a number of bytes"):
        read_weight_sources(write_table(tmp_path / "e.tsv", ("x", "https://x", "", "1,234", "MIT", "m", "")))


def test_a_table_without_sizes_is_read_too(tmp_path: Path):
    lines = [[name for name in COLUMNS if name != "bytes"], ["x", "https://x", "a" * 64, "MIT", "m", "why"]]
    (tmp_path / "w.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))
    row = read_weight_sources(tmp_path / "w.tsv")["x"]
    assert (row.sha256, row.bytes, row.note) == ("a" * 64, None, "why")


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"e" * 64 + b"\nsize 358668570\n"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (POINTER, "pointer of Git LFS.*git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"PK\x03\x04 the beginning", "cut short"),
    ],
)
def test_what_is_no_whole_file_is_known_by_its_size_before_it_is_read(tmp_path: Path, content: bytes, found: str):
    path = tmp_path / "judge.pth"
    path.write_bytes(content)
    sized = dataclasses.replace(source("0" * 64), bytes=358_668_570)
    with pytest.raises(WeightsError, match=rf"has {len(content)} bytes, the published file has 358,668,570: .*{found}"):
        require_file(path, sized, unverified=True)
    path.write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(WeightsError, match="has 6 bytes, the published file has 5: it is another file"):
        require_file(path, dataclasses.replace(sized, bytes=5))
    digest = sha256_file(path)
    assert require_file(path, dataclasses.replace(source(digest), bytes=6)) == digest


@pytest.mark.parametrize("name", ["judge.pth", "judge.safetensors"])
def test_a_pointer_says_what_it_is_where_no_size_is_known(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(WeightsError, match="git lfs pull"):
        load_checkpoint(tmp_path / name, source(), unverified=True)


def test_missing_file_says_what_to_download_from_where_and_under_which_terms(tmp_path: Path):
    path = tmp_path / "judge.pth"
    with pytest.raises(WeightsError) as error:
        require_file(path, source())
    for part in ("judge", "https://example.org/judge.pth", "CC-BY-4.0", str(path)):
        assert part in str(error.value)


def test_checksum_is_compared_and_its_absence_must_be_accepted_explicitly(tmp_path: Path):
    path = tmp_path / "judge.pth"
    torch.save(TENSORS, path)
    digest = sha256_file(path)
    with pytest.raises(WeightsError, match="no SHA-256 is recorded"):
        require_file(path, source())
    assert require_file(path, source(), unverified=True) == digest
    assert require_file(path, source(digest)) == digest
    with pytest.raises(WeightsError, match=f"has SHA-256 {digest}, expected {'0' * 64}"):
        require_file(path, source("0" * 64), unverified=True)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_three_file_formats_give_the_same_tensors(tmp_path: Path, kind: str):
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pth")
    if kind == "safetensors":
        save_file(TENSORS, path)
    else:
        torch.save(TENSORS, path, _use_new_zipfile_serialization=kind == "zip")
    checkpoint = load_checkpoint(path, source(sha256_file(path)))
    assert checkpoint.sha256 == sha256_file(path)
    assert checkpoint.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(checkpoint.tensors[name], TENSORS[name]) for name in TENSORS)


def test_nested_state_dict_and_data_parallel_names(tmp_path: Path):
    path = tmp_path / "w.pth"
    torch.save({"epoch": 15, "model": {f"module.{k}": v for k, v in TENSORS.items()}}, path)
    assert load_checkpoint(path, source(), key="model", unverified=True).tensors.keys() == TENSORS.keys()
    with pytest.raises(WeightsError, match=r"no entry 'state_dict'; found \['epoch', 'model'\]"):
        load_checkpoint(path, source(), key="state_dict", unverified=True)
    assert load_checkpoint(path, source(), unverified=True).tensors.keys() == TENSORS.keys()
    torch.save({"epoch": 15, "weights": TENSORS}, path)
    with pytest.raises(WeightsError, match="not tensors"):
        load_checkpoint(path, source(), unverified=True)


@pytest.mark.parametrize("numpy_1", [False, True])
def test_numpy_numbers_beside_the_tensors_are_harmless(tmp_path: Path, numpy_1: bool):
    """LAION-CLAP's file holds numpy scalars, pickled under numpy 1's module name."""
    path = tmp_path / "w.pth"
    torch.save({"loss": np.float64(0.5), "step": np.int64(3), "state_dict": TENSORS}, path)
    if numpy_1:
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        assert any(b"cnumpy._core.multiarray" in content for content in files.values())
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, content in files.items():
                archive.writestr(name, content.replace(b"cnumpy._core.", b"cnumpy.core."))
    assert load_checkpoint(path, source(), key="state_dict", unverified=True).tensors.keys() == TENSORS.keys()


def test_code_in_a_pickle_is_never_run(tmp_path: Path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "touched",))

    path = tmp_path / "w.pth"
    torch.save({"a": Evil()}, path)
    with pytest.raises(WeightsError, match="not read: it needs code"):
        load_checkpoint(path, source(), unverified=True)
    assert not (tmp_path / "touched").exists()


def test_strict_loading_names_what_does_not_fit():
    network = torch.nn.ModuleDict({"a": torch.nn.Linear(3, 2)})
    loaded = load_strict(network, TENSORS | {"old.x": torch.zeros(1), "b": torch.zeros(1)}, unused=("old.", "b"))
    assert torch.equal(loaded["a"].weight, TENSORS["a.weight"])
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    with pytest.raises(WeightsError, match=r"1 unknown: \['old\.x'\]"):
        load_strict(network, TENSORS | {"old.x": torch.zeros(1)}, unused=("old",))
    with pytest.raises(WeightsError, match=r"1 missing: \['a\.bias'\]"):
        load_strict(network, {"a.weight": TENSORS["a.weight"]})
    with pytest.raises(WeightsError, match=r"a\.bias \(3,\) instead of \(2,\)"):
        load_strict(network, TENSORS | {"a.bias": torch.zeros(3)})


def test_half_precision_weights_become_float32():
    network = torch.nn.ModuleDict({"a": torch.nn.Linear(3, 2)})
    load_strict(network, {name: tensor.half() for name, tensor in TENSORS.items()})
    assert network["a"].weight.dtype == torch.float32


def test_prefixes_are_renamed_once():
    tensors = {"x.y.w": torch.zeros(1), "z": torch.ones(1)}
    assert sorted(rename_prefixes(tensors, {"x.": "y.", "y.": "never."})) == ["y.y.w", "z"]
