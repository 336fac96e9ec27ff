"""Published checkpoints become safetensors that registration takes, and that say what they were made from."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors import safe_open
from safetensors.torch import load_file

from cafa.cli import cli
from cafa.common.errors import InputError, WeightsError
from cafa.common.files import read_json, sha256_file
from cafa.models.converting import convert
from cafa.models.weights import read_weight_sources
from metrics.judges.kinds import JUDGES, miniature_judges
from metrics.judges.published_files import weights_path
from metrics.judges.registry import PretrainedSettings, open_registered, register
from tests.published_forms import save_clap, save_panns, save_synchformer
from tests.tiny_judges import make_weights

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3).half(), "a.bias": torch.tensor([1.0, 2.0]), "n": torch.tensor(7)}


def cafa(*words: Any) -> Result:
    return CliRunner().invoke(cli, list(map(str, words)))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("published")
    return folder, make_weights(folder)


@pytest.mark.parametrize(
    ("save", "key"), [(save_panns, "model"), (save_synchformer, "model"), (save_clap, "state_dict")]
)
def test_tensors_of_training_scripts_are_taken_out(tmp_path: Path, save: Callable[..., None], key: str):
    save(tmp_path / "w.pt", TENSORS)
    made = convert(tmp_path / "w.pt", tmp_path / "w.safetensors")
    found = load_file(made.file)
    found.pop("text_branch.embeddings.position_ids", None)  # LAION-CLAP's file has it
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    with safe_open(made.file, "pt") as stored:
        notes = stored.metadata()
    assert notes["format"] == "pt"
    origin = {"file": "w.pt", "sha256": sha256_file(tmp_path / "w.pt"), "key": key}
    assert json.loads(notes["converted_from"]) == origin
    assert (made.sha256, made.bytes) == (sha256_file(made.file), made.file.stat().st_size)


def test_equal_bytes_every_time_and_shared_storages_written_apart(tmp_path: Path):
    base = torch.arange(24.0).view(4, 6)
    tensors = {
        "shared": base,
        "tied": base,
        "rows": base[1:3],
        "transposed": base.t(),
        "part": torch.arange(9.0)[3:6],
        "none": torch.zeros(0, 3),
        "nothing": torch.zeros(0),
        "brain": base.bfloat16(),
        "flags": torch.tensor([True]),
    }
    for zipped in (True, False):
        torch.save(tensors, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
        digests = {convert(tmp_path / "w.pt", tmp_path / f"{number}.safetensors").sha256 for number in range(6)}
        assert len(digests) == 1
        found = load_file(tmp_path / "0.safetensors")
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
        for number in range(6):
            (tmp_path / f"{number}.safetensors").unlink()


def test_nothing_is_replaced_unasked_and_nothing_half_written(tmp_path: Path):
    torch.save(TENSORS, tmp_path / "w.pt")
    output = tmp_path / "w.safetensors"
    output.write_text("precious")
    with pytest.raises(InputError, match="is there: name another file, or give --force"):
        convert(tmp_path / "w.pt", output)
    assert output.read_text() == "precious"
    convert(tmp_path / "w.pt", output, force=True)
    with pytest.raises(InputError, match="is there"):
        convert(output, output, force=True)
    with pytest.raises(InputError, match=r"does not end in \.safetensors"):
        convert(tmp_path / "w.pt", tmp_path / "w.pth")
    with pytest.raises(InputError, match="there is no file"):
        convert(tmp_path / "none.pt", tmp_path / "n.safetensors")
    torch.save({"w": torch.zeros(2, dtype=torch.complex128)}, tmp_path / "c.pt")
    with pytest.raises(WeightsError, match="safetensors cannot"):
        convert(tmp_path / "c.pt", tmp_path / "c.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.pt", "w.pt", "w.safetensors"]


def test_tensors_of_unknown_code_are_refused_and_nothing_runs(tmp_path: Path):
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    for content in ({"w": Evil()}, {"model": {"w": torch.ones(2), "x": Evil()}}, Evil()):
        torch.save(content, tmp_path / "e.pt")
        with pytest.raises(WeightsError, match="needs code"):
            convert(tmp_path / "e.pt", tmp_path / "e.safetensors")
    (tmp_path / "p.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(WeightsError, match=r"not one that torch\.save wrote"):
        convert(tmp_path / "p.pt", tmp_path / "p.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.pt", "p.pt"]


def test_a_file_of_another_form_names_the_command(tmp_path: Path):
    file = tmp_path / "w.pt"
    torch.save({"netG": TENSORS, "epoch": 3}, file)
    with pytest.raises(
        WeightsError, match=rf"\['netG'\] is the state dict: `cafa models convert {file} \S+ --key NAME"
    ):
        convert(file, tmp_path / "w.safetensors")
    assert convert(file, tmp_path / "w.safetensors", "netG").origin.key == "netG"
    torch.save({"model": TENSORS, "state_dict": TENSORS}, file)
    with pytest.raises(WeightsError, match=r"several state dicts.*cafa models convert .* --key NAME"):
        convert(file, tmp_path / "v.safetensors")


def test_converted_judges_are_registered_by_their_own_row(published: tuple[Path, dict[str, Any]], tmp_path: Path):
    folder, settings = published
    sources = read_weight_sources(Path(settings["table"]))
    table = tmp_path / "weights.tsv"
    table.write_text(Path(settings["table"]).read_text().rstrip("\n"))
    places = PretrainedSettings.model_validate({**settings, "weights": str(tmp_path), "table": str(table)})
    for judge in miniature_judges():
        name, *others = JUDGES[judge].weights
        for other in others:
            os.link(weights_path(folder, sources[other]), weights_path(tmp_path, sources[other]))
        given, output = weights_path(folder, sources[name]), tmp_path / f"{name}.safetensors"
        convert(given, output)
        with pytest.raises(WeightsError, match=rf"no row {output.name} of the table .* `cafa models convert"):
            register(judge, places, tmp_path / "judges" / judge)
        assert "is there" in str(cafa("models", "convert", given, output, "--table", table).exception)
        done = cafa("models", "convert", given, output, "--table", table, "--force")
        assert done.exit_code == 0, done.output
        again = cafa("models", "convert", given, output, "--table", table, "--force")
        assert again.output == done.output
        row = read_weight_sources(table)[output.name]
        assert (row.sha256, row.bytes) == (sha256_file(output), output.stat().st_size)
        assert row.url.startswith(sources[name].url)
        card = register(judge, places, tmp_path / "judges" / judge)
        assert card["weights_sha256"] == row.sha256 != sources[name].sha256
        origin = card["converted_from"][name]
        assert (origin["file"], origin["sha256"]) == (given.name, sources[name].sha256)
        assert read_json(tmp_path / "judges" / judge / "card.json") == card
    assert len(read_weight_sources(table)) == len(sources) + len(miniature_judges())
    assert list(open_registered(tmp_path / "judges", ["classifier"])) == ["classifier"]
    output = tmp_path / "imagebind_huge.safetensors"
    output.write_bytes(output.read_bytes()[:-1] + b"\1")
    with pytest.raises(WeightsError, match=r"Delete it and convert it again"):
        register("imagebind", places, tmp_path / "judges" / "imagebind")


def test_a_table_gets_no_row_for_what_it_does_not_know(published: tuple[Path, dict[str, Any]], tmp_path: Path):
    table = Path(published[1]["table"])
    before = table.read_bytes()
    save_panns(tmp_path / "own.pth", TENSORS)
    refused = cafa("models", "convert", tmp_path / "own.pth", tmp_path / "own.safetensors", "--table", table)
    assert "has no row, or several, of a published file own.pth" in str(refused.exception)
    other = tmp_path / "Cnn14_16k_mAP=0.438.pth"
    save_panns(other, TENSORS)
    refused = cafa("models", "convert", other, tmp_path / "own.safetensors", "--table", table)
    assert "the published file has" in str(refused.exception)
    assert table.read_bytes() == before
    assert not (tmp_path / "own.safetensors").exists()
    made = cafa("models", "convert", other, tmp_path / "own.safetensors")
    assert made.exit_code == 0, made.output
    assert "is no file of the package's table of weights" in made.output
