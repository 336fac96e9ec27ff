"""The library's way to new sound, as its docstrings show it; damaged videos and GIFs through the command."""

import doctest
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from cafa.cli import cli
from cafa.common.errors import InputError, WeightsError
from cafa.common.files import read_json, write_json
from cafa.generation import foley
from cafa.generation.foley import FoleyPipeline, FoleyResult, damage_of
from cafa.generation.model_choice import backbone_of
from cafa.generation.systems import Sampling
from cafa.media.container import open_media
from cafa.models.folders import CARD
from tests.cafa.media.test_gif import gif

RATE = 44100


@pytest.fixture(scope="module")
def models(registered_models: Path) -> Path:
    return registered_models


def write_video(path: Path, frames: int = 25, **options: str) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            bars = 120 + 100 * np.sin(np.arange(64) / 5 + number / 3)
            picture = np.repeat(np.tile(bars, (48, 1)).astype(np.uint8)[..., None], 3, axis=2)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())
    return path


def generate(video: Path, models: Path, folder: Path, *more: str) -> str:
    words = ["generate", video, "--prompt", "music", "--models", models, "--steps", 2, "--output-folder", folder, *more]
    result = CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_examples_of_the_docstrings_run(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(models)
    write_video(tmp_path / "video.mp4")
    examples = [test for test in doctest.DocTestFinder().find(foley) if test.examples]
    assert {test.name.rpartition("foley.")[2] for test in examples} == {
        "FoleyPipeline",
        "FoleyPipeline.from_pretrained",
    }
    for test in examples:
        assert doctest.DocTestRunner().run(test).failed == 0
    with open_media(tmp_path / "new_sound.mp4") as media:
        assert media.stream("video").frames == 25
        assert media.stream("audio").codec_context.layout.name == "stereo"


def test_a_named_adapter_brings_the_backbone_it_belongs_to(models: Path) -> None:
    assert backbone_of(models, "adapter") == "backbone"
    assert backbone_of(models, "adapter_tf") == "tangoflux"
    assert backbone_of(models, "adapter_published") == "backbone"
    pipeline = FoleyPipeline.from_pretrained("adapter_tf", models=models, sampling=Sampling(steps=2))
    assert pipeline.generator.backbone.name == "tangoflux"
    same = FoleyPipeline.from_pretrained(models, adapter="adapter_tf", backbone="tangoflux", sampling=Sampling(steps=2))
    assert pipeline.identity == same.identity


def test_what_there_is_not_is_refused_with_what_there_is(models: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"'adaptor' is neither.*adapters in .* are adapter, adapter_c, adapter_pub"):
        FoleyPipeline.from_pretrained("adaptor", models=models)
    with pytest.raises(WeightsError, match="there is no adapter in"):
        FoleyPipeline.from_pretrained("adapter", models=tmp_path)
    with pytest.raises(WeightsError, match=r"no models in .*cafa models register"):
        FoleyPipeline.from_pretrained(tmp_path)
    (tmp_path / "adapter").symlink_to(models / "adapter")
    with pytest.raises(WeightsError, match=r"belongs to a backbone with the digest .* is not in .*there are none"):
        FoleyPipeline.from_pretrained("adapter", models=tmp_path)
    for name in ("first", "second"):
        (tmp_path / name).symlink_to(models / "backbone")
    write_json(tmp_path / "published" / CARD, read_json(models / "adapter_published" / CARD))
    with pytest.raises(InputError, match="has several: first, second; name one"):
        FoleyPipeline.from_pretrained("published", models=tmp_path)


def test_the_suffix_says_what_is_saved(tmp_path: Path) -> None:
    picture = write_video(tmp_path / "picture.mp4").read_bytes()
    result = FoleyResult("music", 0, np.full((2, RATE), 0.25, np.float32), RATE, picture)
    for name in ("sound.wav", "sound.flac"):
        sound, rate = soundfile.read(result.save(tmp_path / name))
        assert (rate, sound.shape) == (RATE, (RATE, 2))
        np.testing.assert_allclose(sound, 0.25, atol=1e-4)
    with open_media(result.save(tmp_path / "video.MP4")) as media:
        assert media.stream("video").frames == 25
    with pytest.raises(InputError, match=r"is written as \.mp4 .*, \.wav or \.flac .*not as \.mp3"):
        result.save(tmp_path / "sound.mp3")
    assert not (tmp_path / "sound.mp3").exists()


def test_damage_is_given_in_seconds() -> None:
    facts = {"source_frame_rate": "30", "damaged_frames": 3, "frames_after_damage": 15, "frames_before_key": 6}
    assert damage_of({"source_frame_rate": "25"}) == ""
    assert damage_of({"source_frame_rate": None, "damaged_frames": 5}).startswith("0.20 s of the picture are damaged")
    assert damage_of({**facts, "missing_seconds": 0.5}) == (
        "0.10 s of the picture are damaged, where the frame before stays; 0.50 s after that build on what is lost and "
        "may look wrong; 0.20 s before the first complete picture are left out; 0.50 s that the file promises are not "
        "there"
    )


@pytest.mark.filterwarnings("ignore:caption cut")
def test_the_command_says_what_of_a_prompt_is_not_read(models: Path, tmp_path: Path) -> None:
    video = write_video(tmp_path / "film.mp4")
    said = generate(video, models, tmp_path / "cut", "--prompt", "a dog " * 70)
    assert "note: the prompt is cut after 'dog a dog a': the model does not read the rest (13 words)" in said
    assert "note" not in generate(video, models, tmp_path / "whole")


def test_the_command_says_what_of_a_video_is_damaged(models: Path, tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", 100, g="10", keyint_min="10", sc_threshold="0", bf="0")
    whole = generate(path, models, tmp_path / "whole")
    assert "damaged" not in whole
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    position, size = packets[54]
    data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    said = generate(path, models, tmp_path / "spoilt")
    assert "note: film.mp4 is damaged: 0.04 s of the picture are damaged, where the frame before stays; 0.20 s" in said
    (entry,) = read_json(tmp_path / "spoilt" / "generated.json").values()
    assert entry["damage"] in said
    (entry,) = read_json(tmp_path / "whole" / "generated.json").values()
    assert "damage" not in entry


def test_the_sampler_can_be_chosen(models: Path, tmp_path: Path) -> None:
    video = write_video(tmp_path / "video.mp4")
    asked = {"own": (), "same": ("--sampler", "dpmpp_3m_sde"), "other": ("--sampler", "euler")}
    names, sounds = {}, {}
    for name, more in asked.items():
        generate(video, models, tmp_path / name, "--level", "peak", *more)
        (path,) = (tmp_path / name).glob("*.wav")
        names[name], sounds[name] = path.name, soundfile.read(path)[0]
    assert len(set(names.values())) == 3
    assert np.array_equal(sounds["same"], sounds["own"])
    assert np.abs(sounds["other"] - sounds["own"]).max() > 1e-3
    words = ["generate", str(video), "--prompt", "x", "--sampler", "heun"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert "there is no sampler 'heun'; there are" in result.output


def test_a_gif_gets_sound_of_its_length(models: Path, tmp_path: Path) -> None:
    generate(gif(tmp_path / "clip.gif", [8] * 20, loops=0), models, tmp_path / "out")  # 20 pictures of 0.08 s
    (sound,) = (tmp_path / "out").glob("*.wav")
    (video,) = (tmp_path / "out").glob("*.mp4")
    assert soundfile.info(sound).frames == round(1.6 * RATE)
    samples, _ = soundfile.read(sound)
    assert np.abs(samples).max() > 0.01
    with open_media(video) as media:
        assert media.stream("video").frames == 40
        assert media.stream("audio").codec_context.layout.name == "stereo"


def test_the_picture_is_copied_unless_it_is_to_be_encoded(models: Path, tmp_path: Path) -> None:
    def packets(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(container.streams.video[0]) if packet.size]

    video = write_video(tmp_path / "video.mkv", 30)
    found = {}
    for name, more in {"copied": (), "encoded": ("--encode",)}.items():
        generate(video, models, tmp_path / name, *more)
        (found[name],) = (path for path in (tmp_path / name).iterdir() if path.suffix in (".mkv", ".mp4"))
    assert found["copied"].suffix == ".mkv"
    assert packets(found["copied"]) == packets(video)
    assert found["encoded"].suffix == ".mp4"
    assert packets(found["encoded"]) != packets(video)
    assert found["copied"].stem != found["encoded"].stem
    with av.open(str(found["copied"])) as container:
        assert container.streams.audio[0].codec_context.name == "opus"
