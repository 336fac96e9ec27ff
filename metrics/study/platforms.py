"""The same pairs for platforms that hand out single tasks: a form, and a list of tasks.

Prolific needs neither: its raters open the page at ``...?PROLIFIC_PID={{%PROLIFIC_PID%}}``, and
``completion`` of the page's settings leads them back. Not run here with any of the platforms.
"""

import csv
import html
import io
import json
from collections.abc import Iterator
from pathlib import Path

from cafa.common.errors import InputError
from cafa.common.files import atomic_write
from metrics.study.build import MEDIA
from metrics.study.design import QUESTIONS, media_name
from metrics.study.results import StudyKey

_SCRIPT = "https://assets.crowd.aws/crowd-html-elements.js"


def _form(value: str, ties: bool) -> str:
    """The form of one pair; `value` is how the platform writes a field of a task, with ``NAME`` in it."""
    choices = {"left": "Video A", "right": "Video B", **({"tie": "No difference"} if ties else {})}
    fields = []
    for criterion, question in QUESTIONS.items():
        text = html.escape(question).replace("{caption}", value.replace("NAME", "caption"))
        answers = "\n".join(
            f'      <label><input type="radio" name="{criterion}" value="{side}" required> {words}</label>'
            for side, words in choices.items()
        )
        fields.append(f"    <fieldset>\n      <legend>{text}</legend>\n{answers}\n    </fieldset>")
    videos = "\n".join(
        f'      <figure><video src="{value.replace("NAME", side)}" controls width="480"></video>'
        f"<figcaption>{words}</figcaption></figure>"
        for side, words in (("left", "Video A"), ("right", "Video B"))
    )
    hidden = "\n".join(
        f'    <input type="hidden" name="{name}" value="{value.replace("NAME", name)}">'
        for name in ("pair", "left", "right")
    )
    return "\n".join(
        [
            f'<script src="{_SCRIPT}"></script>',
            "<crowd-form>",
            '  <div style="max-width: 1000px; margin: auto">',
            "    <p>Play both videos to the end, with headphones, then answer. Each question stands for itself.</p>",
            '    <div style="display: flex; gap: 1rem">',
            videos,
            "    </div>",
            hidden,
            *fields,
            "  </div>",
            "</crowd-form>",
            "",
        ]
    )


def tasks(key: StudyKey, address: str) -> Iterator[dict[str, str]]:
    """Every pair that a rater of the design sees, as a task of its own, with full addresses of both videos.

    Parameters
    ----------
    key : StudyKey
    address : str
        Where the folder ``page/`` lies on the web, ``https://...``.

    Raises
    ------
    InputError
        If it is no such address.
    """
    if not address.startswith("https://"):
        raise InputError(f"platforms show videos from https addresses, got {address!r}")
    for one in key.design.sets:
        for shown in one:
            pair = key.design.pairs[shown.pair]
            first, second = (
                f"{address.rstrip('/')}/{MEDIA}/{media_name(pair, which, key.settings.seed)}"
                for which in ("first", "second")
            )
            left, right = (first, second) if shown.first_left else (second, first)
            yield {"pair": pair.pair, "caption": pair.caption, "left": left, "right": right}


def write_platform_files(key: StudyKey, address: str, output: str | Path) -> list[Path]:
    """Write templates and lists of tasks.

    ``ground_truth.liquid.html`` and ``ground_truth.manifest.jsonl`` for SageMaker Ground Truth (custom labelling),
    ``mechanical_turk.html`` and ``mechanical_turk.csv`` for Mechanical Turk.

    Returns
    -------
    list of Path
    """
    output, rows = Path(output), list(tasks(key, address))
    table = io.StringIO()
    writer = csv.DictWriter(table, ["pair", "caption", "left", "right"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    manifest = "".join(json.dumps({"source": row["pair"], **row}) + "\n" for row in rows)
    ties = key.settings.ties
    texts = {
        "ground_truth.liquid.html": _form("{{ task.input.NAME | escape }}", ties),
        "ground_truth.manifest.jsonl": manifest,
        "mechanical_turk.html": _form("${NAME}", ties),
        "mechanical_turk.csv": table.getvalue(),
    }
    for name, text in texts.items():
        with atomic_write(output / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return [output / name for name in texts]
