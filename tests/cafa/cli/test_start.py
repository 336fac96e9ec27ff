"""What is imported before anything is done: every job and every call of a verb waits for it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cafa.cli import VERBS
from cafa.common.ledger import ledger_row, write_ledger
from tests.tiny_judges import SIZES, make_weights
from tests.tiny_pretrained import make_registered

ROOT = Path(__file__).resolve().parents[3]
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
RUN = """
import json, sys
from cafa.cli import cli
try:
    cli(sys.argv[2:])
except SystemExit as end:
    assert not end.code
print("\\nLOADED " + json.dumps([name for name in json.loads(sys.argv[1]) if name in sys.modules]))
"""
OPEN = """
import json, sys
from cafa.models import registry
found = {}
for folder, call, model in json.loads(sys.argv[2]):
    getattr(registry, call)(folder + "/" + model)
    found[call + " " + model] = [name for name in json.loads(sys.argv[1]) if name in sys.modules]
print("\\nLOADED " + json.dumps(found))
"""
JUDGES = """
import json, sys
from pathlib import Path
from cafa.models.weights import read_weight_sources
from metrics.judges.published_files import find_weights, open_judges
settings, found = json.loads(sys.argv[2]), {}
for judge in sys.argv[3:]:
    sources = read_weight_sources(Path(settings["table"]))
    paths = find_weights(Path(settings["weights"]), sources, [judge])
    open_judges(paths, sources, [judge], sizes=settings["sizes"])
    found[judge] = [name for name in json.loads(sys.argv[1]) if name in sys.modules]
print("\\nLOADED " + json.dumps(found))
"""
#: what opening a published model goes without
COMPILERS = ("diffusers", "sympy", "torch._dynamo", "torch._inductor", "torch.distributed.tensor", "scipy.stats")


def loaded(program: str, *arguments: str) -> Any:
    """Heavy modules that a fresh process holds: after each of its steps, or at its end."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: Any = json.loads(done.stdout.rpartition("LOADED ")[2])
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


# One process opens one after another: what one of them imports is there for all that follow, so it is seen.
def test_published_models_are_opened_without_a_compiler(tmp_path: Path) -> None:
    models = str(make_registered(tmp_path))
    opened = [
        (models, "open_backbone", "backbone"),
        (models, "open_backbone", "tangoflux"),
        (models, "open_text", "tangoflux"),
        (models, "open_audio", "backbone"),
        (models, "open_video_encoder", "clip"),
        (models, "open_video_encoder", "av_clip"),
    ]
    without = json.dumps([*COMPILERS, "transformers", "pandas"])
    assert loaded(OPEN, without, json.dumps(opened)) == {f"{call} {model}": [] for _, call, model in opened}


def test_judges_that_are_written_here_are_opened_without_a_compiler(tmp_path: Path) -> None:
    settings = make_weights(tmp_path)
    assert settings["sizes"].keys() == SIZES.keys()
    without = json.dumps([*COMPILERS, "transformers", "pandas"])
    judges = ("classifier", "imagebind", "synchformer")
    assert loaded(JUDGES, without, json.dumps(settings), *judges) == {judge: [] for judge in judges}


@pytest.mark.parametrize(
    ("arguments", "without"),
    [
        (("ledger", "{ledger}"), ("torch", "scipy", "pandas", "huggingface_hub")),
        (("ledger", "{ledger}", "--csv"), ("torch", "scipy", "pandas", "huggingface_hub")),
        (("baselines", "list"), ("torch", "scipy", "pandas", "av", "huggingface_hub")),
        (("weights", "list"), ("torch", "scipy", "pandas", "av")),
        (("check",), ("torch", "scipy", "pandas", "av", "huggingface_hub", "httpx")),
        (("stages", "check"), ("torch", "scipy", "pandas", "av", "huggingface_hub", "httpx")),
        (
            ("rows", "--configfile", str(ROOT / "config/config.yaml")),
            ("torch", "scipy", "pandas", "av", "huggingface_hub"),
        ),
    ],
    ids=["ledger", "ledger_csv", "baselines", "weights", "check", "stages", "rows"],
)
def test_verbs_that_only_tell_import_little(
    tmp_path: Path, arguments: tuple[str, ...], without: tuple[str, ...]
) -> None:
    ledger = tmp_path / "ledger.parquet"
    write_ledger(ledger, [ledger_row("a", "ingest"), ledger_row("b", "ingest", "short", "0.5 s", line=3)])
    given = [argument.format(ledger=ledger) for argument in arguments]
    assert loaded(RUN, json.dumps([*without, "diffusers", "transformers"]), *given) == []
