import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cafa.common.errors import ClipError, InputError, WeightsError
from metrics.encoders.imagebind.encoders import (
    ImageBindAudioEncoder,
    ImageBindVisionEncoder,
    audio_clip_bounds,
    frame_pairs,
    imagebind_crops,
    imagebind_frames,
    imagebind_log_mels,
)
from metrics.encoders.imagebind.network import ImageBindAudio, ImageBindVision
from metrics.encoders.interface import Encoder
from metrics.judges.synthetic_signals import wave
from metrics.parity.weights import fill

TINY = {"width": 24, "depth": 1, "heads": 3, "embedding": 16}


@pytest.fixture(scope="module")
def audio() -> ImageBindAudioEncoder:
    return ImageBindAudioEncoder(fill(ImageBindAudio(**TINY), gain=2.0), "0" * 64)


@pytest.fixture(scope="module")
def vision() -> ImageBindVisionEncoder:
    return ImageBindVisionEncoder(fill(ImageBindVision(**TINY), gain=2.0), "0" * 64)


def clip(frames: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("seconds", "starts"), [(10, (0, 4, 8)), (8, (0, 3, 6)), (5, (0, 1.5, 3)), (2, (0, 0, 0)), (1, (0, 0, 0))]
)
def test_three_pieces_of_two_seconds_from_start_to_end(seconds: float, starts: tuple[float, ...]):
    samples = int(seconds * 16000)
    expected = [(int(start * 16000), min(samples, int((start + 2) * 16000))) for start in starts]
    assert audio_clip_bounds(samples) == expected


def test_padding_of_the_log_mel_is_not_silence():
    mel = imagebind_log_mels(torch.from_numpy(wave(0, 16000, 3.0))[None])
    assert mel.shape == (3, 128, 204)
    assert torch.allclose(mel[..., 198:], torch.tensor(4.268 / 9.138))
    assert not torch.allclose(mel[..., 197], torch.tensor(4.268 / 9.138), atol=0.01)


def test_only_the_left_channel_is_heard(audio: ImageBindAudioEncoder):
    left, right = wave(0, 16000, 2.5), wave(2, 16000, 2.5)
    heard = audio.embed([np.stack([left, right])])
    np.testing.assert_allclose(heard, audio.embed([left]), atol=1e-2)
    assert np.abs(heard - audio.embed([right])).max() > 0.1


def test_pieces_that_overlap_do_not_disturb_each_other():
    ramp = torch.linspace(-1, 1, 80000)[None]
    sound = ramp.clone()
    mel = imagebind_log_mels(sound)
    assert torch.equal(sound, ramp)
    begin, end = audio_clip_bounds(80000)[1]
    torch.testing.assert_close(mel[1], imagebind_log_mels(ramp[:, begin:end])[0], atol=1e-3, rtol=0)


def test_sounds_of_any_lengths_in_one_batch_and_norm_20(audio: ImageBindAudioEncoder):
    assert isinstance(audio, Encoder)
    sounds = [wave(0, 16000, 2.0), wave(1, 16000, 5.0)]
    embedded = audio.embed(sounds)
    assert embedded.shape == (2, 16)
    np.testing.assert_allclose(np.linalg.norm(embedded[0]), 20, rtol=1e-4)  # three equal pieces
    assert np.linalg.norm(embedded[1]) < 20  # the mean of three unequal ones
    np.testing.assert_allclose(audio.embed(sounds[1:])[0], embedded[1], atol=1e-4)


def test_bad_sounds_are_refused(audio: ImageBindAudioEncoder):
    with pytest.raises(ClipError, match="one frame needs 400"):
        audio.embed([np.zeros(399, np.float32)])
    with pytest.raises(InputError, match="no clips"):
        audio.embed([])
    with pytest.raises(InputError, match="not finite"):
        audio.embed([np.full(32000, np.nan, np.float32)])


def test_preparing_keeps_channels_and_the_whole_file_unless_told(audio: ImageBindAudioEncoder):
    stereo = np.stack([wave(0, 48000, 3.0), wave(1, 48000, 3.0)])
    assert audio.prepare(stereo, 48000, None).shape == (2, 48000)
    assert audio.prepare(stereo, 48000, 2.5).shape == (2, 40000)
    with pytest.raises(ClipError, match="short"):
        audio.prepare(stereo, 48000, 3.1)


def test_every_pair_of_neighbours_in_every_crop():
    crops = torch.arange(3 * 4).view(3, 4, 1, 1, 1).expand(-1, -1, 3, 8, 8)
    pairs = frame_pairs(crops)
    assert pairs.shape == (9, 3, 2, 8, 8)
    found = {tuple(pair[0, :, 0, 0].tolist()) for pair in pairs}
    assert found == {(4 * crop + time, 4 * crop + time + 1) for crop in range(3) for time in range(3)}


def test_vision_embeds_the_mean_of_all_pairs(vision: ImageBindVisionEncoder):
    assert isinstance(vision, Encoder)
    assert vision.frame_rate == 0.5
    frames = clip(3)
    embedded = vision.embed([frames])
    assert embedded.shape == (1, 16)
    halves = (vision.embed([frames[:2]]) + vision.embed([frames[1:]])) / 2
    np.testing.assert_allclose(embedded, halves, atol=1e-5)
    with pytest.raises(ClipError, match="a pair needs 2"):
        vision.embed([frames[:1]])


def test_crops_are_in_clips_colours():
    white = imagebind_crops(imagebind_frames(np.full((2, 224, 230, 3), 255, np.uint8)))
    expected = (1 - torch.tensor([0.48145466, 0.4578275, 0.40821073])) / torch.tensor(
        [0.26862954, 0.26130258, 0.27577711]
    )
    torch.testing.assert_close(white[0, 0, :, 0, 0], expected)
    assert white.shape == (3, 2, 3, 224, 224)


def test_names_are_the_published_ones_and_strangers_are_refused(golden: Path):
    shapes = json.loads((golden / "imagebind_keys.json").read_text())
    with torch.device("meta"):
        tensors = {name: torch.zeros(shape) for name, shape in shapes.items()}
    others = {
        "modality_trunks.text.x": torch.zeros(1),
        "modality_postprocessors.depth.1.log_logit_scale": torch.zeros(()),
    }
    for tower in (ImageBindAudio, ImageBindVision):
        tower.from_tensors(tensors | others, device="meta")
        with pytest.raises(WeightsError, match="unknown"):
            tower.from_tensors(tensors | {f"modality_trunks.{tower.modality}.x": torch.zeros(1)}, device="meta")


def test_wrong_shape_is_refused(audio: ImageBindAudioEncoder):
    with pytest.raises(InputError, match="audio clips have shape"):
        audio.network(torch.zeros(1, 204, 128))
