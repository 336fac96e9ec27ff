"""Deterministic weights for the evaluation models. Numbers and rules are those of ../deterministic_weights.py:
tensor_for(name, shape). This file only adds what the generator's models did not need:

  left alone (keep the constructor's value):
    - every non-floating tensor (num_batches_tracked, position_ids, relative_position_index, token_type_ids)
    - constant tables: names ending in  stft.conv_real.weight  stft.conv_imag.weight  melW   (torchlibrosa)
      attn_mask  mask (additive masks 0/-100/-inf)   logit_scale, logit_scale_a, logit_scale_t, log_logit_scale
      window, fb (torchaudio), and every 0-d tensor
  mult: scale applied to tensors with ndim >= 2 that fall in the rule "n*0.5/sqrt(fan_in)" (1.0 = that rule unchanged).
"""

import re

import numpy as np
import torch
from deterministic_weights import tensor_for  # ../deterministic_weights.py must be importable

CONST = re.compile(
    r"(stft\.conv_(real|imag)\.weight|melW|attn_mask|(^|\.)mask|logit_scale(_a|_t)?|(^|\.)window|(^|\.)fb)$"
)
TOKENS = ("cls_token", "pos_embed", "temp_embed", "st_embed", "pos_emb", "weight_g")


@torch.no_grad()
def fill(obj, prefix="", mult=1.0, key_map=None):
    """Fill a module or state dict in place. Returns {'filled': int, 'params': int, 'untouched': [names]}."""
    sd = obj if isinstance(obj, dict) else obj.state_dict()
    rep = {"filled": 0, "params": 0, "untouched": []}
    for k, t in sd.items():
        name = key_map(k) if key_map else prefix + k
        if not torch.is_floating_point(t) or t.ndim == 0 or CONST.search(name):
            rep["untouched"].append(name)
            continue
        v = tensor_for(name, t.shape)
        if mult != 1.0 and t.ndim >= 2 and not name.endswith(TOKENS):
            v = v * np.float32(mult)
        t.copy_(torch.from_numpy(v))
        rep["filled"] += 1
        rep["params"] += t.numel()
    return rep
