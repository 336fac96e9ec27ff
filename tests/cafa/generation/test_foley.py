import itertools
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cafa.cli import cli
from cafa.common.errors import ClipError, InputError, WeightsError
from cafa.common.files import digest_of, read_json, write_json
from cafa.generation.foley import FoleyPipeline
from cafa.generation.overlapping_windows import join_windows, window_starts
from cafa.generation.systems import AdapterSystem, Sampling
from cafa.media import FRAME_RATE
from cafa.media.container import open_media
from cafa.models.encoders.miniature_av_clip import KIND, AVClip, AVClipEncoder, AVClipSettings
from cafa.models.folders import CARD, save_model
from tests.cafa.training.tiny import FEATURE, SECONDS, TinyWorld

WINDOW = round(SECONDS * FRAME_RATE)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    world = TinyWorld(tmp_path_factory.mktemp("models"))
    world.backbone(steps=2)
    world.adapter(steps=2)
    torch.manual_seed(0)
    settings = AVClipSettings(dim=FEATURE, channels=(2, 2, 2))
    save_model(
        world.folder / "av_clip", AVClip(settings).state_dict(), {"kind": KIND, "settings": settings.model_dump()}
    )
    # the adapter was trained on random features: say that they are this encoder's
    card = read_json(world.folder / "adapter" / CARD)
    encoder = digest_of(AVClipEncoder(world.folder / "av_clip").encoder)
    write_json(world.folder / "adapter" / CARD, card | {"inputs": card["inputs"] | {"av_clip": encoder}})
    return world.folder


@pytest.fixture
def make_video(tmp_path):
    """Write a silent video of so many frames at 25 per second."""

    def make(frames: int):
        path = tmp_path / f"video{frames}.mp4"
        with av.open(str(path), "w") as output:
            stream = output.add_stream("libx264", rate=FRAME_RATE)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for number in range(frames):
                picture = np.full((48, 64, 3), 20 + 7 * (number % 30), np.uint8)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            output.mux(stream.encode())
        return path

    return make


@pytest.fixture(scope="module")
def pipeline(models):
    return FoleyPipeline(models, AdapterSystem(sampling=Sampling(steps=3, guidance_scale=2.0)))


@pytest.mark.parametrize(
    ("frames", "expected"),
    [(5, [0]), (20, [0]), (21, [0, 1]), (36, [0, 16]), (37, [0, 16, 17]), (100, [0, 16, 32, 48, 64, 80])],
)
def test_windows_cover_the_video_and_end_with_it(frames, expected):
    starts = window_starts(frames, window=20, overlap=4)
    assert starts == expected
    covered = {k for start in starts for k in range(start, start + 20)}
    assert covered >= set(range(frames))
    assert all(b - a <= 16 for a, b in itertools.pairwise(starts))


def test_joined_windows_have_no_click_and_keep_their_level():
    rng = np.random.default_rng(0)
    sounds = [rng.standard_normal(4000).astype(np.float32) * 0.1 for _ in range(3)]
    joined = join_windows(sounds, [0, 3000, 6000], 10_000)
    assert joined.shape == (10_000,)
    for middle in (3500, 6500):
        assert joined[middle - 400 : middle + 400].std() == pytest.approx(0.1, rel=0.12)
    tone = [np.ones(4000, np.float32) * 0.1] * 2
    steps = np.abs(np.diff(join_windows(tone, [0, 3000], 7000)))
    assert steps.max() < 1e-3


@pytest.mark.parametrize("frames", [8, WINDOW, 3 * WINDOW + 7])
def test_sound_is_as_long_as_the_video(pipeline, make_video, tmp_path, frames):
    path = make_video(frames)
    (result,) = pipeline.generate(path, "sound number 1")
    assert len(result.waveform) == round(frames / FRAME_RATE * result.sample_rate)
    assert np.isfinite(result.waveform).all()
    result.save_video(tmp_path / "out.mp4")
    with open_media(tmp_path / "out.mp4") as media:
        assert media.stream("video").frames == frames


def test_every_prompt_and_seed_gives_its_own_sound_and_the_same_one_again(pipeline, make_video):
    path = make_video(WINDOW)
    results = pipeline.generate(path, ["sound number 1", "sound number 2"], seeds=[0, 1])
    assert [(d.prompt[-1], d.seed) for d in results] == [("1", 0), ("1", 1), ("2", 0), ("2", 1)]
    assert all(np.abs(a.waveform - b.waveform).max() > 1e-4 for a in results for b in results if a is not b)
    again = pipeline.generate(path, "sound number 2", seeds=[1])[0]
    assert np.array_equal(again.waveform, results[3].waveform)


def test_windows_of_all_prompts_and_seeds_may_be_sampled_together(pipeline, make_video):
    asked = {"prompts": ["sound number 1", "sound number 2"], "seeds": [0, 1], "negative_prompt": "sound number 3"}
    path = make_video(2 * WINDOW + 3)
    alone = pipeline.generate(path, **asked)
    together = pipeline.generate(path, **asked, batch_size=5)
    assert [(result.prompt, result.seed) for result in together] == [(result.prompt, result.seed) for result in alone]
    for one, other in zip(alone, together, strict=True):
        assert np.abs(one.waveform).max() > 1e-3
        assert np.abs(one.waveform - other.waveform).max() < 1e-4


def test_progress_of_generating_comes_to_its_end(pipeline, make_video, monkeypatch):
    ended = []

    def watched(items, label, total):
        yield from items
        ended.append((label, total))

    monkeypatch.setattr("cafa.generation.steps.progress", watched)
    pipeline.generate(make_video(2 * WINDOW), ["sound number 1", "sound number 2"])
    assert dict(ended)["generate"] == 2 * dict(ended)["encode video"]


def test_a_negative_prompt_changes_the_sound(pipeline, make_video):
    path = make_video(WINDOW)
    plain = pipeline.generate(path, "sound number 1")[0]
    negative = pipeline.generate(path, "sound number 1", negative_prompt="sound number 2")[0]
    assert np.abs(plain.waveform - negative.waveform).max() > 1e-4


def test_an_encoder_that_the_adapter_was_not_trained_with_is_refused(models, tmp_path):
    for name in ("autoencoder", "backbone", "adapter"):
        (tmp_path / name).symlink_to(models / name)
    settings = AVClipSettings(dim=FEATURE, channels=(2, 2, 2))
    card = {"kind": KIND, "settings": settings.model_dump()}
    save_model(tmp_path / "av_clip", AVClip(settings).state_dict(), card)
    with pytest.raises(InputError, match="trained with av_clip features of another encoder"):
        FoleyPipeline(tmp_path)


def test_what_cannot_be_used_is_refused(pipeline, make_video, tmp_path):
    with pytest.raises(InputError, match="1 to 6 words"):
        pipeline.generate(make_video(WINDOW), "")
    for prompt in ("", "one two three four five six seven"):
        with pytest.raises(InputError, match="1 to 6 words"):
            pipeline.unread(prompt)
    assert pipeline.unread("one two three four five six") == ""
    with pytest.raises(ClipError, match="missing_file"):
        pipeline.generate(tmp_path / "nothing.mp4", "sound")
    with pytest.raises(InputError, match="overlap"):
        pipeline.generate(make_video(WINDOW), "sound", overlap_seconds=5)
    with pytest.raises(WeightsError, match="make table1"):
        FoleyPipeline(tmp_path)


def test_command_gives_every_request_files_of_its_own(models, make_video, tmp_path):
    first, folder = make_video(WINDOW), tmp_path / "results"
    second = first.with_suffix(".mov")
    second.write_bytes(first.read_bytes())
    prompts = [
        "Sound number 1",
        "sound number 1",
        "sound: number 1!",
        "звук",
        "犬の声",
        "звук 犬",
        "a" * 70 + " b",
        "a" * 70 + " c",
    ]
    asked = ["--models", str(models), "--output-folder", str(folder), "--steps", "2"]

    def generate(video, *options):
        result = CliRunner().invoke(cli, ["generate", str(video), *asked, *options], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return [
            line.removesuffix(" (there already)")
            for line in result.stdout.splitlines()
            if line.removesuffix(" (there already)").endswith((".mp4", ".mov"))
        ]

    every = [word for prompt in prompts for word in ("--prompt", prompt)]
    made = generate(first, *every)
    one = ("--prompt", "sound number 1")
    made += generate(second, *one)
    for option in (
        ("--gamma", "0.7"),
        ("--steps", "3"),
        ("--guidance-scale", "2"),
        ("--negative-prompt", "x"),
        ("--seed", "1"),
        ("--overlap", "0.2"),
    ):
        made += generate(first, *one, *option)
    assert len(set(made)) == len(made) == len(prompts) + 7
    videos = [path for path in folder.iterdir() if path.suffix in (".mp4", ".mov")]
    assert len(list(folder.glob("*.wav"))) == len(videos) == len(made)
    assert any("犬の声" in name for name in made)
    index = read_json(folder / "generated.json")
    assert sorted(index) == sorted(Path(name).stem for name in made)
    assert index[Path(made[0]).stem]["prompt"] == prompts[0]
    before = {path: path.read_bytes() for path in folder.glob("*.wav")}
    assert generate(first, *every) == made[: len(prompts)]  # the same request, the same names
    assert {path: path.read_bytes() for path in folder.glob("*.wav")} == before
