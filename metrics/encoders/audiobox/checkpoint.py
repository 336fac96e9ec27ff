"""Audiobox-Aesthetics' file, name by name, in the words of transformers' `WavLMModel`.

The mapping is closed: a name is renamed or kept; anything else is refused.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from cafa.common.errors import WeightsError

_HEADS = re.compile(r"(proj_layer\.(CE|CU|PC|PQ)\.\d+\.(weight|bias))|(layer_weights\.(CE|CU|PC|PQ))")
_RENAMES = (
    (r"mask_emb", r"masked_spec_embed"),  # only training reads it
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.weight", r"feature_extractor.conv_layers.\1.conv.weight"),
    (r"feature_extractor\.conv_layers\.0\.2\.(weight|bias)", r"feature_extractor.conv_layers.0.layer_norm.\1"),
    (r"post_extract_proj\.(weight|bias)", r"feature_projection.projection.\1"),
    (r"layer_norm\.(weight|bias)", r"feature_projection.layer_norm.\1"),
    (r"encoder\.layer_norm\.(weight|bias)", r"encoder.layer_norm.\1"),
    (r"encoder\.pos_conv\.0\.bias", r"encoder.pos_conv_embed.conv.bias"),
    (r"encoder\.pos_conv\.0\.weight_g", r"encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"encoder\.pos_conv\.0\.weight_v", r"encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"(encoder\.layers\.\d+\.)self_attn\.([kvq]|out)_proj\.(weight|bias)", r"\1attention.\2_proj.\3"),
    (r"(encoder\.layers\.\d+\.)self_attn\.grep_linear\.(weight|bias)", r"\1attention.gru_rel_pos_linear.\2"),
    (r"(encoder\.layers\.\d+\.)self_attn\.grep_a", r"\1attention.gru_rel_pos_const"),
    (r"(encoder\.layers\.0\.)self_attn\.relative_attention_bias\.weight", r"\1attention.rel_attn_embed.weight"),
    (r"(encoder\.layers\.\d+\.)self_attn_layer_norm\.(weight|bias)", r"\1layer_norm.\2"),
    (r"(encoder\.layers\.\d+\.)fc1\.(weight|bias)", r"\1feed_forward.intermediate_dense.\2"),
    (r"(encoder\.layers\.\d+\.)fc2\.(weight|bias)", r"\1feed_forward.output_dense.\2"),
    (r"(encoder\.layers\.\d+\.)final_layer_norm\.(weight|bias)", r"\1final_layer_norm.\2"),
)


def _renamed(name: str) -> str | None:
    if _HEADS.fullmatch(name):
        return name
    inner = name.removeprefix("wavlm_model.")
    for pattern, replacement in _RENAMES if inner != name else ():
        if found := re.fullmatch(pattern, inner):
            return f"wavlm.{found.expand(replacement)}"
    return None


def to_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of ``model.safetensors`` of facebook/audiobox-aesthetics.

    Returns
    -------
    dict
        Names of `metrics.encoders.audiobox.network.Aesthetics`.

    Raises
    ------
    WeightsError
        If a name has no place, listing the first ones.
    """
    names = {name: _renamed(name) for name in tensors}
    if unknown := sorted(name for name, new in names.items() if new is None):
        raise WeightsError(f"{len(unknown)} names do not belong to Audiobox-Aesthetics: {unknown[:5]}")
    return {new: tensors[name] for name, new in names.items() if new is not None}
