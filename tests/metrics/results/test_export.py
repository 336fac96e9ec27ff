import hashlib
import json
import re
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
import yaml
from huggingface_hub import ModelCardData

from cafa.common.errors import InputError
from cafa.models.weights import read_weight_sources
from metrics.judges.licences import licences_of
from metrics.results.document import SCHEMA, json_schema
from metrics.results.export import ExportSettings, export_results
from metrics.results.portable import without_folders
from metrics.results.printed import latex_text


@pytest.fixture
def bundle(evaluated: Path, tmp_path: Path) -> Path:
    settings = ExportSettings(dataset="Clips", dataset_id="me/clips", author="Ann", source="https://example.org")
    export_results(evaluated, tmp_path / "bundle", settings)
    return tmp_path / "bundle"


def test_the_document_fits_its_schema_and_says_the_values(bundle: Path, evaluated: Path):
    assert json.loads(SCHEMA.read_text()) == json_schema()
    document = json.loads((bundle / "results.json").read_text())
    schema = json.loads((bundle / "results.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(document)
    card = json.loads((evaluated / "table.card.json").read_text())
    assert (document["protocol"]["n"], document["protocol"]["asked"]) == (card["n"], 12)
    assert document["protocol"]["missing"]["their_s"] == {"not_media": 1}
    assert [system["competes"] for system in document["systems"]] == [False, False, True, True]
    del document["protocol"]["n"]
    with pytest.raises(jsonschema.ValidationError, match="'n' is a required property"):
        jsonschema.Draft202012Validator(schema).validate(document)


def test_the_hub_reads_the_head_of_a_model_card(bundle: Path):
    assert sorted(path.name for path in (bundle / "model-index").iterdir()) == ["ours.md", "their_s.md"]
    head = (bundle / "model-index" / "ours.md").read_text().split("---\n")[1]
    card = ModelCardData(**yaml.safe_load(head))
    values = {result.metric_name: result for result in card.eval_results}
    document = json.loads((bundle / "results.json").read_text())
    ours = next(system for system in document["systems"] if system["name"] == "ours")
    assert {name: result.metric_value for name, result in values.items()} == {
        name: found["value"] for name, found in ours["values"].items()
    }
    assert values["CLAP"].metric_args["low"] <= values["CLAP"].metric_value <= values["CLAP"].metric_args["high"]
    assert values["CLAP"].dataset_type == "me/clips"


def test_the_crate_lists_every_file_with_its_checksum_and_licence(bundle: Path):
    crate = json.loads((bundle / "ro-crate-metadata.json").read_text())
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    files = {name for name in files if not Path(name).name.startswith(".")} - {"ro-crate-metadata.json"}
    assert {part["@id"] for part in entities["./"]["hasPart"]} == files
    for name in files:
        assert entities[name]["sha256"] == hashlib.sha256((bundle / name).read_bytes()).hexdigest()
        assert entities[name]["license"]["@id"] in entities
    assert entities["ro-crate-metadata.json"]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}


def test_tables_for_papers(bundle: Path):
    latex = (bundle / "table.tex").read_text()
    assert latex.count(r"\toprule") == latex.count(r"\bottomrule") == 1
    rows = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in rows} == {3}
    assert r"their\_s" in latex
    assert not re.search(r"textit.*textbf", latex)  # no control is the best
    assert r"\textbf" in latex
    assert latex_text("50% & _x^{\\") == r"50\% \& \_x\textasciicircum{}\{\textbackslash{}"
    assert "**" in (bundle / "table.md").read_text()


def test_what_is_no_result_is_refused(tmp_path: Path, evaluated: Path):
    with pytest.raises(InputError, match=r"table\.card\.json missing; give the --output folder"):
        export_results(tmp_path, tmp_path / "bundle", ExportSettings())
    with pytest.raises(InputError, match="folder of the results themselves"):
        export_results(evaluated, evaluated, ExportSettings())
    (evaluated / "table.csv").write_text("system,n,n_clips\nours,1,1\n")
    with pytest.raises(InputError, match="lacks the columns FAD, FAD_low"):
        export_results(evaluated, tmp_path / "bundle", ExportSettings())


def test_a_bundle_names_no_folder_of_the_machine_that_made_it(bundle: Path, evaluated: Path):
    folder = str(evaluated.parents[1])  # of all of a test run
    assert folder in (evaluated / "missing.csv").read_text()
    for path in bundle.rglob("*"):
        if path.is_file():
            content = pd.read_parquet(path).to_csv() if path.suffix == ".parquet" else path.read_text()
            assert folder not in content, path
    lost = pd.read_csv(bundle / "source" / "missing.csv")
    assert lost["detail"].str.contains(r"^\w+\.wav ").any()


@pytest.mark.parametrize(
    ("text", "portable"),
    [
        ("/data/ann/sounds/a.wav has zero bytes", "a.wav has zero bytes"),
        ("no file 'a.wav' in /data/ann/my sounds", "no file 'a.wav' in my sounds"),
        (r"C:\data\ann\a.wav: no such file", "a.wav: no such file"),
        ("~/clips/a.mp4, ~/clips/b.mp4", "a.mp4, b.mp4"),
        ("https://example.org/a/b?c=/d", "https://example.org/a/b?c=/d"),
        ("ours/clip 1.wav at 25 frames/s", "ours/clip 1.wav at 25 frames/s"),
        ("an ok / not ok question", "an ok / not ok question"),
    ],
)
def test_paths_lose_their_folders(text: str, portable: str):
    assert without_folders(text) == portable


def test_judges_have_the_licences_of_the_weights_that_judged(bundle: Path):
    sources = read_weight_sources()
    clap = sources["laion_clap"]
    assert licences_of("clap", str(clap.sha256)) == {
        name: sources[name].licence for name in ("laion_clap", "roberta_vocab", "roberta_merges")
    }
    assert licences_of("clap", "0" * 64) == {}  # somebody's own weights
    assert licences_of("ms_clap", "0" * 64)["ms_clap"] == sources["ms_clap"].licence  # no digest is recorded
    assert licences_of("levels", "version 1") == licences_of("of a plugin", "0" * 64) == {}
    crate = json.loads((bundle / "ro-crate-metadata.json").read_text())
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    judges = json.loads((bundle / "results.json").read_text())["protocol"]["judges"]
    assert {part["@id"] for part in entities["#evaluation"]["object"]} == {f"#judge-{name}" for name in judges}
    for name, judge in judges.items():
        assert entities[f"#judge-{name}"]["version"] == judge["weights_sha256"]
