"""`import cafa` and `import metrics`: light, complete, and typed."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cafa
import metrics

ROOT = Path(__file__).resolve().parents[2]


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)


@pytest.mark.parametrize("package", ["cafa", "metrics"])
def test_importing_a_package_imports_nothing_heavy(package: str) -> None:
    heavy = ("torch", "pandas", "numpy", "pyarrow", "av", "diffusers", "transformers", "scipy")
    code = f"import sys, {package}; print([name for name in {heavy} if name in sys.modules])"
    assert run(code).stdout.strip() == "[]"


@pytest.mark.parametrize("package", [cafa, metrics])
def test_every_name_that_is_offered_is_there_and_in_the_stub(package) -> None:
    stub = ast.parse(Path(package.__file__).with_suffix(".pyi").read_text())
    listed = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert listed == set(package.__all__)
    for name in sorted(listed):
        assert getattr(package, name).__name__ == name
        assert name in dir(package)
    assert Path(package.__file__).with_name("py.typed").exists()


def test_what_users_need_first_is_offered() -> None:
    assert {"FoleyPipeline", "FoleyResult", "FeatureStore", "read_manifest", "train_adapter"} <= set(cafa.__all__)
    assert {"frechet_distance", "kl_divergence", "inception_score", "desync"} <= set(metrics.__all__)
    with pytest.raises(AttributeError, match="nothing_like_it"):
        cafa.nothing_like_it  # noqa: B018


def test_the_light_import_is_light() -> None:
    # Against starting Python alone in the same minute: no absolute time, which another machine would not meet.
    def seconds(code: str) -> float:
        took = []
        for _ in range(3):
            begun = time.perf_counter()
            run(code)
            took.append(time.perf_counter() - begun)
        return min(took)

    assert seconds("import cafa, metrics") < seconds("import torch") / 2
