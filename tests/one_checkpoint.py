"""Stand-ins of the files that `cafa weights get --for generate` fetches: one checkpoint, T5 and Synchformer.

Tensors of the checkpoint are those of the deterministic rule. Full size: the published names and shapes, float32 (about
9.3 GB). Tiny: the sizes of :func:`tests.tiny_pretrained.model_config`.
"""

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderOobleck
from safetensors.torch import save_file
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import T5Config
from transformers import T5EncoderModel as T5

from cafa.common.files import sha256_file
from cafa.common.weight_files import COLUMNS, FETCHING, read_weight_sources
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.encoders.synchformer_network import SynchformerVisual
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.checkpoint_config import STABLE_AUDIO_OPEN_1_0, model_sizes
from cafa.models.stable_audio.checkpoint_names import PublishedWeights, to_published
from cafa.models.stable_audio.denoiser import StableAudioBackbone
from cafa.parity.weights import golden_tensor
from tests.published_forms import save_flat

WORDS = ["a", "dog", "barks", "loud", "music"]


def write_checkpoint(file: Path, config: dict[str, Any], feature_dim: int) -> None:
    """CAFA_avclip.safetensors of the sizes of a model_config.json: backbone, adapter and autoencoder."""
    settings, sizes = model_sizes(config)
    with torch.device("meta"):
        parts = PublishedWeights(
            dict(StableAudioBackbone(settings).state_dict()),
            dict(Adapter(settings, AdapterSettings(feature_dim=feature_dim)).state_dict()),
            dict(AutoencoderOobleck(**sizes).state_dict()),
        )
        shapes = {name: tuple(tensor.shape) for name, tensor in to_published(parts).items()}
    save_file({name: golden_tensor(name, shape).contiguous() for name, shape in shapes.items()}, file)


def write_t5(folder: Path, tiny: bool) -> None:
    """T5 with a tokenizer of a few words, in the files that the table of weights names."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((f"\u2581{word}", -1.0) for word in WORDS)]
    tokenizer = Tokenizer(Unigram([*pieces, ("\u2581", -3.0)], unk_id=2))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    config = (
        T5Config(vocab_size=16, d_model=32, d_kv=8, d_ff=16, num_layers=2, num_heads=2)
        if tiny
        else T5Config(vocab_size=32128, d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        T5(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "spiece.model").write_bytes(b"stand-in")


def write_stand_ins(folder: Path, tiny_config: dict[str, Any] | None = None) -> Path:
    """Write all files in the places of the table of weights, and the table of their digests.

    Parameters
    ----------
    folder : Path
    tiny_config : dict, optional
        model_config.json of small sizes; None: full size.

    Returns
    -------
    Path
        The table: digests of T5 and Synchformer are those of the stand-ins; the checkpoint has none, as published.
    """
    tiny = tiny_config is not None
    folder.mkdir(parents=True, exist_ok=True)
    write_checkpoint(folder / "CAFA_avclip.safetensors", tiny_config or STABLE_AUDIO_OPEN_1_0, 8 if tiny else 768)
    write_t5(folder / "t5-base", tiny)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        tower = SynchformerVisual(width=8, depth=1, heads=1, patch=56) if tiny else SynchformerVisual()
        for parameter in tower.parameters():
            torch.nn.init.normal_(parameter, std=0.2 if tiny else 0.02)
    save_flat(folder / "synchformer_state_dict.pth", tower.state_dict())
    return write_table(folder)


def write_table(folder: Path, address: str | None = None) -> Path:
    """The table of the stand-ins; `address`: where Synchformer's file is fetched from instead of GitHub."""
    table = folder / "weights.tsv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, (*COLUMNS, *FETCHING), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for source in read_weight_sources().values():
            row = asdict(source)
            if (file := folder / source.relative_path).is_file() and source.name != "cafa_avclip":
                row |= {"sha256": sha256_file(file), "bytes": file.stat().st_size, "md5": ""}
            if source.name == "synchformer" and address:
                row["url"] = address
            writer.writerow(row)
    return table
