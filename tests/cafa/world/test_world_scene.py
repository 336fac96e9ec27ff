"""Pictures of the rendered world: determinism, motion at events, feints without contact."""

import numpy as np
import pytest

from cafa.common.errors import InputError
from cafa.world.categories import CATEGORIES, captions_of
from cafa.world.categories import caption as draw_caption
from cafa.world.difficulty import Difficulty
from cafa.world.events import COUNT, MARGINS, MIN_GAP, draw_event_times, draw_timeline, spread
from cafa.world.looks import LOOKS
from cafa.world.scene import draw_scene, motion_of_scene, render_frames

#: Nothing moves but the actor.
CALM = Difficulty(
    grain=(0.0, 0.0),
    shake=(0.0, 0.0),
    bumps_max=0,
    flicker=(0.0, 0.0),
    shadows_max=0,
    distractors_max=0,
    feints_max=0,
    contrast=(1.0, 1.0),
    effect=(1.0, 1.0),
    level=(1.0, 1.0),
)


def test_every_category_has_a_look():
    assert tuple(LOOKS) == CATEGORIES


@pytest.mark.parametrize("category", CATEGORIES)
def test_frames_are_a_function_of_the_generator_and_move_at_events(category):
    scene = draw_scene(category, np.random.default_rng(4), CALM)
    frames = render_frames(scene)
    assert frames.shape == (80, 128, 128, 3)
    assert frames.dtype == np.uint8
    again = draw_scene(category, np.random.default_rng(4), CALM)
    assert np.array_equal(frames, render_frames(again))
    changed = np.abs(np.diff(frames.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))
    at_events = [changed[int(np.ceil(time * 25 - 1e-9)) - 1] for time in scene.event_times]
    assert min(at_events) > 0.1, "something visibly moves at every event"


def test_difficulty_adds_what_it_says():
    calm = render_frames(draw_scene("dog barking", np.random.default_rng(0), CALM)).astype(np.int16)
    default = render_frames(draw_scene("dog barking", np.random.default_rng(0))).astype(np.int16)
    # Before its first motion the calm scene stands still; the default one never does.
    assert np.abs(np.diff(calm, axis=0)).max(axis=(1, 2, 3)).min() == 0
    assert np.abs(np.diff(default, axis=0)).max(axis=(1, 2, 3)).min() > 0


def test_reach_is_contact_at_events_and_less_in_feints():
    contact = 0
    for seed in range(40):
        scene = draw_scene("chopping wood", np.random.default_rng(seed))
        motion = motion_of_scene(scene)
        assert motion.reach.max() <= 1.0 + 1e-6
        for time in scene.feint_times:
            near = np.abs(motion.time - time) < 0.06
            assert motion.reach[near].max() <= max(scene.feint_reach) + 0.05
            assert motion.reach[near].max() > 0.3
        for time in scene.event_times:
            frame = int(np.ceil(time * 25 - 1e-9))
            assert motion.reach[frame] > 0.75
            assert motion.since[frame] < 0.04 + 1e-9
            contact += 1
    assert contact > 80


def test_event_times_follow_the_law():
    rng = np.random.default_rng(0)
    drawn = [draw_event_times(rng, 3.2) for _ in range(400)]
    assert {len(times) for times in drawn} == set(range(COUNT[0], COUNT[1] + 1))
    assert min(np.diff(times).min() for times in drawn) >= MIN_GAP - 1e-9
    everything = np.concatenate(drawn)
    assert everything.min() >= MARGINS[0]
    assert everything.max() <= 3.2 - MARGINS[1]
    # The edges of the window are used as well as its middle.
    share = np.histogram(everything, bins=4, range=(MARGINS[0], 3.2 - MARGINS[1]))[0] / len(everything)
    assert share.min() > 0.18


def test_feints_do_not_change_the_law_of_events():
    for seed in range(30):
        plain = draw_event_times(np.random.default_rng(seed), 3.2)
        events, feints = draw_timeline(np.random.default_rng(seed), 3.2, 2)
        assert np.array_equal(plain, events)
        assert len(feints) <= 2


def test_too_many_events_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        spread(9, 3.2, np.random.default_rng(0))


def test_unknown_category_is_refused():
    with pytest.raises(InputError, match="unknown category"):
        draw_scene("cat meowing", np.random.default_rng(0))


def test_captions_name_their_category_and_no_other():
    words = {c: {w for text in captions_of(c) for w in text.split()} for c in CATEGORIES}
    for category in CATEGORIES:
        others = set().union(*(words[c] for c in CATEGORIES if c != category))
        captions = captions_of(category)
        assert len(captions) == len(set(captions)) >= 18
        for text in captions:
            assert set(text.split()) - others, f"{text!r} holds no word of its own"


def test_captions_are_drawn_from_all():
    rng = np.random.default_rng(0)
    assert {draw_caption("dog barking", rng) for _ in range(500)} == set(captions_of("dog barking"))
