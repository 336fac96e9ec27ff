"""The twelve categories of the rendered world, and how captions speak of them."""

import numpy as np

from cafa.common.errors import InputError

#: Category (a class of VGGSound-Sparse) to the phrases that captions use for it.
#: Every phrase holds a word that no other category's phrases hold, so any caption names its category.
PHRASES: dict[str, tuple[str, ...]] = {
    "chopping wood": ("chopping wood", "an axe splitting a log", "a man chopping firewood"),
    "dog barking": ("a dog barking", "a barking dog", "a dog that barks"),
    "hammering nails": ("hammering nails", "a hammer driving nails", "nails being hammered into a plank"),
    "ice cracking": ("ice cracking", "a sheet of ice that cracks", "cracking lake ice"),
    "lions roaring": ("lions roaring", "a lion that roars", "a roaring lion"),
    "people eating apple": ("people eating an apple", "a person biting an apple", "somebody eating an apple"),
    "people eating crisps": ("people eating crisps", "a person crunching crisps", "somebody eating crisps"),
    "people sneezing": ("people sneezing", "a person who sneezes", "somebody sneezing"),
    "playing badminton": ("playing badminton", "a badminton racket and a shuttlecock", "a game of badminton"),
    "playing tennis": ("playing tennis", "a tennis racket and a ball", "a game of tennis"),
    "skateboarding": ("skateboarding", "a skateboard landing on concrete", "somebody skateboarding"),
    "striking bowling": ("striking bowling pins", "a bowling ball and falling pins", "a strike at bowling"),
}

#: Names of the categories in their fixed order.
CATEGORIES: tuple[str, ...] = tuple(PHRASES)

#: Sentences around a phrase; shared by all categories, so that they say nothing about which one it is.
TEMPLATES: tuple[str, ...] = (
    "{phrase}",
    "the sound of {phrase}",
    "{phrase} in a quiet room",
    "a recording of {phrase}",
    "{phrase} close to the microphone",
    "{phrase} with faint noise behind",
    "one can hear {phrase}",
    "sounds of {phrase} now and then",
)


def check_category(category: str) -> str:
    """Return `category`, or raise :class:`~cafa.common.errors.InputError` where it is none of :data:`CATEGORIES`."""
    if category not in PHRASES:
        raise InputError(f"unknown category {category!r}: use one of {', '.join(CATEGORIES)}")
    return category


def slug_of(category: str) -> str:
    """Category as it stands in a clip_id: ``"dog barking"`` becomes ``"dog-barking"``."""
    return check_category(category).replace(" ", "-")


def captions_of(category: str) -> list[str]:
    """Every caption that the world can give to a clip of `category`, in a fixed order."""
    phrases = PHRASES[check_category(category)]
    return [template.format(phrase=phrase) for template in TEMPLATES for phrase in phrases]


def caption(category: str, rng: np.random.Generator) -> str:
    """Draw a caption of `category`.

    Parameters
    ----------
    category : str
        One of :data:`CATEGORIES`.
    rng : numpy.random.Generator
        Source of the draw; one integer is taken from it.

    Returns
    -------
    str
        One of :func:`captions_of`.
    """
    captions = captions_of(category)
    return captions[int(rng.integers(len(captions)))]
