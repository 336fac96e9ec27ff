"""Entries of registries, named by strings, on small packages; versions of packages, and plugins."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cafa.common import provenance, stages
from cafa.common.plugins import VARIABLE, plugins_digest
from cafa.common.stage_table import Stage

FILES = {
    "cafa/__init__.py": "",
    "cafa/cli/__init__.py": "",
    "cafa/cli/sound.py": "import click\n@click.command()\n@click.option('--steps', default=4)\n"
    "def command(steps):\n    from cafa.sound import make\n    make(steps)\n",
    "cafa/sound.py": "from cafa.samplers import SAMPLERS\n\ndef make(steps):\n    return SAMPLERS['euler'](steps)\n\n"
    "def measure():\n    return open_named('metrics.judge:judge')\n",
    "cafa/samplers.py": "from cafa.registry import Registry\n\nclass Sampler: ...\n\n"
    "SAMPLERS: Registry[Sampler] = Registry[Sampler]('sampler', {\n"
    "    'euler': 'cafa.euler:euler', 'heun': 'cafa.heun:heun'})\n",
    "cafa/registry.py": "class Registry(dict): ...\n",
    "cafa/euler.py": "import torch\ndef euler(steps):\n    return steps\n",
    "cafa/heun.py": "import scipy\nfrom cafa.other import more\n",
    "cafa/other.py": "import pandas\nmore = 1\n",
    "metrics/__init__.py": "",
    "metrics/judge.py": "PAGE = 'page.jinja'\n",
    "metrics/page.jinja": "x",
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(stages, "project_root", lambda: tmp_path)
    stages.forget_versions()
    yield tmp_path
    stages.forget_versions()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch):
    def named(**more) -> None:
        monkeypatch.setattr(stages, "STAGES", {"toy": Stage({"sound": "cafa.sound:make"}, **more)})
        stages.forget_versions()

    return named


def test_entries_of_a_registry_are_followed_as_imports(small: Path, stage) -> None:
    stage()
    behind = stages.code_behind("toy")
    assert {"cafa.sound:make", "cafa.cli.sound:command", "cafa.samplers", "cafa.euler", "cafa.heun", "cafa.other"} <= (
        behind.keys()
    )
    assert "metrics.judge" not in behind  # of another function of the module
    before = stages.code_digest("toy")
    (small / "cafa/other.py").write_text("import pandas\nmore = 2\n")
    stages.forget_versions()
    assert stages.code_digest("toy") != before


def test_a_stage_names_the_entries_that_it_uses(small: Path, stage) -> None:
    stage(entries={"SAMPLERS": ("euler",)})
    assert "cafa.euler" in stages.code_behind("toy")
    assert not {"cafa.heun", "cafa.other"} & stages.code_behind("toy").keys()
    stage(entries={"JUDGES": ()})
    assert "cafa.heun" in stages.code_behind("toy")
    stage(without={"cafa.heun": "it is not used here"})
    assert not {"cafa.heun", "cafa.other"} & stages.code_behind("toy").keys()


def test_modules_named_by_strings_outside_of_registries_count_with_their_data(small: Path, monkeypatch) -> None:
    monkeypatch.setattr(stages, "STAGES", {"toy": Stage({"sound": "cafa.sound:measure"})})
    assert {"metrics.judge", "metrics/page.jinja"} <= stages.code_behind("toy").keys()


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("default=4", "default=8", True),
        ("make(steps)\n", "make(2 * steps)\n", True),
        ("import click\n", "#\nimport click\n", False),
    ],
)
def test_options_of_a_command_count(small: Path, stage, old: str, new: str, changes: bool) -> None:
    stage()
    before = stages.code_digest("toy")
    file = small / "cafa/cli/sound.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    stages.forget_versions()
    assert (stages.code_digest("toy") != before) is changes


def test_a_command_that_is_gone_is_named(small: Path, monkeypatch) -> None:
    monkeypatch.setattr(stages, "STAGES", {"toy": Stage({"noise": "cafa.sound:make"})})
    with pytest.raises(stages.CafaError, match="no command `cafa noise`"):
        stages.code_behind("toy")
    monkeypatch.setattr(stages, "STAGES", {"toy": Stage({"sound": "cafa.sound:gone"})})
    with pytest.raises(stages.CafaError, match=r"there is no cafa\.sound:gone"):
        stages.code_behind("toy")


def test_versions_name_the_packages_that_compute_up_to_the_second_number(small: Path, stage, monkeypatch) -> None:
    known = {"torch": ("torch", "2.13.0+cu130"), "scipy": ("scipy", "1.17.1"), "pandas": ("pandas", "3.1.1")}
    monkeypatch.setattr(provenance, "installed", known.get)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(stages, "plugins_digest", plugins_digest_of_none)
    stage()
    assert stages.packages_behind("toy") == ["scipy-1.17", "torch-2.13"]
    assert stages.stage_version("toy") == f"{stages.code_digest('toy')} scipy-1.17 torch-2.13"
    monkeypatch.setitem(known, "torch", ("torch", "2.13.4"))
    stages.forget_versions()
    assert stages.packages_behind("toy") == ["scipy-1.17", "torch-2.13"]
    monkeypatch.setitem(known, "torch", ("torch", "2.14.0"))
    monkeypatch.delitem(known, "scipy")
    stages.forget_versions()
    assert stages.packages_behind("toy") == ["torch-2.14"]


def plugins_digest_of_none() -> None:
    return None


def test_plugins_are_part_of_the_version(tmp_path: Path, small: Path, stage, monkeypatch) -> None:
    (tmp_path / "my_sampler_of_stages.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    stage()
    monkeypatch.setenv(VARIABLE, "my_sampler_of_stages")
    with_plugin = stages.stage_version("toy")
    assert with_plugin.endswith(f" plugins-{plugins_digest()}")
    monkeypatch.delenv(VARIABLE)
    stages.forget_versions()
    assert "plugins-" not in stages.stage_version("toy")
    assert with_plugin.startswith(stages.stage_version("toy"))


def test_cards_name_every_package_that_numbers_depend_on() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).resolve().parents[3] / "pyproject.toml").read_text())["project"]
    needed = {line.split("=")[0].split(">")[0].split("<")[0].split(";")[0].strip() for line in project["dependencies"]}
    network = {"huggingface_hub", "httpx", "tenacity", "platformdirs"}
    others = {"click", "pydantic", "tqdm", "matplotlib", "jinja2", "filelock", "pyyaml", "lazy-loader", *network}
    known = {name for names in provenance.NUMERIC.values() for name in names}
    assert needed - others <= known
    assert {"torch", "numpy", "pandas", "pyarrow", "safetensors", "soundfile", "av", "tokenizers"} <= (
        provenance.versions().keys()
    )
    assert {"python", "libavcodec", "libsndfile"} <= provenance.versions().keys()


def test_packages_that_compute_are_those_of_the_project(monkeypatch) -> None:
    assert {"torch", "numpy", "scipy", "av", "soxr", "diffusers", "transformers"} <= provenance.COMPUTING
    assert not {"pandas", "pyarrow", "safetensors", "tokenizers", "snakemake", "cafa"} & provenance.COMPUTING
