"""Text states of captions by a pretrained text encoder, per shard of captions."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cafa.common.folder_lock import only_writer_of
from cafa.common.progress import progress
from cafa.common.stages import stage_version
from cafa.features.partial_output import EncodedClip, ResumableWriter
from cafa.features.store import FeatureFormat
from cafa.features.text import captions_of_shard
from cafa.models.interface import TextEncoder

KIND = "text"


def write_text_states(
    path: str | Path,
    captions: Iterable[str],
    text: TextEncoder,
    identity: dict[str, Any],
    shape: tuple[int, int],
    *,
    shard: tuple[int, int] = (0, 1),
    batch_size: int = 32,
) -> int:
    """Write the states of all different captions of a shard, float16; returns their number.

    Zeros at padded positions are not stored: captions have some 20 of 128 tokens, and the 91,000 of VisualSound would
    fill 18 GB. A killed job continues where it was.

    Parameters
    ----------
    path : path
        Feature file to write.
    captions : iterable of str
        Of all shards.
    text : TextEncoder
    identity : dict
        What the features are stamped with.
    shape : (int, int)
        Length and width of the states.
    shard : (int, int)
        Number and count: captions are dealt by the hash of their :func:`~cafa.features.text.text_id`.
    batch_size : int
        Captions per pass. The last pass is filled up, so that all have the same size, and a caption's bits do not
        depend on how many others there are.
    """
    path = Path(path)
    mine = captions_of_shard(captions, shard)
    form = FeatureFormat(KIND, shape, "float16", identity, trimmed=True, code=stage_version("encode_text"))
    with only_writer_of([path]), ResumableWriter(path, {KIND: form}) as unfinished:
        left = [key for key in mine if unfinished.status(key, {KIND: None}) is None]
        groups = [left[start : start + batch_size] for start in range(0, len(left), batch_size)]
        for group in progress(groups, f"features {KIND}", len(groups)):
            batch = [mine[key] for key in group]
            states = text.encode(batch + [""] * (batch_size - len(batch))).cpu().numpy()
            unfinished.add(
                [
                    EncodedClip(key, {KIND: None}, rows={KIND: form.pack(key, array)})
                    for key, array in zip(group, states, strict=False)
                ]
            )
        unfinished.write({KIND: path}, list(mine))
        unfinished.close(remove=True)
    return len(mine)
