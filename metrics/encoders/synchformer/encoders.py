"""Synchformer as a judge: DeSync, the offset in seconds between picture and sound.

Three parts that share one checkpoint: an encoder of the video, an encoder of the sound, and the offset
head that reads both. Features may be stored between the two steps, so the video of a data set is encoded
once for all systems.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from cafa.common.devices import sent
from cafa.common.errors import ClipError
from cafa.media.crops import centre_crop
from cafa.models.encoders.synchformer_network import (
    DESYNC_STRIDE,
    FRAME_RATE,
    FRAME_SIZE,
    SEGMENT_FRAMES,
    SynchformerVisual,
    normalise_frames,
    take_segments,
)
from cafa.models.weights import Checkpoint, WeightSource, load_checkpoint
from metrics.encoders.audio import prepare_waveform, stack_mono
from metrics.encoders.frames import resize_short_side, stack_equal, to_frames
from metrics.encoders.synchformer.audio_network import (
    SAMPLE_RATE,
    SEGMENT_SAMPLES,
    SynchformerAudio,
    take_audio_segments,
)
from metrics.encoders.synchformer.offset_network import SynchformerOffset


def load_synchformer(
    path: Path, source: WeightSource, *, key: str | None = None, unverified: bool = False
) -> Checkpoint:
    """Read a Synchformer checkpoint once, for `from_checkpoint` of the three parts.

    The file that MMAudio publishes is flat; Synchformer's own keeps its state dict under ``key="model"``.
    """
    return load_checkpoint(path, source, key=key, unverified=unverified)


class SynchformerVideoEncoder:
    """Frames at 25 per second to features of the visual tower, before ``vproj``."""

    name = "synchformer_video"
    sample_rate = None
    frame_rate = FRAME_RATE

    def __init__(self, network: SynchformerVisual, weights_sha256: str):
        self.network = network
        self.weights_sha256 = weights_sha256

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, *, device: torch.device | str = "cpu", **sizes: int
    ) -> "SynchformerVideoEncoder":
        """Build the part from a loaded checkpoint; `sizes` where they are not the published ones."""
        return cls(SynchformerVisual.from_tensors(checkpoint.tensors, device=device, **sizes), checkpoint.sha256)

    @torch.inference_mode()
    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Features ``(clips, segments, 8, 768)`` of uint8 RGB clips ``(frames, height, width, 3)``.

        Short side to 224 (bicubic, antialiased, uint8), centre crop, values to [-1, 1], segments of 16
        frames every 8.

        Raises
        ------
        ClipError
            Reason ``short`` if there are fewer than 16 frames.
        """
        # A device gets each frame once, in bytes: segments share frames, and floats are four times as long.
        clips = sent(stack_equal([synchformer_frames(clip) for clip in batch]), self.network.vproj.weight.device)
        return self.network(take_segments(normalise_frames(clips), DESYNC_STRIDE)).cpu().numpy()


def synchformer_frames(clip: np.ndarray) -> torch.Tensor:
    """Frames ``(frames, 3, 224, 224)``, uint8, of one uint8 clip ``(frames, h, w, 3)``."""
    frames = to_frames(clip)
    if len(frames) < SEGMENT_FRAMES:
        raise ClipError("short", f"clip has {len(frames)} frames, a segment needs {SEGMENT_FRAMES}")
    return centre_crop(resize_short_side(frames, FRAME_SIZE), FRAME_SIZE)


class SynchformerAudioEncoder:
    """Sound at 16 kHz to features of the audio tower, before ``aproj``."""

    name = "synchformer_audio"
    sample_rate = SAMPLE_RATE
    frame_rate = None

    def __init__(self, network: SynchformerAudio, weights_sha256: str):
        self.network = network
        self.weights_sha256 = weights_sha256

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, *, device: torch.device | str = "cpu", **sizes: int
    ) -> "SynchformerAudioEncoder":
        """Build the part from a loaded checkpoint; `sizes` where they are not the published ones."""
        return cls(SynchformerAudio.from_tensors(checkpoint.tensors, device=device, **sizes), checkpoint.sha256)

    def prepare(self, samples: np.ndarray, rate: int, seconds: float | None) -> np.ndarray:
        """Channel mean, resampled, cut to exactly ``seconds``; the mean of the file is left in."""
        return prepare_waveform(samples, rate, self.sample_rate, seconds=seconds)

    @torch.inference_mode()
    def embed(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Features ``(clips, segments, 6, 768)`` of clips of one length at 16 kHz."""
        waveforms = stack_mono(batch, SEGMENT_SAMPLES)
        device = self.network.afeat_extractor.freq_attn_agg.cls_token.device
        return self.network(take_audio_segments(waveforms).to(device)).cpu().numpy()


class SynchformerJudge:
    """Offset logits from stored features of both towers."""

    name = "synchformer_offset"

    def __init__(self, network: SynchformerOffset, weights_sha256: str):
        self.network = network
        self.weights_sha256 = weights_sha256

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, *, device: torch.device | str = "cpu", **sizes: int
    ) -> "SynchformerJudge":
        """Build the part from a loaded checkpoint; `sizes` where they are not the published ones."""
        return cls(SynchformerOffset.from_tensors(checkpoint.tensors, device=device, **sizes), checkpoint.sha256)

    @torch.inference_mode()
    def window_logits(self, video: np.ndarray, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits ``(clips, 21)`` of the first and of the last 14 segments.

        Parameters
        ----------
        video, audio
            Features of the two encoders: ``(clips, segments, 8, 768)`` and ``(clips, segments, 6, 768)``,
            float16 or float32.
        """
        device = self.network.vproj.weight.device
        pair = (torch.as_tensor(part, dtype=torch.float32, device=device) for part in (video, audio))
        first, last = self.network.window_logits(*pair)
        return first.cpu().numpy(), last.cpu().numpy()
