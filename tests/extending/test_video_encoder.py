"""A video encoder from outside, as docs/extending/video_encoder.md adds it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.extending.from_docs import code_blocks
from tests.extending.plugin import ROOT, run_with_plugin

RESULTS = "results/paper"

SCRIPT = """
import json
from pathlib import Path
import numpy as np
from click.testing import CliRunner
from safetensors.numpy import save_file
from cafa.cli.models import register
from cafa.features.encode import EncodeSettings
from cafa.features.registered_encoders import pretrained_job
from cafa.media.clip_reading import IngestedClip
from cafa.media.frames import read_frames
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.registry import open_video_encoder
from tests.cafa.models.encoders.test_video_encoders import write_mp4

matrix = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
save_file({"matrix": matrix}, "matrix.safetensors")
settings = json.dumps({"kind": "mean_colour", "file": "matrix.safetensors"})
done = CliRunner().invoke(register, ["--settings", settings, "--output", "models/colour"])
assert done.exit_code == 0, (done.output, done.exception)

rng = np.random.default_rng(1)
write_mp4(Path("clip.mp4"), rng.integers(0, 255, (100, 64, 64, 3), dtype=np.uint8))
(encoding,) = pretrained_job(["colour"], ["models/colour"], ".", EncodeSettings(pad_short=True)).encodings
clip = IngestedClip("clip", 4.0, "", "")
(row,) = encoding.encode([clip], [encoding.read(clip)])
found = row["colour"]
frames = read_frames(Path("clip.mp4"), seconds=4, size=(16, 16))[::13]
assert found.shape == (20, 8)
np.testing.assert_allclose(found[: len(frames)], frames.mean(axis=(1, 2)) / 255 @ matrix, atol=1e-4)
assert not found[len(frames) :].any()
form = encoding.formats["colour"]
assert form.encoder["name"] == "mean_colour" and form.code
window = open_video_encoder("models/colour").encode_window(read_frames(Path("clip.mp4"), seconds=4, size=(16, 16)), 250)
np.testing.assert_allclose(window, found, atol=1e-4)
assert AdapterSettings(kinds=("colour",), feature_dim=8).video_kinds == ("colour",)
assert "kinds" not in AdapterSettings().model_dump()

Path("matrix.safetensors").write_bytes(b"")
try:
    open_video_encoder("models/colour")
except Exception as error:
    print(error)
"""


def test_an_encoder_of_a_plugin_encodes_the_frames_of_a_clip(tmp_path: Path) -> None:
    done = run_with_plugin("video_encoder.md", "my_encoders", SCRIPT, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "matrix.safetensors has SHA-256" in done.stdout


def plan(folder: Path, models: str) -> str:
    """What Snakemake would do for the paper's adapter C with the plug-in's features in the place of CLIP's."""
    (folder / "my_encoders.py").write_text(code_blocks("video_encoder.md")[0], encoding="utf-8")
    (folder / "more.yaml").write_text(
        "plugins: [my_encoders]\n"
        f"pretrained: {{models: {{{models}}}}}\n"
        "adapters: {adapter_c: {video: [av_clip, colour], settings: {model: {feature_dim: 768}}}}\n"
    )
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--printshellcmds", "--cores", "1", "--nolock"]
    configurations = ["--configfile", str(ROOT / "config/paper.yaml"), str(folder / "more.yaml")]
    target = f"{RESULTS}/models/adapter_c/model.safetensors"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    done = subprocess.run(
        [*command, target, *configurations], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def test_the_workflow_encodes_the_features_of_a_plugin(tmp_path: Path) -> None:
    printed = plan(tmp_path, "colour: {kind: mean_colour, file: matrix.safetensors}")
    assert "features encode av_clip colour " in printed.replace("'", ""), printed[-3000:]
    assert f"--model {RESULTS}/models/colour" in printed
    assert "models register" in printed


def test_features_that_no_model_makes_are_refused_before_any_job(tmp_path: Path) -> None:
    printed = plan(tmp_path, "")
    assert "no pretrained model makes its video features ['colour']" in printed
