import numpy as np
import pytest
import torch

from cafa.common.errors import ClipError
from cafa.models.weights import load_strict
from metrics.encoders.spectral import TableLogMel, kaldi_log_mel, log_mel_tables, mel_filters, synchformer_log_mel
from metrics.judges.synthetic_signals import wave

PADDING = 4.2677393 / (2 * 4.5689974)


def test_synchformer_appends_a_frame_that_is_not_silence():
    segments = torch.from_numpy(wave(0, 16000, 1.28)).view(1, 2, 10240)
    mel = synchformer_log_mel(segments)
    assert mel.shape == (1, 2, 128, 66)
    assert torch.allclose(mel[..., 65], torch.tensor(PADDING))
    assert not torch.allclose(mel[..., 64], torch.tensor(PADDING), atol=0.05)


def test_synchformer_segments_are_transformed_each_by_itself():
    segments = torch.from_numpy(wave(2, 16000, 1.28)).view(2, 10240)
    torch.testing.assert_close(synchformer_log_mel(segments)[1], synchformer_log_mel(segments[1:])[0])


def test_silence_has_a_floor():
    assert torch.isfinite(synchformer_log_mel(torch.zeros(1, 10240))).all()
    floor = float(np.log(np.finfo(np.float32).eps))
    assert torch.allclose(kaldi_log_mel(torch.zeros(800)), torch.tensor(floor))


def test_kaldi_frames_are_whole_frames_and_ignore_a_constant():
    sound = torch.from_numpy(wave(0, 16000, 0.2))
    assert kaldi_log_mel(sound[: 399 + 160]).shape == (1, 128)
    assert kaldi_log_mel(sound[: 400 + 160]).shape == (2, 128)
    torch.testing.assert_close(kaldi_log_mel(sound + 0.3), kaldi_log_mel(sound), atol=2e-3, rtol=0)
    with pytest.raises(ClipError, match="one frame needs 400"):
        kaldi_log_mel(sound[:399])


def test_table_log_mel_equals_an_fft():
    """Oracle: numpy's FFT of windowed, reflected frames."""
    tables = log_mel_tables(16000, 512, 64, 50.0, 8000.0)
    with torch.device("meta"):
        layer = TableLogMel(512, 160, 64)
    load_strict(layer, tables)
    sound = wave(2, 16000, 0.3)
    padded = np.pad(sound.astype(np.float64), 256, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 512)[::160]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    mel = power @ tables["logmel_extractor.melW"].double().numpy()
    expected = 10 * np.log10(np.maximum(mel, 1e-10))
    np.testing.assert_allclose(layer(torch.from_numpy(sound)[None])[0].numpy(), expected, atol=1e-3)


def test_mel_filters_keep_to_their_range():
    filters = mel_filters(16000, 512, 64, 50.0, 4000.0, "slaney", "slaney")
    frequencies = np.linspace(0, 8000, 257)
    assert filters[frequencies > 4000].abs().max() == 0
    assert filters[frequencies < 50].abs().max() == 0
