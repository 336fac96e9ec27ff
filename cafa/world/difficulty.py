"""How hard the rendered world is, as numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Difficulty:
    """Strength of everything that stands between a model and the times of the events.

    Ranges are drawn uniformly per clip. Lengths are in half frame widths unless said otherwise,
    levels in grey values of 255, times in seconds.

    Attributes
    ----------
    scale : tuple of float
        Size of the actor.
    tilt : float
        Largest rotation of the actor, degrees either way.
    offset : float
        Largest displacement of the actor from the centre.
    hue : float
        Jitter of the actor's colours, grey values per channel.
    contrast : tuple of float
        Contrast of the whole picture about mid grey; 1 keeps the palette.
    brightness : float
        Largest shift of the whole picture, grey values.
    grain : tuple of float
        Standard deviation of the sensor noise, grey values.
    texture : tuple of float
        Standard deviation of the background's texture, grey values.
    shake : tuple of float
        Standard deviation of the camera's slow drift, pixels.
    bumps_max : int
        Most knocks of the camera in a clip; they coincide with no event except by chance.
    bump : tuple of float
        Displacement of one knock, pixels.
    flicker : tuple of float
        Standard deviation of the slow change of light, grey values.
    shadows_max : int
        Most sudden changes of light in a clip, at times of their own.
    shadow : tuple of float
        Size of a sudden change of light, grey values.
    distractors_max : int
        Most silent moving objects in a clip (at least one where this is above zero).
    distractor_size : tuple of float
        Radius of such an object.
    distractor_speed : tuple of float
        Its speed, half frame widths per second.
    feints_max : int
        Most silent movements that start like an event and make no contact.
    feint_reach : tuple of float
        How far a feint gets on the way to contact; 1 would be contact.
    effect : tuple of float
        Strength of what is seen after contact: splinters, spray, falling pins.
    level : tuple of float
        Loudness of an event relative to a full one; its visible effect follows.
    noise_db : tuple of float
        Level of the room's noise below a full event, decibels.
    pitch : float
        Largest pitch deviation per clip, as a fraction.
    """

    scale: tuple[float, float] = (0.62, 0.95)
    tilt: float = 14.0
    offset: float = 0.18
    hue: float = 26.0
    contrast: tuple[float, float] = (0.45, 1.0)
    brightness: float = 28.0
    grain: tuple[float, float] = (2.0, 6.0)
    texture: tuple[float, float] = (6.0, 22.0)
    shake: tuple[float, float] = (0.2, 1.5)
    bumps_max: int = 2
    bump: tuple[float, float] = (1.5, 4.0)
    flicker: tuple[float, float] = (0.5, 4.0)
    shadows_max: int = 1
    shadow: tuple[float, float] = (4.0, 14.0)
    distractors_max: int = 2
    distractor_size: tuple[float, float] = (0.10, 0.24)
    distractor_speed: tuple[float, float] = (0.3, 1.5)
    feints_max: int = 2
    feint_reach: tuple[float, float] = (0.55, 0.8)
    effect: tuple[float, float] = (0.35, 1.0)
    level: tuple[float, float] = (0.5, 1.0)
    noise_db: tuple[float, float] = (46.0, 60.0)
    pitch: float = 0.15
