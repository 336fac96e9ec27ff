"""Denoisers as diffusers holds and writes them."""

from typing import Any

from diffusers.models.transformers.stable_audio_transformer import StableAudioDiTModel
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioProjectionModel

from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioSettings
from cafa.models.tangoflux.blocks import TangoFluxSettings
from cafa.models.tangoflux.denoiser import TangoFluxDenoiser


def new_parts(settings: StableAudioSettings) -> tuple[Any, Any]:
    """diffusers' transformer and timing conditioners of that size, untrained."""
    transformer = StableAudioDiTModel(
        sample_size=settings.latents,
        in_channels=settings.latent_channels,
        out_channels=settings.latent_channels,
        num_layers=settings.blocks,
        num_attention_heads=settings.heads,
        attention_head_dim=settings.head_dim,
        num_key_value_attention_heads=settings.key_value_heads,
        cross_attention_dim=settings.text_dim,
        cross_attention_input_dim=settings.text_dim,
        global_states_input_dim=2 * settings.text_dim,
        time_proj_dim=settings.time_dim,
    )
    timing = StableAudioProjectionModel(settings.text_dim, settings.text_dim, 0.0, settings.maximum_seconds)
    return transformer, timing


def diffusers_parts(backbone: StableAudioBackbone) -> tuple[Any, Any]:
    """diffusers' transformer and timing conditioners with the weights of `backbone`."""
    parts = new_parts(backbone.settings)
    for theirs, ours in zip(parts, (backbone.dit, backbone.projection), strict=True):
        theirs.load_state_dict(ours.state_dict())
    return parts


def new_flux(settings: TangoFluxSettings) -> FluxTransformer2DModel:
    """diffusers' transformer of TangoFlux of that size, untrained."""
    return FluxTransformer2DModel(
        in_channels=settings.latent_channels,
        num_layers=settings.double_blocks,
        num_single_layers=settings.single_blocks,
        attention_head_dim=settings.head_dim,
        num_attention_heads=settings.heads,
        joint_attention_dim=settings.joint_dim,
        pooled_projection_dim=settings.text_dim,
        guidance_embeds=False,
        axes_dims_rope=settings.rotary_axes,
    )


def diffusers_flux(denoiser: TangoFluxDenoiser) -> FluxTransformer2DModel:
    """diffusers' transformer with the weights of `denoiser`."""
    network = new_flux(denoiser.settings)
    network.load_state_dict(denoiser.transformer.state_dict())
    return network.eval()
