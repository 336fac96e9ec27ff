"""Deterministic, checkpoint-free weights: every tensor is a pure function of (key name, shape).

Rules (first match wins); `n` = standardised pseudo-normal numbers, see `pseudo_normal`:
  *num_batches_tracked            -> 0
  *inv_freq                       -> 10000 ** -(arange(N)/N)         (rotary table, N = shape[0])
  *weight_g                       -> 0.6 * (1 + 0.1 n)               (weight-norm gains)
  *running_var                    -> 1 + 0.1 |n|
  *running_mean                   -> 0.1 n
  *cls_token *pos_embed *temp_embed *st_embed *pos_emb -> 0.2 n
  *.alpha                         -> 0.2 n                           (snake, log scale)
  *.beta  *.bias  *bias           -> 0.1 n                           (norm shift, snake log beta, biases)
  *.weights (1-d)                 -> 1.0 n                           (learned positional frequencies)
  1-d *.weight / *.gamma          -> 1 + 0.1 n                       (norm gains)
  any other tensor, ndim >= 2     -> n * 0.5 / sqrt(prod(shape[1:]))
  any other 1-d / scalar          -> 0.1 n

`n`: PCG64 seeded with SeedSequence(first 16 bytes of sha256(name) as 4 little-endian uint32);
one raw 64-bit word per element, split into four uint16 a,b,c,d;
n = (a+b+c+d - 131070) / 37836.65 (float64 division, then cast to float32)
so no libm call and no numpy distribution code is involved: bit-exact on every platform.
The element order is C order of `shape`.
"""

import hashlib
import math

import numpy as np

_STD = 37836.65  # = sqrt(4 * (65536**2 - 1) / 12), rounded; fixed by definition


def _bitgen(name: str):
    d = hashlib.sha256(name.encode("utf-8")).digest()[:16]
    words = [int.from_bytes(d[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.random.PCG64(np.random.SeedSequence(words))


def pseudo_normal(name: str, size: int, chunk: int = 1 << 20) -> np.ndarray:
    bg = _bitgen(name)
    out = np.empty(size, np.float32)
    for i in range(0, size, chunk):
        m = min(chunk, size - i)
        w = bg.random_raw(m).view(np.uint16).reshape(m, 4)
        s = w.astype(np.int32).sum(1) - 131070
        out[i : i + m] = (s.astype(np.float64) / _STD).astype(np.float32)
    return out


def tensor_for(name: str, shape) -> np.ndarray:
    shape = tuple(int(s) for s in shape)
    size = int(np.prod(shape)) if shape else 1
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith("inv_freq"):
        k = shape[0]
        return (10000.0 ** -(np.arange(k, dtype=np.float64) / k)).astype(np.float32)
    n = pseudo_normal(name, size)
    if name.endswith("weight_g"):
        v = 0.6 * (1 + 0.1 * n)
    elif name.endswith("running_var"):
        v = 1 + 0.1 * np.abs(n)
    elif name.endswith("running_mean"):
        v = 0.1 * n
    elif name.endswith(("cls_token", "pos_embed", "temp_embed", "st_embed", "pos_emb")) or name.endswith(".alpha"):
        v = 0.2 * n
    elif name.endswith((".beta", "bias")):
        v = 0.1 * n
    elif name.endswith(".weights") and len(shape) == 1:
        v = n
    elif len(shape) == 1 and name.endswith((".weight", ".gamma")):
        v = 1 + 0.1 * n
    elif len(shape) >= 2:
        v = n * np.float32(0.5 / math.sqrt(np.prod(shape[1:])))
    else:
        v = 0.1 * n
    return np.asarray(v, np.float32).reshape(shape)


def fill_state_dict(shapes: dict) -> dict:
    """{name: shape} -> {name: ndarray}."""
    return {k: tensor_for(k, s) for k, s in shapes.items()}


def fill_module_(module, prefix: str = "", key_map=None):
    """In place on a torch module. `key_map(name_in_module) -> official name` (default: identity).
    Only valid for 1:1 keys; fused official tensors (to_qkv, to_kv) must be built under the
    official name and split by the caller."""
    import torch

    with torch.no_grad():
        for k, t in module.state_dict().items():
            name = prefix + k
            if key_map is not None:
                name = key_map(name)
            t.copy_(torch.from_numpy(tensor_for(name, t.shape)))
    return module


if __name__ == "__main__":
    for nm, sh in [("a.weight", (2, 3)), ("a.bias", (3,)), ("n.gamma", (2,))]:
        print(nm, tensor_for(nm, sh).tolist())
    x = pseudo_normal("moments", 1_000_000)
    print("mean", x.mean(), "std", x.std(), "min", x.min(), "max", x.max())
