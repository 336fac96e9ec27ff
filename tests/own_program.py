"""A Python of its own, beside which jobs of the workflow find another program in place of one of the project's."""

import site
import venv
from pathlib import Path


def environment_with(name: str, text: str, folder: Path) -> Path:
    """A virtual environment that sees the packages of this one and has a program; its Python.

    Jobs find `cafa` beside the Python that Snakemake runs in, so nothing in the workflow has to know of this.

    Parameters
    ----------
    name, text : str
        Of the program, which is a script.
    folder : Path
        Where the environment is made.
    """
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    lines = [f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages()]
    (packages / "outer.pth").write_text("".join(lines))
    program = folder / "bin" / name
    program.write_text(text)
    program.chmod(0o755)
    return folder / "bin/python"
