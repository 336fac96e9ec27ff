"""A small finished experiment: prompts, indices of samples, judges' embeddings, as the stages write them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.metrics.toy_clips import toy  # noqa: F401

CLASSES = 6
CLIPS = 30
LABELS = [f"label{number}" for number in range(CLASSES)]
GRID = [round(-0.4 + 0.1 * step, 1) for step in range(9)]
JUDGES = ("classifier", "clap", "imagebind", "synchformer")


def weights_of(judge: str) -> str:
    """Stands for the SHA-256 of a judge's weights."""
    return f"{JUDGES.index(judge)}" * 64


def _lists(values: np.ndarray) -> pa.Array:
    return pa.array(list(values.astype(np.float32)), type=pa.list_(pa.float32()))


def write_embeddings(
    path: Path, keys: pd.DataFrame, columns: dict[str, np.ndarray], judge: str, grid: list[float] | None = None
) -> None:
    """Write embeddings as the stage before does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({name: keys[name].tolist() for name in keys} | {k: _lists(v) for k, v in columns.items()})
    metadata = {"judge": judge, "weights_sha256": weights_of(judge)} | ({"grid": json.dumps(grid)} if grid else {})
    pq.write_table(table.replace_schema_metadata(metadata), path)


def make_prompts() -> pd.DataFrame:
    """30 clips of 6 categories, each with its own caption and two others'."""
    rows = []
    for number in range(CLIPS):
        own = number % CLASSES
        for shift, protocol in ((0, "matched"), (1, "cross"), (2, "cross")):
            label = LABELS[(own + shift) % CLASSES]
            rows.append(
                {
                    "clip_id": f"clip{number:03}",
                    "caption_id": label,
                    "caption": f"sound of {label}",
                    "label": label,
                    "own_label": LABELS[own],
                    "own_caption": f"sound of {LABELS[own]}",
                    "protocol": protocol,
                }
            )
    columns = ["clip_id", "caption_id", "caption", "label", "own_label", "own_caption", "protocol"]
    return pd.DataFrame(rows)[columns].sort_values(["protocol", "clip_id", "caption_id"], ignore_index=True)


def good_judges() -> dict:
    """A check that every judge passed."""
    measures = {"accuracy": {"value": 0.99, "threshold": 0.9, "direction": ">=", "good": True}}
    judges = {name: {"weights_sha256": weights_of(name), "measures": measures, "good": True} for name in JUDGES}
    return {"judges": judges, "good": True}


class Experiment:
    """Files of a small experiment below a folder.

    The sound of a system is its prompt's category plus noise; `follows` is the share of the prompt in it, the rest
    is the clip's own category; `delay` is how many steps of the grid its offset is off at most.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prompts = make_prompts()
        self.random = np.random.default_rng(3)
        self.centres = self.random.standard_normal((CLASSES, 8)) * 2
        folder.mkdir(parents=True, exist_ok=True)
        self.prompts.to_parquet(folder / "prompts.parquet", index=False)
        (folder / "judges.json").write_text(json.dumps(good_judges()))
        texts = pd.DataFrame({"caption": [f"sound of {label}" for label in LABELS]})
        write_embeddings(folder / "embeddings/text.parquet", texts, {"embedding": self.centres}, "clap")
        clips = self.prompts[["clip_id", "own_label"]].drop_duplicates("clip_id")
        own = self.centres[[LABELS.index(label) for label in clips["own_label"]]]
        truth = folder / "embeddings/reference_set"
        sound = own + 0.5 * self.random.standard_normal(own.shape)
        logits = sound @ self.centres.T
        keys = clips[["clip_id"]]
        write_embeddings(truth / "classifier.parquet", keys, {"embedding": sound, "logits": logits}, "classifier")
        write_embeddings(truth / "imagebind.parquet", keys, {"video": own}, "imagebind")

    def add_system(self, name: str, follows: float, delay: int, lost: tuple[int, ...] = (), shards: int = 2) -> None:
        """Write indices and embeddings of a system; `lost` are rows of the prompt set without a sample."""
        prompts = self.prompts
        index = prompts[["clip_id", "caption_id", "protocol", "caption", "label"]].assign(
            file="x.flac", seed=0, seconds=3.2, sample_rate=16000, sha256="0", status="ok", detail=""
        )
        index.loc[list(lost), ["status", "detail"]] = ["corrupt", "decoding fails"]
        wanted = self.centres[[LABELS.index(label) for label in prompts["label"]]]
        own = self.centres[[LABELS.index(label) for label in prompts["own_label"]]]
        sound = follows * wanted + (1 - follows) * own + 0.8 * self.random.standard_normal(wanted.shape)
        offsets = 4 + self.random.integers(-delay, delay + 1, size=(2, len(prompts)))
        first, last = np.eye(9)[offsets]
        columns = {
            "classifier": {"embedding": sound, "logits": sound @ self.centres.T},
            "clap": {"embedding": sound},
            "imagebind": {"embedding": sound},
            "synchformer": {"logits_first": first, "logits_last": last},
        }
        (self.folder / "samples" / name).mkdir(parents=True, exist_ok=True)
        for shard in range(shards):
            mine = np.arange(len(prompts)) % shards == shard
            index[mine].to_parquet(self.folder / "samples" / name / f"{shard}.parquet", index=False)
            kept = mine & (index["status"] == "ok").to_numpy()
            keys = prompts.loc[kept, ["clip_id", "caption_id", "protocol"]]
            for judge, arrays in columns.items():
                write_embeddings(
                    self.folder / f"embeddings/{name}/{shard}/{judge}.parquet",
                    keys,
                    {column: values[kept] for column, values in arrays.items()},
                    judge,
                    GRID if judge == "synchformer" else None,
                )

    def score_arguments(self, name: str, *, index: bool = True) -> list[str]:
        """Arguments of `cafa score`."""
        folder, shards = self.folder, sorted((self.folder / "embeddings" / name).iterdir())
        arguments = ["score", "--system", name, "--prompts", f"{folder}/prompts.parquet"]
        for shard in shards:
            arguments += ["--embeddings", str(shard)]
            arguments += ["--index", f"{folder}/samples/{name}/{shard.name}.parquet"] * index
        arguments += [
            "--reference-embeddings",
            f"{folder}/embeddings/reference_set",
            "--text",
            f"{folder}/embeddings/text.parquet",
        ]
        return [*arguments, "--output", f"{folder}/scores/{name}.parquet"]

    def table_arguments(self, settings: dict, name: str = "table1", *more: str) -> list[str]:
        """Arguments of `cafa table`."""
        folder = self.folder
        arguments = ["table", "--name", name, "--settings", json.dumps(settings)]
        for system in settings["systems"]:
            arguments += ["--scores", f"{folder}/scores/{system}.parquet"]
        arguments += ["--embeddings-folder", f"{folder}/embeddings", "--prompts", f"{folder}/prompts.parquet"]
        arguments += ["--samples-folder", f"{folder}/samples", "--judges", f"{folder}/judges.json"]
        for option, suffix in (("csv", "csv"), ("markdown", "md"), ("card", "card.json")):
            arguments += [f"--{option}", f"{folder}/{name}.{suffix}"]
        return [*arguments, "--differences", f"{folder}/{name}.differences.csv", *more]


@pytest.fixture(scope="session")
def make_experiment() -> Callable[[Path], Experiment]:
    """Make a small experiment without systems below a folder."""
    return Experiment


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    """A small experiment without systems."""
    return Experiment(tmp_path)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Settings of `cafa judges register` for tiny files of all judges."""
    from tests.tiny_judges import make_weights

    return make_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def command() -> Callable[[list[str]], str]:
    """Run the command line in this process; errors come through."""
    from click.testing import CliRunner

    from cafa.cli import cli

    def run(arguments: list[str]) -> str:
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run
