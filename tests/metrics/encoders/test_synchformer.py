import numpy as np
import pytest
import torch

from cafa.common.errors import ClipError, InputError, WeightsError
from cafa.models.encoders.synchformer_network import SynchformerVisual, normalise_frames, segment_starts
from cafa.models.weights import Checkpoint
from metrics.encoders.interface import Encoder
from metrics.encoders.synchformer.audio_network import AudioFeatures, SynchformerAudio, take_audio_segments
from metrics.encoders.synchformer.encoders import (
    SynchformerAudioEncoder,
    SynchformerJudge,
    SynchformerVideoEncoder,
    synchformer_frames,
)
from metrics.encoders.synchformer.offset_network import SynchformerOffset, offset_grid
from metrics.judges.synthetic_signals import normal, wave, waves
from metrics.parity.weights import fill

WIDTH = 24


@pytest.fixture(scope="module")
def head() -> SynchformerOffset:
    return fill(SynchformerOffset(width=WIDTH, depth=2, heads=3), gain=2.0)


@pytest.fixture(scope="module")
def audio() -> SynchformerAudio:
    return fill(SynchformerAudio(width=WIDTH, depth=1, heads=3), gain=2.0)


def features(segments: int, clips: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    return normal(1, clips, segments, 8, WIDTH), normal(2, clips, segments, 6, WIDTH)


def test_grid_is_21_classes_of_a_fifth_of_a_second():
    grid = offset_grid()
    assert len(grid) == 21
    assert grid[10] == 0
    assert (grid[0], grid[-1]) == (-2, 2)
    assert torch.allclose(grid.diff(), torch.tensor(0.2))


@pytest.mark.parametrize("seconds", [4.8, 4.9, 5.0, 8.0, 10.0])
def test_sound_and_picture_have_equally_many_segments(seconds: float):
    sound = take_audio_segments(torch.zeros(1, round(seconds * 16000)))
    assert sound.shape[1] == len(segment_starts(int(25 * seconds), 8))


def test_with_exactly_14_segments_both_windows_are_the_same(head: SynchformerOffset):
    first, last = head.window_logits(*features(14))
    assert torch.equal(first, last)
    first, last = head.window_logits(*features(15))
    assert (first - last).abs().max() > 1e-3


def test_windows_are_the_first_and_the_last_14(head: SynchformerOffset):
    video, audio = features(24)
    first, last = head.window_logits(video, audio)
    torch.testing.assert_close(first, head(video[:, :14], audio[:, :14]))
    torch.testing.assert_close(last, head(video[:, 10:], audio[:, 10:]))
    assert first.shape == (2, 21)


def test_too_few_or_unequal_segments_are_refused(head: SynchformerOffset):
    with pytest.raises(ClipError, match="short: clip has 13 segments, DeSync needs 14"):
        head.window_logits(*features(13))
    with pytest.raises(InputError, match="embed the same seconds of both"):
        head.window_logits(features(15)[0], features(14)[1])
    with pytest.raises(InputError, match=r"video features have shape \(2, 13, 8, 24\)"):
        head(*features(13))
    with pytest.raises(InputError, match="audio features"):
        head(features(14)[0], features(14)[0])


def test_the_position_table_has_exactly_198_places():
    with torch.device("meta"):
        assert SynchformerOffset().transformer.pos_emb_cfg.pos_emb.shape == (1, 198, 768)


def test_judge_takes_stored_half_precision(head: SynchformerOffset):
    judge = SynchformerJudge(head, "0" * 64)
    video, audio = (part.half() for part in features(14))
    first, last = judge.window_logits(video.numpy(), audio.numpy())
    expected, _ = head.window_logits(video.float(), audio.float())
    np.testing.assert_allclose(first, expected.numpy(), atol=1e-5)
    np.testing.assert_array_equal(first, last)


def test_audio_encoder_on_mono_stereo_and_short_sound(audio: SynchformerAudio):
    judge = SynchformerAudioEncoder(audio, "0" * 64)
    assert isinstance(judge, Encoder)
    sounds = waves(2, 16000, 0.96)
    embedded = judge.embed(sounds)
    assert embedded.shape == (2, 2, 6, WIDTH)
    np.testing.assert_allclose(judge.embed([sounds])[0], judge.embed([sounds.mean(0)])[0], atol=1e-5)
    np.testing.assert_allclose(judge.embed(sounds[1:])[0], embedded[1], atol=1e-5)
    with pytest.raises(ClipError, match="short"):
        judge.embed([sounds[0][:10239]])


def test_audio_is_cut_to_exactly_the_scored_seconds_and_keeps_its_mean(audio: SynchformerAudio):
    judge = SynchformerAudioEncoder(audio, "0" * 64)
    sound = wave(0, 44100, 1.0) + np.float32(0.5)
    prepared = judge.prepare(sound, 44100, 0.75)
    assert prepared.shape == (12000,)
    assert prepared.mean() > 0.4
    with pytest.raises(ClipError, match="short"):
        judge.prepare(sound, 44100, 1.1)


def test_audio_pooling_is_over_frequency_and_keeps_time():
    network = fill(AudioFeatures(WIDTH, 1, 3), gain=2.0)
    with pytest.raises(InputError, match="expected"):
        network(torch.zeros(1, 66, 128))
    assert network(normal(3, 2, 128, 66)).shape == (2, 6, WIDTH)


def test_video_encoder_resizes_crops_and_segments():
    network = fill(SynchformerVisual(width=WIDTH, depth=1, heads=3), gain=2.0)
    judge = SynchformerVideoEncoder(network, "0" * 64)
    assert isinstance(judge, Encoder)
    assert judge.frame_rate == 25
    clip = np.random.default_rng(0).integers(0, 256, (24, 30, 40, 3), dtype=np.uint8)
    embedded = judge.embed([clip])
    assert embedded.shape == (1, 2, 8, WIDTH)
    later = judge.embed([clip[8:]])
    np.testing.assert_allclose(embedded[:, 1], later[:, 0], atol=1e-5)
    with pytest.raises(ClipError, match="short: clip has 15 frames"):
        judge.embed([clip[:15]])
    with pytest.raises(InputError, match="equally many frames"):
        judge.embed([clip, clip[1:]])


def test_frames_are_normalised_to_plus_minus_one():
    clip = np.zeros((16, 224, 230, 3), np.uint8)
    clip[:, :, 3:227] = 255
    assert normalise_frames(synchformer_frames(clip)).unique().tolist() == [1.0]


def test_three_parts_share_one_checkpoint_and_refuse_strangers(synchformer_shapes):
    tensors = {name: torch.zeros(shape) for name, shape in synchformer_shapes.items()}
    checkpoint = Checkpoint(tensors, "a" * 64)
    for part in (SynchformerVideoEncoder, SynchformerAudioEncoder, SynchformerJudge):
        assert part.from_checkpoint(checkpoint).weights_sha256 == "a" * 64
        with pytest.raises(WeightsError, match="stranger"):
            part.from_checkpoint(Checkpoint(tensors | {"stranger": torch.zeros(1)}, ""))
