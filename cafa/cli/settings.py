"""``--settings``: JSON on the command line, or a file of JSON or YAML."""

import importlib
import json
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, TypeAdapter, ValidationError

from cafa.common.errors import InputError
from cafa.common.settings_errors import settings_said

YAML, JSON = (".yaml", ".yml"), ".json"


def settings_text(value: str) -> str:
    """Settings as the text of a JSON object, whatever form they were given in.

    Parameters
    ----------
    value : str
        A JSON object, or the path of a file that holds one, as JSON or YAML; a path may have ``@`` before it.

    Raises
    ------
    InputError
        If it is neither, there is no such file, or it holds something else.
    """
    text = value.strip()
    if text.startswith(("{", "[", '"')) or text == "null":
        _object(_json(text, "--settings"), "--settings")
        return text
    path = Path(text.removeprefix("@"))
    if not path.is_file():
        raise InputError(
            f"--settings {value}: this is no JSON object, and there is no such file; give JSON, such as "
            f"'{{\"name\": 1}}', or the path of a file ({JSON}, {', '.join(YAML)})"
        )
    where = f"--settings {path}"
    written = path.read_text(encoding="utf-8")
    if path.suffix in YAML:
        return json.dumps(_object(_yaml(written, where), where), default=str)
    _object(_json(written, where), where)
    return written


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{where} is not JSON: {error}") from error


def _yaml(text: str, where: str) -> Any:
    try:
        import yaml

        from cafa.common.yaml_text import load_yaml
    except ImportError as error:
        raise InputError(f"{where}: YAML needs the package PyYAML, which is not installed; give JSON") from error
    try:
        return load_yaml(text)
    except yaml.YAMLError as error:
        raise InputError(f"{where} is not YAML: {error}") from error


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} must be a JSON object, names with values, got {json.dumps(value, default=str):.60}")
    return value


class SettingsText(click.ParamType):
    """Text of a JSON object, from the command line or from a file."""

    name = "JSON or FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See :func:`settings_text`."""
        return settings_text(value) if isinstance(value, str) else value


class Settings(SettingsText):
    """Validated settings.

    Parameters
    ----------
    model : str
        ``module.Name``: a pydantic model, or a union of such; imported when settings are read.
    """

    def __init__(self, model: str) -> None:
        self.model = model

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See :func:`settings_text`; what is not valid is named by its field, with the fields that there are."""
        if not isinstance(value, str):
            return value
        module, _, name = self.model.rpartition(".")
        model = getattr(importlib.import_module(module), name)
        text = settings_text(value)
        try:
            if isinstance(model, type) and issubclass(model, BaseModel):
                return model.model_validate_json(text)
            return TypeAdapter(model).validate_json(text)
        except ValidationError as error:
            where = "settings are" if value.lstrip().startswith("{") else f"--settings {value} is"
            raise InputError(f"{where} not valid: {settings_said(error, model)}") from error


class JsonObject(SettingsText):
    """An object of JSON, as a dict."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See :func:`settings_text`."""
        if not isinstance(value, str):
            return value
        try:
            return json.loads(settings_text(value))
        except InputError as error:
            flag = param.opts[0] if param is not None else "--settings"
            raise InputError(str(error).replace("--settings", flag)) from error
