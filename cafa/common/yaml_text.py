"""Text of YAML, in which every key of a mapping stands once: YAML itself takes the last one and says nothing."""

from typing import Any

import yaml

MERGE = "tag:yaml.org,2002:merge"


class _OnceLoader(yaml.SafeLoader):
    """Refuses a key that stands twice, before keys of other mappings are merged in (``<<``), which may be replaced."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """See :class:`yaml.composer.Composer`."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: dict[tuple[str, str], yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                continue
            first = seen.setdefault((key.tag, key.value), key)
            if first is not key:
                raise yaml.composer.ComposerError(
                    f"the key {key.value!r} stands twice: leave one out, or give it another name; first",
                    first.start_mark,
                    "and again",
                    key.start_mark,
                )
        return node


def load_yaml(text: str) -> Any:
    """What a text of YAML says, as plain values.

    Raises
    ------
    yaml.YAMLError
        If it is no YAML, or a mapping has a key twice; says in which line.
    """
    return yaml.load(text, Loader=_OnceLoader)
