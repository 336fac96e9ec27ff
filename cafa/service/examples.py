"""Videos to try the page with: clips of the rendered world, drawn when they are wanted, free of anybody's rights."""

from pathlib import Path

from cafa.world.clips import clip_id_of, render_clip

#: category of the picture, and what it should sound like: its own sound, and one that it never made
EXAMPLES = (
    ("dog barking", "a dog barking"),
    ("dog barking", "a lion that roars"),
    ("hammering nails", "hammering nails"),
    ("skateboarding", "somebody eating crisps"),
)


def rendered_examples(folder: Path) -> list[list[str]]:
    """Path of a video and a prompt of every example; renders what is not there.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for category, prompt in EXAMPLES:
        path = folder / f"{category.replace(' ', '_')}.mp4"
        if not path.is_file():
            render_clip(clip_id_of("example", category, 0), 0, path)
        rows.append([str(path), prompt])
    return rows
