"""Sound on its way to a judge: channels, sample rate, length, and batches of equal clips.

The published evaluators resample with torchaudio's default windowed sinc, so that filter is written here
(torchaudio itself is not needed): a Hann-windowed sinc of six zero crossings, cut at 0.99 of the lower
Nyquist frequency.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cafa.common.errors import ClipError, InputError

_ZERO_CROSSINGS = 6
_ROLLOFF = 0.99
#: Output phases whose filters are applied together: of so many neighbours the taps that are not zero overlap well.
_TOGETHER = 32


def resample(waveform: Tensor, rate: int, target_rate: int) -> Tensor:
    """Resample along the last axis.

    Parameters
    ----------
    waveform
        Float, ``(..., samples)``.
    rate, target_rate
        Hertz, positive whole numbers.

    Returns
    -------
    Tensor
        ``(..., ceil(samples * target_rate / rate))``; the input itself where the rates are equal.
    """
    if min(rate, target_rate) < 1:
        raise InputError(f"sample rates must be positive, got {rate} and {target_rate}")
    divisor = math.gcd(rate, target_rate)
    old, new = rate // divisor, target_rate // divisor
    if old == new:
        return waveform
    kernel, reach = _sinc_kernel(old, new)
    flat = waveform.reshape(-1, waveform.shape[-1])
    padded = functional.pad(flat, (reach, reach + old))
    if new <= _TOGETHER:
        phases = functional.conv1d(padded[:, None], kernel[:, None].to(waveform), stride=old).transpose(1, 2)
    else:
        phases = torch.stack([_in_bands(signal, kernel.shape[1], old, new) for signal in padded])
    samples = math.ceil(new * waveform.shape[-1] / old)
    return phases.flatten(1)[:, :samples].view(*waveform.shape[:-1], samples)


def _in_bands(padded: Tensor, taps: int, old: int, new: int) -> Tensor:
    """Output phases ``(steps, new)`` of one padded signal ``(samples,)``, whose whole filters have so many `taps`."""
    steps = (len(padded) - taps) // old + 1
    phases = padded.new_empty(steps, new)
    for first, begin, filters in _bands(old, new):
        windows = padded[begin:].as_strided((steps, len(filters)), (old, 1))  # a view: nothing is copied
        phases[:, first : first + filters.shape[1]] = windows @ filters.to(padded)
    return phases


@lru_cache(maxsize=16)
def _bands(old: int, new: int) -> list[tuple[int, int, Tensor]]:
    """Filters of neighbouring output phases without the taps that are zero in all of them.

    From 44.1 to 16 kHz a filter has 475 taps, of which 34 are not zero. Zeros add nothing to a sum: from two seconds
    on, where BLAS sums in one order whatever the length, every bit is that of the whole filters.

    Returns
    -------
    list of (int, int, Tensor)
        First phase, first tap, filters ``(taps, phases)``.
    """
    bands = []
    for first, filters in zip(range(0, new, _TOGETHER), _sinc_kernel(old, new)[0].split(_TOGETHER), strict=True):
        used = filters.any(0).nonzero().flatten().tolist()
        bands.append((first, used[0], filters[:, used[0] : used[-1] + 1].T.contiguous()))
    return bands


@lru_cache(maxsize=16)
def _sinc_kernel(old: int, new: int) -> tuple[Tensor, int]:
    """Filters ``(new, taps)``, one per output phase, and the taps before time 0; rates in lowest terms."""
    cutoff = min(old, new) * _ROLLOFF
    reach = math.ceil(_ZERO_CROSSINGS * old / cutoff)
    taps = torch.arange(-reach, reach + old, dtype=torch.float64) / old
    # The phase is rounded to float32 before it meets the float64 taps, as in torchaudio.
    phase = (torch.arange(0, -new, -1, dtype=torch.float32) / new).double()
    crossings = ((phase[:, None] + taps) * cutoff).clamp(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = torch.cos(crossings * math.pi / (2 * _ZERO_CROSSINGS)) ** 2
    kernel = torch.sinc(crossings) * window * (cutoff / old)
    return kernel.float(), reach


def prepare_waveform(
    samples: np.ndarray,
    rate: int,
    target_rate: int,
    *,
    seconds: float | None = None,
    remove_mean: bool = False,
) -> np.ndarray:
    """Channel mean, then DC removal, then resampling, then cutting: the order of av-benchmark.

    Parameters
    ----------
    samples
        ``(samples,)`` or ``(channels, samples)``.
    rate, target_rate
        Hertz.
    seconds
        Keep the first ``int(target_rate * seconds)`` samples; None keeps all. Nothing is padded.
    remove_mean
        Subtract the mean of the whole file, before resampling.

    Returns
    -------
    numpy.ndarray
        float32 ``(samples,)``.

    Raises
    ------
    ClipError
        Reason ``short`` if fewer samples than asked for are there.
    """
    waveform = torch.as_tensor(np.atleast_2d(samples), dtype=torch.float32).mean(0)
    if remove_mean:
        waveform = waveform - waveform.mean()
    waveform = resample(waveform, rate, target_rate)
    if seconds is not None:
        wanted = int(target_rate * seconds)
        if len(waveform) < wanted:
            raise ClipError("short", f"sound has {len(waveform)} samples at {target_rate} Hz, {wanted} are scored")
        waveform = waveform[:wanted]
    return waveform.numpy()


def stack_mono(batch: Sequence[np.ndarray], least: int) -> Tensor:
    """Mono float32 batch ``(clips, samples)``; channels are averaged.

    Parameters
    ----------
    batch
        Clips ``(samples,)`` or ``(channels, samples)``, all of one length.
    least
        Fewest samples that the judge can read.

    Raises
    ------
    InputError
        If the batch is empty, lengths differ, or a value is not finite.
    ClipError
        Reason ``short`` if there are fewer than ``least`` samples.
    """
    if len(batch) == 0:
        raise InputError("the batch has no clips")
    clips = [torch.as_tensor(np.atleast_2d(clip), dtype=torch.float32).mean(0) for clip in batch]
    lengths = sorted({len(clip) for clip in clips})
    if len(lengths) > 1:
        raise InputError(f"clips of one batch must have one length, found {lengths} samples")
    if lengths[0] < least:
        raise ClipError("short", f"sound has {lengths[0]} samples, this judge needs at least {least}")
    waveforms = torch.stack(clips)
    if not waveforms.isfinite().all():
        raise InputError("sound has samples that are not finite")
    return waveforms
