"""A sampler from outside, as docs/extending/sampler.md adds it."""

from pathlib import Path

from tests.extending.plugin import run_with_plugin

SCRIPT = """
import numpy as np, torch
from tests.cafa.training.tiny import TinyWorld
from pathlib import Path
from cafa.diffusion.samplers import SAMPLERS, FlowModel, per_item_noise
from cafa.diffusion.schedules import FLOW_PATHS
from cafa.features.text import text_id
from cafa.generation.interface import Request
from cafa.generation.opening import open_generator
from cafa.generation.systems import BackboneSystem, parse_system
from cafa.models.interface import SamplingDefaults

# on a straight path whose velocity is known, one step is exact; on the cosine path the error falls with the steps
signal = torch.tensor([[[2.0, -1.0]], [[0.5, 3.0]]])
for name, steps, tolerance in (("straight", 1, 1e-6), ("cosine", 64, 5e-3)):
    path = FLOW_PATHS[name]
    noise = torch.ones_like(signal)
    velocity = lambda x, t: path.velocity(signal, noise, *path.amplitudes(t.view(-1, 1, 1)))
    found = SAMPLERS["heun"](FlowModel(velocity, path), noise, SamplingDefaults("heun", steps=steps), lambda: noise)
    assert (found - signal).abs().max() < tolerance, (name, found)

Path("world").mkdir()
world = TinyWorld(Path("world"))
world.backbone(steps=2)
row = next(world.manifest.itertuples())
text = world.text[text_id(row.caption)]
sounds = {}
for sampler in ("null", '"heun"', '"euler"'):
    system = parse_system('{"kind": "backbone", "sampling": {"sampler": %s, "steps": 4}}' % sampler)
    generator = open_generator(system, world.folder)
    both = generator.latents([Request(text, None, seed) for seed in (1, 2)])
    alone = generator.latents([Request(text, None, 2)])
    np.testing.assert_allclose(both[1], alone[0], atol=1e-5)
    sounds[sampler] = both
assert generator.identity["how"]["sampler"] == "euler"
assert np.abs(sounds["null"] - sounds['"heun"']).max() > 1e-3
assert np.abs(sounds['"euler"'] - sounds['"heun"']).max() > 1e-4
try:
    parse_system('{"kind": "backbone", "sampling": {"sampler": "hein"}}')
except ValueError as error:
    print(error)
"""


def test_a_sampler_of_a_plugin_samples_a_system(tmp_path: Path) -> None:
    done = run_with_plugin("sampler.md", "my_samplers", SCRIPT, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "did you mean 'heun'? There are dpmpp_3m_sde, dpmpp_2m, euler, heun" in done.stdout
