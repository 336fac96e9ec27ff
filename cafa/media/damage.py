"""Tolerated damage: what a few lost packets take of a video, counted, up to a stated share."""

from dataclasses import dataclass

from cafa.common.errors import ClipError

#: Share of a window's frames, and of its sound, that may be lost to damage: five frames of ten seconds.
DAMAGED_SHARE = 0.02


@dataclass
class Damage:
    """What could not be decoded of one stream, from the window's start to where reading stopped.

    Attributes
    ----------
    lost : int
        Frames (pictures, or pieces of sound) that gave nothing; a damaged key frame takes all up to the next one along.
    lost_ticks : int
        How long these last, in units of the stream's time base.
    after : int
        Pictures between a damaged one and the next key frame: they build on what is missing, as in every player.
    before_key : int
        Pictures before the first key frame, where a file was cut anywhere: nothing can be made of them.
    decoded : int
        Frames that were decoded.
    why : str
        What the decoder said of the first damage, and where.
    """

    lost: int = 0
    lost_ticks: int = 0
    after: int = 0
    before_key: int = 0
    decoded: int = 0
    why: str = ""

    @property
    def share(self) -> float:
        """Lost frames among all, from 0 to 1."""
        return self.lost / max(self.lost + self.decoded, 1)

    def reset(self) -> None:
        """Forget all: the stream is read again from its begin."""
        vars(self).update(vars(Damage()))

    def check(self, allowed: float, kind: str) -> None:
        """Refuse a stream that lost more than `allowed`.

        Raises
        ------
        ClipError
            ``corrupt``, with the figure.
        """
        if self.share > allowed:
            raise ClipError(
                "corrupt",
                f"{self.lost} of {self.lost + self.decoded} frames of the {kind} stream are damaged ({self.share:.1%}, "
                f"at most {allowed:.1%} may be); the first: {self.why}",
            )
