"""When things happen: the law of event times, the same for pictures, sounds and the shuffled control."""

import numpy as np

#: Events per clip, both ends included.
COUNT = (2, 4)
#: Least time between two events (and between an event and a feint), seconds.
MIN_GAP = 0.4
#: Free time before the first and after the last event, seconds: the contact is seen, its sound is heard.
MARGINS = (0.08, 0.2)


def spread(count: int, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` times in the window, uniform among all sets of times that keep the least gap.

    Parameters
    ----------
    count : int
        How many.
    seconds : float
        Length of the clip.
    rng : numpy.random.Generator
        Source of the draw.

    Returns
    -------
    numpy.ndarray
        (count,) float64 seconds, ascending.

    Raises
    ------
    ValueError
        The window is too short for so many times.
    """
    slack = seconds - sum(MARGINS) - MIN_GAP * (count - 1)
    if slack < 0:
        raise ValueError(f"{count} events do not fit in {seconds} s with gaps of {MIN_GAP} s")
    return MARGINS[0] + np.sort(rng.uniform(0.0, slack, count)) + MIN_GAP * np.arange(count)


def draw_event_times(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Draw the times of a clip's events.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the draw.
    seconds : float
        Length of the clip.

    Returns
    -------
    numpy.ndarray
        (events,) float64 seconds, ascending, two to four of them at least :data:`MIN_GAP` apart.
    """
    return spread(int(rng.integers(COUNT[0], COUNT[1] + 1)), seconds, rng)


def draw_timeline(rng: np.random.Generator, seconds: float, feints_max: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw event times and the times of feints among them.

    Event times follow the law of :func:`draw_event_times` exactly; feints are then put where there is room,
    so that they tell nothing about the events that the gaps do not tell already.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the draw.
    seconds : float
        Length of the clip.
    feints_max : int
        Most feints; their number is uniform from zero to this, less where there is no room.

    Returns
    -------
    events, feints : numpy.ndarray
        float64 seconds, ascending, all at least :data:`MIN_GAP` from one another.
    """
    events = draw_event_times(rng, seconds)
    feints: list[float] = []
    for _ in range(int(rng.integers(0, feints_max + 1))):
        for time in rng.uniform(MARGINS[0], seconds - MARGINS[1], 20):
            if np.abs(np.concatenate([events, feints]) - time).min() >= MIN_GAP:
                feints.append(float(time))
                break
    return events, np.sort(np.asarray(feints, dtype=np.float64))
