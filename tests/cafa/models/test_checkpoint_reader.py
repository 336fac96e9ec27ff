"""Checkpoints are read without running what they hold, in every form in which they are published."""

import contextlib
import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from cafa.common.errors import WeightsError
from cafa.models.checkpoint_reader import read_shapes, read_tensors
from tests.published_forms import save_clap, save_panns, save_synchformer

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.tensor([1.0, 2.0])}


def same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(
        torch.equal(found[name], wanted[name]) and found[name].dtype == wanted[name].dtype for name in wanted
    )


@pytest.mark.parametrize(("save", "key"), [(save_panns, "model"), (save_synchformer, "model")])
@pytest.mark.parametrize("named", [True, False])
def test_files_of_training_scripts_open(tmp_path: Path, save: Callable[..., None], key: str, named: bool):
    save(tmp_path / "w.pt", TENSORS)
    assert same(read_tensors(tmp_path / "w.pt", key if named else None), TENSORS)


def test_the_numpy_names_and_configuration_classes_are_those_of_the_publishers(tmp_path: Path):
    save_panns(tmp_path / "panns.pth", TENSORS)
    assert b"cnumpy.core.multiarray\n_reconstruct" in (tmp_path / "panns.pth").read_bytes()
    assert not zipfile.is_zipfile(tmp_path / "panns.pth")
    save_synchformer(tmp_path / "s.pt", TENSORS)
    assert b"comegaconf.dictconfig\nDictConfig" in (tmp_path / "s.pt").read_bytes()
    assert "omegaconf.dictconfig" not in sys.modules


def test_clap_with_optimizer_and_old_position_ids(tmp_path: Path):
    save_clap(tmp_path / "w.pt", TENSORS)
    found = read_tensors(tmp_path / "w.pt", "state_dict")
    assert torch.equal(found.pop("text_branch.embeddings.position_ids"), torch.arange(514)[None])
    assert same(found, TENSORS)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_all_kinds_of_tensors(tmp_path: Path, zipped: bool, protocol: int):
    base = torch.arange(24.0).view(4, 6)
    tensors = {
        "transposed": base.t(),
        "slice": base[1:3, ::2],
        "shared": base,
        "half": base.half(),
        "brain": base.bfloat16(),
        "whole": torch.tensor(7),
        "flags": torch.tensor([True, False]),
        "none": torch.zeros(0, 3),
        "weight": torch.nn.Parameter(torch.ones(2)),
        "same": base.view(-1),
    }
    torch.save(tensors, tmp_path / "w.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    found = read_tensors(tmp_path / "w.pt")
    assert same(found, tensors)
    assert found["transposed"].stride() == base.t().stride()
    assert found["shared"].untyped_storage().data_ptr() == found["same"].untyped_storage().data_ptr()


def evil(opcodes: bytes) -> bytes:
    return opcodes + b"."


class Reduces:
    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.made = (call, arguments)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.made


def hostile(touched: Path) -> dict[str, bytes]:
    """Pickles of which each would make a file where a reader followed it."""
    command = f"touch {touched}"
    line = command.encode()
    return {
        "reduce": pickle.dumps({"a": Reduces(os.system, command)}, 2),
        "nested": pickle.dumps({"a": {"b": [Reduces(subprocess.call, ["touch", str(touched)])]}}, 4),
        "eval": pickle.dumps({"a": Reduces(eval, f"open({str(touched)!r}, 'w')")}, 2),
        "stack_global": pickle.dumps(Reduces(os.system, command), 5),
        "getter": pickle.dumps(Reduces(getattr, Reduces(__import__, "os"), "system"), 2),
        "build": evil(b"cfunctools\npartial\n(cbuiltins\nlist\ntR(cos\nsystem\n(V" + line + b"\nt}Ntb)R"),
        "newobj": evil(b"\x80\x02csubprocess\nPopen\nV" + line + b"\n\x85\x81"),
        "inst": evil(b"(V" + line + b"\nios\nsystem\n"),
        "obj": evil(b"(cos\nsystem\nV" + line + b"\no"),
        "setstate": evil(b"ctorch._utils\n_rebuild_tensor_v2\n(dV__call__\ncos\nsystem\nsb"),
        "defaults": evil(b"ccollections\nOrderedDict\n)R(dV__setitem__\ncos\nsystem\nsb"),
        "extension": evil(b"\x82\x01"),
        "memo": evil(b"Nr\xff\xff\xff\x7f"),
        "torch_load": evil(b"ctorch.serialization\nload\n(V" + line + b"\ntR"),
    }


@pytest.mark.parametrize("layout", ["zip", "legacy", "bare"])
@pytest.mark.parametrize("kind", sorted(hostile(Path("x"))))
def test_hostile_pickles_run_nothing(tmp_path: Path, kind: str, layout: str):
    body = hostile(tmp_path / "touched")[kind]
    path = tmp_path / "w.pt"
    if layout == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", body)
    elif layout == "legacy":
        head = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
        path.write_bytes(b"".join(head) + body + pickle.dumps([], 2))
    else:
        path.write_bytes(body if body[:1] == b"\x80" else b"\x80\x02" + body)
    if kind == "defaults" and layout != "bare":
        assert read_tensors(path) == {}  # the state of an OrderedDict is not taken
    else:
        with pytest.raises(WeightsError, match=r"w\.pt"):
            read_tensors(path)
    assert not (tmp_path / "touched").exists()


def with_record(path: Path, key: str = "0", length: int = 6, offset: int = 0, size: Any = (6,), stride: Any = (1,)):
    """A zip file of 24 bytes of values whose one tensor is described as said."""

    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return ("storage", torch.FloatStorage, key, "cpu", length) if isinstance(value, Storage) else None

    buffer = io.BytesIO()
    record = Reduces(torch._utils._rebuild_tensor_v2, Storage(), offset, size, stride, False, {})
    Pickler(buffer, 2).dump({"w": record})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", buffer.getvalue())
        archive.writestr("archive/data/0", struct.pack("<6f", *range(6)))


def test_a_record_in_its_storage_is_read(tmp_path: Path):
    with_record(tmp_path / "w.pt")
    assert read_tensors(tmp_path / "w.pt")["w"].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "../0"},
        {"key": "/etc/passwd"},
        {"key": 0},
        {"length": 7},
        {"length": 1 << 40},
        {"length": -1},
        {"offset": 1},
        {"offset": -1},
        {"offset": 1 << 62},
        {"size": (7,)},
        {"size": (-1,)},
        {"size": (1 << 40,)},
        {"size": (1 << 40,), "stride": (0,)},
        {"stride": (-1,)},
        {"stride": (2,)},
        {"stride": (1, 1)},
        {"size": 6},
        {"size": (True,)},
        {"size": ("6",)},
        {"size": (1,) * 65, "stride": (1,) * 65},
    ],
    ids=str,
)
def test_records_outside_their_storage_are_refused(tmp_path: Path, wrong: dict[str, Any]):
    with_record(tmp_path / "w.pt", **wrong)
    with pytest.raises(WeightsError, match="tensor w"):
        read_tensors(tmp_path / "w.pt")


def test_compressed_truncated_and_other_files_are_refused(tmp_path: Path):
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
        archive.writestr("archive/data/0", bytes(1 << 20))
    with pytest.raises(WeightsError, match="compressed"):
        read_tensors(path)
    for zipped in (True, False):
        torch.save(TENSORS, path, _use_new_zipfile_serialization=zipped)
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(WeightsError, match="Download it again"):
            read_tensors(path)
    path.write_bytes(b"<!DOCTYPE html><title>404</title>")
    with pytest.raises(WeightsError, match="begins with"):
        read_tensors(path)


def test_quantised_tensors_and_whole_modules_are_refused_by_what_was_found(tmp_path: Path):
    torch.save({"w": torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)}, tmp_path / "q.pt")
    with pytest.raises(WeightsError, match=r"w \(torch\._utils\._rebuild_qtensor"):
        read_tensors(tmp_path / "q.pt")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "m.pt")
    with pytest.raises(WeightsError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read_tensors(tmp_path / "m.pt")


@pytest.mark.parametrize("kind", ["reduce", "nested", "eval", "stack_global", "build", "inst", "obj"])
def test_the_hostile_pickles_do_run_in_an_ordinary_reader(tmp_path: Path, kind: str):
    with contextlib.suppress(Exception):
        pickle.loads(hostile(tmp_path / "touched")[kind])
    assert (tmp_path / "touched").exists()


@pytest.mark.parametrize("form", ["safetensors", "zip", "legacy"])
def test_parts_and_shapes_of_every_form(tmp_path: Path, form: str):
    wrapped, file = {f"module.{name}": tensor for name, tensor in TENSORS.items()}, tmp_path / "w.bin"
    if form == "safetensors":
        save_file(wrapped, file)
    else:
        torch.save(wrapped, file, _use_new_zipfile_serialization=form == "zip")
    assert same(read_tensors(file), TENSORS)
    assert same(read_tensors(file, prefix="a.b"), {"a.bias": TENSORS["a.bias"]})
    assert read_tensors(file, prefix="module.") == {}
    assert read_shapes(file) == {"a.weight": (2, 3), "a.bias": (2,)}
