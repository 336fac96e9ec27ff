"""Files of pretrained judges: published names and layouts, weights by rule, tiny unless other sizes are given.

    python -m tests.tiny_judges FOLDER

writes them with ``settings.json``, the settings of ``cafa judges register``. They judge nothing; every line of the path
is the one that published weights take.
"""

import csv
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cafa.common.files import sha256_file
from cafa.models.encoders.synchformer_network import SynchformerVisual
from cafa.models.weights import COLUMNS, read_weight_sources
from metrics.encoders.clap.encoders import ClapNetwork, clap_config, front_end_tables
from metrics.encoders.clap.tokenizer import UNRELATED, load_tokenizer, tokenise
from metrics.encoders.imagebind.network import ImageBindAudio, ImageBindVision
from metrics.encoders.panns import Cnn14
from metrics.encoders.panns import front_end_tables as panns_tables
from metrics.encoders.synchformer.audio_network import SynchformerAudio
from metrics.encoders.synchformer.offset_network import SynchformerOffset
from metrics.judge_quality.published import PARAPHRASES
from metrics.judges.published_files import weights_path
from metrics.parity.weights import deterministic_tensors, fill
from tests.published_forms import save_clap, save_flat, save_panns

#: Words of the known sentences: RoBERTa's ids and the merges that build them, letter by letter.
WORDS = {"a": 102, "Ġdog": 2335, "Hello": 31414, ",": 6, "Ġmy": 127, "Ġis": 16, "Ġcute": 11962}
NARROW = {"width": 24, "depth": 1, "heads": 3}
SIZES: dict[str, dict[str, Any]] = {
    "classifier": {"channels": [1, 4, 4, 8, 8, 16, 16]},
    "clap": {
        "text": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32},
        "audio": {
            "patch_embeds_hidden_size": 8,
            "hidden_size": 64,
            "depths": [1] * 4,
            "num_attention_heads": [1, 2, 4, 8],
        },
    },
    "imagebind": {**NARROW, "embedding": 16},
    "synchformer": NARROW,
}
#: Judge -> arguments of its networks that are not the published ones.
Sizes = Mapping[str, Mapping[str, Any]]
#: From our names in transformers' model to LAION's.
TO_LAION = (
    (r"^audio_model\.audio_encoder\.batch_norm\.", "audio_branch.bn0."),
    (r"^audio_model\.audio_encoder\.", "audio_branch."),
    (r"^text_model\.", "text_branch."),
    (r"_projection\.linear1\.", "_projection.0."),
    (r"_projection\.linear2\.", "_projection.2."),
    (r"(\.blocks\.\d+)\.layernorm_before\.", r"\1.norm1."),
    (r"(\.blocks\.\d+)\.layernorm_after\.", r"\1.norm2."),
    (r"(\.blocks\.\d+)\.attention\.output\.dense\.", r"\1.attn.proj."),
    (r"(\.blocks\.\d+)\.attention\.self\.", r"\1.attn."),
    (r"(\.blocks\.\d+)\.intermediate\.dense\.", r"\1.mlp.fc1."),
    (r"(\.blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
)


def write_tokenizer(folder: Path) -> tuple[Path, Path]:
    """A tokenizer that knows the known sentences as roberta-base does, in roberta-base's files."""
    vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, **WORDS, "<mask>": 50264}
    merges, free = [], 40000
    for word in WORDS:
        for end in range(2, len(word) + 1):
            merges.append(f"{word[: end - 1]} {word[end - 1]}")
    letters = sorted({letter for word in WORDS for letter in word} | set("abcdefghijklmnopqrstuvwxyzĠ"))
    for piece in [*letters, *("".join(merge.split(" ")) for merge in merges)]:
        if piece not in vocab:
            vocab[piece], free = free, free + 1
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    return folder / "vocab.json", folder / "merges.txt"


def make_panns(file: Path, sizes: Sizes = SIZES, clips_per_class: int = 5) -> None:
    """Cnn14 at 16 kHz; `clips_per_class`: indexes of AudioSet's clips in the state of its sampler."""
    with torch.device("meta"):
        named = Cnn14(16000, **sizes.get("classifier", {})).state_dict()
    shapes = {name.removeprefix("log_mel."): tuple(tensor.shape) for name, tensor in named.items()}
    save_panns(file, deterministic_tensors(shapes, gain=2.0) | panns_tables(16000), clips_per_class)


def clap_network(tokenizer: Any, sizes: Sizes = SIZES) -> ClapNetwork:
    """CLAP whose text tower tells captions apart."""
    network = fill(ClapNetwork(clap_config(**sizes.get("clap", {}))), gain=6.0)
    for name, table in front_end_tables().items():
        network.get_parameter(f"log_mel.{name.removeprefix('audio_branch.')}").data.copy_(table)
    seen: list[Tensor] = []
    hook = network.model.text_projection.register_forward_hook(lambda module, inputs, output: seen.append(output))
    network.embed_text(*tokenise(tokenizer, [*UNRELATED, *(words for pair in PARAPHRASES for words in pair)]))
    hook.remove()
    # Weights by formula put all captions on one side; a tower that tells them apart is what the judge demands.
    network.model.text_projection.linear2.bias.data -= seen[0].mean(0)
    return network


def laion_names(network: ClapNetwork) -> dict[str, Tensor]:
    """State dict under the names of the published checkpoint."""
    tensors = network.state_dict()
    published: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith("log_mel."):
            published["audio_branch." + name.removeprefix("log_mel.")] = tensor
            continue
        new = name.removeprefix("model.")
        if new.startswith("text_model.embeddings.") and new.endswith(("position_ids", "token_type_ids")):
            continue
        for pattern, replacement in TO_LAION:
            new = re.sub(pattern, replacement, new)
        if ".attn.query." in new:
            thirds = [tensors[name.replace(".query.", f".{part}.")] for part in ("query", "key", "value")]
            published[new.replace(".query.", ".qkv.")] = torch.cat(thirds)
        elif ".attn.key." not in new and ".attn.value." not in new:
            published[new] = tensor
    return published


def imagebind_names(sizes: Sizes = SIZES) -> dict[str, Tensor]:
    """Both towers under the names of the published checkpoint."""
    published: dict[str, Tensor] = {}
    for tower in (ImageBindVision, ImageBindAudio):
        network = fill(tower(**sizes.get("imagebind", {})), gain=2.0)
        back = sorted(((ours, theirs) for theirs, ours in tower.renames().items()), key=lambda pair: -len(pair[0]))
        for name, tensor in network.state_dict().items():
            ours, theirs = next(pair for pair in back if name.startswith(pair[0]))
            published[theirs + name.removeprefix(ours)] = tensor
    return published


def write_table(folder: Path, digests: bool = True) -> Path:
    """The project's table of weights with the SHA-256 of the files in a folder, or with none."""
    table = folder / "weights.tsv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, (*COLUMNS, "path"), delimiter="\t", lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for source in read_weight_sources().values():
            file = weights_path(folder, source)
            known = digests and file.is_file()
            facts = (
                {"sha256": sha256_file(file), "bytes": file.stat().st_size} if known else {"sha256": "", "bytes": ""}
            )
            writer.writerow(asdict(source) | facts)
    return table


def write_weights(folder: Path, sizes: Sizes = SIZES) -> None:
    """Write the files of the paper's judges; without `sizes`, at their published ones."""
    folder.mkdir(parents=True, exist_ok=True)
    make_panns(folder / "Cnn14_16k_mAP=0.438.pth", sizes)
    network = clap_network(load_tokenizer(*write_tokenizer(folder)), sizes)
    save_clap(folder / "music_speech_audioset_epoch_15_esc_89.98.pt", laion_names(network))
    save_flat(folder / "imagebind_huge.pth", imagebind_names(sizes))
    narrow = sizes.get("synchformer", {})
    parts = [fill(part(**narrow), gain=2.0) for part in (SynchformerVisual, SynchformerAudio, SynchformerOffset)]
    synchformer = {name: tensor for part in parts for name, tensor in part.state_dict().items()}
    save_flat(folder / "synchformer_state_dict.pth", synchformer)


def make_weights(folder: Path) -> dict[str, Any]:
    """Write all files, tiny, and the table of their digests.

    Returns
    -------
    dict
        Settings of ``cafa judges register``.
    """
    write_weights(folder)
    return {"weights": str(folder.absolute()), "table": str(write_table(folder).absolute()), "sizes": SIZES}


if __name__ == "__main__":
    settings = make_weights(Path(sys.argv[1]))
    (Path(sys.argv[1]) / "settings.json").write_text(json.dumps(settings) + "\n")
