"""What is imported before anything is done: every job and every call of a verb waits for it."""

import json
import subprocess
import sys

from cafa.cli import VERBS

#: packages that no verb needs to say what it takes
HEAVY = ("torch", "diffusers", "transformers", "scipy", "pandas", "pyarrow", "matplotlib", "huggingface_hub", "decord")
#: what a job that runs a network of our own goes without: all of diffusers, and torch's compiler, come with one class
OF_OTHERS = ("diffusers", "transformers", "sympy", "torch._dynamo", "torchvision", "torchaudio", "scipy.stats")
HELP = """
import json, sys
from cafa.cli import VERBS, cli
found = {}
for verb in VERBS:
    try:
        cli([verb, "--help"])
    except SystemExit as end:
        assert not end.code, verb
    found[verb] = sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[1:]))
print("\\nLOADED " + json.dumps(found))
"""
IMPORT = """
import importlib, json, sys
found = {}
for module in sys.argv[2:]:
    importlib.import_module(module)
    found[module] = [name for name in json.loads(sys.argv[1]) if name in sys.modules]
print("\\nLOADED " + json.dumps(found))
"""


def loaded(program: str, *arguments: str) -> dict[str, list[str]]:
    """Heavy modules that a fresh process holds after each of its steps."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.rpartition("LOADED ")[2])
    return found


def test_no_verb_imports_a_heavy_package_to_be_described() -> None:
    assert loaded(HELP, *HEAVY) == {verb: [] for verb in VERBS}


def test_our_own_networks_need_no_package_of_models() -> None:
    modules = (
        "cafa.generation.opening",
        "cafa.training.job",
        "cafa.training.from_files",
        "cafa.features.av_clip",
        "cafa.features.latents",
        "metrics.judges.training.from_files",
        "metrics.embedding.from_files",
    )
    assert loaded(IMPORT, json.dumps(OF_OTHERS), *modules) == {module: [] for module in modules}


def test_pretrained_models_are_looked_up_without_the_packages_that_run_them() -> None:
    modules = (
        "cafa.models.stable_audio.backbone",
        "cafa.models.tangoflux.backbone",
        "cafa.models.encoders.clip",
        "cafa.models.encoders.synchformer",
    )
    assert loaded(IMPORT, json.dumps(OF_OTHERS), *modules) == {module: [] for module in modules}
