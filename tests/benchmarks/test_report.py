"""Medians, spreads, the JSON file and the tables made from it."""

import re
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from benchmarks import page, report
from benchmarks.report import Comparison, Report, Row, Spread, commit, number, read_report, row, row_of
from benchmarks.rounds import Taken, Way

ROOT = Path(__file__).resolve().parents[2]
MEASURED = sorted(page.MEASURED.rglob("*.json"))


def made(**figures: float) -> Comparison:
    rows = (row_of("theirs", [10, 20, 12], [10, 20, 12]), row_of("ours", [1, 4, 2], [10, 20, 12], "8 times", **figures))
    return Comparison(title="Work", compared_with="theirs", unit="clip", clock="processor", rows=rows)


def written(folder: Path, arguments: list[str]) -> Report:
    """The report that a command writes."""

    @click.command()
    @report.options(["tiny", "reduced"])
    @click.option("--clips", type=click.Path(path_type=Path))
    @click.option("--fast", is_flag=True)
    def main(size: str, rounds: int, output: Path, clips: Path | None, fast: bool) -> None:
        report.finish("training", size, "cpu", rounds, {"fast": fast}, [made()], output)

    file = folder / "training.json"
    done = CliRunner().invoke(main, [*arguments, "--output", str(file)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "| ours | 2.00 | 6.00 | 5.00 to 10.0 | 8 times |" in done.output
    return read_report(file)


def test_a_ratio_is_formed_within_a_round() -> None:
    found = made().rows[1]
    assert found.times_faster == Spread(median=6, least=5, greatest=10)
    assert found.median_seconds == 2
    assert row_of("even", [1, 2], [3, 10]).times_faster.median == 4  # of the medians: 6.5 / 1.5


def test_ways_must_have_the_same_rounds() -> None:
    with pytest.raises(ValueError, match="zip"):
        row_of("ours", [1, 2], [3])


def test_a_row_of_what_turns_took() -> None:
    turns = [Taken(6, 8, 100, None, None), Taken(3, 9, 130, None, None)]
    found = row(Way("ours", lambda turns: None, units=3), turns, [4, 4], "processor")
    assert (found.seconds, found.peak_mb, found.gpu_peak_mb) == ((2, 1), 130, None)
    assert row(Way("ours", lambda turns: None), turns, [8, 9], "clock").times_faster.median == 1


def test_the_file_has_where_and_how(tmp_path: Path) -> None:
    found = written(tmp_path, ["--size", "tiny", "--clips", str(tmp_path), "--fast"])
    assert found.command == "python -m benchmarks.training --size tiny --clips FOLDER --fast"
    assert found.settings == {"fast": True}
    assert found.threads == 1
    assert found.rounds == 5
    assert {"python", "torch", "numpy", "cafa"} <= found.versions.keys()
    assert found.machine.cores >= 1
    assert found.machine.memory_gb > 0
    assert found.comparisons == (made(),)
    assert str(tmp_path) not in (tmp_path / "training.json").read_text()


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    written(tmp_path, [])
    file = tmp_path / "training.json"
    file.write_text(file.read_text().replace('"threads"', '"cores_used"'))
    with pytest.raises(ValidationError, match="cores_used"):
        read_report(file)


def test_the_table_leaves_out_columns_that_nobody_has() -> None:
    plain = report.table(made())
    assert plain.splitlines()[0] == ("| way | processor seconds per clip | times faster | least to greatest | goal |")
    assert "| clips per hour |" in report.table(made(**{"clips per hour": 1800.0}))


@pytest.mark.parametrize(
    ("value", "text"), [(0.000675, "0.000675"), (0.5, "0.500"), (9.996, "10.0"), (60.04, "60.0"), (1234.5, "1234")]
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_the_generated_part_has_summary_tables_and_what_was_not_run(tmp_path: Path) -> None:
    written(tmp_path / "reduced_cpu", [])
    text = page.figures(tmp_path)
    assert "| Work | ours | 6.00 | 5.00 to 10.0 | 8 times |" in text
    assert "| theirs | 12.0 | 1.00 | 1.00 to 1.00 |  |" in text
    assert "Not run here" in text
    (tmp_path / "reduced_cpu").rename(tmp_path / "full_cuda")
    assert "Not run here" not in page.figures(tmp_path)


def test_the_part_between_the_marks_alone_changes() -> None:
    old = f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n"
    new = page.with_figures(old, "new")
    assert new == f"before\n{page.BEGIN}\n\nnew\n{page.END}\nafter\n"
    assert page.with_figures(new, "new") == new
    with pytest.raises(ValueError, match="needs the lines"):
        page.with_figures("nothing", "new")


def test_the_page_says_what_the_files_say() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.with_figures(text, page.figures()) == text, "run `python -m benchmarks.page`"


def test_every_benchmark_was_measured_and_is_on_the_page() -> None:
    assert {path.stem for path in page.folder_of("reduced", "cpu").glob("*.json")} == set(page.COMPARING)
    text = page.PAGE.read_text(encoding="utf-8")
    shared = {"__init__", "__main__", "page", "report", "rounds"}
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - shared
    assert scripts >= set(page.COMPARING)
    assert not [name for name in scripts if f"python -m benchmarks.{name}" not in text]


@pytest.mark.parametrize("file", MEASURED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_ratios_are_those_of_the_rounds(file: Path) -> None:
    found = read_report(file)
    assert found.threads == 1
    assert not re.search(r"/(home|root|tmp|work)/", file.read_text())
    for comparison in found.comparisons:
        peer = comparison.rows[0].seconds
        for each in comparison.rows:
            again: Row = row_of(each.way, each.seconds, peer)
            assert again.times_faster == each.times_faster
            assert again.median_seconds == each.median_seconds


def test_the_commit_is_clean_unless_something_else_than_the_reports_changed(tmp_path: Path) -> None:
    assert commit(tmp_path) is None
    files = [tmp_path / name for name in ("benchmarks/measured/a.json", "docs/benchmarks.md", "code.py")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("first")
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    clean = commit(tmp_path)
    for file in files[:2]:
        file.write_text("second")
    assert commit(tmp_path) == clean
    files[2].write_text("second")
    assert commit(tmp_path) == f"{clean}-dirty"
