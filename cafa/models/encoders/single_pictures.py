"""What encoders of single pictures share (CAFA-C's second features): which are seen, and where their embeddings lie."""

from torch import Tensor
from torch.nn import functional

from cafa.common.errors import InputError

#: one of so many of the 25 frames per second is seen: 5 per second
EVERY = 5


def along_latents(embeddings: Tensor, interpolated: int, latents: int) -> Tensor:
    """Lay embeddings (B, F, D) along the latents: linear interpolation over time, zeros on either side.

    Parameters
    ----------
    embeddings : Tensor, (B, F, D)
    interpolated : int
        Latents that they are stretched over.
    latents : int
        Latents of the window, at least `interpolated`.

    Returns
    -------
    Tensor, (B, latents, D)

    Raises
    ------
    InputError
        If there are fewer latents than `interpolated`.
    """
    if interpolated > latents:
        raise InputError(f"{interpolated} interpolated embeddings do not fit {latents} latents")
    stretched = functional.interpolate(embeddings.transpose(1, 2), size=interpolated, mode="linear")
    before = (latents - interpolated) // 2
    return functional.pad(stretched, (before, latents - interpolated - before)).transpose(1, 2)
