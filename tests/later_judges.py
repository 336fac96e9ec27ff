"""Files of the judges of later papers (PaSST, VGGish, Microsoft's CLAP, Audiobox-Aesthetics), weights by rule."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from cafa.models.weights import read_weight_sources
from metrics.encoders import passt, vggish
from metrics.encoders.audiobox.network import Aesthetics, Settings
from metrics.encoders.clap.tokenizer import UNRELATED
from metrics.encoders.ms_clap.encoders import MsClapNetwork, gpt2_config, htsat_config
from metrics.encoders.ms_clap.tokenizer import load_tokenizer, tokenise
from metrics.judges.kinds import JUDGES
from metrics.judges.published_files import weights_path
from metrics.parity.later_cases import TRANSFORM
from metrics.parity.published_names import audiobox_shapes, ms_clap_constants, ms_clap_shapes
from metrics.parity.weights import deterministic_tensors
from tests.gpt2_tokenizer import write_gpt2_tokenizer
from tests.published_forms import save_flat
from tests.tiny_judges import Sizes

GAIN = 2.0
#: Of the checkpoint of Microsoft's CLAP: what is added to every embedding of a caption.
TEXT_BIAS = "caption_encoder.projection.layer_norm.bias"


def write_later_weights(folder: Path, sizes: Sizes) -> None:
    """Write all files where the table of weights says; judges without `sizes` get their published ones."""
    places = {name: weights_path(folder, source) for name, source in read_weight_sources().items()}
    for judge in ("passt", "vggish", "ms_clap", "audiobox"):
        for name in JUDGES[judge].weights:
            places[name].parent.mkdir(parents=True, exist_ok=True)
    save_flat(places["passt"], deterministic_tensors(passt.published_shapes(**sizes.get("passt", {})), GAIN))
    save_flat(places["vggish"], deterministic_tensors(vggish.published_shapes(**sizes.get("vggish", {})), GAIN))
    write_gpt2_tokenizer(places["gpt2_vocab"].parent)
    torch.save({"model": ms_clap_tensors(places["gpt2_vocab"], places["gpt2_merges"], sizes)}, places["ms_clap"])
    write_audiobox(places["audiobox"], places["audiobox_config"], sizes)


def ms_clap_tensors(vocab: Path, merges: Path, sizes: Sizes) -> dict[str, Tensor]:
    """Weights whose text tower tells captions apart, which the judge demands: by rule, all would lie on one side."""
    network = {"audio": htsat_config(), "text": gpt2_config(), **sizes.get("ms_clap", {})}
    with torch.device("meta"):
        shapes = ms_clap_shapes(MsClapNetwork(**network))
    tensors = deterministic_tensors(shapes, GAIN) | ms_clap_constants(shapes)
    ids = tokenise(load_tokenizer(vocab, merges), UNRELATED)
    with torch.inference_mode():
        middle = MsClapNetwork.from_tensors(tensors, **network).embed_text(ids).mean(0)
    tensors[TEXT_BIAS] = tensors[TEXT_BIAS] - middle
    return tensors


def write_audiobox(weights: Path, config: Path, sizes: Sizes) -> None:
    """Five layers of a head at the published size, three otherwise."""
    small = sizes.get("audiobox")
    head = {"proj_num_layer": 3, "proj_ln": True, "nth_layer": 3} if small else {"proj_num_layer": 5, "proj_ln": True}
    settings = Settings(TRANSFORM, **head, **({"wavlm": small} if small else {}))
    with torch.device("meta"):
        shapes = audiobox_shapes(Aesthetics(settings))
    save_file(deterministic_tensors(shapes, GAIN), weights, {"format": "pt"})
    config.write_text(json.dumps({"target_transform": TRANSFORM, **head}))
