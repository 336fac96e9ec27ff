"""ImageBind: pictures and sounds in one space."""

from collections.abc import Sequence
from fractions import Fraction
from typing import ClassVar

from cafa.common.errors import InputError
from metrics.encoders.imagebind.encoders import ImageBindAudioEncoder, ImageBindVisionEncoder, load_imagebind
from metrics.encoders.imagebind.network import PAIR
from metrics.judges.published_judge import JudgeFiles, PublishedJudge

WEIGHTS = "imagebind_huge"
FRAME_RATE = Fraction(1, 2)


class ImageBindJudge(PublishedJudge):
    """Embeddings of sounds and of pictures, of which it takes a frame every two seconds."""

    frame_rate: ClassVar[Fraction | None] = FRAME_RATE
    fewest_frames: ClassVar[int] = PAIR
    takes_whole_files: ClassVar[bool] = True

    def __init__(self, audio: ImageBindAudioEncoder | None, video: ImageBindVisionEncoder | None, sha256: str) -> None:
        super().__init__(audio, sha256)
        self.video_encoder = video

    def frames(self, seconds: float) -> int:
        """See :class:`PublishedJudge`."""
        return int(FRAME_RATE * Fraction(seconds))

    def check_length(self, seconds: float) -> None:
        """See :class:`PublishedJudge`."""
        if self.frames(seconds) < PAIR:
            raise InputError(f"IB needs at least {PAIR / FRAME_RATE} s (two frames), got {seconds:g} s")


def open_imagebind(files: JudgeFiles, parts: Sequence[str]) -> ImageBindJudge:
    """Load the published networks of `parts`."""
    checkpoint = load_imagebind(files.paths[WEIGHTS], files.sources[WEIGHTS], unverified=files.unverified)
    audio = ImageBindAudioEncoder.from_checkpoint(checkpoint, **files.of_network) if "audio" in parts else None
    video = ImageBindVisionEncoder.from_checkpoint(checkpoint, **files.of_network) if "video" in parts else None
    return ImageBindJudge(audio, video, checkpoint.sha256)
