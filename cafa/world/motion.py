"""Motion of a clip's actor: what approach, contact and recoil look like over all frames."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Motion:
    """Event and feint times turned into curves over the frames, all (frames,) float64.

    Attributes
    ----------
    time : numpy.ndarray
        Presentation times, seconds.
    reach : numpy.ndarray
        Position on the way to contact: 0 at rest, below 0 in wind-up, exactly 1 at an event's instant,
        at most `feint_reach` in a feint.
    since : numpy.ndarray
        Seconds since the latest event; a large number before the first.
    until : numpy.ndarray
        Seconds to the next event; a large number after the last.
    level : numpy.ndarray
        Level of the latest event; 0 before the first.
    done : numpy.ndarray
        How many events there have been.
    toward : numpy.ndarray
        Signed seconds to the nearest event or feint, negative before it.
    feint : numpy.ndarray of bool
        The nearest of these is a feint.
    effect : float
        Strength of what is seen after contact.
    """

    time: np.ndarray
    reach: np.ndarray
    since: np.ndarray
    until: np.ndarray
    level: np.ndarray
    done: np.ndarray
    toward: np.ndarray
    feint: np.ndarray
    effect: float

    def after(self, seconds: float) -> np.ndarray:
        """Mask of the frames less than `seconds` after an event."""
        return self.since < seconds

    def decay(self, seconds: float) -> np.ndarray:
        """Jump to the event's level times `effect` at an event, then exponential decay with this constant."""
        return self.effect * self.level * np.exp(-np.minimum(self.since / seconds, 60.0))

    def hold(self, seconds: float, attack: float = 0.05) -> np.ndarray:
        """Rise within `attack` after an event, stay, fall to 0 at `seconds`; up to 1 (a mouth that opens)."""
        rise = np.clip(self.since / attack, 0.0, 1.0)
        fall = np.clip((seconds - self.since) / (0.4 * seconds), 0.0, 1.0)
        return rise * fall * (0.6 + 0.4 * self.level)


def stroke(delta: np.ndarray, approach: float, recoil: float, windup: float) -> np.ndarray:
    """Curve of one movement to contact and back.

    Parameters
    ----------
    delta : numpy.ndarray
        Seconds from contact.
    approach : float
        Duration of wind-up and swing together, seconds.
    recoil : float
        Duration of the way back, seconds.
    windup : float
        How far back it goes first.

    Returns
    -------
    numpy.ndarray
        0 outside (-approach, recoil), 1 at 0, down to ``-windup`` on the way.
    """
    back = np.clip((delta + approach) / (0.55 * approach), 0.0, 1.0)
    swing = np.clip((delta + 0.45 * approach) / (0.45 * approach), 0.0, 1.0)
    before = -windup * np.sin(0.5 * np.pi * back) + (1.0 + windup) * swing**1.6
    away = np.clip(delta / recoil, 0.0, 1.0)
    after = 0.5 * (1.0 + np.cos(np.pi * away**0.7))
    return np.where(delta < 0, before * (delta > -approach), after)


def motion_of(
    time: np.ndarray,
    events: np.ndarray,
    levels: np.ndarray,
    feints: np.ndarray,
    feint_reach: np.ndarray,
    approach: float,
    recoil: float,
    windup: float,
    effect: float,
) -> Motion:
    """Make the curves of a clip.

    Parameters
    ----------
    time : numpy.ndarray
        (frames,) presentation times, seconds.
    events, levels : numpy.ndarray
        (events,) times in seconds, ascending, and levels.
    feints, feint_reach : numpy.ndarray
        (feints,) times in seconds, and how far each gets.
    approach, recoil, windup : float
        Of :func:`stroke`; approach and recoil below the least gap keep ``reach == 1`` at events.
    effect : float
        Passed on.
    """
    reach = np.zeros_like(time)
    for at, height in [*((e, 1.0) for e in events), *zip(feints, feint_reach, strict=True)]:
        reach += height * stroke(time - at, approach, recoil, windup)
    count = np.searchsorted(events, time + 1e-9, side="right")
    latest = np.maximum(count - 1, 0)
    started = count > 0
    marks = np.concatenate([events, feints])
    delta = time[:, None] - marks[None, :]
    nearest = np.abs(delta).argmin(axis=1)
    return Motion(
        time=time,
        reach=reach,
        since=np.where(started, time - events[latest], 1e3),
        until=np.append(events, 1e3 + time[-1])[count] - time,
        level=np.where(started, levels[latest], 0.0),
        done=count.astype(np.float64),
        toward=delta[np.arange(len(time)), nearest],
        feint=nearest >= len(events),
        effect=effect,
    )
