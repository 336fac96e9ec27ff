"""One checkpoint is enough, at full size: stand-ins are fetched from a local hub, registered, and make one window.

    python -m tests.lab.one_checkpoint FOLDER [--steps 2] [--guidance-scale 7]

Needs about 22 GB of disk in FOLDER, which is deleted by hand afterwards. Each command runs in a process of its own; its
seconds and the peak of its resident memory (file-backed pages of the mapped checkpoint included) are printed.
"""

import argparse
import hashlib
import mmap
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np

from cafa.common import weight_files
from tests.cafa.weights import servers
from tests.one_checkpoint import write_stand_ins, write_table


def write_video(path: Path, seconds: float = 10.0) -> None:
    """A silent video of moving bars."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(round(seconds * 25)):
            bars = 120 + 100 * np.sin(np.arange(320) / 15 + number / 3)
            picture = np.repeat(np.tile(bars, (240, 1)).astype(np.uint8)[..., None], 3, axis=2)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())


def serve(source: Path) -> servers.Server:
    """A local hub with the stand-ins; files are mapped, and each is hashed once."""
    digests: dict[int, Any] = {}

    def sha256(body: Any) -> Any:
        if len(body) not in digests:
            digests[len(body)] = hashlib.sha256(body)
        return digests[len(body)]

    servers.hashlib = SimpleNamespace(sha256=sha256, sha1=hashlib.sha1)
    server = servers.Server()

    def body(name: str) -> Any:
        with (source / name).open("rb") as stream:
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))

    server.repositories["MichaelFinkelson/CAFA-avclip"] = servers.Repository(
        {"CAFA_avclip.safetensors": body("CAFA_avclip.safetensors")}
    )
    small = {name: (source / "t5-base" / name).read_bytes() for name in ("config.json", "tokenizer.json")}
    large = {name: body(f"t5-base/{name}") for name in ("model.safetensors", "spiece.model")}
    commit = "a9723ea7f1b39c1eae772870f3b547bf6ef7e6c1"
    server.repositories["google-t5/t5-base"] = servers.Repository(large, small, commit=commit)
    server.files["/synchformer_state_dict.pth"] = body("synchformer_state_dict.pth")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def measured(words: list[str], folder: Path, server: servers.Server) -> None:
    """Run one `cafa` command with the table of the stand-ins."""
    environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(folder / "hub"), "NO_PROXY": "*"}
    environment |= {"CAFA_WEIGHTS": str(folder / "weights"), "STAND_IN_TABLE": str(folder / "source/weights.tsv")}
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "tests.lab.one_checkpoint", "--run", *words], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    print(
        f"$ cafa {' '.join(words)}\n  exit {os.waitstatus_to_exitcode(status)}, {seconds:.0f} s, "
        f"peak {usage.ru_maxrss / 1e6:.1f} GB",
        flush=True,
    )


def run(words: list[str]) -> None:
    """A `cafa` command that takes the stand-ins' table for the package's own."""
    from cafa.cli import main

    weight_files.packaged_table = lambda: Path(os.environ["STAND_IN_TABLE"])
    sys.argv = ["cafa", *words]
    main()


def measure(folder: Path, steps: str, guidance: str) -> None:
    """Make the stand-ins where they are not there, and run the commands."""
    source = folder / "source"
    if not (source / "weights.tsv").is_file():
        write_stand_ins(source)
    write_video(folder / "video.mp4")
    server = serve(source)
    write_table(source, f"{server.url}/synchformer_state_dict.pth")
    print(f"checkpoint: {(source / 'CAFA_avclip.safetensors').stat().st_size:,} bytes", flush=True)
    measured(["weights", "get", "--for", "generate"], folder, server)
    out = str(folder / "out")
    how = ["--prompt", "a dog barks", "--steps", steps, "--guidance-scale", guidance, "--output-folder", out]
    os.chdir(folder)
    measured(["generate", str(folder / "video.mp4"), *how], folder, server)
    server.shutdown()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(sys.argv[2:])
    else:
        parser = argparse.ArgumentParser()
        parser.add_argument("folder", type=Path)
        parser.add_argument("--steps", default="2")
        parser.add_argument("--guidance-scale", default="7")
        given = parser.parse_args()
        measure(given.folder.absolute(), given.steps, given.guidance_scale)
