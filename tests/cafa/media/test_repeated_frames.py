"""A packet of no bytes says that the frame before it is shown again."""

import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from cafa.media.container import open_media
from cafa.media.normalise import NormaliseSettings, normalise_clip

FRAMES, STILL = 50, range(20, 50)


def test_theora_of_a_picture_that_stands_still(tmp_path: Path) -> None:
    path = tmp_path / "still.ogv"
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg here: it encodes the Theora that PyAV only decodes")
    still = f"color=0x205080:s=96x64:r=25:d={FRAMES / 25},drawbox=w=8:h=8:t=fill:enable='lt(n,{STILL[0]})*mod(n,2)'"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", still, "-c:v", "libtheora", path], check=True)
    with av.open(str(path)) as container:
        sizes = [packet.size for packet in container.demux(video=0) if packet.pts is not None]
    assert sizes.count(0) >= len(STILL) - 8
    with open_media(path) as media:
        times = [float(time * media.stream("video").time_base) for _, time in media.frames(media.stream("video"), 0)]
    assert np.allclose(times, np.arange(len(sizes)) / 25)
    facts = normalise_clip(
        path, start=0, duration=None, settings=NormaliseSettings(), video_output=tmp_path / "o.mp4", sound_output=None
    )
    assert facts["frames"] == len(sizes)
    assert facts["held_frames"] == 0
