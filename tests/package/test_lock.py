"""The lock files hold what pyproject.toml asks for, at versions that it admits, each with digests."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = {"lock.txt": ("workflow", "full"), "lock-test.txt": ("workflow", "full", "study", "types", "docs", "test")}
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)")


def pinned(name: str) -> dict[str, set[str]]:
    """Versions by package; a package may stand twice, for two markers."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "envs" / name).read_text().splitlines():
        if match := PINNED.match(line):
            found.setdefault(canonicalize_name(match[1]), set()).add(match[2])
    return found


@pytest.mark.parametrize("name", sorted(LOCKS))
def test_every_requirement_is_in_the_lock_at_a_version_that_is_admitted(name: str) -> None:
    extras = [line for extra in LOCKS[name] for line in PROJECT["optional-dependencies"][extra]]
    wanted = [Requirement(line) for line in [*PROJECT["dependencies"], *extras]]
    versions = pinned(name)
    for requirement in wanted:
        if canonicalize_name(requirement.name) == "cafa":
            continue
        found = versions.get(canonicalize_name(requirement.name), set())
        assert found, f"{requirement.name} is not in envs/{name}: make lock"
        assert all(requirement.specifier.contains(version) for version in found), f"{requirement}: {found}: make lock"


@pytest.mark.parametrize("name", [*sorted(LOCKS), "lock-cpu.txt", "lock-cuda.txt"])
def test_every_package_has_digests_and_no_address_stands_there(name: str) -> None:
    text = (ROOT / "envs" / name).read_text()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    packages = [block for block in blocks if PINNED.match(block)]
    assert packages
    assert not [block.split()[0] for block in packages if "--hash=sha256:" not in block]
    assert "://" not in text
    assert "index-url" not in text


def test_tests_use_the_versions_of_the_library() -> None:
    library, test = pinned("lock.txt"), pinned("lock-test.txt")
    assert {name: versions for name, versions in library.items() if test.get(name) != versions} == {}
