"""The site builds without a warning, needs nothing from elsewhere, and the repository's own pages have no dead link."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return folder


def test_every_page_is_there(site: Path) -> None:
    from docs.generate import hook

    written = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    for page in [*map(str, written), *hook.generated()]:
        assert (site / page).with_suffix(".html" if page.endswith(".md") else Path(page).suffix).is_file(), page


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=\"?(https?:[^\s\">]+)", page.read_text())
        assert not loaded, page


def test_a_reference_page_says_what_the_code_says(site: Path) -> None:
    text = (site / "reference/api/metrics.functional.html").read_text()
    assert "frechet_distance" in text
    assert ":func:" not in text
    assert "cafa embed samples" in (site / "reference/command_line.html").read_text()
    assert "asymmetric_scale" in (site / "reference/configuration.html").read_text()


def links_of(page: Path) -> list[str]:
    """Files that a page links or shows, as it names them."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "code", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    return [link for link in links if link and "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_of_the_repository(page: Path) -> None:
    assert not [link for link in links_of(page) if not (page.parent / link).exists()]


def test_links_to_what_pages_are_made_from_lead_to_the_pages_on_the_site(site: Path) -> None:
    from docs.generate import hook

    pages = {(ROOT / file).resolve(): page for file, page in (hook.MADE_INTO | hook.REPOSITORY_PAGES).items()}
    followed = set()
    for source in (ROOT / "docs").rglob("*.md"):
        built = (site / source.relative_to(ROOT / "docs")).with_suffix(".html")
        for link in links_of(source):
            if (page := pages.get((source.parent / link).resolve())) is not None:
                place = os.path.relpath(site / page, built.parent).replace(".md", ".html")
                assert re.search(f'href="?{re.escape(place)}["#> ]', built.read_text()), (source, link)
                followed.add(page)
    assert len(followed) > 8


def test_the_readme_has_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^make table1\b", text, re.MULTILINE)
    assert re.search(r"^make test\b", text, re.MULTILINE)
    assert "git clone " in text
