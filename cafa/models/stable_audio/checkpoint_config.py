"""Sizes of a model from the published configuration files (``model_config.json`` of stable-audio-tools)."""

from collections.abc import Mapping
from typing import Any

from cafa.common.errors import InputError
from cafa.models.stable_audio.denoiser import StableAudioSettings

_AUTOENCODER = {"channels": 128, "c_mults": [1, 2, 4, 8, 16], "strides": [2, 4, 4, 8, 8]}
#: what the model_config.json of Stable Audio Open 1.0 says of sizes: those of a checkpoint that comes without one
STABLE_AUDIO_OPEN_1_0: dict[str, Any] = {
    "sample_size": 2097152,
    "sample_rate": 44100,
    "audio_channels": 2,
    "model": {
        "pretransform": {
            "config": {
                "encoder": {"config": {**_AUTOENCODER, "latent_dim": 128}},
                "decoder": {"config": {**_AUTOENCODER, "latent_dim": 64, "final_tanh": False}},
                "downsampling_ratio": 2048,
            }
        },
        "conditioning": {
            "configs": [
                {"id": "seconds_start", "type": "number", "config": {"min_val": 0, "max_val": 512}},
                {"id": "seconds_total", "type": "number", "config": {"min_val": 0, "max_val": 512}},
            ]
        },
        "diffusion": {
            "config": {
                "io_channels": 64,
                "embed_dim": 1536,
                "depth": 24,
                "num_heads": 24,
                "cond_token_dim": 768,
                "global_cond_dim": 1536,
                "project_cond_tokens": False,
            }
        },
    },
}


def denoiser_settings(config: Mapping[str, Any], latents: int, maximum_seconds: float = 512.0) -> StableAudioSettings:
    """Size of the denoiser.

    Parameters
    ----------
    config : mapping
        ``model.diffusion.config``.
    latents : int
        Longest window: ``sample_size`` / downsampling ratio.
    maximum_seconds : float
        Range of the timing conditioners.

    Raises
    ------
    InputError
        If the configuration is of an architecture that is not Stable Audio Open's.
    """
    head_dim, rest = divmod(config["embed_dim"], config["num_heads"])
    if rest or config["cond_token_dim"] % head_dim:
        raise InputError(
            f"a width of {config['embed_dim']} and text of width {config['cond_token_dim']} do not divide into "
            f"{config['num_heads']} heads"
        )
    if config.get("project_cond_tokens", True):
        raise InputError("project_cond_tokens must be false: Stable Audio Open keeps the width of its text states")
    if config["global_cond_dim"] != 2 * config["cond_token_dim"]:
        raise InputError(
            f"global_cond_dim is {config['global_cond_dim']}, wanted twice cond_token_dim "
            f"({2 * config['cond_token_dim']}): start and total seconds"
        )
    return StableAudioSettings(
        latent_channels=config["io_channels"],
        latents=latents,
        blocks=config["depth"],
        heads=config["num_heads"],
        head_dim=head_dim,
        key_value_heads=config["cond_token_dim"] // head_dim,
        text_dim=config["cond_token_dim"],
        maximum_seconds=maximum_seconds,
    )


def autoencoder_arguments(
    channels: int, multiples: list[int], strides: list[int], latent_channels: int, sample_rate: int, audio_channels: int
) -> dict[str, Any]:
    """Fields of :class:`~cafa.models.encoders.oobleck_network.OobleckSettings` for an encoder and its mirror image."""
    return {
        "encoder_hidden_size": channels,
        "downsampling_ratios": list(strides),
        "channel_multiples": list(multiples),
        "decoder_channels": channels,
        "decoder_input_channels": latent_channels,
        "audio_channels": audio_channels,
        "sampling_rate": sample_rate,
    }


def model_sizes(config: Mapping[str, Any]) -> tuple[StableAudioSettings, dict[str, Any]]:
    """Sizes of denoiser and autoencoder from a whole ``model_config.json``.

    Returns
    -------
    settings : StableAudioSettings
    arguments : dict
        Of the autoencoder, as :class:`~cafa.models.encoders.oobleck_network.OobleckSettings` takes them.

    Raises
    ------
    InputError
        If an entry is missing or belongs to another architecture.
    """
    try:
        autoencoder = config["model"]["pretransform"]["config"]
        encoder, decoder = autoencoder["encoder"]["config"], autoencoder["decoder"]["config"]
        mirrored = all(encoder[name] == decoder[name] for name in ("channels", "c_mults", "strides"))
        latent_channels = decoder["latent_dim"]
        if not mirrored or encoder["latent_dim"] != 2 * latent_channels or decoder.get("final_tanh", False):
            raise InputError("the autoencoder of model_config.json is not that of Stable Audio Open")
        ranges = {
            entry["id"]: entry["config"]["max_val"]
            for entry in config["model"]["conditioning"]["configs"]
            if entry["type"] == "number"
        }
        arguments = autoencoder_arguments(
            encoder["channels"],
            encoder["c_mults"],
            encoder["strides"],
            latent_channels,
            config["sample_rate"],
            config["audio_channels"],
        )
        latents = config["sample_size"] // autoencoder["downsampling_ratio"]
        diffusion = config["model"]["diffusion"]["config"]
        return denoiser_settings(diffusion, latents, ranges["seconds_total"]), arguments
    except KeyError as error:
        raise InputError(f"model_config.json has no entry {error}: it is not that of Stable Audio Open") from error
