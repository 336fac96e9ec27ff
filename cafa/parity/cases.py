"""How each kind of golden arrays is computed by our models; the content says the kind, not the name."""

import hashlib
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from cafa.common.errors import CafaError
from cafa.diffusion.guidance import adapter_velocity, published_velocity
from cafa.diffusion.samplers import sample_dpmpp_3m_sde
from cafa.diffusion.schedules import denoiser_of_velocity, polyexponential_sigmas, time_of_sigma
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.encoders.oobleck_network import Oobleck, OobleckSettings
from cafa.models.stable_audio.adapter import Adapter
from cafa.models.stable_audio.checkpoint_config import autoencoder_arguments, denoiser_settings
from cafa.models.stable_audio.checkpoint_names import (
    KeyMapping,
    adapter_entries,
    autoencoder_entries,
    conditioner_entries,
    copy_published,
    denoiser_entries,
)
from cafa.models.stable_audio.denoiser import StableAudioBackbone, StableAudioConditioning
from cafa.models.stable_audio.timing import NumberConditioner
from cafa.models.stable_audio.transformer import TransformerBlock
from cafa.parity.golden import GoldenArrays, ParityRow
from cafa.parity.weights import golden_input, golden_tensor

Rule = Callable[[GoldenArrays], Iterator[ParityRow]]
Network = TypeVar("Network", bound=nn.Module)

DENOISER_TOLERANCE = 2e-5
LARGE_TOLERANCE = 1e-4
SAMPLER_TOLERANCE = 1e-5  # of the largest value
AUTOENCODER_TOLERANCE = 1e-5
AV_CLIP_TOLERANCE = 1e-4
ROUNDING = 1e-6  # where a result is bit-exact on the processor that the arrays were made on
OUTPUT = re.compile(r"out_b(\d+)_cfg([\d.]+)_asym([\d.]+)(_neg)?")
SLICE = re.compile(r"cfg([\d.]+)_asym([\d.]+)_(every8|norms)")


def weights_of(golden: GoldenArrays) -> int:
    """Number of weights, for the order of work; 0 where they are not listed."""
    return sum(math.prod(shape) for shape in golden.about.get("keys", {}).values())


def rule_for(golden: GoldenArrays) -> Rule | None:
    """Rule of a pair of files, or None."""
    about = golden.about
    marks: list[tuple[str, Rule]] = [
        ("sigma_max", check_sampler),
        ("input_shapes", check_denoiser_slice),
        ("controlnet", check_denoiser),
        ("max_val", check_number_conditioner),
        ("segment_frames", check_av_clip),
    ]
    if "strides" in about.get("config", {}):
        return check_autoencoder
    return next((rule for mark, rule in marks if mark in about), None)


def empty(build: Callable[[], Network]) -> Network:
    """A network with memory for its weights and no values: nothing is drawn and nothing copied."""
    with torch.device("meta"):
        network = build()
    return network.to_empty(device="cpu").requires_grad_(False).eval()


def denoiser_with_adapter(golden: GoldenArrays, latents: int, feature_dim: int) -> tuple[StableAudioBackbone, Adapter]:
    """Backbone and adapter of a pair's size, filled tensor by tensor."""
    settings = denoiser_settings(golden.about["config"], latents)
    prefix = golden.about["key_prefix"] + "model."
    hint = golden.about.get("keys", {}).get("model.controlnet.prepare_conditioned_Synchformer.nn_2.weight")
    adapter_settings = AdapterSettings(feature_dim=feature_dim, hint_dim=hint[0] if hint else 1024)
    backbone = empty(lambda: StableAudioBackbone(settings))
    adapter = empty(lambda: Adapter(settings, adapter_settings))
    fill(backbone.dit, denoiser_entries(settings.blocks, prefix), "dit.")
    fill(adapter, adapter_entries(settings.blocks, f"{prefix}controlnet."))
    for parameter in backbone.projection.parameters():  # the arrays were made from given conditioning
        parameter.zero_()
    return backbone, adapter


def fill(network: nn.Module, entries: list[KeyMapping], prefix: str = "") -> None:
    """Fill a network by the rule; `prefix` completes its names to those of `entries`."""
    copy_published({prefix + name: value for name, value in network.state_dict().items()}, entries, golden_tensor)


def check_denoiser(golden: GoldenArrays) -> Iterator[ParityRow]:
    """Outputs with and without guidance, and what passes between the blocks."""
    yield from golden.inputs("x", "t", "hint", "cross", "glob", "neg", "neg_mask")
    x, time, hint = (golden.tensor(name) for name in ("x", "t", "hint"))
    conditioning = StableAudioConditioning(golden.tensor("cross"), golden.tensor("glob"))
    backbone, adapter = denoiser_with_adapter(golden, x.shape[2], hint.shape[2])
    negative = golden.tensor("neg") * golden.tensor("neg_mask").unsqueeze(-1) if "neg" in golden.arrays else None
    for name in golden.arrays:
        if not (match := OUTPUT.fullmatch(name)):
            continue
        count, scale, gamma = int(match[1]), float(match[2]), float(match[3])
        some = StableAudioConditioning(conditioning.context[:count], conditioning.timing[:count])
        against = None if negative is None or not match[4] else StableAudioConditioning(negative[:count], some.timing)
        # The published treatment of the unguided case lives in published_velocity alone.
        velocity = (published_velocity if scale == 1 else adapter_velocity)(
            backbone, adapter, some, hint[:count], scale, gamma, negative=against
        )
        yield from golden.compare(name, velocity(x[:count], time[:count]), DENOISER_TOLERANCE)
    yield from check_blocks(golden, backbone, adapter, x, time, conditioning, hint)


def check_blocks(
    golden: GoldenArrays,
    backbone: StableAudioBackbone,
    adapter: Adapter,
    x: Tensor,
    time: Tensor,
    conditioning: StableAudioConditioning,
    hint: Tensor,
) -> Iterator[ParityRow]:
    """Hint, residuals and block outputs of the unguided pass, in which the published code scales half of the batch."""
    features = adapter.hint(hint)
    yield from golden.compare("hint_features", features, DENOISER_TOLERANCE)
    yield from golden.compare("hint_projected", adapter.hint_projection(features), DENOISER_TOLERANCE)
    stream = backbone.tokens(x, time, conditioning)
    scale = torch.ones(len(x), 1, 1)
    scale[len(x) // 2 :] = 0.5
    hidden = torch.cat([stream.global_token, backbone.dit.proj_in(stream.latents)], dim=1)
    for number, control in enumerate(adapter.controls(stream, adapter.hint_of(hint))):
        block = backbone.transformer_blocks()[number]
        assert isinstance(block, TransformerBlock)
        hidden, stream = backbone.run_block(block, hidden, stream)
        for name, value in (("control", control), ("block", hidden)):
            yield from golden.compare(f"{name}_{number}_every8", value[:, ::8, ::8], DENOISER_TOLERANCE)
        hidden = hidden + scale * control


def check_denoiser_slice(golden: GoldenArrays) -> Iterator[ParityRow]:
    """A model whose inputs are stored by name, and whose outputs are stored in part."""
    needed = 1.25 * 4 * weights_of(golden)
    if needed > available_memory():
        note = f"needs {needed / 1e9:.1f} GB of memory, {available_memory() / 1e9:.1f} GB are available"
        for name in golden.arrays:
            yield replace(golden.given(name, note), ok=False)
        return
    yield from golden.inputs("t")
    shapes = golden.about["input_shapes"]
    prefix = re.search(r"pseudo_normal\('(.*?)x'\)", golden.about["inputs"])
    stem = prefix[1] if prefix else "input.full."
    inputs = {
        name: golden_input(stem + name, shape, 2.0 if name == "hint" else 1.0)
        for name, shape in shapes.items()
        if name != "t"
    }
    for name, value in inputs.items():
        if hashlib.sha256(value.half().numpy().tobytes()).hexdigest() != golden.about["input_sha256"][name]:
            raise CafaError(f"{golden.stem}: input {name} made by name has not the SHA-256 of the stored one")
    yield from golden.compare("glob", inputs["glob"], 0)
    conditioning = StableAudioConditioning(inputs["cross"], inputs["glob"])
    backbone, adapter = denoiser_with_adapter(golden, shapes["x"][2], shapes["hint"][2])
    outputs: dict[tuple[float, float], Tensor] = {}
    for name in golden.arrays:
        if not (match := SLICE.fullmatch(name)):
            continue
        setting = (float(match[1]), float(match[2]))
        if setting not in outputs:
            velocity = published_velocity if setting[0] == 1 else adapter_velocity
            outputs[setting] = velocity(backbone, adapter, conditioning, inputs["hint"], *setting)(
                inputs["x"], golden.tensor("t")
            )
        output = outputs[setting]
        if match[3] == "every8":
            yield from golden.compare(name, output[..., ::8], LARGE_TOLERANCE)
        else:
            # mean, standard deviation, largest absolute value, norm, norm of the latents that have a hint
            wide = output.double()
            first = wide[..., : shapes["hint"][1]]
            values = torch.stack([wide.mean(), wide.std(), wide.abs().max(), wide.norm(), first.norm()])
            yield from golden.compare(name, values, LARGE_TOLERANCE, relative=True)


def available_memory() -> float:
    """Bytes that can be used without swapping, where the system tells; else no limit."""
    table = Path("/proc/meminfo")
    if not table.exists():
        return math.inf
    found = re.search(r"MemAvailable:\s+(\d+) kB", table.read_text())
    return int(found[1]) * 1024 if found else os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check_sampler(golden: GoldenArrays) -> Iterator[ParityRow]:
    """Noise levels and whole trajectories, deterministic and stochastic."""
    about = golden.about
    yield from golden.inputs("x", "cross", "glob", "hint", "sde_noise")
    x, hint, noise = golden.tensor("x"), golden.tensor("hint"), golden.tensor("sde_noise")
    stride = about["stride_of_trajectories"]
    for name in golden.arrays:
        if match := re.fullmatch(r"(sigmas|t_of_sigma)(?:_(\d+))?", name):
            steps = int(match[2] or about["steps"])
            levels = polyexponential_sigmas(steps, about["sigma_min"], about["sigma_max"])
            values = levels if match[1] == "sigmas" else time_of_sigma(levels[:-1])
            yield from golden.compare(name, values, 1e-6, relative=True)
    backbone, adapter = denoiser_with_adapter(golden, x.shape[2], hint.shape[2])
    conditioning = StableAudioConditioning(golden.tensor("cross"), golden.tensor("glob"))
    velocity = adapter_velocity(backbone, adapter, conditioning, hint, about["cfg_scale"], about["asym_cfg"])
    model, sigmas = denoiser_of_velocity(velocity), golden.tensor("sigmas").cpu()
    for kind, eta in (("ode", 0.0), ("sde", 1.0)):
        states: list[tuple[Tensor, Tensor]] = []

        def watched(state: Tensor, sigma: Tensor, states: list = states) -> Tensor:
            denoised = model(state, sigma)
            states.append((state[..., ::stride], denoised[..., ::stride]))
            return denoised

        final = sample_dpmpp_3m_sde(watched, x * sigmas[0], sigmas, lambda step: noise[step], eta)
        before, denoised = (torch.stack(values) for values in zip(*states, strict=True))
        # The states shrink from 500 to 1: every step is compared on its own scale.
        yield from golden.compare(f"{kind}_x", before, SAMPLER_TOLERANCE, relative=True, steps=True)
        yield from golden.compare(f"{kind}_denoised", denoised, SAMPLER_TOLERANCE, relative=True, steps=True)
        yield from golden.compare(f"{kind}_final", final, SAMPLER_TOLERANCE, relative=True)
    for name in golden.arrays:
        if name.startswith("official_sample_k"):
            yield golden.given(name, "not compared: its noise depends on the environment")


def check_autoencoder(golden: GoldenArrays) -> Iterator[ParityRow]:
    """Encoder and decoder."""
    config = golden.about["config"]
    yield from golden.inputs("audio", "z")
    audio, channels = golden.tensor("audio"), config["dec_latent"]
    sizes = autoencoder_arguments(
        config["channels"], config["c_mults"], config["strides"], channels, 44100, audio.shape[1]
    )
    autoencoder = empty(lambda: Oobleck(OobleckSettings.model_validate(sizes)))
    fill(autoencoder, autoencoder_entries(len(config["strides"]), golden.about["key_prefix"]))
    mean, scale = autoencoder.encoder(audio).chunk(2, dim=1)
    yield from golden.compare("mean", mean, AUTOENCODER_TOLERANCE)
    yield from golden.compare("scale", scale, AUTOENCODER_TOLERANCE)
    for name, latents in (("decode_z", "z"), ("decode_mean_every4", "mean")):
        if name in golden.arrays:
            decoded = autoencoder.decoder(golden.tensor(latents))
            every = decoded.shape[-1] // golden.arrays[name].shape[-1]  # stored in part
            yield from golden.compare(name, decoded[..., ::every], AUTOENCODER_TOLERANCE)


def check_number_conditioner(golden: GoldenArrays) -> Iterator[ParityRow]:
    """Embedding of seconds, exactly."""
    yield from golden.inputs("values")
    keys, prefix = golden.keys(), golden.about["key_prefix"]
    dim, inner = keys[f"{prefix}embedder.embedding.1.weight"]
    conditioner = empty(lambda: NumberConditioner(dim, golden.about["min_val"], golden.about["max_val"], inner - 1))
    place = "end_number_conditioner." if "total" in prefix else "start_number_conditioner."
    entries = [entry for entry in conditioner_entries() if entry.official.startswith(prefix)]
    fill(conditioner, entries, f"projection.{place}")
    # The last bit depends on how a matrix product is divided among threads; the arrays were made with two.
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = conditioner(golden.tensor("values"))
    finally:
        torch.set_num_threads(threads)
    for row in golden.compare("embeds", found, 0):
        if not row.ok and row.max_abs_difference is not None and row.max_abs_difference <= ROUNDING:
            row = replace(row, tolerance=ROUNDING, ok=True, note="rounding of another processor")
        yield row


def check_av_clip(golden: GoldenArrays) -> Iterator[ParityRow]:
    """Features of a video that is given by a formula."""
    from cafa.models.encoders.synchformer_network import SynchformerVisual, normalise_frames, take_segments

    about = golden.about
    segments = golden.arrays["features_after_vproj"].shape[1]
    count = about["segment_frames"] + (segments - 1) * about["stride_frames"]
    t, c, y, x = np.indices((count, 3, 224, 224), dtype=np.int32)
    video = (7 * t + 31 * (c + 1) + (x * y) // 16 + (x * (t + 3)) // 4 + 2 * y).astype(np.uint8)
    if hashlib.sha256(video.tobytes()).hexdigest() != about["input_sha256"]:
        raise CafaError(f"{golden.stem}: the video made by the known formula has not the stored SHA-256")
    network = SynchformerVisual.from_tensors(
        {name: golden_tensor(name, shape) for name, shape in golden.keys().items()}
    )
    frames = normalise_frames(torch.from_numpy(video))[None]
    before = network(take_segments(frames, about["stride_frames"], about["segment_frames"]))
    after = network.project(before)
    yield from golden.compare("features_before_vproj", before, AV_CLIP_TOLERANCE)
    yield from golden.compare("features_after_vproj", after, AV_CLIP_TOLERANCE)
    yield from golden.compare("flattened_sequence", after.flatten(1, 2), AV_CLIP_TOLERANCE)
