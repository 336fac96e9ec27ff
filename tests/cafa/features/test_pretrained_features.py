"""`cafa features encode` and `cafa features text` with registered models, tiny ones."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from cafa.cli import cli
from cafa.common.errors import ClipError, InputError
from cafa.common.files import digest_of, sha256_file
from cafa.common.ledger import ledger_row, read_ledgers, write_ledger
from cafa.common.seeds import seed_for
from cafa.data.manifest import build_manifest
from cafa.features.encode import EncodeSettings
from cafa.features.registered_encoders import pretrained_job
from cafa.features.store import FeatureStore
from cafa.features.text import text_id
from cafa.media import clip_reading as reading
from cafa.media import frames
from cafa.media.clip_reading import IngestedClip, SoundReader
from cafa.media.normalise import NormaliseSettings, normalise_clip
from cafa.models.encoders.oobleck import OobleckAudio
from cafa.models.encoders.synchformer import SynchformerFeatures
from cafa.models.registry import open_audio, parse_pretrained, read_card, register
from tests.tiny_pretrained import REAL, make_registered, stable_audio_parts


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_registered(tmp_path_factory.mktemp("registered"), REAL)


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    """Two clips of a second and one of half a second, normalised: m.parquet, ingest.parquet, clips/."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for clip_id, start, seconds in (("a", 0.0, 1.0), ("b", 2.0, 1.0), ("brief", 1.0, 0.6)):
        outputs = [folder / "clips" / f"{clip_id}{end}" for end in (".mp4", ".flac")]
        facts = normalise_clip(
            shared / "clips" / "groundtruth" / "drum.mp4",
            start=start,
            duration=seconds,
            settings=NormaliseSettings(preset="ultrafast", short_side=32),
            video_output=outputs[0],
            sound_output=outputs[1],
        )
        rows.append(ledger_row(clip_id, "ingest", detail=json.dumps(facts)))
    write_ledger(folder / "ingest.parquet", rows)
    lines = "".join(f"{clip_id},{clip_id}.mp4,a dog barks\n" for clip_id in ("a", "b", "brief"))
    (folder / "clips.csv").write_text(f"clip_id,uri,label\n{lines}")
    build_manifest(folder / "clips.csv", folder, folder / "m.parquet", folder / "refused.parquet")
    return folder


@pytest.fixture
def run(data_set: Path, models: Path, tmp_path: Path) -> Callable[..., str]:
    """Function that encodes one kind into `tmp_path` and returns what was printed."""

    def encode(kind: str, model: str, *more: str, **settings: object) -> str:
        arguments = [
            "features",
            "encode",
            kind,
            "--model",
            str(models / model),
            "--manifest",
            str(data_set / "m.parquet"),
            "--clips",
            str(data_set / "clips"),
            "--ingest-ledger",
            str(data_set / "ingest.parquet"),
            "--shard",
            "0/1",
            "--settings",
            json.dumps({"seconds": 1.0, "workers": 0, **settings}),
            "--threads",
            "1",
            "--output",
            str(tmp_path / f"{kind}.arrow"),
            "--ledger",
            str(tmp_path / f"{kind}.ledger.parquet"),
            *more,
        ]
        return CliRunner().invoke(cli, arguments, catch_exceptions=False).stdout

    return encode


def test_latents_are_those_of_the_autoencoder(run: Callable, models: Path, data_set: Path, tmp_path: Path) -> None:
    assert run("latents", "backbone") == "2 ok, 1 short\n"
    store = FeatureStore([tmp_path / "latents.arrow"])
    assert store.encoder_digest == digest_of(read_card(models / "backbone")["encoders"]["latents"])
    assert (store.shape, store.settings) == ((22, 4), {"seconds": 1.0, "pad_short": False})  # 44100 / 2048 = 21.5
    assert store.source_of("b") == sha256_file(data_set / "clips" / "b.flac")
    sound = soundfile.read(data_set / "clips" / "b.flac", dtype="float32", always_2d=True)[0].T
    assert sound.shape == (2, 44100)
    latents = open_audio(models / "backbone").encode(torch.tensor(sound)[None], [seed_for(0, "latents", "b")])
    assert np.array_equal(store["b"], latents[0].T.numpy().astype(np.float16))
    first = (tmp_path / "latents.arrow").read_bytes()
    (tmp_path / "latents.arrow").unlink()
    run("latents", "backbone", batch_size=1, workers=1)
    assert (tmp_path / "latents.arrow").read_bytes() == first


def test_latents_of_equal_autoencoders_are_encoded_once(run: Callable, models: Path, tmp_path: Path) -> None:
    run("latents", "backbone")
    first = (tmp_path / "latents.arrow").rename(tmp_path / "before.arrow")
    like = ["--like", str(models / "backbone"), "--reuse", str(first)]
    assert "are not the same" in (text := run("latents", "tangoflux", *like))
    assert text.endswith("2 ok, 1 short\n")
    # TangoFlux with the autoencoder of Stable Audio Open, in its own file
    shutil.copytree(models.parent / "published_tangoflux", tmp_path / "flux")
    save_file(stable_audio_parts(REAL)[1].state_dict(), tmp_path / "flux" / "vae.safetensors")
    settings = {**read_card(models / "tangoflux")["settings"], "source": str(tmp_path / "flux")}
    register(parse_pretrained(json.dumps(settings)), tmp_path / "flux_model")
    (tmp_path / "latents.arrow").unlink()
    run("latents", str(tmp_path / "flux_model"))
    alone = (tmp_path / "latents.arrow").read_bytes()
    (tmp_path / "latents.arrow").unlink()
    assert "are the same" in (text := run("latents", str(tmp_path / "flux_model"), *like))
    assert text.endswith("2 ok, 1 short, 2 reused\n")
    assert (tmp_path / "latents.arrow").read_bytes() == alone
    with pytest.raises(InputError, match="--like is for latents"):
        run("clip", "clip", "--like", str(models / "backbone"))


#: kind and model of everything that the paper's configuration makes of a training clip
ALL = (("av_clip", "av_clip"), ("clip", "clip"), ("latents", "backbone"), ("latents", "tangoflux"))


@pytest.fixture
def together(data_set: Path, models: Path, tmp_path: Path) -> Callable[..., str]:
    """Function that encodes several kinds in one job into a folder of `tmp_path` and returns what was printed."""

    def encode(where: str, *kinds: tuple[str, str], more: tuple[str, ...] = (), **settings: object) -> str:
        arguments = ["features", "encode", *(kind for kind, _ in kinds)]
        for kind, model in kinds:
            arguments += ["--model", str(models / model)]
            arguments += ["--output", str(tmp_path / where / f"{kind}_{Path(model).name}" / "0.arrow")]
        arguments += [
            "--manifest",
            str(data_set / "m.parquet"),
            "--clips",
            str(data_set / "clips"),
            "--ingest-ledger",
            str(data_set / "ingest.parquet"),
            "--threads",
            "1",
            "--settings",
            json.dumps({"seconds": 1.0, "workers": 0, **settings}),
            "--ledger",
            str(tmp_path / where / "0.ledger.parquet"),
            *more,
        ]
        return CliRunner().invoke(cli, arguments, catch_exceptions=False).stdout

    return encode


def contents(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.glob("*/0.arrow")}


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[tuple[Any, ...]]:
    """Calls of a function from now on."""
    calls: list[tuple[Any, ...]] = []
    function = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args, **options: calls.append(args) or function(*args, **options))
    return calls


def test_kinds_of_one_job_are_those_of_jobs_of_their_own(
    together: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ALL:
        together("apart", kind)
    decoded = [counted(monkeypatch, frames, name) for name in ("_decord", "_pyav")]
    sounds = counted(monkeypatch, reading, "read_channels")
    said = together("one", *ALL)
    assert said.splitlines()[0].endswith("are not the same: latents are computed for each")
    assert said.endswith("2 ok, 1 short\n")
    assert contents(tmp_path / "one") == contents(tmp_path / "apart")
    assert len(contents(tmp_path / "one")) == len(ALL)
    assert sum(map(len, decoded)) == 3  # a, b, and brief as far as it goes
    assert [Path(call[0]).stem for call in sounds] == ["a", "b"]
    ledger = read_ledgers([tmp_path / "one/0.ledger.parquet"])
    assert set(ledger["stage"]) == {"features av_clip, clip, latents, latents_tangoflux"}
    together("workers", *ALL, workers=2, batch_size=1)
    assert contents(tmp_path / "workers") == contents(tmp_path / "one")
    alone = {path.name for path in (tmp_path / "one/av_clip_av_clip").iterdir()}
    assert alone == {"0.arrow"}  # no second names unless asked for


def test_a_change_of_one_kind_costs_that_kind_alone(
    together: Callable, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds, keep = ALL[:3], ("--keep",)
    together("one", *kinds, more=keep)
    before = contents(tmp_path / "one")
    register(
        parse_pretrained(json.dumps({**read_card(models / "clip")["settings"], "half": True})), tmp_path / "other/clip"
    )
    for path in tmp_path.glob("one/*/0.arrow"):
        path.unlink()  # as Snakemake does before it runs a job again
    computed = [counted(monkeypatch, *of) for of in ((SynchformerFeatures, "encode"), (OobleckAudio, "encode"))]
    changed = (*kinds[:1], ("clip", str(tmp_path / "other/clip")), *kinds[2:])
    assert together("one", *changed, more=keep) == "2 ok, 1 short, 2 reused av_clip, 2 reused latents\n"
    assert computed == [[], []]
    after = contents(tmp_path / "one")
    assert {name for name in before if before[name] != after[name]} == {"clip_clip"}
    for path in tmp_path.glob("one/*/0.arrow"):
        path.unlink()
    assert together("one", *changed, more=keep) == "2 ok, 1 short, 2 reused\n"
    assert contents(tmp_path / "one") == after
    for path in tmp_path.glob("one/*/0.arrow"):
        path.unlink()
    # A new version of one stage: its rows are not taken, and nobody is asked.
    monkeypatch.setattr("cafa.features.from_sound.stage_version", lambda stage: "another")
    said = together("one", *changed, more=keep)
    assert said.endswith("\n2 ok, 1 short, 2 reused av_clip, 2 reused clip\n")
    assert re.match(
        r".*/\.0\.kept: 2 clips are not copied, they are of another version: code: .* -> \"another\"\n", said
    )
    assert len(computed[1]) == 2


def test_a_kind_that_is_added_leaves_the_others(together: Callable, tmp_path: Path) -> None:
    together("few", *ALL[:1])
    together("all", *ALL[:2])
    (tmp_path / "few/clip_clip").mkdir()
    assert together("few", *ALL[:2]) == "2 ok, 1 short, 2 reused av_clip\n"
    assert contents(tmp_path / "few") == contents(tmp_path / "all")
    others = ("--reuse", str(tmp_path / "few"))
    assert together("third", *ALL[:3], more=others) == "2 ok, 1 short, 2 reused av_clip, 2 reused clip\n"


def test_latents_of_equal_autoencoders_are_computed_once_in_a_job(
    together: Callable, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(models.parent / "published_tangoflux", tmp_path / "flux")
    save_file(stable_audio_parts(REAL)[1].state_dict(), tmp_path / "flux" / "vae.safetensors")
    settings = {**read_card(models / "tangoflux")["settings"], "source": str(tmp_path / "flux")}
    register(parse_pretrained(json.dumps(settings)), tmp_path / "flux_model")
    both = (ALL[2], ("latents", str(tmp_path / "flux_model")))
    for kind in both:
        together("apart", kind)
    computed = counted(monkeypatch, OobleckAudio, "encode")
    assert together("one", *both).splitlines() == [
        f"the autoencoders of {tmp_path / 'flux_model'} and {models / 'backbone'} are the same",
        "2 ok, 1 short",
    ]
    assert len(computed) == 2
    assert contents(tmp_path / "one") == contents(tmp_path / "apart")
    # What one of them has made before is enough.
    assert together("again", *both, more=("--reuse", str(tmp_path / "apart/latents_backbone"))).endswith("2 reused\n")
    assert contents(tmp_path / "again") == contents(tmp_path / "apart")


def test_short_clips_are_padded_if_asked_for(run: Callable, tmp_path: Path) -> None:
    assert run("latents", "backbone", pad_short=True) == "3 ok\n"
    assert len(FeatureStore([tmp_path / "latents.arrow"])) == 3


def test_clip_features_are_reused_and_verified(run: Callable, data_set: Path, models: Path, tmp_path: Path) -> None:
    assert run("clip", "clip") == "2 ok, 1 short\n"
    store = FeatureStore([tmp_path / "clip.arrow"])
    assert store.encoder_digest == digest_of(read_card(models / "clip")["encoders"]["clip"])
    assert store.shape == (216, 8)
    first = (tmp_path / "clip.arrow").rename(tmp_path / "before.arrow").read_bytes()
    assert run("clip", "clip", "--reuse", str(tmp_path / "before.arrow")) == "2 ok, 1 short, 2 reused\n"
    assert (tmp_path / "clip.arrow").read_bytes() == first
    arguments = [
        "features",
        "verify",
        str(tmp_path / "clip.arrow"),
        "--ledger",
        str(tmp_path / "clip.ledger.parquet"),
        "--manifest",
        str(data_set / "m.parquet"),
        "--clips",
        str(data_set / "clips"),
    ]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert "clip 216x8 float16, 2 clips" in result.output
    (tmp_path / "clip.arrow").write_bytes(first[:-100])
    with pytest.raises(InputError, match="faults in 1 files"):
        CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_the_model_must_make_that_kind(models: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="makes clip, not latents"):
        pretrained_job(["latents"], [models / "clip"], tmp_path, EncodeSettings())
    with pytest.raises(InputError, match="av_clip is asked for twice"):
        pretrained_job(["av_clip", "av_clip"], [models / "av_clip"] * 2, tmp_path, EncodeSettings())
    with pytest.raises(InputError, match="give one model for each kind, in their order: got 1 for av_clip, clip"):
        pretrained_job(["av_clip", "clip"], [models / "av_clip"], tmp_path, EncodeSettings())
    with pytest.raises(InputError, match="kind must be one of latents, av_clip, clip, got 'mel'"):
        pretrained_job(["mel"], [models / "clip"], tmp_path, EncodeSettings())


def test_sound_keeps_its_channels(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 22050)).astype(np.float32)
    for channels in (1, 2, 3):
        soundfile.write(tmp_path / f"{channels}.flac", noise[:channels].T, 22050)
    reader = SoundReader(tmp_path, 44100, 2, 1.0, False)
    one, two, three = (reader(IngestedClip(str(channels), 1.0, "", "")) for channels in (1, 2, 3))
    assert (one.shape, two.shape, three.shape) == ((1, 44100), (2, 44100), (2, 44100))
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(two, three)
    assert np.abs(two[0] - two[1]).max() > 0.1
    with pytest.raises(ClipError, match="short"):
        SoundReader(tmp_path, 44100, 2, 1.5, False)(IngestedClip("1", 1.0, "", ""))
    padded = SoundReader(tmp_path, 44100, 2, 1.5, True)(IngestedClip("1", 1.0, "", ""))
    assert np.array_equal(padded[:, :44100], one)
    assert not padded[:, 44100:].any()


def test_text_of_a_registered_backbone(models: Path, data_set: Path, tmp_path: Path) -> None:
    arguments = ["features", "text", "--manifest", str(data_set / "m.parquet"), "--output", str(tmp_path / "t.arrow")]
    result = CliRunner().invoke(cli, [*arguments, "--model", str(models / "backbone")], catch_exceptions=False)
    assert "1 captions" in result.output
    card = read_card(models / "backbone")
    store = FeatureStore([tmp_path / "t.arrow"], digest_of(card["encoders"]["text"]))
    states = store[text_id("a dog barks")]
    assert list(states.shape) == card["facts"]["text_shape"]
    assert states[:4].any(axis=1).all()  # three words and the end
    assert not states[4:].any()
    with pytest.raises(InputError, match="either --settings"):
        CliRunner().invoke(cli, arguments, catch_exceptions=False)
