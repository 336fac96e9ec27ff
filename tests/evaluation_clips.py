"""Small real files, and judges that answer at once, for tests of the evaluation."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from cafa.media.usable_sound import check_samples, finding_of, over_full_scale
from metrics.judges.interface import Columns, PreparedAudio
from metrics.judges.media import decode_whole_sound, fill_up
from tests.written_video import write_video_of

RATE = 16000


def sound_of(number: int, seconds: float, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """A tone with noise, different for every number, shape (channels, samples)."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(number).standard_normal((channels, len(time)))
    return 0.3 * np.sin(2 * np.pi * (200 + 90 * number) * time * (1 + 0.1 * number * time)) + 0.05 * noise


def write_wav(path: Path, number: int, seconds: float, rate: int = RATE, channels: int = 1) -> Path:
    """Write sound `number`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound_of(number, seconds, rate, channels).T, rate, subtype="PCM_16")
    return path


def write_video(path: Path, number: int, seconds: float, *, sound: bool = True, rate: int = 25) -> Path:
    """Write a picture of 64x48 whose brightness changes, and sound `number`."""
    path.parent.mkdir(parents=True, exist_ok=True)

    def pictures() -> Iterator[np.ndarray]:
        for index in range(round(seconds * rate)):
            picture = np.full((48, 64, 3), (40 + 7 * index * (number + 1)) % 200, np.uint8)
            picture[:, : (index * 3) % 64] = 230
            yield picture

    heard = (sound_of(number, seconds), RATE) if sound else None
    return write_video_of(path, pictures(), rate, heard, {"preset": "ultrafast"})


@dataclass(frozen=True)
class Identity:
    """SHA-256 of a judge's weights."""

    weights_sha256: str


class QuickPanel:
    """Judges made of sums: what they say depends on every sample, and costs nothing."""

    kind = "real"
    reported_classes: Mapping[str, int] = {"Speech": 0}

    def __init__(self, judges: Collection[str] = ("classifier",), seconds: float = 0.5, stop_after: int = -1) -> None:
        self.judges = {name: Identity(str(number) * 64) for number, name in enumerate(sorted(judges))}
        self.seconds, self.settings, self.audio_protocol = seconds, {"seconds": seconds}, {"seconds": seconds}
        self.needs_video = bool({"imagebind", "synchformer"} & set(judges))
        self.stop_after, self.opened = stop_after, 0
        verdict = {"measures": {}, "good": True}
        self.check = {
            "judges": {n: {"weights_sha256": j.weights_sha256, **verdict} for n, j in self.judges.items()},
            "good": True,
        }
        self._matrix = np.random.default_rng(5).standard_normal((64, 12))

    def _answer(self, values: np.ndarray) -> np.ndarray:
        return (np.log1p(100 * np.abs(values)) @ self._matrix).astype(np.float32)

    def facts(self, judge: str) -> Mapping[str, Any]:
        known: dict[str, Any] = {
            "classifier": {"leaks": self.reported_classes},
            "synchformer": {"grid": [-0.2, 0.0, 0.2]},
        }
        return known.get(judge, {})

    def decode_video(self, path: Path, start: float = 0.0) -> np.ndarray:
        assert start == 0, "an evaluation scores clips from their beginning"
        return np.frombuffer(path.read_bytes(), np.uint8)

    def embed_video(self, data: np.ndarray) -> Columns:
        return {"imagebind_video": self._answer(np.resize(data, 64) / 255.0)}

    def prepare_audio(self, path: Path, judges: Collection[str]) -> PreparedAudio:
        if self.opened == self.stop_after:
            raise KeyboardInterrupt
        self.opened += 1
        samples, rate = decode_whole_sound(path)
        judged = samples[:, : round(self.seconds * rate)]
        check_samples(judged, rate, path.name)
        finding, over = finding_of(judged), over_full_scale(judged)
        samples = fill_up(judged, rate, self.seconds).mean(0)
        spectrum = np.abs(np.fft.rfft(samples[: int(self.seconds * rate)], 4096))[:2048]
        return PreparedAudio({"bands": spectrum.reshape(64, -1).mean(1)}, rate, "", finding, over)

    def embed_audio(
        self, sounds: Sequence[PreparedAudio], video: Sequence[Columns], judges: Collection[str]
    ) -> dict[str, Columns]:
        answers = np.stack([self._answer(one.arrays["bands"]) for one in sounds])
        columns = {
            "classifier": {"embedding": answers, "logits": 0.1 * answers[:, ::-1]},
            "clap": {"embedding": answers},
            "imagebind": {"embedding": answers},
            "synchformer": {"logits_first": answers[:, :3], "logits_last": answers[:, 3:6]},
        }
        return {judge: columns[judge] for judge in judges}

    def embed_text(self, captions: Sequence[str], judge: str = "clap") -> np.ndarray:
        return np.stack([self._answer(np.resize(list(text.encode()), 64) / 100.0) for text in captions])
