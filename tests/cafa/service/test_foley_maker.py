"""The service gives what the library gives, at the strengths that a job asks for."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cafa.common.judged_takes import Judgement, Takes, TakeScore
from cafa.generation.foley import FoleyPipeline
from cafa.generation.generate_options import GenerateOptions
from cafa.generation.systems import Sampling
from cafa.media.container import open_media
from cafa.media.loudness import measure_levels
from cafa.service.engine import Engine
from cafa.service.foley_maker import FoleyMaker
from cafa.service.jobs import Job, JobRequest, JobState
from tests.cafa.service.conftest import write_video
from tests.cafa.service.makers import until_ended


def prefer_seeds(takes: Takes) -> Judgement:
    """A judge who prefers later seeds, which are the names of the files."""
    assert (takes.prompt, takes.miniature, takes.seconds) == ("a dog barks", False, 1.0)
    return Judgement(tuple(TakeScore(float(path.stem), {"CLAP": float(path.stem)}) for path in takes.sounds))


@pytest.fixture(scope="module")
def maker(tiny_models: Path) -> FoleyMaker:
    return FoleyMaker(tiny_models, GenerateOptions(steps=2))


@pytest.fixture
def engine(maker: FoleyMaker, tmp_path: Path) -> Iterator[Engine]:
    with Engine(maker, tmp_path / "service") as engine:
        yield engine


#: three steps of a file of 16 bits; what the untrained decoder of the tiny models makes depends little on its latents
DIFFERENT = 3.5 / 2**15


def made(engine: Engine, video: Path, **asked: object) -> tuple[Job, list[Job]]:
    with video.open("rb") as file:
        kept = engine.videos.copy(file, video.name)
    seen = until_ended(engine, engine.submit(JobRequest(video=kept.id, **{"prompt": "a dog barks", **asked})).id)  # type: ignore[arg-type]
    assert seen[-1].state is JobState.DONE, seen[-1].error
    return seen[-1], seen


def sound(engine: Engine, job: Job, take: int = 0) -> np.ndarray:
    return soundfile.read(engine.file(job.id, take, "wav"), always_2d=True)[0].T


def test_takes_are_those_of_the_library_and_progress_never_falls(
    engine: Engine, video: Path, tiny_models: Path
) -> None:
    job, seen = made(engine, video, takes=2, seed=5)
    shares = [one.progress for one in seen]
    assert shares == sorted(shares)
    assert [take.seed for take in job.takes] == [5, 6]
    first, second = sound(engine, job, 0), sound(engine, job, 1)
    assert first.shape == (2, 44100)
    assert np.abs(first - second).max() > DIFFERENT
    pipeline = FoleyPipeline.from_pretrained(tiny_models, sampling=Sampling(steps=2))
    (expected,) = pipeline.generate(video, "a dog barks", seeds=[5])
    similar = np.corrcoef(expected.waveform.ravel(), first.ravel())[0, 1]
    assert similar > 0.9999  # the same to the level at which it is written
    flac, _ = soundfile.read(engine.file(job.id, 0, "flac"), always_2d=True)
    assert np.array_equal(flac.T, first)
    for kind in ("video", "preview"):
        with open_media(engine.file(job.id, 0, kind)) as media:
            assert media.stream("audio").codec_context.name == "aac"
            assert media.stream("video").frames == 25


def test_one_load_serves_jobs_of_different_strengths(engine: Engine, video: Path, tiny_models: Path) -> None:
    plain, _ = made(engine, video)
    other, _ = made(engine, video, gamma=1.0, guidance_scale=2.0)
    again, _ = made(engine, video)
    assert np.array_equal(sound(engine, plain), sound(engine, again))
    assert np.abs(sound(engine, plain) - sound(engine, other)).max() > DIFFERENT
    pipeline = FoleyPipeline.from_pretrained(
        tiny_models, sampling=Sampling(steps=2, guidance_scale=2.0), asymmetric_scale=1.0
    )
    (expected,) = pipeline.generate(video, "a dog barks")
    assert np.corrcoef(expected.waveform.ravel(), sound(engine, other).ravel())[0, 1] > 0.9999


def tone(sound: np.ndarray) -> float:
    """Amplitude at 1 kHz of the middle half second of a sound of 1 s, relative to all of it."""
    middle = sound.mean(axis=0)[11025:33075]
    wave = np.exp(-2j * np.pi * 1000 * np.arange(len(middle)) / 44100)
    return float(2 * np.abs(np.mean(middle * wave)) / np.sqrt(np.mean(middle**2)))


def test_the_old_sound_is_mixed_in(engine: Engine, video: Path, tmp_path: Path) -> None:
    shares = [tone(sound(engine, made(engine, video, mix=level)[0])) for level in (None, -6.0, 12.0)]
    assert shares[0] < 0.1
    assert shares == sorted(shares)
    assert shares[2] > 1.0  # a pure tone has the square root of 2
    silent, _ = made(engine, write_video(tmp_path / "silent.mp4"), mix=0.0)
    assert silent.note.startswith("the video has no sound to mix with")
    assert silent.takes


def test_what_of_a_prompt_is_not_read_is_said_with_the_last_words_that_are(engine: Engine, video: Path) -> None:
    long = "a dog barks loud " + "a dog " * 70  # of which 128 tokens are read, the last of them the end
    with pytest.warns(UserWarning, match="caption cut to 128 tokens"):
        job, seen = made(engine, video, prompt=long, negative_prompt=long)
    cut = "the prompt is cut after 'dog a dog a': the model does not read the rest (17 words)"
    assert seen[0].note == job.note == f"{cut}; what it should not sound like: {cut}"
    assert made(engine, video)[0].note == ""


def test_the_loudness_is_that_of_broadcast(engine: Engine, video: Path) -> None:
    found = measure_levels(sound(engine, made(engine, video)[0]), 44100)
    assert found.lufs == pytest.approx(-23, abs=0.5)
    assert found.true_peak < -0.5


def test_judges_put_takes_into_an_order(tiny_models: Path, video: Path, tmp_path: Path) -> None:
    maker = FoleyMaker(tiny_models, GenerateOptions(steps=2), judges=prefer_seeds)
    with Engine(maker, tmp_path) as engine:
        job, _ = made(engine, video, takes=3)
        assert [take.seed for take in job.takes] == [2, 1, 0]
        assert job.takes[0].scores == {"total": 2.0, "CLAP": 2.0}
        assert engine.file(job.id, 0, "wav").name == "0.wav"
        one, _ = made(engine, video)
        assert one.takes[0].scores == {}


def test_takes_are_judged_without_the_old_sound(tiny_models: Path, video: Path, tmp_path: Path) -> None:
    shares: list[float] = []

    def listen(takes: Takes) -> Judgement:
        shares.extend(tone(soundfile.read(path, always_2d=True)[0].T) for path in takes.sounds)
        return prefer_seeds(takes)

    maker = FoleyMaker(tiny_models, GenerateOptions(steps=2), judges=listen)
    with Engine(maker, tmp_path) as engine:
        job, _ = made(engine, video, takes=2, mix=12.0)
        assert max(shares) < 0.1
        assert all(tone(sound(engine, job, take)) > 1.0 for take in range(2))


def test_a_video_without_picture_frames_fails_in_plain_words(engine: Engine, tmp_path: Path) -> None:
    short = write_video(tmp_path / "short.mp4", 0.08)
    with short.open("rb") as file:
        kept = engine.videos.copy(file, "short.mp4")
    job = until_ended(engine, engine.submit(JobRequest(video=kept.id, prompt="a dog")).id)[-1]
    assert (job.state, job.error) == (JobState.FAILED, "this video is too short")


def test_models_and_their_licences_are_listed(maker: FoleyMaker) -> None:
    found = maker.in_use()
    assert [model.role for model in found.models] == ["backbone", "adapter", "av_clip"]
    assert found.guidance_scale == maker.pipeline.generator.how.guidance_scale  # type: ignore[attr-defined]
    assert all(model.licences for model in found.models)
