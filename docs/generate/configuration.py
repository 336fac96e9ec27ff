"""The page of the configuration: every key with its type, default and description, from the schemas."""

import json
from pathlib import Path
from typing import Any

import yaml

SCHEMAS = Path("workflow/schemas")
HEAD = """# Configuration: every key

Made from `workflow/schemas/config.schema.yaml` and from the settings models of the libraries. A configuration is
checked against these before any job runs: an unknown key, a wrong type or a value out of range is an error that names
the key. For a guide with examples see [Configuration by example](config.md).

`NAME` stands for a name of your own. A type that is a link is described further down. The default is what holds if a
key is left out; what `config/config.yaml` says comes before it.
"""
SCALARS = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}
BOUNDS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}


def page(root: Path) -> str:
    """Text of the page."""
    config = yaml.safe_load((root / SCHEMAS / "config.schema.yaml").read_text(encoding="utf-8"))
    settings = json.loads((root / SCHEMAS / "settings.schema.json").read_text(encoding="utf-8"))["$defs"]
    sections = {name for name, schema in config["$defs"].items() if "properties" in schema}
    config = _resolved(config, {name: schema for name, schema in config["$defs"].items() if name not in sections})
    parts = [HEAD]
    single = {key: schema for key, schema in config["properties"].items() if not list(_rows(schema, ""))}
    plain = {"properties": single, "required": [key for key in single if key in config["required"]]}
    parts.append(f"## Keys of one value\n\n{_table(list(_rows(plain, '')))}")
    for key, schema in config["properties"].items():
        if key not in single:
            parts.append(f"## `{key}`\n\n{_sentence(schema.get('description', ''))}\n")
            parts.append(_table(list(_rows(schema, ""))))
    parts.append("## Kinds of data sets\n")
    parts += [_section(name, config["$defs"][name]) for name in config["$defs"] if name in sections]
    parts.append("## Settings of commands\n\nThe same settings are given to a command with `--settings`, as JSON.\n")
    parts += [_section(name, schema) for name, schema in sorted(settings.items())]
    return "\n".join(parts)


def _resolved(schema: Any, small: dict[str, Any]) -> Any:
    """A schema with references to definitions that have no section of their own replaced by these."""
    if isinstance(schema, list):
        return [_resolved(part, small) for part in schema]
    if not isinstance(schema, dict):
        return schema
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name in small:
        return {**small[name], **{key: part for key, part in schema.items() if key != "$ref"}}
    return {key: _resolved(part, small) for key, part in schema.items()}


def _section(name: str, schema: dict[str, Any]) -> str:
    description = schema.get("description", "").replace("``", "`")
    rows = list(_rows(schema, "")) or [("(none)", "", "", "")]
    return f"### {name}\n\n{_sentence(description)}\n\n{_table(rows)}"


def _rows(schema: dict[str, Any], prefix: str) -> Any:
    """(key, type, default, description) of the keys of an object and of the objects inside of it."""
    for part in schema.get("anyOf", []):
        yield from _rows(part, prefix)
    required = schema.get("required", [])
    named = dict(schema.get("properties", {}))
    if isinstance(others := schema.get("additionalProperties"), dict):
        named["NAME"] = others
    for key, value in named.items():
        default = "required" if key in required else default_of(value)
        if key != "NAME" or "description" in value or not _is_object(value):
            yield prefix + key, type_of(value), default, value.get("description", "")
        if _is_object(value) or "anyOf" in value:
            yield from _rows(value, f"{prefix}{key}.")


def _is_object(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "object" or "properties" in schema


def type_of(schema: dict[str, Any]) -> str:
    """A type in words, with its bounds."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{json.dumps(schema['const'], ensure_ascii=False)}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(dict.fromkeys(type_of(part) for part in schema.get("anyOf", schema.get("oneOf"))))
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(SCALARS.get(part, part) for part in kind)
    if kind == "array":
        return f"list of {type_of(schema['items'])}" if isinstance(schema.get("items"), dict) else "list"
    if kind == "object":
        inner = schema.get("additionalProperties")
        if isinstance(inner, dict) and not _is_object(inner):
            return f"name → {type_of(inner)}"
        return "keys below" if "properties" in schema or isinstance(inner, dict) else "keys and values"
    bounds = " and ".join(words.format(schema[name]) for name, words in BOUNDS.items() if name in schema)
    return SCALARS.get(kind, kind) + (f", {bounds}" if bounds else "")


def default_of(schema: dict[str, Any]) -> str:
    """The default, as in a configuration file."""
    return f"`{json.dumps(schema['default'], ensure_ascii=False)}`" if "default" in schema else ""


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith(".") else ".")


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    def cell(text: str) -> str:
        return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")

    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{key}` | {cell(kind)} | {cell(default)} | {cell(about)} |" for key, kind, default, about in rows]
    return "\n".join(lines) + "\n"
