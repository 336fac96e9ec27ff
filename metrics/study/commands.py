"""What the verbs of ``cafa study`` do."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cafa.data.prompts import read_prompts
from metrics.study.answers import read_answers
from metrics.study.build import KEY, PageSettings, StudySources, build_study
from metrics.study.design import StudySettings
from metrics.study.platforms import write_platform_files
from metrics.study.results import ResultsSettings, StudyKey, write_results
from metrics.study.win_rates import half_width, pairs_needed


def build_from_files(
    prompts: Path, sources: StudySources, settings: StudySettings, page: PageSettings, output: Path
) -> str:
    """Choose pairs, write the page; what was made, in words (:func:`metrics.study.build.build_study`)."""
    design = build_study(read_prompts(prompts), sources, settings, page, output)
    return f"{len(design.pairs)} pairs and checks, {len(design.sets)} sets: one for each rater"


def serve(study: Path, answers: Path | None, host: str, port: int) -> None:
    """Show the page and receive answers until the process is ended (:func:`metrics.study.serve.serve_study`)."""
    from metrics.study.serve import serve_study

    place = answers or study / "answers.jsonl"
    print(f"http://{host}:{port}/  answers go to {place}", flush=True)
    serve_study(study, place, host, port)


def platform_files(study: Path, address: str, output: Path) -> str:
    """Write forms and lists of tasks; their paths, one in a line."""
    return "\n".join(map(str, write_platform_files(StudyKey.read(study / KEY), address, output)))


def results_from_files(
    answers: Sequence[Path], key: Path, settings: ResultsSettings, published: Path | None, output: Path
) -> str:
    """Write the results; the table, as Markdown (:func:`metrics.study.results.write_results`)."""
    hand_ins = [one for path in answers for one in read_answers(path)]
    known = None if published is None else pd.read_csv(published)
    write_results(hand_ins, StudyKey.read(key), settings, output, known)
    return (output / "table3.md").read_text(encoding="utf-8")


def plan(rate: float, width: float, ratings: int, agreement: float) -> str:
    """How many pairs a comparison needs, in words."""
    pairs = pairs_needed(rate, width, ratings, agreement)
    return f"{pairs} pairs of {ratings} ratings: {rate:g} +- {half_width(rate, pairs, ratings, agreement):.3f}"
