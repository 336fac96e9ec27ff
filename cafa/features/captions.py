"""Text states of captions, by the miniature's encoder or by that of a registered backbone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cafa.common.devices import torch_threads
from cafa.common.errors import InputError
from cafa.common.tables import row_tuples
from cafa.data.manifest import read_manifest
from cafa.data.prompts import read_prompts
from cafa.data.wording import worded
from cafa.features.text import write_text_features
from cafa.models.encoders.miniature_text import TextSettings


@dataclass(frozen=True)
class Captions:
    """Captions of manifests and prompt sets, of one shard.

    Parameters
    ----------
    manifests, prompts : sequence of path
    shard : (int, int)
        Number and count: captions are dealt by the hash of their text.
    wordings : sequence of str
        Wordings of rows of the prompt sets that systems are told in place of the captions, or beside them, as
        ``The sound of {label}``; the empty one is no text.
    """

    manifests: Sequence[str | Path] = ()
    prompts: Sequence[str | Path] = ()
    shard: tuple[int, int] = (0, 1)
    wordings: Sequence[str] = ()

    def all(self) -> list[str]:
        """Captions of all shards, some of them several times."""
        captions = [caption for path in self.manifests for caption in read_manifest(path)["caption"]]
        for path in self.prompts:
            prompts = read_prompts(path)
            captions += list(prompts["caption"])
            captions += [worded(wording, row) for wording in self.wordings for row in row_tuples(prompts)]
        return captions


def encode_captions(
    captions: Captions,
    settings: TextSettings | None,
    model: str | Path | None,
    output: str | Path,
    *,
    batch_size: int = 32,
    device: str = "cpu",
    threads: int = 1,
) -> str:
    """Write the text states of all different captions of a shard.

    Parameters
    ----------
    captions : Captions
    settings : TextSettings or None
        The miniature's encoder; or
    model : path or None
        Folder of a registered backbone: its text encoder.
    output : path
        Feature file to write.
    batch_size : int
        Captions per pass of a pretrained encoder.
    device : str
    threads : int
        Threads of a pretrained encoder on a processor.

    Returns
    -------
    str
        How many captions there are.

    Raises
    ------
    InputError
        If both `settings` and `model` are given, or neither.
    """
    if settings is not None and model is None:
        count = write_text_features(output, captions.all(), settings, shard=captions.shard)
    elif model is not None and settings is None:
        with torch_threads(threads):  # not around the miniature's encoder: importing torch takes longer than its work
            count = _by_backbone(captions, model, output, batch_size, device)
    else:
        raise InputError("give either --settings (the miniature's encoder) or --model (a registered backbone)")
    return f"{count} captions"


def _by_backbone(captions: Captions, model: str | Path, output: str | Path, batch_size: int, device: str) -> int:
    from cafa.features.text_states import write_text_states
    from cafa.models.registry import open_text, read_card

    card, encoder = read_card(model), open_text(model, device)
    return write_text_states(
        output,
        captions.all(),
        encoder,
        card["encoders"]["text"],
        tuple(card["facts"]["text_shape"]),
        shard=captions.shard,
        batch_size=batch_size,
    )
