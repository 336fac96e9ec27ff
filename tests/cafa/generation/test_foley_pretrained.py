import json
import re
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from cafa.cli.generate import command
from cafa.common.errors import InputError, WeightsError
from cafa.common.files import read_json
from cafa.common.seeds import seed_for
from cafa.generation.foley import FoleyPipeline
from cafa.generation.foley_encoders import frames_of_windows
from cafa.generation.interface import Request
from cafa.generation.prepared_video import AskedPart
from cafa.generation.systems import AdapterSystem, Sampling
from cafa.media.clip_reading import IngestedClip, black_padded
from cafa.media.container import open_media
from cafa.media.frames import read_frames
from cafa.media.official_frames import read_official_frames
from cafa.models.registry import open_video_encoder

RATE = 44100


@pytest.fixture(scope="module")
def models(registered_models: Path) -> Path:
    return registered_models


def pipeline(models: Path, **changes) -> FoleyPipeline:
    system = {"sampling": Sampling(steps=2, guidance_scale=20.0), **changes}
    return FoleyPipeline(models, AdapterSystem(**system))


@pytest.fixture(scope="module")
def make_video(tmp_path_factory: pytest.TempPathFactory):
    """Write a silent video of moving bars: so many seconds at any rate."""

    def make(seconds: float, rate: int = 25) -> Path:
        path = tmp_path_factory.mktemp("video") / f"{seconds:g}s.mp4"
        with av.open(str(path), "w") as output:
            stream = output.add_stream("libx264", rate=rate)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for number in range(round(seconds * rate)):
                bars = 120 + 100 * np.sin(np.arange(64) / 5 + number / rate * 9)
                picture = np.repeat(np.tile(bars, (48, 1)).astype(np.uint8)[..., None], 3, axis=2)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            output.mux(stream.encode())
        return path

    return make


def test_a_long_video_of_any_rate_gets_stereo_sound_of_its_length(models: Path, make_video, tmp_path: Path):
    (result,) = pipeline(models).generate(make_video(13.2, rate=30), "a dog barks", overlap_seconds=1.0)
    assert result.sample_rate == RATE
    assert result.waveform.shape == (2, round(13.2 * RATE))
    assert np.abs(result.waveform).max() == pytest.approx(1, abs=1e-4)
    result.save_sound(tmp_path / "out.wav")
    assert soundfile.info(tmp_path / "out.wav").channels == 2
    result.save_video(tmp_path / "out.mp4")
    with open_media(tmp_path / "out.mp4") as media:
        assert media.stream("video").frames == 330
        assert media.stream("audio").codec_context.layout.name == "stereo"


def test_the_features_are_those_of_the_pipeline(models: Path, make_video, tmp_path: Path):
    made = pipeline(models, adapter="adapter_c")
    prepared = made._prepare(AskedPart(make_video(6.0), 0.0, None, None, False), 25, None)
    (features,) = prepared.features
    assert (prepared.frames, prepared.starts, prepared.damage) == (150, [0], "")
    (tmp_path / "clip.mp4").write_bytes(prepared.picture)
    expected = []
    for kind in ("av_clip", "clip"):
        encoder = open_video_encoder(models / kind)
        clip = encoder.reader(tmp_path, pad_short=True)(IngestedClip("clip", 6.0, "", ""))
        expected.append(encoder.encode([clip])[0])
    np.testing.assert_allclose(features, np.concatenate(expected, axis=1), atol=1e-5)


def test_windows_are_decoded_once_and_are_the_frames_of_the_clip(make_video, tmp_path: Path):
    path = make_video(2.0)
    everything = read_frames(path, seconds=2.0, size=(20, 20))
    starts = [0, 16, 30]
    found = list(frames_of_windows(path, starts, 20, [20, 30]))
    assert [[part.shape for part in window] for window in found] == [[(20, 20, 20, 3), (20, 30, 30, 3)]] * 3
    for start, (small, _) in zip(starts, found, strict=True):
        assert np.array_equal(small, everything[start : start + 20])
    ((alone,),) = frames_of_windows(path, [0], 60, [20])
    assert np.array_equal(alone, everything)


def test_every_variant_prompt_and_seed_makes_its_own_sound(models: Path, make_video):
    video = make_video(1.0)
    cafa = pipeline(models)
    results = cafa.generate(video, ["music", "dog"], seeds=[0, 1])
    results += cafa.generate(video, "music", negative_prompt="a dog barks")
    results += pipeline(models, adapter="adapter_c").generate(video, "music")
    results += pipeline(models, backbone="tangoflux", adapter="adapter_tf").generate(video, "music")
    assert [(result.prompt, result.seed) for result in results[:4]] == [
        ("music", 0),
        ("music", 1),
        ("dog", 0),
        ("dog", 1),
    ]
    sounds = [result.waveform for result in results]
    assert all(sound.shape == (2, RATE) and np.isfinite(sound).all() for sound in sounds)
    assert not [(i, k) for i in range(len(sounds)) for k in range(i) if np.abs(sounds[i] - sounds[k]).max() < 1e-4]


def test_the_official_preset_makes_the_published_window(models: Path, make_video):
    sampling = Sampling(steps=2, preset="official", latents=256)
    maker = pipeline(models, adapter="adapter_published", sampling=sampling)
    (result,) = maker.generate(make_video(1.0), "music")
    features = maker._prepare(AskedPart(make_video(1.0), 0.0, None, None, True), 25, None).features[0]
    request = Request(maker.encoders.text("music"), features, seed_for(0, "music", 0))
    (whole,) = maker.generator.generate([request])
    assert whole.shape == (2, 441000)
    assert np.array_equal(result.waveform, whole[:, :RATE])  # its level is that of the whole window
    with pytest.raises(InputError, match=r"makes 10 s at most, the video has 11\.00 s"):
        maker.generate(make_video(11.0), "music")


def test_the_official_preset_sees_the_frames_of_the_published_demo(models: Path, make_video):
    video = make_video(4.0, rate=30)
    frames = read_official_frames(video, frames=250)
    expected = open_video_encoder(models / "av_clip").encode([black_padded(frames, 250)])[0]
    sampling = Sampling(steps=2, preset="official", latents=256)
    maker = pipeline(models, adapter="adapter_published", sampling=sampling)
    np.testing.assert_array_equal(
        maker._prepare(AskedPart(video, 0.0, None, None, True), 25, None).features[0], expected
    )
    ours = pipeline(models, adapter="adapter_published")
    assert (
        np.abs(ours._prepare(AskedPart(video, 0.0, None, None, False), 25, None).features[0] - expected).max() > 1e-3
    )  # other frames of a video of 30 a second
    assert maker.identity != ours.identity
    with pytest.raises(InputError, match="an adapter of AV-CLIP alone"):
        pipeline(models, adapter="adapter_c", sampling=sampling)


def test_the_command_has_the_official_preset(models: Path, make_video, tmp_path: Path):
    words = [make_video(0.6, rate=30), "--prompt", "music", "--models", models, "--adapter", "adapter_published"]
    words += ["--preset", "official", "--steps", 2, "--output-folder", tmp_path]
    result = CliRunner().invoke(command, list(map(str, words)))
    assert result.exception is None, result.output
    (entry,) = read_json(tmp_path / "generated.json").values()
    assert "official" in json.dumps(entry)
    (sound,) = tmp_path.glob("*.wav")
    assert soundfile.info(sound).frames == round(0.6 * RATE)


def test_the_command_writes_sound_and_video(models: Path, make_video, tmp_path: Path):
    words = [make_video(1.0), "--prompt", "a dog", "--prompt", "music", "--seed", 3, "--models", models]
    words += ["--steps", 2, "--output-folder", tmp_path, "--adapter", "adapter_c"]
    result = CliRunner().invoke(command, list(map(str, words)))
    assert result.exception is None
    written = {path.name for path in tmp_path.iterdir() if path.suffix in (".wav", ".mp4")}
    names = {re.sub(r"--[0-9a-f]{12}\.", ".", name) for name in written}
    assert names == {f"1s--{prompt}--3.{kind}" for prompt in ("a_dog", "music") for kind in ("wav", "mp4")}
    index = read_json(tmp_path / "generated.json")
    assert {file for entry in index.values() for file in entry["files"]} == written


def test_what_is_not_there_or_does_not_fit_is_refused(models: Path, make_video, tmp_path: Path):
    with pytest.raises(WeightsError, match=r"make table1.*cafa models register"):
        pipeline(tmp_path)
    with pytest.raises(WeightsError, match="missing: nothing"):
        pipeline(models, adapter="nothing")
    for name in ("backbone", "adapter"):
        (tmp_path / name).symlink_to(models / name)
    (tmp_path / "av_clip").symlink_to(models / "clip")
    with pytest.raises(InputError, match=r"trained with av_clip features of another encoder than the one in .*av_clip"):
        pipeline(tmp_path)
    with pytest.raises(InputError, match="at least one word"):
        pipeline(models).generate(make_video(1.0), " ")
