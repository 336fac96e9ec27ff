r"""Sampling a window with a pretrained backbone: the published way as a named setting, and ours.

=======================  ==========================================  ==========================================
\                        ``published_window`` of Stable Audio Open   ``OURS``
=======================  ==========================================  ==========================================
latents                  1024 (47.55 s), most of them discarded      those the adapter was trained with
seconds_total            10, whatever the length                     the length that is wanted
null text                cross-attention computed, to add zero       skipped (equal to rounding)
without guidance         adapter at half strength in half the batch  adapter at full strength
decoding                 of the whole window                         of what is kept
peak normalisation       over the whole window, discarded part too   over what is kept
samples                  int16, truncated toward zero                float32
=======================  ==========================================  ==========================================

Noise is drawn per item from its seed in both; the published code's noise depends on the device and on the package
that draws it, and is not reproduced.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cafa.common.errors import InputError
from cafa.diffusion.guidance import adapter_velocity, published_velocity, text_velocity
from cafa.diffusion.samplers import SAMPLERS, FlowModel, per_item_noise
from cafa.diffusion.schedules import FLOW_PATHS, Velocity
from cafa.generation.steps import looking
from cafa.generation.systems import Sampling
from cafa.models.interface import Backbone, SamplingDefaults, VideoAdapter, WindowSetting
from cafa.models.precision import half_type

#: Latents decoded beyond what is kept: the published decoder sees about 12 to either side (with 12 the difference is
#: 2e-7 of full scale, with 8 it is 5e-5).
MARGIN = 16
OURS = WindowSetting()


def with_defaults(
    sampling: Sampling, defaults: SamplingDefaults, asymmetric_scale: float | None = None
) -> SamplingDefaults:
    """How a system is sampled: its own settings over a backbone's defaults."""
    names = ("sampler", "steps", "sigma_min", "sigma_max", "eta", "guidance_scale")
    given = {name: value for name in names if (value := getattr(sampling, name)) is not None}
    if asymmetric_scale is not None:
        given["asymmetric_scale"] = asymmetric_scale
    return replace(defaults, **given)


def check_distilled(card: Mapping[str, Any], adapter: str, settings: SamplingDefaults) -> None:
    """Refuse to guide an adapter that has learned what guidance does: it would be guided twice.

    Raises
    ------
    InputError
    """
    learned = (card.get("settings") or {}).get("guidance_distillation")
    if learned and settings.guidance_scale != 1:
        raise InputError(
            f"adapter {adapter} was distilled with a guidance scale of {learned['guidance_scale']:g}, and is to be "
            f"sampled with one of {settings.guidance_scale:g}, which would guide it twice: set guidance_scale to 1"
        )


def sample_latents(
    model: FlowModel, seeds: Sequence[int], shape: tuple[int, int], settings: SamplingDefaults, device: torch.device
) -> Tensor:
    """Latents (B, C, T) sampled as `settings` says, with noise per item from its seed.

    Parameters
    ----------
    model : FlowModel
    seeds : sequence of int
        One per item.
    shape : (int, int)
        C and T.
    settings : SamplingDefaults
    device : torch.device

    Raises
    ------
    InputError
        If there is no sampler of that name.
    """
    sampler, draw = SAMPLERS[settings.sampler], per_item_noise(seeds, shape, device)
    with torch.inference_mode():
        return sampler(replace(model, velocity=looking(model.velocity)), draw(), settings, draw)


def in_half_precision(velocity: Velocity, device: torch.device) -> Velocity:
    """The velocity under autocast; the sampler around it stays in float32."""

    def halved(x: Tensor, time: Tensor) -> Tensor:
        with torch.autocast(device.type, half_type(device)):
            return velocity(x, time).float()

    return halved


def normalise_and_crop(waveform: np.ndarray, samples: int, setting: WindowSetting) -> np.ndarray:
    """Normalise, cut and convert one window.

    Parameters
    ----------
    waveform : ndarray, (channels, N)
        As decoded.
    samples : int
        Samples to keep.
    setting : WindowSetting

    Returns
    -------
    ndarray, (channels, samples)
        float32, in [-1, 1] unless the level stays as decoded; or int16.
    """
    if waveform.shape[1] < samples:
        raise InputError(f"the window holds {waveform.shape[1]} samples, {samples} are wanted: use more latents")
    if setting.peak == "none":
        return waveform[:, :samples]
    measured = waveform if setting.peak == "window" else waveform[:, :samples]
    scaled = np.clip(waveform[:, :samples] / (np.abs(measured).max() + np.float32(1e-8)), -1, 1)
    # astype truncates toward zero, as the published code does
    return (scaled * np.float32(32767)).astype(np.int16) if setting.samples == "int16" else scaled


def generate_windows(
    backbone: Backbone, text: Tensor, seconds: float, seeds: Sequence[int], **how: Any
) -> list[np.ndarray]:
    """Sound for a batch of (caption, video): :func:`begin_windows`, and decoded at once.

    Returns
    -------
    list of ndarray, each (channels, samples)
    """
    return begin_windows(backbone, text, seconds, seeds, **how)()


def begin_windows(
    backbone: Backbone,
    text: Tensor,
    seconds: float,
    seeds: Sequence[int],
    *,
    adapter: VideoAdapter | None = None,
    features: Tensor | None = None,
    negative: Tensor | None = None,
    setting: WindowSetting = OURS,
    defaults: SamplingDefaults | None = None,
    half: bool = False,
) -> Callable[[], list[np.ndarray]]:
    """Sample a batch of (caption, video); decoding is left to what is returned, which another thread may call.

    Parameters
    ----------
    backbone : Backbone
    text : Tensor, (B, L, text_dim)
        States of the captions.
    seconds : float
        Length to keep; the published code keeps 10 s at most.
    seeds : sequence of int
        One per item.
    adapter : VideoAdapter, optional
        Without it the backbone alone.
    features : Tensor, (B, F, width of the features), optional
        Video features, for the adapter.
    negative : Tensor, (B, L, text_dim), optional
        States of negative prompts.
    setting : WindowSetting
    defaults : SamplingDefaults, optional
        Sampler, steps, guidance and asymmetric scale; by default the backbone's.
    half : bool
        Run the denoiser under autocast (float16 on a GPU, as the published code does; bfloat16 on a CPU).

    Returns
    -------
    callable () -> list of ndarray, each (channels, samples)

    Raises
    ------
    InputError
        If numbers of items differ, or the window is too short.
    """
    given = {"text": len(text), "seeds": len(seeds)} | ({} if features is None else {"features": len(features)})
    if len(set(given.values())) > 1:
        raise InputError(f"numbers of items differ: {given}")
    if setting.published_guidance and backbone.published_window is None:
        raise InputError(f"CAFA's published code makes no windows with {backbone.name}: use another setting")
    if (adapter is None) != (features is None):
        raise InputError("an adapter needs video features, and features need an adapter")
    how = defaults or backbone.defaults
    trained = adapter.settings.latents if adapter is not None else None
    latents = setting.latents or trained or backbone.latents
    samples = int(backbone.sample_rate * seconds)
    if latents * backbone.samples_per_latent < samples:
        held = latents * backbone.samples_per_latent / backbone.sample_rate
        raise InputError(f"a window of {latents} latents holds {held:.2f} s, {seconds} s are wanted")
    total = torch.full((len(text),), setting.seconds_total or seconds)
    conditioning = backbone.condition(text, total)
    against = None if negative is None else backbone.condition(negative, total)
    parameter = next(backbone.denoiser.parameters())
    if adapter is None or features is None:
        velocity = text_velocity(backbone.denoiser, conditioning, how.guidance_scale, against)
    else:
        guided = published_velocity if setting.published_guidance else adapter_velocity
        scales = (how.guidance_scale, how.asymmetric_scale)
        velocity = guided(backbone.denoiser, adapter, conditioning, features.to(parameter), *scales, against)
    shape = (backbone.latent_channels, latents)
    if half:
        velocity = in_half_precision(velocity, parameter.device)
    model = FlowModel(velocity, FLOW_PATHS[backbone.denoiser.flow_path])
    sampled = sample_latents(model, seeds, shape, how, parameter.device)
    needed = latents if setting.peak == "window" else -(-samples // backbone.samples_per_latent) + MARGIN

    def decoded() -> list[np.ndarray]:
        # One item at a time: a window of 1024 latents takes a gigabyte for each of the decoder's widest layers.
        sounds = (backbone.decode_audio(item[None, :, :needed])[0] for item in sampled)
        return [normalise_and_crop(sound.cpu().numpy(), samples, setting) for sound in sounds]

    return decoded
