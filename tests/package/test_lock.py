"""The lock files hold what pyproject.toml asks for, in versions that it admits, each with digests."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: lock file -> extra that it was made from
EXTRAS = {"lock.txt": "full", "lock-test.txt": "test"}


def locked(name: str) -> dict[str, Requirement]:
    """Packages of a lock file; every one is exact and has at least one digest."""
    found = {}
    text = re.sub(r"^#.*\n", "", (ROOT / "envs" / name).read_text(), flags=re.MULTILINE)
    for entry in re.split(r"\n(?=\S)", text.strip()):
        head, *digests = entry.replace(" \\", "").split("\n")
        requirement = Requirement(head)
        assert re.fullmatch(r"==[^=,*]+", str(requirement.specifier)), head
        assert digests, head
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", line) for line in digests), head
        if requirement.marker is None or requirement.marker.evaluate():
            found[canonicalize_name(requirement.name)] = requirement
    return found


def asked_for(extra: str) -> list[Requirement]:
    """Direct requirements, with those of an extra and of the extras that it names."""
    found = [Requirement(line) for line in PROJECT["dependencies"]]
    for requirement in map(Requirement, PROJECT["optional-dependencies"][extra]):
        if requirement.name == PROJECT["name"]:
            found += [other for name in requirement.extras for other in asked_for(name)]
        else:
            found.append(requirement)
    return [one for one in found if one.marker is None or one.marker.evaluate()]


@pytest.mark.parametrize(("name", "extra"), EXTRAS.items())
def test_every_direct_requirement_is_locked_within_its_range(name: str, extra: str) -> None:
    packages = locked(name)
    requirements = asked_for(extra)
    assert len(requirements) > 20
    for requirement in requirements:
        (pin,) = packages[canonicalize_name(requirement.name)].specifier
        assert pin.version in requirement.specifier, f"{name} has {pin.version}, not {requirement}: run `make lock`"


def test_what_both_hold_is_equal() -> None:
    small, large = locked("lock.txt"), locked("lock-test.txt")
    assert small.keys() < large.keys()
    assert {name: str(large[name]) for name in small} == {name: str(value) for name, value in small.items()}


def test_the_build_for_cpus_is_of_the_locked_version() -> None:
    (cpu,) = locked("lock-cpu.txt")["torch"].specifier
    (pin,) = locked("lock.txt")["torch"].specifier
    assert cpu.version == f"{pin.version}+cpu"


def test_a_lock_names_no_registry() -> None:
    for path in (ROOT / "envs").glob("lock*.txt"):
        assert not re.search(r"https?://|file:|index-url|find-links", path.read_text()), path
