"""A video encoder from outside, as docs/extending/video_encoder.md adds it."""

from pathlib import Path

from tests.extending.plugin import run_with_plugin

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
