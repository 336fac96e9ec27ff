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
from tests.structure import numbers, picture, read_structure  # noqa: E402

#: page of the site -> file of the repository that it is
REPOSITORY_PAGES = {
    "reference/config.md": "config/README.md",
    "reference/changes.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
NUMBERS = "<!-- numbers of the rooms -->"


def generated() -> dict[str, str]:
    """Every generated page by its path."""
    return {
        "reference/index.md": text.INDEX,
        "reference/configuration.md": configuration.page(ROOT),
        "reference/command_line.md": commands.page(),
        "reference/metrics.md": text.metrics(),
        "reference/columns.md": columns.page(),
        "reference/reasons.md": text.reasons(),
        "images/rooms.svg": picture(read_structure(ROOT)),
        **api.pages(ROOT),
        **{page: of_repository(page, source) for page, source in REPOSITORY_PAGES.items()},
    }


def of_repository(page: str, source: str) -> str:
    """A Markdown file of the repository as a page of the site, with its links changed to suit."""
    up = "../" * page.count("/")
    pages = {ROOT / file: site for site, file in REPOSITORY_PAGES.items()}

    def changed(match: re.Match[str]) -> str:
        path, _, anchor = match[2].partition("#")
        if not path or "://" in path:
            return match[0]
        target = (ROOT / source).parent.joinpath(path).resolve()
        if target in pages:
            site = pages[target]
        elif target.is_relative_to(ROOT / "docs"):
            site = str(target.relative_to(ROOT / "docs"))
        else:  # a file that the site does not show
            return f"`{target.relative_to(ROOT)}`"
        return f"[{match[1]}]({up}{site}{'#' + anchor if anchor else ''})"

    return re.sub(r"\[([^\]]+)\]\(([^)]+)\)", changed, (ROOT / source).read_text(encoding="utf-8"))


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
    config.watch += [str(ROOT / name) for name in ("cafa", "metrics", "workflow/schemas", *REPOSITORY_PAGES.values())]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, content in generated().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, **_: Any) -> str:
    """Fill in the numbers of the rooms; in the list of extensions, link those that have a page."""
    if page.file.src_uri == "extending/index.md":
        folder = Path(config.docs_dir) / "extending"
        return re.sub(r"\[([^\]]+)\]\((\w+\.md)\)", lambda m: m[0] if (folder / m[2]).is_file() else m[1], markdown)
    if NUMBERS not in markdown:
        return markdown
    rows = [f"| {name} | {count} |" for name, count in numbers(read_structure(ROOT), ROOT).items()]
    return markdown.replace(NUMBERS, "\n".join(["| what is counted | number |", "|---|--:|", *rows]))


def on_page_content(html: str, **_: Any) -> str:
    """Drop the roles of Sphinx that docstrings have before names: they say nothing here."""
    return re.sub(r":(?:func|class|mod|data|meth|attr|exc|obj):\s*<code>~?", "<code>", html)
