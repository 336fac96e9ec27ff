"""A short video, and tiny models that the tests of the service share."""

from pathlib import Path

import av
import numpy as np
import pytest

from tests.tiny_pretrained import REAL, make_registered, make_trained_adapter


def write_video(path: Path, seconds: float = 1.0, size: tuple[int, int] = (64, 48), sound: bool = False) -> Path:
    """Moving bars at 25 frames per second, with a tone of 0.5 at 1 kHz where sound is wanted."""
    with av.open(str(path), "w") as output:
        picture = output.add_stream("libx264", rate=25)
        picture.width, picture.height, picture.pix_fmt = *size, "yuv420p"
        tone = output.add_stream("aac", rate=48000) if sound else None
        for number in range(round(seconds * 25)):
            bars = 120 + 100 * np.sin(np.arange(size[0]) / 5 + number / 3)
            image = np.repeat(np.tile(bars, (size[1], 1)).astype(np.uint8)[..., None], 3, axis=2)
            output.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(picture.encode())
        if tone is not None:
            time = np.arange(round(seconds * 48000)) / 48000
            samples = (0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.sample_rate = 48000
            output.mux(tone.encode(frame))
            output.mux(tone.encode())
    return path


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "bars.mp4", sound=True)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nobody writes there."""
    models = make_registered(tmp_path_factory.mktemp("service_models"), REAL)
    make_trained_adapter(models, "adapter", latents=216)
    return models
