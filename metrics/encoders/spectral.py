"""Log-mel front ends of the judges, each as its judge defines it.

Mel filters come from `transformers.audio_utils.mel_filter_bank`; what differs between the judges is the
scale, the area norm, the window and what is done at the edges.
"""

import warnings
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from cafa.common.errors import ClipError


@lru_cache(maxsize=8)
def mel_filters(
    sample_rate: int, n_fft: int, bins: int, low: float, high: float, scale: str, norm: str | None = None
) -> Tensor:
    """Triangular mel filters as float32 ``(n_fft // 2 + 1, bins)``.

    Parameters
    ----------
    sample_rate, low, high
        Hertz.
    scale
        ``"slaney"`` (librosa), ``"htk"`` (torchaudio) or ``"kaldi"``, whose triangles are straight on the
        mel axis instead of the frequency axis.
    norm
        ``"slaney"`` gives every filter the same area; None a peak of 1.
    """
    from transformers.audio_utils import mel_filter_bank

    with warnings.catch_warnings():
        # 128 filters on 257 frequencies leave the lowest ones empty; the published features do too.
        warnings.filterwarnings("ignore", message="At least one mel filter has all zero values")
        filters = mel_filter_bank(
            num_frequency_bins=n_fft // 2 + 1,
            num_mel_filters=bins,
            min_frequency=low,
            max_frequency=high,
            sampling_rate=sample_rate,
            norm=norm,
            mel_scale=scale,
            triangularize_in_mel_space=scale == "kaldi",
        )
    return torch.from_numpy(filters).float()


def synchformer_log_mel(segments: Tensor) -> Tensor:
    """Log-mel of Synchformer's audio encoder, computed on every segment by itself.

    Power spectrogram of centred 400-sample Hann frames every 160 samples (FFT 1024, reflected edges), 128
    HTK filters without norm, ``log(x + 1e-6)``, one frame of zeros appended (65 to 66), then
    ``(x + 4.2677393) / (2 * 4.5689974)``: the appended frame becomes 0.467, not silence.

    Parameters
    ----------
    segments
        Mono at 16 kHz, ``(..., 10240)``.

    Returns
    -------
    Tensor
        ``(..., 128, 66)``.
    """
    spectrum = torch.stft(
        segments.flatten(0, -2),
        n_fft=1024,
        hop_length=160,
        win_length=400,
        window=torch.hann_window(400, device=segments.device),
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )
    power = spectrum.abs().square()
    mel = power.mT @ mel_filters(16000, 1024, 128, 0.0, 8000.0, "htk").to(power)
    log_mel = functional.pad(torch.log(mel.mT + 1e-6), (0, 66 - mel.shape[-2]))
    return ((log_mel + 4.2677393) / (2 * 4.5689974)).unflatten(0, segments.shape[:-1])


def kaldi_log_mel(waveform: Tensor, bins: int = 128) -> Tensor:
    """Kaldi's filter-bank features with its defaults, a Hann window and no dither, at 16 kHz.

    Frames of 400 samples every 160, whole frames only. In every frame: mean removed, pre-emphasis 0.97
    (the first sample emphasised against itself), symmetric Hann window, power of a 512-point FFT, mel
    filters from 20 Hz to 8 kHz, natural logarithm with the floor at float32's epsilon.

    Parameters
    ----------
    waveform
        Mono, ``(..., samples)``, at least 400 samples.
    bins
        Mel filters.

    Returns
    -------
    Tensor
        ``(..., 1 + (samples - 400) // 160, bins)``.

    Raises
    ------
    ClipError
        Reason ``short`` if there is no whole frame.
    """
    if waveform.shape[-1] < 400:
        raise ClipError("short", f"sound has {waveform.shape[-1]} samples at 16 kHz, one frame needs 400")
    frames = waveform.unfold(-1, 400, 160)
    frames = frames - frames.mean(-1, keepdim=True)
    before = torch.cat((frames[..., :1], frames[..., :-1]), dim=-1)
    window = torch.hann_window(400, periodic=False, device=waveform.device)
    power = torch.fft.rfft((frames - 0.97 * before) * window, n=512).abs().square()
    mel = power @ mel_filters(16000, 512, bins, 20.0, 8000.0, "kaldi").to(power)
    return torch.log(mel.clamp(min=torch.finfo(torch.float32).eps))


class TableLogMel(nn.Module):
    """Log-mel from tables that a checkpoint carries: STFT kernels and a mel matrix.

    PANNs and LAION-CLAP keep their front end among their weights, so it cannot drift from the one that
    the network was trained on. Names below are the published ones.

    Parameters
    ----------
    window
        Samples of a frame and of the FFT.
    hop
        Samples from frame to frame.
    bins
        Mel filters.
    """

    def __init__(self, window: int, hop: int, bins: int):
        super().__init__()
        self.edge = window // 2
        kernels = {part: nn.Conv1d(1, self.edge + 1, window, hop, bias=False) for part in ("conv_real", "conv_imag")}
        self.spectrogram_extractor = nn.ModuleDict({"stft": nn.ModuleDict(kernels)})
        self.logmel_extractor = nn.ParameterDict({"melW": nn.Parameter(torch.empty(self.edge + 1, bins))})

    def forward(self, waveforms: Tensor) -> Tensor:
        """Decibels (floor -100, no ceiling) of centred frames with reflected edges.

        Parameters
        ----------
        waveforms
            ``(clips, samples)``, more than half a window.

        Returns
        -------
        Tensor
            ``(clips, 1 + samples // hop, bins)``.
        """
        padded = functional.pad(waveforms[:, None], (self.edge, self.edge), mode="reflect")
        stft = self.spectrogram_extractor["stft"]
        assert isinstance(stft, nn.ModuleDict)
        power = stft["conv_real"](padded).square() + stft["conv_imag"](padded).square()
        return 10 * torch.log10((power.mT @ self.logmel_extractor["melW"]).clamp(min=1e-10))


def log_mel_tables(sample_rate: int, window: int, bins: int, low: float, high: float) -> dict[str, Tensor]:
    """The tables of `TableLogMel` as the published front ends construct them.

    Real and imaginary DFT kernels ``(window // 2 + 1, 1, window)`` times a periodic Hann window, and the
    mel matrix (Slaney scale and norm, ``low`` to ``high`` Hz).
    """
    time = torch.arange(window, dtype=torch.float64)
    angle = 2 * torch.pi * ((torch.arange(window // 2 + 1)[:, None] * time) % window) / window
    hann = torch.hann_window(window, dtype=torch.float64)
    return {
        "spectrogram_extractor.stft.conv_real.weight": (angle.cos() * hann).float()[:, None],
        "spectrogram_extractor.stft.conv_imag.weight": (-angle.sin() * hann).float()[:, None],
        "logmel_extractor.melW": mel_filters(sample_rate, window, bins, low, high, "slaney", "slaney"),
    }
