"""Running a script with the code of a page on extending as a plug-in, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.extending.from_docs import code_blocks

ROOT = Path(__file__).resolve().parents[2]


def run_with_plugin(page: str, module: str, script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Write the first block of a page to a module, name it in CAFA_PLUGINS, and run `script` in `folder`."""
    (folder / f"{module}.py").write_text(code_blocks(page)[0], encoding="utf-8")
    search = os.pathsep.join([str(folder), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": search, "CAFA_PLUGINS": module}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
