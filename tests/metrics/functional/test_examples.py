"""Every public function of `metrics.functional` has an example, and the examples are true."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import metrics.functional

MODULES = [f"metrics.functional.{module.name}" for module in pkgutil.iter_modules(metrics.functional.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name: str):
    found = doctest.testmod(importlib.import_module(name), raise_on_error=False)
    assert found.failed == 0
    assert found.attempted > 0


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_one(name: str):
    module = importlib.import_module(name)
    functions = {
        function.__name__: inspect.getdoc(function) or ""
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == name and not function.__name__.startswith("_")
    }
    assert [function for function, doc in functions.items() if ">>> " not in doc] == []
