"""Registries: names, lazy entries, and modules of other people."""

import pytest

from cafa.common import plugins
from cafa.common.errors import InputError
from cafa.common.registry import Registry, UnknownNameError


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Write a module that is named as a plugin; the name is the test's own, because modules stay imported."""

    def write(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv(plugins.VARIABLE, name)
        return name

    return write


def test_entries_are_imported_when_they_are_asked_for():
    registry = Registry("thing", {"decoder": "json:JSONDecoder", "broken": "no.such.module:x"})
    assert list(registry) == ["decoder", "broken"]
    assert registry["decoder"].__name__ == "JSONDecoder"


def test_an_unknown_name_is_refused_with_the_nearest_one():
    registry = Registry("judge", {"clap": object(), "panns": object()})
    with pytest.raises(UnknownNameError, match=r"no judge 'clpa'; did you mean 'clap'\? There are clap, panns"):
        registry["clpa"]
    assert registry.get("clpa") is None
    assert "clpa" not in registry


def test_names_are_checked_without_an_import_and_whatever_their_case():
    registry = Registry("metric", {"FAD": "no.such.module:x", "PaSST-KL": "no.such.module:y"})
    registry.check("FAD", "PaSST-KL")
    for typed, meant in (("fad", "FAD"), ("passt-kl", "PaSST-KL"), ("PaSST_KL", "PaSST-KL")):
        with pytest.raises(UnknownNameError, match=f"no metric {typed!r}; did you mean {meant!r}"):
            registry.check("FAD", typed)


def test_a_name_is_taken_once():
    registry: Registry[int] = Registry("number", {"one": 1})
    registry.register("two")(2)
    assert dict(registry) == {"one": 1, "two": 2}
    registry.register("two", 2)
    with pytest.raises(InputError, match="'one' already"):
        registry.register("one", 3)
    registry.register("one", 3, replace=True)
    assert registry["one"] == 3


def test_a_plugin_registers_when_a_registry_is_first_asked(plugin):
    plugin(
        "plugin_of_the_registry_test",
        "from tests.cafa.common.test_registry import REGISTRY\nREGISTRY.register('theirs', 7)\n",
    )
    assert REGISTRY["theirs"] == 7


REGISTRY: Registry[int] = Registry("number", {})


def test_a_plugin_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv(plugins.VARIABLE, "no_such_plugin_anywhere")
    with pytest.raises(InputError, match=r"no_such_plugin_anywhere.*PYTHONPATH"):
        list(Registry("thing"))


def test_the_digest_of_plugins_follows_their_source(plugin, tmp_path):
    assert plugins.plugins_digest() is None
    name = plugin("plugin_with_a_digest", "x = 1\n")
    before = plugins.plugins_digest()
    (tmp_path / f"{name}.py").write_text("x = 2\n")
    plugins._source_digest.cache_clear()
    assert before is not None
    assert plugins.plugins_digest() != before
