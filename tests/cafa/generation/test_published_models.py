import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from cafa.cli.generate import command
from cafa.common import weight_files
from cafa.common.errors import WeightsError
from cafa.common.files import read_json, sha256_file
from cafa.generation.foley import FoleyPipeline
from cafa.generation.published_models import MissingWeightsError, published_models
from cafa.models.registry import open_backbone, parse_pretrained, register
from cafa.models.stable_audio import checkpoint_config
from cafa.weights.commands import get_weights
from tests.cafa.weights.conftest import _no_real_hosts, server  # noqa: F401  the local hub
from tests.cafa.weights.servers import Repository, Server
from tests.one_checkpoint import write_stand_ins, write_table
from tests.tiny_pretrained import REAL, make_published_adapter, model_config

T5_COMMIT = "a9723ea7f1b39c1eae772870f3b547bf6ef7e6c1"


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stand_ins")
    write_stand_ins(folder, model_config(REAL))
    return folder


@pytest.fixture
def weights(stand_ins: Path, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """The folder of weights, empty; the local server has the stand-ins, and the working folder has no models."""

    def body(name: str) -> bytes:
        return (stand_ins / name).read_bytes()

    server.repositories["MichaelFinkelson/CAFA-avclip"] = Repository(
        {"CAFA_avclip.safetensors": body("CAFA_avclip.safetensors")}
    )
    files = {name: body(f"t5-base/{name}") for name in ("model.safetensors", "spiece.model")}
    small = {name: body(f"t5-base/{name}") for name in ("config.json", "tokenizer.json")}
    server.repositories["google-t5/t5-base"] = Repository(files, small, commit=T5_COMMIT)
    server.files["/synchformer_state_dict.pth"] = body("synchformer_state_dict.pth")
    table = write_table(stand_ins, f"{server.url}/synchformer_state_dict.pth")
    monkeypatch.setattr(weight_files, "packaged_table", lambda: table)
    monkeypatch.setattr(checkpoint_config, "STABLE_AUDIO_OPEN_1_0", model_config(REAL))
    monkeypatch.setenv("CAFA_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "weights"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(50):
            picture = np.full((48, 64, 3), 5 * number, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())
    return path


def fetch() -> None:
    get_weights((), ("generate",), None, None)


def test_fetched_files_are_all_that_generate_needs(weights: Path, video: Path, tmp_path: Path):
    options = [str(video), "--prompt", "a dog barks", "--steps", "2", "--output-folder", str(tmp_path / "out")]
    before = CliRunner().invoke(command, options)
    assert isinstance(before.exception, WeightsError)
    for words in ("no models in results/models", "cafa_avclip", "`cafa weights get --for generate`", "make table1"):
        assert words in str(before.exception)

    fetch()
    first = CliRunner().invoke(command, options)
    assert first.exit_code == 0, first.output
    assert "registering the published model, once: backbone, adapter, av_clip" in first.output
    assert "CAFA_avclip.safetensors: licence: not stated; derived from Stable Audio Open 1.0" in first.output
    (wav,) = (tmp_path / "out").glob("*.wav")
    sound, rate = soundfile.read(wav)
    assert (rate, len(sound)) == (44100, 2 * 44100)
    assert np.abs(sound).max() > 0.01

    again = CliRunner().invoke(command, [*options, "--seed", "1"])
    assert again.exit_code == 0, again.output
    assert "registering" not in again.output


def test_all_parts_are_those_of_the_one_file(weights: Path, stand_ins: Path):
    fetch()
    models = published_models()
    digest = sha256_file(stand_ins / "CAFA_avclip.safetensors")
    backbone, adapter = (read_json(models / name / "card.json") for name in ("backbone", "adapter"))
    assert backbone["files"]["model.safetensors"] == adapter["files"]["CAFA_avclip.safetensors"] == digest
    assert adapter["backbone_sha256"] == backbone["weights_sha256"]
    assert "model.safetensors" in backbone["checked"]
    assert "CAFA_avclip.safetensors" in adapter["checked"]
    pipeline = FoleyPipeline.from_pretrained("cafa")
    assert pipeline.generator.sample_rate == 44100
    assert open_backbone(models / "backbone").latents == REAL.latents


def test_models_of_ones_own_come_first(weights: Path, tmp_path: Path):
    fetch()
    shutil.copytree(published_models(), tmp_path / "results/models")
    shutil.rmtree(weights / "registered")
    from cafa.generation.model_choice import default_models

    said: list[str] = []
    assert default_models("backbone", "adapter", said.append) == Path("results/models")
    assert default_models("backbone", "adapter_c", said.append) == Path("results/models")
    assert said == []
    (tmp_path / "results/models/adapter/card.json").unlink()
    assert default_models("backbone", "adapter", said.append) == weights / "registered/cafa"
    assert said


def test_what_an_interrupted_registration_made_is_used(weights: Path):
    fetch()
    models = published_models()
    (models / "adapter" / "card.json").unlink()
    made = (models / "backbone" / "card.json").stat().st_mtime_ns
    said: list[str] = []
    published_models(say=said.append)
    assert said[0].startswith("registering the published model, once: adapter in ")
    assert (models / "backbone" / "card.json").stat().st_mtime_ns == made
    said.clear()
    published_models(say=said.append)
    assert said == []


def test_a_moved_folder_is_registered_again_and_a_missing_file_is_named(weights: Path, monkeypatch: pytest.MonkeyPatch):
    fetch()
    published_models()
    moved = weights.rename(weights.with_name("moved"))
    said: list[str] = []
    models = published_models(moved, said.append)
    assert said
    assert read_json(models / "backbone" / "card.json")["places"]["source"] == str(moved / "CAFA_avclip.safetensors")
    (moved / "t5-base/tokenizer.json").unlink()
    with pytest.raises(MissingWeightsError, match=r"missing: t5_base_tokenizer\): `cafa weights get --for generate`"):
        published_models(moved)


def test_a_file_that_changed_after_its_check_is_refused(weights: Path):
    fetch()
    file = weights / "CAFA_avclip.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.unlink()  # it may be linked from the hub's cache
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="has SHA-256"):
        published_models()


def test_a_file_without_backbone_is_refused(weights: Path, stand_ins: Path, tmp_path: Path):
    file = make_published_adapter(tmp_path / "adapter.safetensors", REAL, 8)
    settings = {"kind": "stable_audio_open", "source": str(file), "text_source": str(stand_ins / "t5-base")}
    import json

    with pytest.raises(WeightsError, match="holds no backbone"):
        register(parse_pretrained(json.dumps(settings)), tmp_path / "model")
