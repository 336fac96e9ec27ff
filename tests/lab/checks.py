"""What must be true of a finished run of tests/lab/full_run.py."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from cafa.common.files import sha256_file
from cafa.common.ledger import read_ledgers
from cafa.models.weights import read_weight_sources
from tests.lab.clips import clips_of
from tests.lab.weights import place_of

#: table -> data set, protocol
TABLES = {
    "table1": ("vggsound_sparse", "cross"),
    "table1_rewas": ("vggsound_sparse", "cross"),
    "table2": ("vggsound_test", "matched"),
    "table2_rewas": ("vggsound_test", "matched"),
    "table2_multifoley": ("vggsound_test", "matched"),
    "table4": ("vggsound_test", "matched"),
    "figure4_scales": ("vggsound_sparse", "cross"),
}
#: rows that nothing is there for: no peer's code, and files that nobody put there
LEFT_OUT = ("mmaudio", "mmaudio_negative", "mmaudio_v2a", "rewas", "cafa_samples", "vatt")
LEFT_OUT += ("foleycrafter", "foleycrafter_temporal", "foleycrafter_v2a")
SPLITS = {"vggsound_train": "train", "visualsound": "train", "vggsound_test": "test", "vggsound_sparse": "test"}
JUDGES = {
    "classifier": "panns_cnn14_16k",
    "clap": "laion_clap",
    "imagebind": "imagebind_huge",
    "synchformer": "synchformer",
}


def check(root: Path, asked: list[tuple[str, int]], tables: Sequence[str] | None = None) -> None:
    """Look at everything that a run has left; the tables are printed.

    Parameters
    ----------
    root : Path
        Folder of the laboratory.
    asked : list of tuple
        Path and status of every request that its server answered.
    tables : sequence of str, optional
        What was asked for; by default everything.
    """
    results = root / "results/paper"
    config = merged(root)
    for dataset, split in SPLITS.items():
        check_clips(results, dataset, split)
    for table in tables or TABLES:
        dataset, protocol = TABLES[table]
        entry = config["tables"][table]
        rows = [name for block in entry.get("blocks") or [entry] for name in block["systems"]]
        check_table(results, table, dataset, protocol, rows)
    check_digests(root, results, tables or list(TABLES))
    check_lists(root, results, asked)
    if not tables:
        check_beside_tables(results, config)


def check_beside_tables(results: Path, config: dict[str, Any]) -> None:
    """What is made beside the tables: costs of training, figure, examples."""
    costs = pd.read_csv(results / "table5.csv")
    print(costs.to_string(index=False))
    steps = dict(costs[costs["source"] == "cafa"][["model", "steps_or_epochs"]].itertuples(index=False))
    assert steps == dict.fromkeys(config["costs"]["adapters"], "2 steps") | {"adapter": "4 steps"}, steps
    assert (results / "figure4.svg").stat().st_size > 0
    assert (results / "examples.html").stat().st_size > 0


def merged(root: Path) -> dict[str, Any]:
    """The rows of tables as the run had them: those of the overlay where it names any."""
    given: list[dict[str, Any]] = [
        yaml.safe_load(path.read_text()) for path in (root / "config/paper.yaml", root / "overlay.yaml")
    ]
    return {
        "tables": {name: entry | given[1]["tables"].get(name, {}) for name, entry in given[0]["tables"].items()},
        "costs": given[0]["costs"],
    }


def check_clips(results: Path, dataset: str, split: str) -> None:
    """Every clip of the lists ends as it must: in the last ledger as `ok`, or with its reason in one."""
    folders = ("fetched", "clips", "features")
    ledgers = read_ledgers([path for name in folders for path in results.glob(f"{name}/{dataset}/**/*.ledger.parquet")])
    lost = ledgers[ledgers["status"] != "ok"]
    if len(lost):
        print(lost[["clip_id", "stage", "status", "detail"]].to_string(index=False, max_colwidth=60))
    wanted = {clip.clip_id: clip.outcome for clip in clips_of(split)}
    found = dict.fromkeys(ledgers["clip_id"], "ok") | first_reasons(lost)
    assert found == wanted, f"{dataset}: {found} instead of {wanted}"


def first_reasons(lost: pd.DataFrame) -> dict[str, str]:
    """Reason of each lost clip: of the stage that lost it."""
    order = {stage: number for number, stage in enumerate(("fetch", "ingest"))}
    rows = lost.assign(order=lost["stage"].map(order).fillna(len(order))).sort_values("order", kind="stable")
    return dict(rows.drop_duplicates("clip_id")[["clip_id", "status"]].itertuples(index=False))


def check_table(results: Path, name: str, dataset: str, protocol: str, systems: list[str]) -> None:
    """Every row of a table is there with its number of clips and samples, and its card says what was lost."""
    table, card = pd.read_csv(results / f"{name}.csv"), json.loads((results / f"{name}.card.json").read_text())
    print(f"{name}\n{table.to_string(index=False, max_colwidth=30)}")
    usable, lost = clips_of("test", usable=True), len(clips_of("test")) - len(clips_of("test", usable=True))
    labels = len({clip.label for clip in usable})
    wanted = len(usable) * (labels - 1 if protocol == "cross" else 1)
    part = "multifoley" in systems  # of whose clips one is not there
    assert table["system"].tolist() == [system for system in systems if system not in LEFT_OUT], table["system"]
    left_out = set(card["settings"].get("left_out", {}))
    assert left_out == {system for system in systems if system in LEFT_OUT}, left_out
    assert (table["n"] == wanted - part).all(), table[["system", "n"]]
    assert (table["n_clips"] == len(usable) - part).all(), table[["system", "n_clips"]]
    assert card["seconds_scored"] == [5.0 if name.endswith("_rewas") else 8.0]
    for system in table["system"]:
        if system in ("frieren", "multifoley"):  # two takes, which are systems of their own; and those that it has
            continue
        index = pd.concat([pd.read_parquet(path) for path in results.glob(f"samples/{dataset}/{system}/*.parquet")])
        assert Counter(index["status"]) == {"ok": wanted}, f"{system}: {Counter(index['status'])}"
    reasons = {row["status"] for row in card["clips_lost_before"]}
    assert reasons >= {clip.outcome for clip in clips_of("test")} - {"ok"}, f"{name}: {card['clips_lost_before']}"
    assert len({row["clip_id"] for row in card["clips_lost_before"]}) == lost


def check_digests(root: Path, results: Path, tables: Sequence[str]) -> None:
    """Every card names the digests of the table of weights, and none was taken without one."""
    table = read_weight_sources(root / "weights/weights.tsv")
    listed = {source.sha256 for source in table.values() if source.sha256}
    for path in sorted(results.glob("models/*/card.json")):
        card = json.loads(path.read_text())
        if card["kind"] != "pretrained":
            continue
        weights = {name: digest for name, digest in card["files"].items() if name.endswith((".safetensors", ".pth"))}
        assert weights, path
        assert set(weights.values()) <= listed, f"{path}: {weights}"
        assert set(weights) <= set(card["checked"]), f"{path}: checked are {card['checked']}"
    for judge, name in JUDGES.items():
        digest = sha256_file(place_of(root / "weights", table[name].url))
        assert json.loads((results / f"models/judges/{judge}/card.json").read_text())["weights_sha256"] == digest
        for table_name in tables:
            named = json.loads((results / f"{table_name}.card.json").read_text())["judges"][judge]["weights_sha256"]
            assert digest in (named.values() if isinstance(named, dict) else [named]), f"{table_name}: {judge}: {named}"
    for path in [*results.rglob("*.card.json"), *results.rglob("card.json"), results / "judges.json"]:
        assert not (found := list(unverified(json.loads(path.read_text())))), f"{path}: {found}"


def unverified(value: Any, place: str = "") -> Iterator[str]:
    """Places of a card where something is said to be unverified."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if "unverified" in str(key) and entry not in (False, [], {}, 0):
                yield f"{place}.{key}"
            yield from unverified(entry, f"{place}.{key}")
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from unverified(entry, f"{place}[{number}]")
    elif isinstance(value, str) and "unverified" in value:
        yield f"{place}: {value}"


def check_lists(root: Path, results: Path, asked: list[tuple[str, int]]) -> None:
    """Every list came once from the server, and the one without a known digest has a record of it."""
    overlay = yaml.safe_load((root / "overlay.yaml").read_text())
    (first,) = overlay["datasets"]["vggsound_train"]["build"]["lists"]
    record = json.loads((results / "lists/vggsound.csv.digest.json").read_text())
    assert record["url"] == first["url"]
    assert record["sha256"] == sha256_file(results / "lists/vggsound.csv")
    lists = Counter(path for path, status in asked if path.startswith("/lists/") and status == 200)
    assert lists == {f"/lists/{path.name}": 1 for path in results.glob("lists/*.csv")}, lists
