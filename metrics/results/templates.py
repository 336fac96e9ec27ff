"""Pages for people: what all of them share. A page is one HTML file that asks for nothing from outside."""

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from cafa.common.errors import InputError

#: Look, script and parts of every page; templates of all packages can include them.
SHARED = ("pages.css", "pages.js", "parts.html.jinja")


def render(package: str, template: str, values: Mapping[str, Any]) -> str:
    """Text of a template with `values`, every text of which is escaped.

    Parameters
    ----------
    package : str
        That the template lies in.
    template : str
        Its file; it can include those of :data:`SHARED`.
    values : mapping

    Raises
    ------
    jinja2.UndefinedError
        If the template asks for a value that is not given.
    """
    places = ChoiceLoader([PackageLoader(package, "."), PackageLoader("metrics.results", ".")])
    environment = Environment(loader=places, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template(template).render(values)


def as_script_data(value: Any) -> str:
    """JSON that can stand in a ``<script>``, whatever texts it holds: nothing in it ends the element.

    Raises
    ------
    InputError
        If a number is not finite, which JSON cannot say.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise InputError(f"what the page shows holds a number that is not finite: {error}") from error
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
