"""Reference implementations that are repositories, run from a checkout on the search path: ImageBind, Synchformer."""

import importlib
from pathlib import Path

import torch
from reference_packages import Said, transformers_first
from reference_standins import bare_package, importing, replace_modules, replace_names

from cafa.models.checkpoint_reader import read_tensors
from metrics.judges.synthetic_signals import normal
from metrics.parity.weights import GAIN, fill

IMAGEBIND, SYNCHFORMER = "imagebind_huge.pth", "synchformer_state_dict.pth"
INPUTS = "from log-mels and frames: its own loaders need torchvision and torchaudio"
#: ImageBind's towers that judge.
TOWERS = ("vision", "audio")


def imagebind(folder: Path, weights: Path | None, offline: bool) -> Said:
    """ImageBind: vision and audio; its networks only, since importing the package imports its loaders."""
    replaced = replace_modules(["torchvision"])  # timm, which it takes two names from, asks for it
    with importing():
        bare_package("imagebind")
        imagebind_model = importlib.import_module("imagebind.models.imagebind_model")
    # Sizes of imagebind_huge for the towers that judge; one block for each of the others, which are removed.
    others = {f"{tower}_num_blocks": 1 for tower in ("text", "depth", "thermal", "imu")}
    network = imagebind_model.ImageBindModel(
        vision_embed_dim=1280,
        vision_num_blocks=32,
        vision_num_heads=16,
        out_embed_dim=1024,
        audio_drop_path=0.1,
        **others,
    )
    for part in network.children():
        for tower in [name for name in part if name not in TOWERS]:
            del part[tower]
    file = folder / "weights" / IMAGEBIND
    if weights is None:
        torch.save(fill(network, GAIN).state_dict(), file)
    else:
        file.symlink_to((weights / IMAGEBIND).resolve())
        tensors = read_tensors(file)
        kept = {name: value for name, value in tensors.items() if name in network.state_dict()}
        network.load_state_dict(kept, strict=True)
    mel, frames = normal(21, 2, 3, 1, 128, 204), normal(22, 1, 2, 3, 2, 224, 224)
    network.eval()
    with torch.inference_mode():
        found = {**network({"audio": mel}), **network({"vision": frames})}
    answers = {f"imagebind.{name}": value.numpy() for name, value in found.items()}
    answers |= {"input.imagebind.mel": mel.numpy(), "input.imagebind.frames": frames.numpy()}
    return answers, replaced, INPUTS


def without_head_masks() -> list[str]:
    """Synchformer's AST asks its base class for masks of heads; where none is given there is one None per layer."""
    base = importlib.import_module("transformers.modeling_utils").PreTrainedModel
    if hasattr(base, "get_head_mask"):
        return []
    base.get_head_mask = lambda self, mask, layers: [None] * layers
    return ["transformers.PreTrainedModel.get_head_mask"]


def synchformer(folder: Path, weights: Path | None, offline: bool) -> Said:
    """Synchformer: both encoders, and the offset head on windows of 14 segments."""
    transformers_first()
    replaced = replace_modules(["torchvision"])  # for timm
    # Moved or gone in transformers 5: a decorator of docstrings, and two functions that only pruning calls.
    replaced += replace_names(
        importlib.import_module("transformers.pytorch_utils"), ["find_pruneable_heads_and_indices"]
    )
    words = ("add_code_sample_docstrings", "add_start_docstrings", "add_start_docstrings_to_model_forward")
    replaced += replace_names(importlib.import_module("transformers.utils"), words)
    replaced += without_head_masks()
    with importing():
        from model.sync_model import Synchformer
        from omegaconf import OmegaConf
    settings = OmegaConf.load("configs/sync.yaml").model.params
    settings.transformer.params.off_head_cfg.params.out_features = 21
    settings = OmegaConf.create({"data": {"num_off_cls": 21}, "model": {"params": settings}}).model.params
    network = Synchformer(**settings)
    file = folder / "weights" / SYNCHFORMER
    if weights is None:
        torch.save(fill(network, GAIN).state_dict(), file)
    else:
        file.symlink_to((weights / SYNCHFORMER).resolve())
        network.load_state_dict(read_tensors(file))
    network.eval()
    frames = normal(12, 1, 2, 16, 3, 224, 224).clamp(-1, 1)
    mel = normal(11, 1, 14, 1, 128, 66) * 0.5
    video, audio = normal(13, 2, 14, 8, 768), normal(14, 2, 14, 6, 768)
    with torch.inference_mode():
        seen = network.extract_vfeats(frames, for_loop=False)
        heard = network.extract_afeats(mel, for_loop=False)
        logits = network.transformer(network.vproj(video).flatten(1, 2), network.aproj(audio).flatten(1, 2))
    answers = {
        "synchformer.video": seen.numpy(),
        "synchformer.audio": heard.numpy(),
        "synchformer.offsets": logits.numpy(),
        "input.synchformer.frames": frames.numpy(),
        "input.synchformer.mel": mel.numpy(),
        "input.synchformer.video": video.numpy(),
        "input.synchformer.audio": audio.numpy(),
    }
    return answers, replaced, INPUTS
