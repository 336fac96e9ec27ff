"""YAML whose keys stand once each."""

import pytest
import yaml

from cafa.common.yaml_text import load_yaml


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", 3),
        ("systems:\n  mine: {kind: reference}\n  mine: {kind: oracle}\n", 3),
        ("rows: [{x: 1, x: 2}]\n", 1),
        ("a: 1\n'a': 2\n", 2),
        ("1: a\n2: b\n1: c\n", 3),
    ],
)
def test_key_that_stands_twice_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(yaml.YAMLError, match=rf"(?s)stands twice.*and again.*line {line}\b"):
        load_yaml(text)


def test_merged_mappings_may_be_laid_over() -> None:
    text = "base: &base {x: 1, y: 2}\nother: &other {<<: *base, x: 3}\nlast: {<<: *other, y: 4}\n"
    assert load_yaml(text) == yaml.safe_load(text)


def test_equal_text_of_other_kinds_are_other_keys() -> None:
    assert load_yaml("1: a\n'1': b\n") == {1: "a", "1": "b"}
