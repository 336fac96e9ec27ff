"""A backbone from outside, as docs/extending/backbone.md adds it."""

from pathlib import Path

from tests.extending.plugin import run_with_plugin

SCRIPT = """
import json
from pathlib import Path
import numpy as np, pandas as pd, torch
from click.testing import CliRunner
from safetensors.torch import save_file
from cafa.cli.models import register
from cafa.features.store import FeatureStore, write_features
from cafa.features.text import text_id
from cafa.generation.interface import Request
from cafa.generation.opening import open_generator
from cafa.generation.systems import parse_system
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.registry import open_backbone, open_text, read_card
from cafa.training.adapter import AdapterTraining, train_adapter
from cafa.training.generator import TrainingData, TrainingRun
from cafa.training.loop_settings import LoopSettings
from my_backbone import ToyDenoiser

torch.manual_seed(0)
weights = {f"denoiser.{name}": value.contiguous() for name, value in ToyDenoiser().state_dict().items()}
Path("weights").mkdir()
save_file({**weights, "audio.weight": torch.randn(2, 20)}, "weights/toy.safetensors")
settings = json.dumps({"kind": "toy", "source": "weights"})
done = CliRunner().invoke(register, ["--settings", settings, "--output", "models/backbone"])
assert done.exit_code == 0, (done.output, done.exception)
card = read_card("models/backbone")
backbone, text = open_backbone("models/backbone"), open_text("models/backbone")

def system(kind):
    return parse_system(json.dumps({"kind": kind, "sampling": {"seconds": 0.9}}))

state = text.encode(["dog barks"])[0].numpy()
generator = open_generator(system("backbone"), "models")
assert generator.identity["how"]["sampler"] == "euler" and generator.identity["how"]["steps"] == 8
together = generator.generate([Request(state, None, seed) for seed in (1, 2)])
alone = generator.generate([Request(state, None, 2)])
assert together[0].shape == (1, 900) and np.abs(together[0]).max() > 0.5
np.testing.assert_allclose(together[1], alone[0], atol=1e-4)

# an adapter, trained by the same code as all others; fewer latents are stored than the window has: silence follows
rng = np.random.default_rng(0)
clips, captions = [f"clip{n}" for n in range(6)], ["dog barks", "loud music"]
manifest = pd.DataFrame({"clip_id": clips, "caption": [captions[n % 2] for n in range(6)], "split": "train"})
def write(kind, shape, encoder, arrays, name=None):
    write_features(f"{kind}.arrow", arrays, kind=kind, shape=shape, dtype="float16", encoder=encoder)
    return FeatureStore([f"{kind}.arrow"])
latents = write("latents", (40, 2), card["encoders"]["latents"], ((c, rng.standard_normal((40, 2))) for c in clips))
video = write("av_clip", (40, 6), {"name": "random"}, ((c, rng.standard_normal((40, 6))) for c in clips))
states = ((text_id(c), text.encode([c])[0].numpy()) for c in captions)
words = write("text", (5, 3), card["encoders"]["text"], states)
training = AdapterTraining(
    loop=LoopSettings(steps=5, batch_size=3, learning_rate=1e-2), seconds=0.8,
    model=AdapterSettings(feature_dim=6, hint_dim=8),
)
data = TrainingData(manifest, latents, words, [video])
train_adapter(training, data, "models/backbone", TrainingRun(seed=1, output="models/adapter"))
generator = open_generator(system("adapter"), "models")
found = [generator.generate([Request(state, video[clip], 1)])[0] for clip in clips[:2]]
assert np.abs(found[0] - found[1]).max() > 1e-4  # it depends on the video
try:
    open_generator(parse_system('{"kind": "backbone", "sampling": {"preset": "official"}}'), "models")
except ValueError as error:
    print(error)
"""


def test_a_backbone_of_a_plugin_is_sampled_alone_and_with_an_adapter(tmp_path: Path) -> None:
    done = run_with_plugin("backbone.md", "my_backbone", SCRIPT, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the official preset is not for toy" in done.stdout
