"""The rules by themselves: what a change makes necessary, and how every rule is written. No job is run here."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cafa.preflight.configuration import NAMED
from tests.snakemake_starts import snakemake

ROOT = Path(__file__).resolve().parents[2]
#: pretrained models that only a plan names
TWO_BACKBONES = {
    "models": {
        "backbone": {"kind": "stable_audio_open"},
        "other": {"kind": "tangoflux"},
        "av_clip": {"kind": "synchformer", "file": "none"},
    },
    "judges": {"weights": "none"},
    "canary": {},
}
COPIED = ("Snakefile", "workflow", "config", "cafa", "metrics", "environment.yml")


def run_rules(folder: Path, *arguments: str, change: dict[str, Any] | None = None) -> str:
    """Run Snakemake on a copy of the project, its configuration changed; the output, or an assertion with it."""
    configs = ["config/test.yaml"]
    if change:
        (folder / "change.yaml").write_text(yaml.safe_dump(change))
        configs.append("change.yaml")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = snakemake(*arguments, "--configfile", *configs, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def rules_to_run(folder: Path, change: dict[str, Any] | None = None) -> dict[str, int]:
    """Number of jobs of each rule that a run would start."""
    text = run_rules(folder, "--dry-run", "--cores", "2", change=change)
    if "Nothing to be done" in text:
        return {}
    table = text.rpartition("Job stats:")[2]
    counts = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
    counts.pop("total")
    return counts


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project whose every output exists (empty), recorded as made by this code and configuration."""
    folder = tmp_path_factory.mktemp("project")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    (folder / "profiles").symlink_to("workflow/profiles")
    files = [line.split("\t")[0] for line in run_rules(folder, "--summary").splitlines() if line.startswith("results/")]
    assert len(files) > 50
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    run_rules(folder, "--touch", "--cores", "2", "--quiet", "all")
    return folder


def test_nothing_is_repeated(finished: Path) -> None:
    assert rules_to_run(finished) == {}


def test_sampling_settings_rerun_that_system_only(finished: Path) -> None:
    changed = rules_to_run(finished, {"systems": {"text_only": {"sampling": {"steps": 3}}}})
    assert changed.pop("default") == 1
    one_system = {"make_samples": 1, "embed_samples": 1, "score_system": 1}
    assert changed == {**one_system, "make_table": 1, "draw_figure": 1, "write_examples": 1}


def test_training_settings_rerun_what_follows_only(finished: Path) -> None:
    changed = rules_to_run(finished, {"training": {"adapter": {"loop": {"steps": 7}}}})
    assert changed["train_adapter"] == 1
    assert not {"train_backbone", "train_joint", "train_av_clip", "train_judge", "extract_media"} & changed.keys()
    assert changed["make_samples"] == len(["cafa", "cafa_gamma0", "cafa_gamma1"])


def edit(finished: Path, file: str, to: Path) -> Path:
    """A copy of the finished project in which one line of a library file is different."""
    shutil.copytree(finished, to, symlinks=True)
    with (to / file).open("a") as text:
        text.write("\nANOTHER_CONSTANT = 1\n")
    return to


@pytest.mark.parametrize(
    ("file", "reruns", "keeps"),
    [
        (
            "metrics/functional/frechet.py",
            {"make_table", "score_system"},
            {"embed_samples", "make_samples", "train_judge"},
        ),
        (
            "cafa/diffusion/samplers.py",
            {"make_samples", "make_table"},
            {"train_backbone", "train_adapter", "train_judge"},
        ),
        ("metrics/judges/training/train.py", {"train_judge", "embed_samples"}, {"make_samples", "train_adapter"}),
    ],
)
def test_library_code_reruns_what_imports_it(
    finished: Path, tmp_path: Path, file: str, reruns: set[str], keeps: set[str]
) -> None:
    changed = rules_to_run(edit(finished, file, tmp_path / "edited"))
    assert reruns <= changed.keys()
    assert not keeps & changed.keys()


def rule_texts() -> dict[tuple[str, str], str]:
    """Text of every rule by (file, name)."""
    found = {}
    for path in sorted(ROOT.glob("workflow/rules/**/*.smk")):
        # A rule by itself, or one of each data set.
        begin = r"^rule (\w+):$|^    rule:\n        name:\n            f\"(\w+)_\{dataset\}\"$"
        parts = re.split(begin, path.read_text(), flags=re.MULTILINE)
        file = str(path.relative_to(ROOT / "workflow/rules"))
        names = [one or each for one, each in zip(parts[1::3], parts[2::3], strict=True)]
        found |= {(file, name): text for name, text in zip(names, parts[3::3], strict=True)}
    return found


@pytest.mark.parametrize(("file", "name"), rule_texts())
def test_rule_is_complete(file: str, name: str) -> None:
    text = rule_texts()[file, name]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", name) or name == "preflight"
    for directive in ("log", "threads", "resources", "params", "shell"):
        assert f"    {directive}:" in text, directive
    for directive in ("run", "message", "script"):
        assert f"    {directive}:" not in text, directive
    # One thread computes; more are processes that decode ahead or normalise, which change no bit.
    assert re.search(r"^ +threads: (1|adapter_cpus|config\[.*\]\[\"workers\"\]( \+ 1)?)$", text, re.M)
    assert "code=" in text or name in ("fetch_clips", "fetch_list", "preflight")
    assert "mem_mb=" in text
    assert "runtime=" in text
    assert "lambda" not in text
    assert '2>&1 | tee {log:q}"' in text


def test_no_checkpoint_rule() -> None:
    assert not [path for path in ROOT.glob("workflow/**/*.smk") if re.search(r"^checkpoint ", path.read_text(), re.M)]


#: What the linter says and is not followed: one environment serves all rules, and a function stands above the rule
#: that alone uses it.
LINTS = {"Specify a conda environment or container for each rule.", "Mixed rules and functions in same snakefile."}


def test_workflow_passes_the_linter() -> None:
    done = snakemake("--lint", cwd=ROOT)
    found = re.findall(r"^ +\* (.*):$", done.stdout + done.stderr, re.M)
    assert found, done.stdout + done.stderr
    assert not [title for title in found if title not in LINTS], done.stdout + done.stderr


def test_settings_schema_is_that_of_the_models() -> None:
    script, file = "workflow/scripts/settings_schema.py", "workflow/schemas/settings.schema.json"
    printed = subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert (ROOT / file).read_text() == printed, f"run: python {script} > {file}"


def described(schema: object, place: str = "") -> list[str]:
    """Places of properties without a description, in a schema file."""
    if isinstance(schema, list):
        return [found for number, item in enumerate(schema) for found in described(item, f"{place}[{number}]")]
    if not isinstance(schema, dict):
        return []
    missing = []
    if isinstance(properties := schema.get("properties"), dict) and "if" not in place:
        missing = [
            f"{place}.{name}"
            for name, entry in properties.items()
            if name != "kind" and "description" not in entry and "$ref" not in entry
        ]
    return missing + [found for key, value in schema.items() for found in described(value, f"{place}.{key}")]


@pytest.mark.parametrize("name", ["config.schema.yaml", "settings.schema.json"])
def test_every_key_is_described(name: str) -> None:
    schema = yaml.safe_load((ROOT / f"workflow/schemas/{name}").read_text())
    assert described(schema) == []


@pytest.mark.parametrize(("device", "gpus"), [("cpu", {"0"}), ("cuda", {"0", "1", "3"})])
def test_jobs_on_a_device_take_a_gpu_each(finished: Path, device: str, gpus: set[str]) -> None:
    change = {"device": device, "adapters": {"adapter": {"processes": 3}}}
    printed = run_rules(finished, "--dry-run", "--forceall", "--cores", "4", "--resources", "gpu=4", change=change)
    assert set(re.findall(r"^ +resources: .*\bgpu=(\d+)", printed, re.MULTILINE)) == gpus
    jobs = [job for job in re.split(r"\n\n", printed) if "gpu=" in job]
    without = (
        {re.findall(r"system=(\w+)", job)[0] for job in jobs if re.search(r"\bgpu=0", job)} if "1" in gpus else set()
    )
    assert without <= {"reference", "shuffled_reference", "oracle", "shuffled"}  # files are copied or rendered there


def test_table_with_fewer_rows_keeps_their_labels_only(finished: Path) -> None:
    printed = run_rules(
        finished,
        "--dry-run",
        "--printshellcmds",
        "--cores",
        "1",
        "results/table1.csv",
        change={"tables": {"table1": {"systems": ["cafa", "text_only"], "compare": []}}},
    )
    assert '"controls": [],' in printed
    assert "figure4.svg is left out: its curves name cafa_gamma0, cafa_gamma1, which are no rows of table1" in printed


def test_null_takes_out_an_entry_of_every_mapping_of_names(finished: Path) -> None:
    page = (ROOT / "config/README.md").read_text().partition("`null` takes out")[2].partition("What still names it")[0]
    assert {*re.findall(r"`([a-z_.]+)`", page)} == {*NAMED, "judges", "prompts"}
    change: dict[str, Any] = {"judges": {"passt": None}}
    for place in NAMED:
        *outer, last = place.split(".")
        if outer not in (["pretrained"], ["conflict"]):  # which the miniature has not; the same function
            entries = change if not outer else change.setdefault(outer[0], {})
            entries.setdefault(last, {})["switched_off"] = None
    assert rules_to_run(finished, change) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"systems": {"text_only": None}}, "table table1: no system 'text_only', there are"),
        ({"datasets": {"world_test": None}}, "config judges_check_on: no data set 'world_test', there are"),
        ({"costs": {"adapters": ["adapter", "nobody"]}}, "config costs: no adapter 'nobody' for its `adapters`"),
        (
            {"training": {"adapter": {"loop": {"stepz": 7}}}},
            "config training.adapter.loop: Additional properties are not allowed ('stepz' was unexpected)",
        ),
        ({"tables": {"table1": {"systems": ["nobody"]}}}, "no system 'nobody'"),
        ({"systems": {"cafa": {"backbone": "nobody"}}}, "cafa: no backbone 'nobody', there are ['backbone']"),
        ({"systems": {"cafa": {"adapter": "nobody"}}}, "system cafa: no adapter 'nobody' for its `adapter`"),
        ({"adapters": {"adapter": {"start_from": "nobody"}}}, "adapter: no adapter 'nobody' for its `start_from`"),
        (
            {"pretrained": TWO_BACKBONES, "systems": {"cafa": {"backbone": "other"}}},
            "its adapter is trained on the backbone backbone, its `backbone` is other",
        ),
        ({"tables": {"table1": {"controls": ["nobody"]}}}, "no system 'nobody'"),
        (
            {"tables": {"table1": {"compare": [["cafa", "reference"]]}}},
            "`compare` names ['reference'], which are no rows",
        ),
        ({"tables": {"table1": {"metrics": ["FID"]}}}, "FID"),
        (
            {"judges": {"imagebind": None}},
            "table table2: IB needs the judge imagebind, which is not among `judges` (classifier, clap, synchformer)",
        ),
        ({"judges": {"passt": {}}}, "passt has only its published form"),
        ({"judges": {"pastt": {}}}, "there is no judge 'pastt'; did you mean 'passt'?"),
        ({"judges": {"classifier": None}}, "the classifier must be one of them"),
        ({"judges_gate": {"clop": {"matched_over_other": 0.5}}}, "clop is not among `judges`"),
        (
            {"figure": {"table": "table1", "curves": {"CAFA": {0.0: "nobody"}}}},
            "config figure: curve CAFA names nobody, no systems",
        ),
        (
            {"tables": {"table1": {"protocol": "crosss"}}},
            "table table1: no prompts of the protocol 'crosss' are made for the data set world_test, there are "
            "['matched', 'cross']",
        ),
        (
            {"datasets": {"world_test": {"prompts": {"cross": None}}}},
            "table table1: no prompts of the protocol 'cross'",
        ),
        (
            {"conflict": {"systems": {"cafa": "CAFA"}, "levels": {"own": "matched", "other": "tvc_L3"}}},
            "config conflict: no prompts of the protocol 'tvc_L3'",
        ),
        (
            {"tables": {"table2": {"systems": ["cafa", "reference", "cafa"]}}},
            "table table2: `systems` names cafa twice",
        ),
        ({"tables": {"table2": {"metrics": ["FAD", "IS", "FAD"]}}}, "table table2: `metrics` names FAD twice"),
        ({"device": "gpu"}, "config device: 'gpu' does not match"),
        ({"results": "change.yaml/results"}, "config results: change.yaml is no folder"),
        ({"tables": {"table2": {"compare": [["cafa", "cafa"]]}}}, "table table2: `compare` sets cafa beside itself"),
    ],
)
def test_wrong_configuration_is_refused(finished: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(message)):
        run_rules(finished, "--dry-run", "--cores", "1", change=change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {
                "systems": {"theirs": {"kind": "samples", "folder": "nowhere", "pattern": "{clip_id}.wav"}},
                "tables": {"table2": {"systems": ["cafa", "reference", "theirs"]}},
            },
            "system theirs: no samples at nowhere",
        ),
        (
            {
                "datasets": {"mine": {"kind": "folder", "csv": "clips.csv", "root": "nowhere", "shards": 1}},
                "train_on": "mine",
            },
            "data set mine: no folder at nowhere, which its `root` names",
        ),
    ],
)
def test_folder_that_is_not_there_stops_a_run_before_its_first_job(
    finished: Path, change: dict[str, Any], message: str
) -> None:
    (finished / "clips.csv").write_text("clip_id,uri,label\nyard,yard.mp4,dog barking\n")
    with pytest.raises(AssertionError, match=re.escape(message)) as stopped:
        run_rules(finished, "--cores", "1", change=change)
    assert "Finished jobid" not in str(stopped.value)


def test_key_that_stands_twice_in_a_file_is_refused(finished: Path) -> None:
    twice = "systems:\n  theirs: {kind: reference}\n  theirs: {kind: oracle}\n"
    (finished / "twice.yaml").write_text(twice)
    arguments = ["--dry-run", "--cores", "1", "--configfile", "config/test.yaml", "twice.yaml"]
    done = snakemake(*arguments, cwd=finished, env={**os.environ, "PYTHONPATH": str(finished)})
    assert done.returncode == 1
    assert re.search(
        r"twice.yaml cannot be read: the key 'theirs' stands twice.*line 2.*line 3",
        done.stdout + done.stderr,
        re.DOTALL,
    )


@pytest.mark.parametrize("text", ["", "# seed: 1\n", "seed: [1\n"])
def test_what_snakemake_says_of_a_file_before_it_reads_the_rules_is_explained(tmp_path: Path, text: str) -> None:
    (tmp_path / "change.yaml").write_text(text)
    done = snakemake("--dry-run", "--cores", "1", "--configfile", str(tmp_path / "change.yaml"), cwd=ROOT)
    said = re.findall(r"Config file [^.\n]*", done.stdout + done.stderr)
    assert said
    assert f"`{said[-1]}`" in (ROOT / "docs/faq.md").read_text()
