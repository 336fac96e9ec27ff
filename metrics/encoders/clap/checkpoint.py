"""LAION-CLAP's checkpoint, name by name, in the words of transformers' `ClapModel`.

The mapping is closed: a name is renamed, split, kept for the log-mel front end, or listed here as not
used. Anything else is refused, so another architecture (fusion, another text tower) cannot slip in.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from cafa.common.errors import WeightsError

# Heads of the training objective that no score reads, and masks that are recomputed.
UNUSED = re.compile(
    r"(audio_branch\.(tscam_conv|head)|(audio|text)_transform)\..*"
    r"|audio_branch\.layers\.\d+\.blocks\.\d+\.attn_mask"
    r"|text_branch\.embeddings\.position_ids"
)

_FRONT_END = re.compile(r"audio_branch\.((spectrogram|logmel)_extractor\..*)")
_SAME = re.compile(
    r"logit_scale_[at]"
    r"|(audio|text)_projection\.(linear1|linear2)\.(weight|bias)"
    r"|text_model\.(embeddings|encoder|pooler)\..*"
    r"|audio_model\.audio_encoder\.(batch_norm|norm|patch_embed\.(proj|norm)|layers\.\d+)\..*"
)
_RENAMES = (
    (r"^audio_branch\.bn0\.", "audio_model.audio_encoder.batch_norm."),
    (r"^audio_branch\.", "audio_model.audio_encoder."),
    (r"^text_branch\.", "text_model."),
    (r"^(audio|text)_projection\.0\.", r"\1_projection.linear1."),
    (r"^(audio|text)_projection\.2\.", r"\1_projection.linear2."),
    (r"(\.blocks\.\d+)\.norm1\.", r"\1.layernorm_before."),
    (r"(\.blocks\.\d+)\.norm2\.", r"\1.layernorm_after."),
    (r"(\.blocks\.\d+)\.attn\.proj\.", r"\1.attention.output.dense."),
    (r"(\.blocks\.\d+)\.attn\.", r"\1.attention.self."),
    (r"(\.blocks\.\d+)\.mlp\.fc1\.", r"\1.intermediate.dense."),
    (r"(\.blocks\.\d+)\.mlp\.fc2\.", r"\1.output.dense."),
)


def to_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a LAION-CLAP state dict (HTSAT, no fusion, RoBERTa; ``module.`` already removed).

    Returns
    -------
    dict
        Names of `ClapModel` under ``model.``; the front end's tables under ``log_mel.``.

    Raises
    ------
    WeightsError
        If a name has no place, listing the first ones.
    """
    renamed: dict[str, Tensor] = {}
    unknown = []
    for name, value in tensors.items():
        if UNUSED.fullmatch(name):
            continue
        if table := _FRONT_END.fullmatch(name):
            renamed[f"log_mel.{table[1]}"] = value
            continue
        new = name
        for pattern, replacement in _RENAMES:
            new = re.sub(pattern, replacement, new)
        if name.startswith(("audio_model.", "text_model.")) or not _SAME.fullmatch(new):
            unknown.append(name)
        elif ".self.qkv." in new:
            thirds = zip(("query", "key", "value"), torch.chunk(value, 3), strict=True)
            renamed |= {f"model.{new.replace('.qkv.', f'.{part}.')}": third for part, third in thirds}
        else:
            renamed[f"model.{new}"] = value
    if unknown:
        raise WeightsError(
            f"{len(unknown)} names do not belong to LAION-CLAP with HTSAT, without fusion, with RoBERTa: "
            f"{sorted(unknown)[:5]}"
        )
    return renamed
