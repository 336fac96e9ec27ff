"""Names and shapes of published files whose networks are transformers' here: found by turning the renaming around."""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from cafa.common.errors import InputError
from metrics.encoders.audiobox import checkpoint as audiobox
from metrics.encoders.ms_clap import checkpoint as ms_clap
from metrics.encoders.ms_clap.encoders import front_end_tables

Shapes = dict[str, tuple[int, ...]]
#: our names -> published ones
_AUDIOBOX = (
    (r"^wavlm\.masked_spec_embed", "wavlm_model.mask_emb"),
    (r"^wavlm\.feature_projection\.projection\.", "wavlm_model.post_extract_proj."),
    (r"^wavlm\.feature_projection\.layer_norm\.", "wavlm_model.layer_norm."),
    (r"\.conv\.parametrizations\.weight\.original0", ".0.weight_g"),
    (r"\.conv\.parametrizations\.weight\.original1", ".0.weight_v"),
    (r"pos_conv_embed\.conv\.bias", "pos_conv.0.bias"),
    (r"pos_conv_embed\.0\.", "pos_conv.0."),
    (r"(conv_layers\.\d+)\.conv\.", r"\1.0."),
    (r"(conv_layers\.\d+)\.layer_norm\.", r"\1.2."),
    (r"\.attention\.gru_rel_pos_linear\.", ".self_attn.grep_linear."),
    (r"\.attention\.gru_rel_pos_const", ".self_attn.grep_a"),
    (r"\.attention\.rel_attn_embed\.", ".self_attn.relative_attention_bias."),
    (r"\.attention\.", ".self_attn."),
    (r"(layers\.\d+)\.layer_norm\.", r"\1.self_attn_layer_norm."),
    (r"\.feed_forward\.intermediate_dense\.", ".fc1."),
    (r"\.feed_forward\.output_dense\.", ".fc2."),
    (r"^wavlm\.", "wavlm_model."),
)
_MS_CLAP = (
    (r"^log_mel\.", "audio_encoder.base.htsat."),
    (r"^audio_projection\.", "audio_encoder.projection."),
    (r"^text_projection\.", "caption_encoder.projection."),
    (r"^text\.", "caption_encoder.base."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.attention\.self\.(query|key|value)\.", ".attn.qkv."),
    (r"\.attention\.self\.", ".attn."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"^audio\.audio_encoder\.batch_norm\.", "audio_encoder.base.htsat.bn0."),
    (r"^audio\.audio_encoder\.", "audio_encoder.base.htsat."),
)


def _turned(
    network: nn.Module, renames: tuple[tuple[str, str], ...], forward: Callable[[Mapping[str, Tensor]], dict]
) -> Shapes:
    """Published shapes of `network`'s tensors; the file's own renaming must lead back to every name.

    Raises
    ------
    InputError
        If it does not.
    """
    own = network.state_dict()
    shapes: Shapes = {}
    for name, tensor in own.items():
        published = name
        for pattern, replacement in renames:
            published = re.sub(pattern, replacement, published)
        shape = tuple(tensor.shape)
        # query, key and value lie one below the other in one published tensor
        shapes[published] = (3 * shape[0], *shape[1:]) if ".attn.qkv." in published else shape
    back = forward({name: torch.zeros(3) for name in shapes})
    if back.keys() != own.keys():
        raise InputError(f"names do not lead back: {sorted(back.keys() ^ own.keys())[:5]}")
    return shapes


def ms_clap_shapes(network: nn.Module) -> Shapes:
    """Of ``CLAP_weights_2023.pth``, without what no score reads; from a `MsClapNetwork`, which may be ``meta``."""
    return _turned(network, _MS_CLAP, ms_clap.to_transformers)


def ms_clap_constants(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """What its constructor puts in place: the front end, and places inside a window."""
    return front_end_tables() | window_places(shapes)


def window_places(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """HTSAT's indexes of relative positions inside a window, for the names that end so."""
    found = {}
    for name, shape in shapes.items():
        if name.endswith("relative_position_index"):
            side = round(shape[0] ** 0.5)
            place = torch.cartesian_prod(torch.arange(side), torch.arange(side))
            steps = place[:, None] - place[None, :] + side - 1
            found[name] = steps[..., 0] * (2 * side - 1) + steps[..., 1]
    return found


def audiobox_shapes(network: nn.Module) -> Shapes:
    """Of Audiobox-Aesthetics' ``model.safetensors``, from an `Aesthetics`, which may be ``meta``."""
    return _turned(network, _AUDIOBOX, audiobox.to_transformers)
