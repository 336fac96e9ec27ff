"""The look of every category: what stands still and what moves, as shapes over all frames.

A look is a function of the clip's motion and its paint. It gives two lists: shapes that stand still (drawn once,
with the background) and shapes that move (drawn in every frame, in their order).
"""

from collections.abc import Callable

from cafa.world.categories import check_category
from cafa.world.looks_eating import people_eating_apple, people_eating_crisps
from cafa.world.looks_mouths import dog_barking, lions_roaring, people_sneezing
from cafa.world.looks_sports import playing_badminton, playing_tennis, skateboarding, striking_bowling
from cafa.world.looks_tools import Layers, chopping_wood, hammering_nails, ice_cracking
from cafa.world.motion import Motion
from cafa.world.paint import Paint

#: Category to its look.
LOOKS: dict[str, Callable[[Motion, Paint], Layers]] = {
    "chopping wood": chopping_wood,
    "dog barking": dog_barking,
    "hammering nails": hammering_nails,
    "ice cracking": ice_cracking,
    "lions roaring": lions_roaring,
    "people eating apple": people_eating_apple,
    "people eating crisps": people_eating_crisps,
    "people sneezing": people_sneezing,
    "playing badminton": playing_badminton,
    "playing tennis": playing_tennis,
    "skateboarding": skateboarding,
    "striking bowling": striking_bowling,
}


def look_of(category: str) -> Callable[[Motion, Paint], Layers]:
    """Look of `category`, one of :data:`cafa.world.categories.CATEGORIES`."""
    return LOOKS[check_category(category)]
