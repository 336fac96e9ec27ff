"""Writing a clip as mp4: H.264 and AAC, the same bytes for the same input."""

from pathlib import Path

import av
import cv2
import numpy as np

from cafa.common.files import atomic_write

#: x264 settings: one thread for equal bytes, a fast preset since thousands of clips are written.
X264 = {"preset": "ultrafast", "crf": "27", "threads": "1", "flags": "+bitexact"}
#: AAC settings; the fast coder is indistinguishable here and costs a third.
AAC = {"aac_coder": "fast", "flags": "+bitexact"}
#: Bits per second of the sound: generous, the miniature is not about coding artefacts.
AUDIO_BIT_RATE = 64_000
#: FFmpeg's number for ITU-R BT.601 (625 lines), which is what OpenCV converts to.
_BT601 = 5


def _yuv_frame(frame: np.ndarray) -> av.VideoFrame:
    # OpenCV converts far faster than swscale here, and filling the planes is faster than from_ndarray.
    height, width = frame.shape[:2]
    flat = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).reshape(-1)
    picture = av.VideoFrame(width, height, "yuv420p")
    start = 0
    for plane in picture.planes:
        data = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]  # PyAV's planes are buffers
        rows = data.reshape(plane.height, plane.line_size)
        stop = start + plane.height * plane.width
        rows[:, : plane.width] = flat[start:stop].reshape(plane.height, plane.width)
        start = stop
    return picture


def write_mp4(path: str | Path, frames: np.ndarray, sound: np.ndarray, rate: int, sample_rate: int) -> None:
    """Write pictures and sound that start together; the file appears whole or not at all.

    Parameters
    ----------
    path : str or pathlib.Path
        File to write.
    frames : numpy.ndarray
        (frames, height, width, 3) uint8 RGB; even height and width.
    sound : numpy.ndarray
        (samples,) float32 in [-1, 1], mono.
    rate, sample_rate : int
        Frames and samples per second.
    """
    options = {"fflags": "+bitexact"}
    with atomic_write(path) as temporary, av.open(str(temporary), "w", format="mp4", options=options) as file:
        video = file.add_stream("libx264", rate=rate, options=X264)
        video.height, video.width, video.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        video.codec_context.colorspace = _BT601
        audio = file.add_stream("aac", rate=sample_rate, layout="mono", options=AAC)
        audio.bit_rate = AUDIO_BIT_RATE
        for frame in frames:
            file.mux(video.encode(_yuv_frame(frame)))
        file.mux(video.encode(None))
        samples = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None], np.float32), "fltp", "mono")
        samples.sample_rate, samples.pts = sample_rate, 0
        file.mux(audio.encode(samples))
        file.mux(audio.encode(None))
