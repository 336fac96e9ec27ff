"""What stands in for the heavy commands in a simulated run: plausible small outputs, in the right files and forms.

One process answers all jobs (see ``simulated.py``): imports are paid once, so that what is measured is the workflow.
"""

import json
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cafa.common.files import atomic_write, digest_of, read_json, write_json
from cafa.common.ledger import OK, ledger_row, read_ledgers, write_ledger
from cafa.common.seeds import seed_for
from cafa.common.shards import batches_of_shard, parse_shard, shard_of
from cafa.data.fetch.fetched_table import write_fetched
from cafa.data.manifest import read_manifest
from cafa.data.prompts import read_prompts
from cafa.features.store import write_features
from cafa.features.text import text_id
from cafa.generation.samples import INDEX_SCHEMA, read_rows
from metrics.judge_quality.verdict import report

#: values of an embedding; the published judges have 512 to 1024, and cost disk that says nothing of the workflow
WIDTH, CLASSES, OFFSETS = 64, 20, 21
COLUMNS = {
    "classifier": {"embedding": WIDTH, "logits": CLASSES},
    "clap": {"embedding": WIDTH},
    "imagebind": {"embedding": WIDTH},
    "synchformer": {"logits_first": OFFSETS, "logits_last": OFFSETS},
}
#: options without a value
FLAGS = ("--keep",)
#: of a hundred clips: gone from the web, worth another try, broken
LOST = {"unavailable": 6, "private": 3, "removed": 1, "network": 1}
BROKEN = {"short": 1}


class Arguments:
    """Options of a command line: name -> values; what stands before them is `words`."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.options: dict[str, list[str]] = {}
        self.words: list[str] = []
        at = 0
        while at < len(argv):
            if argv[at] in FLAGS:
                self.options[argv[at][2:]] = []
            elif argv[at].startswith("--"):
                self.options.setdefault(argv[at][2:], []).append(argv[at + 1])
                at += 1
            else:
                self.words.append(argv[at])
            at += 1

    def __getitem__(self, name: str) -> str:
        (value,) = self.options[name]
        return value

    def path(self, name: str) -> Path:
        """The one value of an option, as a path."""
        return Path(self[name])


def percent(clip_id: str, what: str) -> int:
    """A number from 0 to 99 that belongs to a clip."""
    return sha256(f"{what} {clip_id}".encode()).digest()[0] * 100 // 256


def fate(clip_id: str, what: str, shares: dict[str, int]) -> str:
    """What becomes of a clip: one of `shares`, or ok."""
    left = percent(clip_id, what)
    for status, share in shares.items():
        if left < share:
            return status
        left -= share
    return OK


@cache
def dealt(manifest: str, shards: int) -> tuple[tuple[str, ...], ...]:
    """Clips of a manifest by shard, in order."""
    parts: list[list[str]] = [[] for _ in range(shards)]
    for clip_id in sorted(read_manifest(manifest)["clip_id"]):
        parts[shard_of(clip_id, shards)].append(clip_id)
    return tuple(map(tuple, parts))


def asked(arguments: Arguments) -> tuple[str, ...]:
    """Clips of the shard that a command is asked for."""
    index, count = parse_shard(arguments["shard"])
    return dealt(arguments["manifest"], count)[index]


def fetch(arguments: Arguments) -> None:
    clips = {clip_id: fate(clip_id, "fetch", LOST) for clip_id in asked(arguments)}
    rows = [
        {"clip_id": c, "path": f"/raw/{c}.mp4", "source": "folder", "start": 0.0} for c, s in clips.items() if s == OK
    ]
    write_fetched(arguments["output"], rows)
    write_ledger(arguments["ledger"], [ledger_row(c, "fetch", status) for c, status in clips.items()])


def ingest(arguments: Arguments) -> None:
    fetched = read_ledgers([Path(arguments["fetched"]).with_suffix(".ledger.parquet")])
    before = dict(zip(fetched["clip_id"], fetched["status"], strict=True))
    rows = []
    for clip_id in asked(arguments):
        status = before[clip_id] if before[clip_id] != OK else fate(clip_id, "ingest", BROKEN)
        rows.append(ledger_row(clip_id, "ingest", status))
    write_ledger(arguments["ledger"], rows)


def usable(arguments: Arguments) -> tuple[list[str], list[dict[str, Any]]]:
    """Clips of the shard that ingest calls ok, and a ledger of all."""
    ledger = read_ledgers([arguments["ingest-ledger"]])
    status = dict(zip(ledger["clip_id"], ledger["status"], strict=True))
    kind = " ".join(arguments.words)
    rows = [ledger_row(c, kind, OK if status[c] == OK else "missing_feature", status[c]) for c in asked(arguments)]
    return [row["clip_id"] for row in rows if row["status"] == OK], rows


def small_features(path: str | Path, names: Iterable[str], kind: str) -> None:
    arrays = ((name, np.full((4,), percent(name, kind), np.float16)) for name in names)
    write_features(path, arrays, kind=kind, shape=(4,), dtype="float16", encoder={"name": f"simulated {kind}"})


def features_encode(arguments: Arguments) -> None:
    clips, rows = usable(arguments)
    for kind, output in zip(arguments.words[2:], arguments.options["output"], strict=True):
        small_features(output, clips, kind)
    write_ledger(arguments["ledger"], rows)


def features_text(arguments: Arguments) -> None:
    index, count = parse_shard(arguments["shard"])
    captions = {c for path in arguments.options["manifest"] for c in read_manifest(path)["caption"]}
    captions |= {c for path in arguments.options.get("prompts", []) for c in read_prompts(path)["caption"]}
    names = sorted(map(text_id, captions))
    small_features(arguments["output"], [name for name in names if shard_of(name, count) == index], "text")


def card(arguments: Arguments) -> None:
    """Of a registered model, a registered judge, or a trained adapter."""
    folder, words = arguments.path("output"), " ".join(arguments.words)
    if words == "train adapter":
        for path in (folder / "model.safetensors", folder / "loss.parquet"):
            with atomic_write(path) as temporary:
                temporary.write_text("simulated")
    write_json(folder / "card.json", {"kind": "simulated", "weights_sha256": digest_of([words, folder.name])})


def judges_canary(arguments: Arguments) -> None:
    measures = {name: {"simulated": (">=", 0.0)} for name in COLUMNS}
    weights = {name: weights_of(arguments, name) for name in COLUMNS}
    values = {name: {"simulated": 1.0} for name in COLUMNS}
    write_json(arguments["output"], report(values, {name: {"simulated": 0.0} for name in COLUMNS}, weights, measures))


def weights_of(arguments: Arguments, judge: str) -> str:
    return str(read_json(arguments.path("judges") / judge / "card.json")["weights_sha256"])


def samples_make(arguments: Arguments) -> None:
    rows = read_rows(read_prompts(arguments["prompts"]))
    batches = batches_of_shard(rows, int(arguments["batch-size"]), *parse_shard(arguments["shard"]))
    records = [
        {
            **row._asdict(),
            "file": row.file_name,
            "seed": seed_for(0, row.clip_id, row.caption_id),
            "seconds": 10.0,
            "sample_rate": 44100,
            "sha256": sha256(row.file_name.encode()).hexdigest(),
            "status": OK,
            "detail": "",
        }
        for batch in batches
        for row in batch
    ]
    with atomic_write(arguments["index"]) as temporary:
        pq.write_table(pa.Table.from_pylist(records, schema=INDEX_SCHEMA), temporary)


def judged(path: Path, keys: pd.DataFrame, judge: str, columns: dict[str, int], weights: str) -> None:
    """Embeddings of one judge: a row per key, drawn at random."""
    rng = np.random.default_rng(seed_for(0, str(path)))
    table = pa.Table.from_pandas(keys, preserve_index=False)
    for name, width in columns.items():
        values = pa.array(rng.standard_normal(len(keys) * width, dtype=np.float32))
        lists = pa.FixedSizeListArray.from_arrays(values, width).cast(pa.list_(pa.float32()))
        table = table.append_column(name, lists)
    facts = {
        "classifier": {"leaks": json.dumps({"Speech": 0, "Music": 1})},
        "synchformer": {"grid": json.dumps(np.linspace(-2, 2, OFFSETS).tolist())},
    }.get(judge, {})
    with atomic_write(path) as temporary:
        pq.write_table(table.replace_schema_metadata({"weights_sha256": weights, **facts}), temporary)


def embed_reference(arguments: Arguments) -> None:
    clips, rows = usable(arguments)
    folder, keys = arguments.path("output-folder"), pd.DataFrame({"clip_id": pd.Series(clips, dtype="str")})
    for judge, columns in COLUMNS.items():
        extra = {"video": WIDTH} if judge == "imagebind" else {}
        judged(folder / f"{judge}.parquet", keys, judge, {**columns, **extra}, weights_of(arguments, judge))
    small_features(folder / "video.arrow", clips, "synchformer_video")
    write_ledger(folder / "ledger.parquet", rows)


def embed_text(arguments: Arguments) -> None:
    prompts = read_prompts(arguments["prompts"])
    captions = sorted({*prompts["caption"], *prompts["own_caption"]})
    keys, weights = pd.DataFrame({"caption": captions}), weights_of(arguments, "clap")
    judged(arguments.path("output"), keys, "clap", {"embedding": WIDTH}, weights)


def embed_samples(arguments: Arguments) -> None:
    index, folder = pd.read_parquet(arguments["index"]), arguments.path("output-folder")
    keys = index[["clip_id", "caption_id", "protocol"]]
    for judge, columns in COLUMNS.items():
        judged(folder / f"{judge}.parquet", keys, judge, columns, weights_of(arguments, judge))
    seconds = json.loads(arguments["settings"])["seconds"]
    with atomic_write(folder / "index.parquet") as temporary:
        index.assign(seconds=np.where(index["status"] == OK, seconds, np.nan)).to_parquet(temporary, index=False)


def train_table(arguments: Arguments) -> None:
    for path in (arguments.path("output"), arguments.path("output").with_suffix(".md")):
        with atomic_write(path) as temporary:
            temporary.write_text("simulated")


def written(arguments: Arguments) -> None:
    with atomic_write(arguments["output"]) as temporary:
        temporary.write_text("simulated")


def examples(arguments: Arguments) -> None:
    written(arguments)
    if json.loads(arguments["settings"]).get("media") == "beside":
        page = arguments.path("output")
        with atomic_write(page.with_name(f"{page.stem}_media") / f"{'0' * 20}.mp4") as temporary:
            temporary.write_bytes(b"simulated")


COMMANDS: dict[str, Callable[[Arguments], None]] = {
    "fetch": fetch,
    "ingest": ingest,
    "features encode": features_encode,
    "features text": features_text,
    "models register": card,
    "judges register": card,
    "judges canary": judges_canary,
    "train adapter": card,
    "samples make": samples_make,
    "embed reference": embed_reference,
    "embed text": embed_text,
    "embed samples": embed_samples,
    "train table": train_table,
    "examples": examples,
    "spectrograms": written,
}


def answer(argv: Sequence[str]) -> dict[str, Any]:
    """Do one command; its exit status and what it says."""
    arguments = Arguments(argv)
    name = next((name for name in COMMANDS if argv[: name.count(" ") + 1] == name.split()), None)
    if name is None:
        return {"status": 2, "said": f"no simulated command for {' '.join(argv[:3])}"}
    try:
        COMMANDS[name](arguments)
    except Exception:  # the job has to fail with what was wrong, and the next one has to be answered
        return {"status": 1, "said": traceback.format_exc()}
    return {"status": 0, "said": "simulated"}


def serve(place: str) -> None:
    """Answer commands, one JSON line each, on a socket."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place)
        server.listen(256)
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("rw") as stream:
                stream.write(json.dumps(answer(json.loads(stream.readline()))) + "\n")


if __name__ == "__main__":
    serve(sys.argv[1])
