"""Pages of the site that are made from the code, and the entries of the navigation that stand for a folder.

MkDocs calls this (`hooks` of mkdocs.yml). What the pages say comes from the schemas, the catalogue of metrics, the
command line and the docstrings, so that it cannot differ from them.
"""

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:  # `mkdocs` alone does not look into the folder it is called in
    sys.path.insert(0, str(ROOT))

from docs.generate import api, columns, commands, configuration, text  # noqa: E402
from tests.structure import PACKAGES, numbers, picture, read_structure  # noqa: E402

#: file of the repository -> page of the site that it is
REPOSITORY_PAGES = {
    "config/README.md": "reference/config.md",
    "CHANGELOG.md": "reference/changes.md",
    "CONTRIBUTING.md": "contributing.md",
}
#: file or folder that another generated page is made from -> that page. Where the documentation is read as files, links
#: lead to what is made into pages; on the site, to the pages.
MADE_INTO = {
    "workflow/schemas/config.schema.yaml": "reference/configuration.md",
    "cafa/cli": "reference/command_line.md",
    "metrics/tables/catalogue.py": "reference/metrics.md",
    "docs/generate/columns.toml": "reference/columns.md",
    "cafa/common/ledger.py": "reference/reasons.md",
    **{f"{package}/__init__.pyi": "reference/api.md" for package in PACKAGES},
    **{room.replace(".", "/"): f"reference/api/{room}.md" for room in api.rooms(ROOT)},
}
PICTURE = "<!-- picture of the rooms -->"
DRAWN = """![Rooms of cafa and metrics](images/rooms.svg)
/// caption
Drawn from the imports when this page was built. An arrow that follows from two others is left out.
///"""
NUMBERS = "<!-- numbers of the rooms -->"


def generated() -> dict[str, str]:
    """Every generated page by its path."""
    return {
        "reference/configuration.md": configuration.page(ROOT),
        "reference/command_line.md": commands.page(),
        "reference/metrics.md": text.metrics(),
        "reference/columns.md": columns.page(),
        "reference/reasons.md": text.reasons(),
        "images/rooms.svg": picture(read_structure(ROOT)),
        **api.pages(ROOT),
        **{page: of_repository(page, source) for source, page in REPOSITORY_PAGES.items()},
    }


def of_repository(page: str, source: str) -> str:
    """A Markdown file of the repository as a page of the site, with its links changed to suit."""
    return linked(page, ROOT / source, (ROOT / source).read_text(encoding="utf-8"))


def linked(page: str, source: Path, markdown: str) -> str:
    """Text of a file with its links to files changed into links to the pages that the site has of these.

    Parameters
    ----------
    page : str
        The file's page on the site.
    source : Path
        The file, to which its links are relative.
    markdown : str
        Its text.
    """
    pages = {ROOT / file: site for file, site in (REPOSITORY_PAGES | MADE_INTO).items()}

    def changed(match: re.Match[str]) -> str:
        path, _, anchor = match[2].partition("#")
        target = source.parent.joinpath(path).resolve()
        if not path or "://" in path or not target.exists():
            return match[0]
        if target in pages:
            site = pages[target]
        elif target.is_relative_to(ROOT / "docs"):
            site = target.relative_to(ROOT / "docs").as_posix()
        else:  # a file that the site does not show
            return f"`{target.relative_to(ROOT)}`"
        return f"[{match[1]}]({'../' * page.count('/')}{site}{'#' + anchor if anchor else ''})"

    return re.sub(r"\[([^\]]+)\]\(([^)]+)\)", changed, markdown)


def expanded(entry: Any, paths: list[str]) -> Any:
    """A part of the navigation with the pages that its entries with ``*`` stand for."""
    if isinstance(entry, dict):
        return {title: expanded(part, paths) for title, part in entry.items()}
    if not isinstance(entry, list):
        return entry
    found: list[Any] = []
    for part in entry:
        if isinstance(part, str) and part.endswith("*"):
            named = {item for item in entry if isinstance(item, str)}
            start = part.removesuffix("*")
            found += [path for path in paths if path.startswith(start) and path not in named]
        else:
            found.append(expanded(part, paths))
    return found


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of folders into the navigation."""
    written = [str(path.relative_to(config.docs_dir)) for path in Path(config.docs_dir).rglob("*.md")]
    config.nav = expanded(config.nav, sorted({*written, *generated()}, key=lambda path: path.removesuffix(".md")))
    config.watch += [str(ROOT / name) for name in ("cafa", "metrics", "workflow/schemas", *REPOSITORY_PAGES)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, content in generated().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, **_: Any) -> str:
    """Link what the site has pages of; fill in the picture of the rooms and their numbers."""
    source = Path(config.docs_dir) / page.file.src_uri
    if source.is_file():
        markdown = linked(page.file.src_uri, source, markdown)
    if NUMBERS not in markdown:
        return markdown
    rows = [f"| {name} | {count} |" for name, count in numbers(read_structure(ROOT), ROOT).items()]
    markdown = markdown.replace(NUMBERS, "\n".join(["| what is counted | number |", "|---|--:|", *rows]))
    return markdown.replace(PICTURE, DRAWN)


def on_page_content(html: str, **_: Any) -> str:
    """Drop the roles of Sphinx that docstrings have before names: they say nothing here."""
    return re.sub(r":(?:func|class|mod|data|meth|attr|exc|obj):\s*<code>~?", "<code>", html)
