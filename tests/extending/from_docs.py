"""Code of the pages on extending, as a reader copies it."""

import re
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs" / "extending"


def code_blocks(page: str) -> list[str]:
    """Blocks of Python of a page of ``docs/extending``, in order.

    Parameters
    ----------
    page : str
        Name of the file, such as ``system.md``.
    """
    text = (PAGES / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
