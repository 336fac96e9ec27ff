"""PaSST, VGGish, Microsoft's CLAP, Audiobox-Aesthetics: equal to the packages, and wrong front ends are seen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
import torch

from metrics.encoders import audio, passt, spectral, vggish
from metrics.encoders.audiobox import network as audiobox
from metrics.encoders.ms_clap import encoders as ms_clap
from metrics.parity.check import check_evaluators

INPUTS = ("mult", "input_ids", "logmel_shape", "logmel_sub")


def small(golden: Path, folder: Path, stem: str) -> Path:
    """The file with the answers of the small network only."""
    arrays = dict(np.load(golden / f"{stem}.npz"))
    kept = {name: value for name, value in arrays.items() if name.startswith("small_") or name in INPUTS}
    assert any(name.startswith("small_") for name in kept)
    np.savez(folder / f"{stem}.npz", **kept)
    return folder


def failed(folder: Path, stem: str) -> set[str]:
    rows = list(check_evaluators(folder, [stem]))
    assert any(row.max_abs_difference is not None for row in rows)
    return {row.name.removeprefix(f"{stem}/") for row in rows if not row.ok}


def test_vggish_equals_torchvggish(golden: Path):
    assert failed(golden, "vggish") == set()


@pytest.mark.parametrize("stem", ["passt", "ms_clap", "audiobox"])
def test_small_networks_equal_those_of_the_packages(golden: Path, tmp_path: Path, stem: str):
    assert failed(small(golden, tmp_path, stem), stem) == set()


@pytest.mark.slow
@pytest.mark.parametrize("stem", ["passt", "ms_clap", "audiobox"])
def test_networks_of_published_size_equal_those_of_the_packages(golden: Path, stem: str):
    assert failed(golden, stem) == set()


def with_scale(scale: str) -> Callable[..., torch.Tensor]:
    def filters(rate: int, n_fft: int, bins: int, low: float, high: float, _: str, norm: str | None = None):
        return spectral.mel_filters(rate, n_fft, bins, low, high, scale, norm)

    return filters


def other_resampler(waveform: torch.Tensor, rate: int, target: int) -> torch.Tensor:
    return torch.from_numpy(soxr.resample(waveform.numpy().T, rate, target).T)


def without_mask(original: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    return lambda self, sound, heard: original(self, sound, torch.ones_like(heard))


@pytest.mark.parametrize(
    ("stem", "place", "name", "wrong"),
    [
        pytest.param("passt", passt, "mel_filters", with_scale("htk"), id="passt: triangles straight in hertz"),
        pytest.param("passt", passt, "_HIGHEST", 16000.0, id="passt: filters up to Nyquist"),
        pytest.param(
            "passt", passt, "log_mel", lambda sound, right=passt.log_mel: right(sound) * 5 - 4.5, id="passt: no norm"
        ),
        pytest.param("vggish", vggish, "mel_filters", with_scale("slaney"), id="vggish: Slaney's scale"),
        pytest.param(
            "vggish",
            vggish,
            "log_mel_pieces",
            lambda sound, right=vggish.log_mel_pieces: 2 * right(sound),
            id="vggish: power",
        ),
        pytest.param("ms_clap", ms_clap, "fit_length", lambda sound: sound, id="ms_clap: not repeated"),
        pytest.param("ms_clap", audio, "resample", other_resampler, id="ms_clap: another resampler"),
        pytest.param(
            "audiobox",
            audiobox.Aesthetics,
            "_layers",
            without_mask(audiobox.Aesthetics._layers),
            id="audiobox: silence that was filled in is heard",
        ),
        pytest.param("audiobox", audio, "resample", other_resampler, id="audiobox: another resampler"),
    ],
)
def test_a_wrong_front_end_is_seen(
    golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stem: str, place: Any, name: str, wrong: Any
):
    folder = golden if stem == "vggish" else small(golden, tmp_path, stem)
    monkeypatch.setattr(place, name, wrong)
    answers = {found for found in failed(folder, stem) if not found.startswith("logmel")}
    assert answers  # the embedding, not only the log-mel, is beyond its tolerance


def test_filters_for_the_rate_of_the_sound_are_seen_in_the_embedding(
    golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # The published tables are for 32 kHz, though sound comes at 44.1 kHz.
    monkeypatch.setattr(ms_clap, "_TABLE_RATE", 44100)
    assert failed(small(golden, tmp_path, "ms_clap"), "ms_clap") == {"small_audio_embed_5s", "small_audio_embed_7s"}
