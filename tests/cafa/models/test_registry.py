import json
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from huggingface_hub.errors import GatedRepoError
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from cafa.cli.models import register as register_command
from cafa.common.errors import InputError, WeightsError
from cafa.common.files import digest_of, sha256_file
from cafa.common.registry import UnknownNameError
from cafa.models import video_encoders
from cafa.models.backbones import BACKBONES
from cafa.models.interface import Backbone
from cafa.models.kinds import require_model_kind
from cafa.models.registry import (
    encoder_digest,
    open_adapter,
    open_audio,
    open_backbone,
    open_text,
    open_video_encoder,
    parse_pretrained,
    read_card,
    register,
)
from tests.published_forms import save_synchformer
from tests.tiny_pretrained import (
    make_published_adapter,
    make_registered,
    make_stable_audio_original,
    make_trained_adapter,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("registered")
    make_registered(root)
    return root


def put(output: Path, **settings) -> dict:
    return register(parse_pretrained(json.dumps(settings)), output)


@pytest.mark.parametrize(("name", "text_length"), [("backbone", 128), ("tangoflux", 64)])
def test_a_card_says_what_the_opened_backbone_is(root: Path, name: str, text_length: int):
    card, backbone = read_card(root / "models" / name), open_backbone(root / "models" / name)
    assert isinstance(backbone, Backbone)
    assert (card["kind"], card["model"]) == ("pretrained", backbone.name)
    facts = card["facts"]
    assert facts["latent_shape"] == [backbone.latent_channels, backbone.latents] == [4, 24]
    assert facts["text_shape"] == list(backbone.text_shape) == [text_length, 32]
    assert (facts["sample_rate"], facts["samples_per_latent"]) == (backbone.sample_rate, backbone.samples_per_latent)
    assert card["encoders"] == backbone.encoders
    assert card["weights_sha256"] == backbone.identity["weights_sha256"] == digest_of(card["files"])
    captions = ["a dog barks", "music"]
    assert torch.equal(open_text(root / "models" / name).encode(captions), backbone.encode_text(captions))
    sound = torch.rand(1, 2, 64) - 0.5
    audio = open_audio(root / "models" / name)
    assert audio.channels == facts["channels"] == 2
    assert torch.equal(audio.encode(sound, [3]), backbone.audio.encode(sound, [3]))


def test_the_original_layout_is_registered_too(root: Path, tmp_path: Path):
    folder = make_stable_audio_original(tmp_path / "original")
    card = put(tmp_path / "m", kind="stable_audio_open", source=str(folder), text_source=str(root / "t5"))
    assert card["facts"] == read_card(root / "models/backbone")["facts"]
    assert set(card["places"]) == {"source", "text_source"}
    x = torch.randn(1, 4, 24)
    one, other = open_audio(tmp_path / "m"), open_audio(root / "models/backbone")
    assert torch.equal(one.decode(x), other.decode(x))
    assert open_backbone(tmp_path / "m").encoders == card["encoders"]


@pytest.mark.parametrize(("name", "shape"), [("av_clip", (250, 256, 256, 3)), ("clip", (50, 28, 28, 3))])
def test_encoders_of_video_carry_the_identity_of_their_card(root: Path, name: str, shape: tuple[int, ...]):
    card, encoder = read_card(root / "models" / name), open_video_encoder(root / "models" / name)
    assert encoder.kind == name
    assert digest_of(encoder.encoder) == encoder_digest(card, name)
    assert list(encoder.shape) == card["facts"]["feature_shape"] == [216, 8]
    frames = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    features = encoder.encode([frames])
    assert features.shape == (1, 216, 8)
    assert features.std() > 0.01


def test_half_precision_is_another_encoder(root: Path, tmp_path: Path):
    file = str(root / "synchformer.safetensors")
    card = put(tmp_path, kind="synchformer", file=file, half=True)
    assert encoder_digest(card, "av_clip") != encoder_digest(read_card(root / "models/av_clip"), "av_clip")
    assert card["weights_sha256"] == read_card(root / "models/av_clip")["weights_sha256"]


def test_a_published_adapter_is_opened_on_its_backbone_only(root: Path, tmp_path: Path):
    backbone = open_backbone(root / "models/backbone")
    adapter, card = open_adapter(root / "models/adapter_published", backbone)
    assert card["facts"]["adapter"] == {"feature_dim": adapter.settings.feature_dim, "hint_dim": 1024}
    with pytest.raises(InputError, match="for stable_audio_open, not for tangoflux"):
        open_adapter(root / "models/adapter_published", open_backbone(root / "models/tangoflux"))
    whole = make_published_adapter(tmp_path / "whole.safetensors", feature_dim=8, with_backbone=True)
    put(tmp_path / "whole", kind="cafa_adapter", file=str(whole))
    open_adapter(tmp_path / "whole", backbone)
    with torch.no_grad():
        backbone.denoiser.dit.proj_in.weight += 0.1
    with pytest.raises(InputError, match=r"dit\.proj_in\.weight differs"):
        open_adapter(tmp_path / "whole", backbone)


def test_an_adapter_compared_at_registration_asks_for_the_digest_of_its_backbone(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    models, file = root / "models", tmp_path / "whole.safetensors"
    make_published_adapter(file, feature_dim=8, with_backbone=True)
    settings = {"kind": "cafa_adapter", "file": str(file)}
    put(tmp_path / "unbound", **settings)
    card = put(tmp_path / "bound", **settings, backbone=str(models / "backbone"))
    assert card["backbone_sha256"] == read_card(models / "backbone")["weights_sha256"]
    backbone = open_backbone(models / "backbone")
    compared: list[int] = []
    place = "cafa.models.stable_audio.published_adapter.require_same_backbone"
    monkeypatch.setattr(place, lambda held, *_: compared.append(len(held)))
    one, other = (open_adapter(tmp_path / name, backbone)[0].state_dict() for name in ("unbound", "bound"))
    assert compared == [len(backbone.denoiser.state_dict()), 0], "in every job only where it was not compared before"
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    shutil.copytree(root / "stable_audio_open", tmp_path / "sao")
    with open(tmp_path / "sao/tokenizer/tokenizer_config.json", "a") as stream:
        stream.write(" ")
    put(tmp_path / "other", kind="stable_audio_open", source=str(tmp_path / "sao"))
    with pytest.raises(InputError, match=f"registered for the backbone {card['backbone_sha256'][:12]}, not for this"):
        open_adapter(tmp_path / "bound", open_backbone(tmp_path / "other"))


def test_an_adapter_of_another_backbone_is_refused_when_it_is_registered(root: Path, tmp_path: Path):
    tensors = load_file(make_published_adapter(tmp_path / "w.safetensors", feature_dim=8, with_backbone=True))
    tensors["model.model.transformer.project_in.weight"] += 0.1
    save_file(tensors, tmp_path / "other.safetensors")
    settings = {"kind": "cafa_adapter", "file": str(tmp_path / "other.safetensors")}
    with pytest.raises(InputError, match=r"dit\.proj_in\.weight differs"):
        put(tmp_path / "m", **settings, backbone=str(root / "models/backbone"))
    assert not (tmp_path / "m/card.json").exists()
    with pytest.raises(InputError, match="for stable_audio_open, not for tangoflux"):
        put(tmp_path / "m", **settings, backbone=str(root / "models/tangoflux"))


def test_names_as_training_leaves_them_are_the_same_adapter(root: Path, tmp_path: Path):
    """The published code takes ``diffusion.`` from the names when it loads."""
    tensors = load_file(make_published_adapter(tmp_path / "w.safetensors", feature_dim=8, with_backbone=True))
    wrapped = {f"diffusion.{name}": tensor for name, tensor in tensors.items()}
    save_file(wrapped, tmp_path / "wrapped.safetensors")
    backbone, found = root / "models/backbone", []
    for name in ("w", "wrapped"):
        file = str(tmp_path / f"{name}.safetensors")
        card = put(tmp_path / name, kind="cafa_adapter", file=file, backbone=str(backbone))
        assert card["facts"] == {"adapter": {"feature_dim": 8, "hint_dim": 1024}}
        found.append(open_adapter(tmp_path / name, open_backbone(backbone))[0].state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_a_trained_adapter_is_opened_on_its_backbone_only(root: Path, tmp_path: Path):
    models = root / "models"
    make_trained_adapter(models, "adapter_t")
    make_trained_adapter(models, "adapter_tf", "tangoflux")
    backbone, tangoflux = open_backbone(models / "backbone"), open_backbone(models / "tangoflux")
    assert type(open_adapter(models / "adapter_tf", tangoflux)[0]).__name__ == "TangoFluxAdapter"
    open_adapter(models / "adapter_t", backbone)
    with pytest.raises(InputError, match="trained on another backbone than this tangoflux"):
        open_adapter(models / "adapter_t", tangoflux)
    with pytest.raises(WeightsError, match="holds 'adapter', wanted a registered model"):
        open_backbone(models / "adapter_t")


def test_wrong_checksums_are_refused(root: Path, tmp_path: Path):
    source = str(root / "stable_audio_open")
    name = "vae/diffusion_pytorch_model.safetensors"
    with pytest.raises(WeightsError, match="expected 000"):
        put(tmp_path, kind="stable_audio_open", source=source, sha256={name: "0" * 64})
    assert not (tmp_path / "card.json").exists()
    right = {name: sha256_file(Path(source) / name)}
    assert put(tmp_path, kind="stable_audio_open", source=source, sha256=right)["files"][name] == right[name]
    with pytest.raises(InputError, match=r"sha256 names \['vae'\]"):
        put(tmp_path, kind="stable_audio_open", source=source, sha256={"vae": "0" * 64})
    with pytest.raises(ValidationError, match="extra"):
        put(tmp_path, kind="stable_audio_open", sources="x")


def test_files_that_changed_after_registering_are_refused(root: Path, tmp_path: Path):
    shutil.copytree(root / "stable_audio_open", tmp_path / "sao")
    put(tmp_path / "m", kind="stable_audio_open", source=str(tmp_path / "sao"))
    for file, opening in (
        ("tokenizer/tokenizer.json", open_text),
        ("vae/config.json", open_audio),
        ("transformer/config.json", open_backbone),
    ):
        with open(tmp_path / "sao" / file, "a") as stream:
            stream.write(" ")
        with pytest.raises(WeightsError, match=rf"{file} has SHA-256"):
            opening(tmp_path / "m")
    adapter = make_published_adapter(tmp_path / "CAFA_avclip.safetensors", feature_dim=8)
    put(tmp_path / "a", kind="cafa_adapter", file=str(adapter))
    make_published_adapter(adapter, feature_dim=9)
    with pytest.raises(WeightsError, match="delete it and download it again"):
        open_adapter(tmp_path / "a", open_backbone(root / "models/backbone"))


def test_a_table_of_weights_is_asked_for_digests(root: Path, tmp_path: Path):
    table = tmp_path / "weights.tsv"
    file = root / "synchformer.safetensors"
    vae = (
        "https://huggingface.co/stabilityai/stable-audio-open-1.0/resolve/main/vae/diffusion_pytorch_model.safetensors"
    )

    def write(tower: str, autoencoder: str, size: str = "") -> None:
        rows = [("tower", f"https://x/{file.name}", tower), ("vae", vae, autoencoder)]
        lines = ["name\turl\tsha256\tbytes\tlicence\tused_by\tnote"]
        table.write_text("\n".join([*lines, *(f"{n}\t{u}\t{d}\t{size}\tMIT\tcafa\t" for n, u, d in rows), ""]))

    def run(output: str, **settings):
        arguments = ["--settings", json.dumps(settings), "--weights-table", str(table), "--output", tmp_path / output]
        return CliRunner().invoke(register_command, list(map(str, arguments)))

    write(sha256_file(file), "0" * 64)
    found = run("tower", kind="synchformer", file=str(file))
    assert found.exit_code == 0
    assert "the SHA-256 of 1 was known, that of 0 is recorded" in found.output
    assert read_card(tmp_path / "tower")["checked"] == [file.name]
    refused = run("sao", kind="stable_audio_open", source=str(root / "stable_audio_open"))
    assert isinstance(refused.exception, WeightsError)
    assert "expected 000" in str(refused.exception)
    write("0" * 64, "")
    assert "expected 000" in str(run("tower", kind="synchformer", file=str(file)).exception)
    write(sha256_file(file), "", "7")
    assert "the published file has 7" in str(run("tower", kind="synchformer", file=str(file)).exception)
    own = {file.name: sha256_file(file)}
    assert run("tower", kind="synchformer", file=str(file), sha256=own).exit_code == 0, "the settings come first"


def test_a_file_that_does_not_fit_is_refused_when_it_is_registered(root: Path, tmp_path: Path):
    tensors = load_file(root / "synchformer.safetensors")
    del tensors["vfeat_extractor.blocks.0.norm1.weight"]
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="missing"):
        put(tmp_path / "m", kind="synchformer", file=str(tmp_path / "w.safetensors"))
    assert not (tmp_path / "m" / "card.json").exists()


def test_synchformers_own_file_is_registered_with_its_configuration_object(root: Path, tmp_path: Path):
    save_synchformer(tmp_path / "24-01-04T16-39-21.pt", load_file(root / "synchformer.safetensors"))
    put(tmp_path / "m", kind="synchformer", file=str(tmp_path / "24-01-04T16-39-21.pt"))
    assert open_video_encoder(tmp_path / "m").kind == "av_clip"


def test_missing_and_gated_weights_say_what_to_do(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(WeightsError, match=r"no file nowhere\.pth: .*MMAudio/releases.*cafa weights get synchformer"):
        put(tmp_path, kind="synchformer", file="nowhere.pth")
    with pytest.raises(WeightsError, match=r"CAFA-avclip/resolve/main/CAFA_avclip\.safetensors"):
        put(tmp_path, kind="cafa_adapter", file="nowhere.safetensors")
    with pytest.raises(WeightsError, match="is not a checkpoint"):
        put(tmp_path, kind="cafa_adapter", file=__file__)
    with pytest.raises(WeightsError, match="holds no adapter"):
        put(tmp_path, kind="cafa_adapter", file=str(root / "synchformer.safetensors"))
    with pytest.raises(WeightsError, match=r"cafa models register --settings JSON --output"):
        open_backbone(tmp_path / "nothing")
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip/config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"lacks model\.safetensors.*openai/clip-vit-large-patch14"):
        put(tmp_path, kind="clip", source=str(tmp_path / "clip"))
    (tmp_path / "clip/model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\nsize 1710540580\n")
    with pytest.raises(WeightsError, match=r"model\.safetensors is not what it should be: .*git lfs pull"):
        put(tmp_path, kind="clip", source=str(tmp_path / "clip"))
    shutil.copytree(root / "stable_audio_open", tmp_path / "part")
    shutil.rmtree(tmp_path / "part/tokenizer")
    with pytest.raises(WeightsError, match=r"holds no tokenizer\.json, only nothing"):
        put(tmp_path, kind="stable_audio_open", source=str(tmp_path / "part"))
    (tmp_path / "part/tokenizer").mkdir()
    (tmp_path / "part/tokenizer/spiece.model").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"holds no tokenizer\.json, only spiece\.model"):
        put(tmp_path, kind="stable_audio_open", source=str(tmp_path / "part"))

    def refuse(*args: object, **kwargs: object) -> None:
        raise GatedRepoError("gated", response=httpx.Response(403, request=httpx.Request("GET", "https://x")))

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(
        WeightsError, match=r"no access.*accept the licence there and log in.*cafa weights get stable_audio_open"
    ):
        put(tmp_path, kind="stable_audio_open", download=True)


def test_all_missing_files_of_a_model_are_named_at_once(root: Path, tmp_path: Path):
    for name in ("stable_audio_open", "published_tangoflux"):
        shutil.copytree(root / name, tmp_path / name)
    sao, tangoflux = tmp_path / "stable_audio_open", tmp_path / "published_tangoflux"
    for name in ("vae/config.json", "text_encoder/model.safetensors"):
        (sao / name).unlink()
    shutil.rmtree(sao / "tokenizer")
    (sao / "transformer/config.json").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(WeightsError) as error:
        put(tmp_path / "m", kind="stable_audio_open", source=str(sao))
    for found in ("lacks vae/config.json", "lacks model.safetensors", "holds no tokenizer", "pointer of Git LFS"):
        assert found in str(error.value)
    assert str(error.value).count("cafa weights get") == 1
    (tangoflux / "vae.safetensors").unlink()
    with pytest.raises(WeightsError) as error:
        put(tmp_path / "m", kind="tangoflux", source=str(tangoflux), text_source=str(tmp_path / "t5"))
    for found in ("lacks vae.safetensors", f"there is no folder {tmp_path / 't5'}", "google/flan-t5-large"):
        assert found in str(error.value)
    shutil.copytree(root / "t5", tmp_path / "t5")
    (tmp_path / "t5/model.safetensors").unlink()
    original = make_stable_audio_original(tmp_path / "original")
    (original / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"original lacks model\.safetensors(.|\n)*t5 lacks model\.safetensors"):
        put(tmp_path / "m", kind="stable_audio_open", source=str(original), text_source=str(tmp_path / "t5"))


@pytest.mark.parametrize("legacy", [True, False])
def test_an_adapter_of_another_form_than_safetensors_is_equal(root: Path, tmp_path: Path, legacy: bool):
    tensors = load_file(root / "CAFA_avclip.safetensors")
    content = {"state_dict": tensors, "pytorch-lightning_version": "2.1", "callbacks": {Path: Path("x")}}
    torch.save(content, tmp_path / "w.ckpt", _use_new_zipfile_serialization=not legacy)
    card = put(tmp_path / "m", kind="cafa_adapter", file=str(tmp_path / "w.ckpt"))
    assert card["facts"] == read_card(root / "models/adapter_published")["facts"]
    backbone = open_backbone(root / "models/backbone")
    one, other = (open_adapter(folder, backbone)[0] for folder in (tmp_path / "m", root / "models/adapter_published"))
    mine, theirs = one.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("name", ["tangoflux.safetensors", "vae.safetensors", "model.safetensors"])
def test_damaged_files_say_so(root: Path, tmp_path: Path, name: str):
    folder = tmp_path / "m"
    settings: dict = {"kind": "tangoflux", "source": str(folder), "text_source": str(root / "t5")}
    if name == "model.safetensors":
        make_stable_audio_original(folder)
        settings["kind"] = "stable_audio_open"
    else:
        shutil.copytree(root / "published_tangoflux", folder)
    file = folder / name
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=rf"{name} cannot be read as safetensors: .*Download it again"):
        put(tmp_path / "card", **settings)


def test_kinds_of_features_that_are_known_without_an_import_are_those_of_the_encoders() -> None:
    """The workflow checks the adapters' `video` by them."""
    assert set(video_encoders.KINDS) == {encoder.kind for encoder in video_encoders.VIDEO_ENCODERS.values()}


def test_a_kind_of_this_package_is_not_imported_to_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES._entries, "elsewhere", "no.such.module:Backbone")
    require_model_kind("elsewhere")


def test_a_kind_that_is_nowhere_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="there is no kind of pretrained model 'nowhere'"):
        require_model_kind("nowhere")
