"""ImageBind as a judge: does the sound fit the picture (the IB score)?

Clips are cut as av-benchmark cuts them, which is what published IB scores use; ImageBind's own loader
would take other frames. Each piece is embedded and normalised by itself, then the pieces are averaged, so
an embedding's norm is a little below 1 (video) or 20 (audio); the score is a cosine.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cafa.common.devices import sent
from cafa.common.errors import ClipError, InputError
from cafa.models.weights import Checkpoint, WeightSource, load_checkpoint
from metrics.encoders.audio import resample
from metrics.encoders.frames import resize_short_side, stack_equal, three_crops, to_frames
from metrics.encoders.imagebind.network import FRAME_SIZE, MEL_SHAPE, PAIR, ImageBindAudio, ImageBindVision
from metrics.encoders.spectral import kaldi_log_mel

SAMPLE_RATE = 16000
FRAME_RATE = 0.5
AUDIO_CLIPS = 3
AUDIO_CLIP_SECONDS = 2
_MEL_MEAN, _MEL_DEVIATION = -4.268, 9.138
_COLOUR_MEAN = (0.48145466, 0.4578275, 0.40821073)
_COLOUR_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def load_imagebind(path: Path, source: WeightSource, *, unverified: bool = False) -> Checkpoint:
    """Read an ImageBind checkpoint once, for `from_checkpoint` of both encoders."""
    return load_checkpoint(path, source, unverified=unverified)


def imagebind_frames(clip: np.ndarray) -> Tensor:
    """Frames ``(frames, 3, height, width)``, uint8, of a uint8 clip ``(frames, height, width, 3)``.

    Short side to 224 (bicubic, antialiased, uint8).
    """
    return resize_short_side(to_frames(clip), FRAME_SIZE)


def imagebind_crops(frames: Tensor) -> Tensor:
    """Three crops ``(3, frames, 3, 224, 224)`` of :func:`imagebind_frames`, on their device, normalised as for CLIP."""
    colours = (torch.tensor(value, device=frames.device) for value in (_COLOUR_MEAN, _COLOUR_DEVIATION))
    mean, deviation = (colour[:, None, None] for colour in colours)
    return three_crops((frames.float() / 255 - mean) / deviation, FRAME_SIZE)


def frame_pairs(crops: Tensor) -> Tensor:
    """Every two neighbouring frames: ``(pairs * crops, 3, 2, height, width)``.

    Raises
    ------
    ClipError
        Reason ``short`` if there are fewer than two frames (4 s at 0.5 frames per second).
    """
    if crops.shape[1] < PAIR:
        raise ClipError("short", f"clip has {crops.shape[1]} frames at {FRAME_RATE} per second, a pair needs 2")
    pairs = crops.unfold(1, PAIR, 1)  # (crops, pairs, 3, height, width, 2)
    return pairs.permute(1, 0, 2, 5, 3, 4).flatten(0, 1)


def audio_clip_bounds(samples: int) -> list[tuple[int, int]]:
    """First sample and end of three pieces of 2 s spread from start to end, at 16 kHz.

    10 s give starts at 0, 4 and 8 s; 5 s give 0, 1.5 and 3 s. Under 2 s all three are the whole sound.
    Fractions of the float duration, as in the published sampler, so that rounding to samples is the same.
    """
    last = Fraction(max(samples / SAMPLE_RATE - AUDIO_CLIP_SECONDS, 0))
    starts = (last * index / (AUDIO_CLIPS - 1) for index in range(AUDIO_CLIPS))
    return [
        (int(start * SAMPLE_RATE), min(samples, int((start + AUDIO_CLIP_SECONDS) * SAMPLE_RATE))) for start in starts
    ]


def imagebind_log_mels(waveform: Tensor) -> Tensor:
    """Three normalised log-mels ``(3, 128, 204)`` of one waveform ``(channels, samples)`` at 16 kHz.

    Only the first channel is used, though the mean that is subtracted is that of all channels, as in the
    published loader. That loader subtracts in place, so in sounds under 6 s, whose pieces overlap, later
    pieces meet samples that were already shifted; here every piece is its own copy.

    The log-mel is padded with zeros to 204 frames *before* normalisation: the padding is 0.467, not silence.
    """
    mels = []
    for begin, end in audio_clip_bounds(waveform.shape[-1]):
        piece = waveform[:, begin:end]
        mel = kaldi_log_mel(piece[0] - piece.mean(), MEL_SHAPE[0]).mT
        mels.append(functional.pad(mel, (0, MEL_SHAPE[1] - mel.shape[-1])))
    return (torch.stack(mels) - _MEL_MEAN) / _MEL_DEVIATION


class ImageBindVisionEncoder:
    """Frames at 0.5 per second to one embedding per clip."""

    name = "imagebind_vision"
    sample_rate = None
    frame_rate = FRAME_RATE

    def __init__(self, network: ImageBindVision, weights_sha256: str):
        self.network = network
        self.weights_sha256 = weights_sha256

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, *, device: torch.device | str = "cpu", **sizes: int
    ) -> "ImageBindVisionEncoder":
        """Build the part from a loaded checkpoint; `sizes` where they are not the published ones."""
        return cls(ImageBindVision.from_tensors(checkpoint.tensors, device=device, **sizes), checkpoint.sha256)

    @torch.inference_mode()
    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings ``(clips, 1024)`` of uint8 RGB clips ``(frames, height, width, 3)``.

        Every pair of neighbouring frames in every one of three crops is embedded; 8 s (4 frames) give 9.
        """
        device = self.network.cls_token.device  # which gets bytes, without what crops and pairs share
        clips = stack_equal([frame_pairs(imagebind_crops(sent(imagebind_frames(clip), device))) for clip in batch])
        embeddings = self.network(clips.flatten(0, 1))
        return embeddings.unflatten(0, clips.shape[:2]).mean(1).cpu().numpy()


class ImageBindAudioEncoder:
    """Whole sounds at 16 kHz to one embedding per clip."""

    name = "imagebind_audio"
    sample_rate = SAMPLE_RATE
    frame_rate = None

    def __init__(self, network: ImageBindAudio, weights_sha256: str):
        self.network = network
        self.weights_sha256 = weights_sha256

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, *, device: torch.device | str = "cpu", **sizes: int
    ) -> "ImageBindAudioEncoder":
        """Build the part from a loaded checkpoint; `sizes` where they are not the published ones."""
        return cls(ImageBindAudio.from_tensors(checkpoint.tensors, device=device, **sizes), checkpoint.sha256)

    def prepare(self, samples: np.ndarray, rate: int, seconds: float | None) -> np.ndarray:
        """Resampled channels ``(channels, samples)``.

        av-benchmark embeds the whole file whatever length is scored elsewhere: pass ``seconds=None`` to
        compare with it. With a number, the sound is cut so that picture and sound cover the same seconds.
        """
        waveform = torch.as_tensor(np.atleast_2d(samples), dtype=torch.float32)
        waveform = resample(waveform, rate, self.sample_rate)
        if seconds is not None:
            wanted = int(self.sample_rate * seconds)
            if waveform.shape[1] < wanted:
                raise ClipError("short", f"sound has {waveform.shape[1]} samples at 16 kHz, {wanted} are scored")
            waveform = waveform[:, :wanted]
        return waveform.numpy()

    @torch.inference_mode()
    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings ``(clips, 1024)`` of sounds ``(samples,)`` or ``(channels, samples)``, of any lengths."""
        if len(batch) == 0:
            raise InputError("the batch has no clips")
        waveforms = [torch.as_tensor(np.atleast_2d(clip), dtype=torch.float32) for clip in batch]
        if not all(waveform.isfinite().all() for waveform in waveforms):
            raise InputError("sound has samples that are not finite")
        mels = torch.stack([imagebind_log_mels(waveform) for waveform in waveforms])
        embeddings = self.network(mels.flatten(0, 1).to(self.network.cls_token.device))
        return embeddings.unflatten(0, mels.shape[:2]).mean(1).cpu().numpy()
