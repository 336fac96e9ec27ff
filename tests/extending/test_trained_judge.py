"""A judge from outside that is trained here, as docs/extending/trained_judge.md adds it."""

import json
from pathlib import Path

import jsonschema
import pytest

from cafa.common.errors import InputError
from metrics.judges.kinds import MiniatureForm
from tests.extending.plugin import run_with_plugin
from tests.metrics.toy_clips import Toy, toy, write_manifest  # noqa: F401

SCHEMA = Path(__file__).resolve().parents[2] / "workflow/schemas/settings.schema.json"
SCRIPT = """
import json
from pathlib import Path
import pandas as pd
from click.testing import CliRunner
from cafa.cli import cli
from metrics.judge_quality.miniature import measure
from metrics.judge_quality.verdict import trained_measures
from metrics.judges.trained import MicroJudges
from metrics.judges.training.clips import read_clips
from metrics.tables.catalogue import METRICS

folder = Path("FOLDER")
words = ["judges", "train", "bands", "--manifest", "manifest.parquet", "--output", "judges/bands", "--seed", "0"]
for kind in ("frames", "mel"):
    words += [f"--{kind}", str(folder / f"{kind}.arrow")]
done = CliRunner().invoke(cli, words)
assert done.exit_code == 0, (done.output, done.exception)
clips = read_clips([folder / "frames.arrow"], [folder / "mel.arrow"], pd.read_parquet("manifest.parquet"), "train")
judges = MicroJudges("judges")
found = judges.embed_sound(clips.sounds([0, 1]).numpy(), clips.pictures([0, 1]).numpy())
print(json.dumps({
    "judges": sorted(judges.trained),
    "embedding": found["bands"]["embedding"].shape,
    "measures": measure(judges, clips, 0)["bands"],
    "demanded": trained_measures()["bands"]["accuracy"],
    "metric": METRICS["Bands"].judge,
}))
"""


def test_it_is_trained_checked_and_embeds(tmp_path: Path, toy: Toy) -> None:  # noqa: F811
    write_manifest(tmp_path / "manifest.parquet", toy.manifest)
    (tmp_path / "judges").mkdir()
    (tmp_path / "judges" / "classifier").symlink_to(toy.judges / "classifier")
    script = SCRIPT.replace("FOLDER", str(toy.folder))
    done = run_with_plugin("trained_judge.md", "my_small_judge", script, tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["judges"] == ["bands", "classifier"]
    assert found["embedding"] == [2, 16]
    assert found["measures"]["accuracy"] >= found["demanded"][1] == 0.8
    assert found["metric"] == "bands"


def test_a_configuration_may_give_a_part_of_its_training() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    judge = jsonschema.Draft202012Validator({**schema, "$ref": "#/$defs/JudgeSettings"})
    judge.validate({"loop": {"steps": 20}})
    judge.validate({})
    with pytest.raises(jsonschema.ValidationError, match="stepz"):
        judge.validate({"loop": {"stepz": 20}})


def test_a_form_without_defaults_is_refused_when_it_is_registered() -> None:
    with pytest.raises(InputError, match="no default of learning_rate in its `loop`"):
        MiniatureForm("mine:Network", "mine:batches", {"steps": 20, "batch_size": 12})
