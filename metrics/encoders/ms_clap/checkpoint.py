"""The checkpoint of Microsoft's CLAP (2023), name by name, in the words of transformers' networks.

The mapping is closed: a name is renamed, kept, or listed here as not used; anything else is refused. HTSAT's part is
LAION-CLAP's, whose names it shares.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from cafa.common.errors import WeightsError
from metrics.encoders.clap.checkpoint import to_transformers as htsat_to_transformers

#: Not read by a score: the temperature, and masks that older versions of transformers stored beside GPT-2's weights.
UNUSED = re.compile(r"logit_scale|caption_encoder\.base\.h\.\d+\.attn\.(bias|masked_bias)")
_PROJECTION = re.compile(r"(audio|caption)_encoder\.projection\.((linear[12]\.weight)|layer_norm\.(weight|bias))")
_HTSAT, _GPT2 = "audio_encoder.base.htsat.", "caption_encoder.base."


def to_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the state dict of ``CLAP_weights_2023.pth``.

    Returns
    -------
    dict
        Names of `metrics.encoders.ms_clap.encoders.MsClapNetwork`.

    Raises
    ------
    WeightsError
        If a name has no place, listing the first ones.
    """
    renamed: dict[str, Tensor] = {}
    htsat: dict[str, Tensor] = {}
    unknown = []
    for name, value in tensors.items():
        if UNUSED.fullmatch(name):
            continue
        if name.startswith(_HTSAT):
            htsat[f"audio_branch.{name.removeprefix(_HTSAT)}"] = value
        elif name.startswith(_GPT2):
            renamed[f"text.{name.removeprefix(_GPT2)}"] = value
        elif found := _PROJECTION.fullmatch(name):
            renamed[f"{'text' if found[1] == 'caption' else found[1]}_projection.{found[2]}"] = value
        else:
            unknown.append(name)
    if unknown:
        raise WeightsError(
            f"{len(unknown)} names do not belong to Microsoft's CLAP of 2023 (HTSAT, GPT-2): {sorted(unknown)[:5]}"
        )
    for name, value in htsat_to_transformers(htsat).items():
        renamed[name.replace("model.audio_model.", "audio.")] = value
    return renamed
