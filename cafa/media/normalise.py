"""Normalising: from a window of any file to one picture and one sound file that agree in time."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from cafa.common.errors import ClipError
from cafa.common.files import atomic_write, sha256_file
from cafa.media import FRAME_RATE, frame_count
from cafa.media.container import Media, open_media
from cafa.media.damage import DAMAGED_SHARE
from cafa.media.picture import Picture, PictureSettings, write_picture
from cafa.media.sound import ENOUGH, Sound, decode_sound, write_lossless
from cafa.media.usable_sound import check_samples

#: The last frame may be this many frames early: containers round the ends of their streams.
FRAMES_MISSING = 2
#: Seconds by which a stream may end before what its headers promise: the last frames of codecs, rounded lengths.
SLACK = 0.1
#: Of a frame: so much may a length miss a whole number of frames by floating-point arithmetic.
ROUNDING = 1e-6


class NormaliseSettings(PictureSettings):
    """How clips are normalised."""

    minimum_seconds: float = Field(0.5, gt=0, description="shorter clips are refused")
    at_least_seconds: float | None = Field(
        None,
        gt=0,
        description="a clip that ends earlier than was asked for is kept with its own length where its picture and its "
        "sound last this long; null: it is refused unless less than two frames and 2 % of the sound are missing",
    )
    latest_start: float = Field(
        1.0,
        ge=0,
        description="seconds by which picture or sound may begin later than the clip; until then the first "
        "frame is held, or there is silence, as every player does",
    )
    video_track: int | None = Field(
        None, ge=1, description="picture track to take, from 1; null: the one that players take"
    )
    audio_track: int | None = Field(
        None, ge=1, description="sound track to take, from 1; null: the one that players take"
    )
    damaged_share: float = Field(
        DAMAGED_SHARE,
        ge=0,
        le=1,
        description="share of the window's frames, and of its sound, that may be damaged: the frame before stays, or "
        "there is silence; what was lost is in the ledger. Above it the clip is `corrupt`",
    )


def normalise_clip(
    source: str | Path,
    *,
    start: float,
    duration: float | None,
    settings: NormaliseSettings,
    video_output: str | Path,
    sound_output: str | Path | None,
) -> dict[str, Any]:
    """Normalise a window of a file.

    The picture becomes constant 25 frames/s H.264 (yuv420p, closed groups of pictures, no reordering,
    upright, BT.601 limited range); the sound FLAC at its own rate and channels. Time 0 of both is
    `start` seconds after the begin of the file's earliest stream. The same input gives the same bytes.

    Parameters
    ----------
    source : str or Path
        Any media file.
    start : float
        Begin of the window, seconds.
    duration : float, optional
        Seconds; rounded to whole frames. None: all that both picture and sound have. With
        ``settings.at_least_seconds`` the outputs may be shorter: as long as both picture and sound are.
    settings : NormaliseSettings
        Sizes, encoder, limits.
    video_output, sound_output : str or Path
        The mp4 and the FLAC file; they appear whole or not at all. Without `sound_output` the
        source needs no sound.

    Returns
    -------
    dict
        JSON-serialisable facts: what was written and what the source was. ``held_frames``,
        ``picture_delay``, ``sound_delay``, ``gap_samples``, ``padded_samples`` and ``clipped_samples``
        count everything in the outputs that is not the source's; ``missing_seconds``, where there are any, what
        was asked for (without a duration: what the file promises) and is not there. Where a file is damaged,
        ``damaged_frames`` of the source were lost, ``frames_after_damage`` build on them, and ``lost_samples`` of the
        sound are missing; ``frames_before_key`` were left out where it was cut between two key frames.

    Raises
    ------
    ClipError
        ``missing_file``, ``empty_file``, ``not_media``, ``truncated``, ``corrupt``, ``unreadable``,
        ``no_video``, ``no_audio`` or ``short``.
    """
    begin = Fraction(start).limit_denominator(10**6)
    frames = None if duration is None else frame_count(duration)
    asked = {"video": settings.video_track, "audio": settings.audio_track}
    sound = None
    with atomic_write(video_output) as video_file:
        if sound_output is not None:
            # The sound comes first: it is cheap, and the picture must not be longer.
            with open_media(source, asked) as media:
                media.stream("video")  # no picture: say so before decoding
                wanted = None if frames is None else Fraction(frames, FRAME_RATE)
                sound = decode_sound(media, begin, wanted, settings.damaged_share)
                _check_sound(media, sound, begin, wanted, settings)
                check_samples(sound.samples, sound.sample_rate)
        with open_media(source, asked) as media:
            most, hold = _most_frames(sound, frames), 0 if frames is None else FRAMES_MISSING
            picture = write_picture(
                media,
                video_file,
                start=begin,
                frames=most,
                hold=hold,
                settings=settings,
                damaged_share=settings.damaged_share,
            )
            if picture.delay > settings.latest_start:
                raise ClipError("short", f"the picture begins {picture.delay:.3f} s late")
            if frames is None:
                missing = _check_whole(media, picture, begin, sound, settings)
            else:
                missing = _check_picture(media, picture, begin, frames, settings)
            seconds = picture.frames / FRAME_RATE
            if seconds < settings.minimum_seconds:
                raise ClipError("short", f"{seconds:.3f} s, at least {settings.minimum_seconds:.3f} s wanted")
            kinds = ("video", "audio") if sound is not None else ("video",)
            tracks = {f"source_{kind}_track": media.track(kind) for kind in kinds}
        facts = _facts(picture, sound) | {name: taken for name, taken in tracks.items() if taken is not None}
        if missing:
            facts["missing_seconds"] = round(missing, 6)
        if sound is not None and sound_output is not None:
            samples = round(Fraction(picture.frames, FRAME_RATE) * sound.sample_rate)
            facts["padded_samples"] = max(samples - sound.samples.shape[1], 0)
            data = _fit(sound.samples, samples)
            with atomic_write(sound_output) as sound_file:
                facts["clipped_samples"] = write_lossless(sound_file, data, sound.sample_rate)
                facts["sound_sha256"] = sha256_file(sound_file)
        facts["video_sha256"] = sha256_file(video_file)
    return facts


def _check_sound(
    media: Media, sound: Sound, begin: Fraction, wanted: Fraction | None, settings: NormaliseSettings
) -> None:
    """Refuse a sound that begins too late, or ends too early; 2 % of what was asked for may be missing."""
    delay = sound.delay / sound.sample_rate
    if delay > settings.latest_start:
        raise ClipError("short", f"the sound begins {delay:.3f} s late")
    promised = media.promised_end(media.stream("audio"))
    end = float(begin) + sound.seconds
    gap = max(sound.gap - sound.lost, 0) / sound.sample_rate  # what was lost to damage has its own limit
    enough = _is_enough(_frames_with_sound(sound), settings)
    if wanted is None:
        if promised is not None and end < promised - _slack(promised - float(begin)) and not enough:
            raise ClipError("truncated", f"the sound ends at {end:.3f} s, the file promises {promised:.3f} s")
        return
    present, allowed_gap = sound.seconds - gap, (1 - ENOUGH) * wanted
    if present >= ENOUGH * wanted or (enough and gap <= allowed_gap):
        return
    asked = float(begin + wanted)
    message = f"{present:.3f} s of sound up to {end:.3f} s, wanted {float(wanted):.3f} s up to {asked:.3f} s"
    ended = sound.seconds < wanted - Fraction(1, FRAME_RATE)
    raise _ends_early(message, end, promised if ended else None)


def _frames_with_sound(sound: Sound) -> int:
    """Whole frames that the sound lasts."""
    return int(sound.seconds * FRAME_RATE + ROUNDING)


def _most_frames(sound: Sound | None, frames: int | None) -> int | None:
    """Frames that the picture may have: as many as were asked for and the sound lasts, but for a codec's last frame."""
    if sound is None:
        return frames
    if frames is not None and sound.seconds >= ENOUGH * frames / FRAME_RATE:
        return frames
    return _frames_with_sound(sound)


def _is_enough(frames: int, settings: NormaliseSettings) -> bool:
    """Whether a clip of so many frames may be kept though more was asked for."""
    return settings.at_least_seconds is not None and frames >= frame_count(settings.at_least_seconds)


def _ends_early(message: str, end: float, promised: float | None) -> ClipError:
    """``truncated`` where the stream's headers promise more than there was to decode, else ``short``."""
    if promised is not None and promised > end + SLACK:
        return ClipError("truncated", f"{message}; the file promises {promised:.3f} s")
    return ClipError("short", message)


def _check_picture(media: Media, picture: Picture, begin: Fraction, frames: int, settings: NormaliseSettings) -> float:
    """Seconds that were asked for and are missing; refuses a picture that ends too early."""
    missing = (frames - picture.frames) / FRAME_RATE
    if not missing or _is_enough(picture.frames, settings):
        return missing
    end, asked = float(begin) + picture.end, float(begin) + frames / FRAME_RATE
    message = f"the picture ends at {end:.3f} s, wanted up to {asked:.3f} s"
    raise _ends_early(message, end, media.promised_end(media.stream("video")) if picture.ended else None)


def _check_whole(
    media: Media, picture: Picture, begin: Fraction, sound: Sound | None, settings: NormaliseSettings
) -> float:
    """Seconds that only one of picture and sound has, or that the file promises and are not there, where the clip is
    kept without them; refuses a whole file of which too much is missing."""
    streams = ["video"] if sound is None else ["video", "audio"]
    promised = {kind: media.promised_end(media.stream(kind)) for kind in streams}
    ends = [end - float(begin) for end in promised.values() if end is not None]
    if promised["video"] is None and picture.ended:  # nothing is promised: what was read is what there is
        ends.append(picture.end)
    if sound is not None and promised.get("audio") is None:
        ends.append(sound.seconds)
    longest = max([0.0, *ends])
    common = picture.frames / FRAME_RATE
    if common >= longest - _slack(longest):
        return 0.0
    if _is_enough(picture.frames, settings):
        return longest - common
    end = float(begin) + picture.end
    if promised["video"] is not None and end < promised["video"] - _slack(longest) and picture.ended:
        raise ClipError("truncated", f"the picture ends at {end:.3f} s, the file promises {promised['video']:.3f} s")
    sound_note = "no sound was asked for" if sound is None else f"the sound {sound.seconds:.3f} s"
    raise ClipError(
        "short",
        f"picture and sound have {common:.3f} s in common, the file lasts {longest:.3f} s "
        f"(the picture was read for {picture.end:.3f} s, {sound_note}): give a duration",
    )


def _slack(seconds: float) -> float:
    """Seconds by which the end of a whole file may miss what its headers say, or its streams each other."""
    return max((1 - ENOUGH) * seconds, SLACK)


def _fit(samples: np.ndarray, wanted: int) -> np.ndarray:
    """Cut to `wanted` samples, or append silence."""
    return np.pad(samples[:, :wanted], ((0, 0), (0, max(wanted - samples.shape[1], 0))))


def _facts(picture: Picture, sound: Sound | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "seconds": picture.frames / FRAME_RATE,
        "frames": picture.frames,
        "width": picture.width,
        "height": picture.height,
        "held_frames": picture.held,
        "picture_delay": round(picture.delay, 6),
        **{f"source_{name}": value for name, value in picture.source.items()},
    }
    if sound is not None:
        facts |= {
            "sample_rate": sound.sample_rate,
            "channels": sound.samples.shape[0],
            "sound_delay": round(sound.delay / sound.sample_rate, 6),
            "gap_samples": sound.gap,
            "source_sound_codec": sound.codec,
        }
    damage = {
        "damaged_frames": picture.damage.lost,
        "frames_after_damage": picture.damage.after,
        "frames_before_key": picture.damage.before_key,
        "lost_samples": 0 if sound is None else sound.lost,
    }
    return facts | {name: count for name, count in damage.items() if count}
