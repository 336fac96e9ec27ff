"""A judge from outside, as docs/extending/judge.md adds it: registered, embedding and scored by the commands."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from cafa.common.files import sha256_file
from metrics.embedding.reading import SAMPLE_KEY, read_embeddings
from metrics.encoders.audio import prepare_waveform
from metrics.judges.media import decode_whole_sound
from tests.evaluation_clips import write_wav
from tests.extending.plugin import run_with_plugin
from tests.metrics.embedding.test_published import SECONDS, Place
from tests.tiny_judges import make_weights
from tests.words import words

WEIGHTS, FILE = "toy_spectrum", "spectrum.safetensors"
SCRIPT = """
import json
from click.testing import CliRunner
from cafa.cli import cli

for words in json.load(open("commands.json")):
    done = CliRunner().invoke(cli, words)
    print(json.dumps([done.exit_code, str(done.exception)]))
"""
EVALUATE = """
from pathlib import Path
from metrics.evaluation.evaluate import EvaluationSettings, evaluate
from metrics.evaluation.pairs import read_pairs
from metrics.judges.published import RealJudges
from metrics.judges.registry import open_registered
from metrics.tables.catalogue import judges_for

settings = EvaluationSettings(metrics=("FAD", "Timbre"))
panel = RealJudges(open_registered("judges", judges_for(settings.metrics)), 0.5)
pairs = read_pairs(Path("prompts.csv"), Path("wav/reference"), {"ours": Path("wav/ours")})
evaluate(pairs, panel, settings, Path("out"), {})
print(",".join(panel.judges))
"""


def run(commands: list[list[str]], folder: Path) -> list[tuple[int, str]]:
    """Run commands with the plug-in in one process; exit code and error of each."""
    (folder / "commands.json").write_text(json.dumps(commands), encoding="utf-8")
    done = run_with_plugin("judge.md", "my_judge", SCRIPT, folder)
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def add_weights(settings: dict[str, Any], matrix: np.ndarray) -> None:
    """Write the toy's file among the tiny ones of the published judges, and its row in their table."""
    file = Path(settings["weights"]) / FILE
    save_file({"matrix": matrix}, file)
    row = [WEIGHTS, f"https://example.org/{FILE}", sha256_file(file), str(file.stat().st_size), "CC0-1.0", "Timbre", ""]
    with Path(settings["table"]).open("a", encoding="utf-8") as table:
        table.write("\t".join(row) + "\n")


def embed_and_score(place: Place, folder: Path) -> list[list[str]]:
    """Commands from clips and samples to scores."""
    settings = json.dumps({"seconds": SECONDS, "max_loss": 1.0})
    judges, prompts, text = place.judges, place.root / "prompts.parquet", folder / "text.parquet"
    own = [folder / f"own{shard}" for shard in place.shards]
    commands = []
    for shard, output in zip(place.shards, own, strict=True):
        clips = {"clips": place.clips(shard), "ingest_ledger": place.ledger(shard), "shard": f"{shard}/2"}
        manifest = place.root / "manifest.parquet"
        reference = {"judges": judges, "manifest": manifest, **clips, "settings": settings, "output_folder": output}
        commands.append(words("embed", "reference", **reference))
    ours = folder / "ours"
    sounds = {"index": place.index, "reference_embeddings": own, "settings": settings, "output_folder": ours}
    scored = {"embeddings": ours, "reference_embeddings": own, "text": text, "index": ours / "index.parquet"}
    return [
        *commands,
        words("embed", "samples", judges=judges, **sounds),
        words("embed", "text", judges=judges, prompts=prompts, output=text),
        words("score", system="ours", prompts=prompts, **scored, output=folder / "scores.parquet"),
    ]


def by_hand(path: Path, matrix: np.ndarray, seconds: float = SECONDS) -> np.ndarray:
    """The toy's embedding of a file, from its formula."""
    sound = prepare_waveform(*decode_whole_sound(path), 8000, seconds=seconds)
    blocks = sound[: len(sound) // 128 * 128].reshape(-1, 128)
    return np.asarray(matrix @ np.log(1e-6 + (np.abs(np.fft.rfft(blocks)[:, :64]) ** 2).mean(axis=0)))


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Cosine of two vectors."""
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def write_pairs(folder: Path) -> None:
    """Four short sounds of clips and of a system, and their prompts."""
    names = [f"clip{number}" for number in range(4)]
    for number, name in enumerate(names):
        write_wav(folder / "wav" / "reference" / f"{name}.wav", number, 0.5)
        write_wav(folder / "wav" / "ours" / f"{name}.wav", 100 + number, 0.5)
    pd.DataFrame({"clip_id": names, "caption": "a dog"}).to_csv(folder / "prompts.csv", index=False)


def test_a_judge_of_a_plugin_embeds_and_is_scored_where_it_is_registered(tmp_path: Path) -> None:
    settings = make_weights(tmp_path / "weights")
    place = Place(tmp_path, settings)  # registers the four published judges
    (before := tmp_path / "before").mkdir()
    (after := tmp_path / "after").mkdir()
    matrix = np.random.default_rng(0).standard_normal((8, 64)).astype(np.float32)
    add_weights(settings, matrix)
    how = json.dumps(settings)
    register = words("judges", "register", settings=how, output=place.judges / "spectrum")
    steps = [*embed_and_score(place, before), [*register, "spectrum"], *embed_and_score(place, after)]
    assert run(steps, tmp_path) == [(0, "None")] * len(steps)

    assert not list(before.glob("*/spectrum.parquet"))
    for path in before.glob("*/*.parquet"):
        if path.stem in ("classifier", "clap", "imagebind", "synchformer"):
            assert path.read_bytes() == (after / path.relative_to(before)).read_bytes(), path
    found = read_embeddings([after / "ours" / "spectrum.parquet"], SAMPLE_KEY, ("embedding",))
    assert found.weights_sha256 == sha256_file(Path(settings["weights"]) / FILE)

    old, new = (pd.read_parquet(folder / "scores.parquet") for folder in (before, after))
    pd.testing.assert_frame_equal(old, new[new["metric"] != "Timbre"].reset_index(drop=True))
    mine = new[new["metric"] == "Timbre"].set_index("clip_id")["value"]
    assert sorted(mine.index) == ["clip0", "clip1"]
    for clip in mine.index:
        own = next(path for shard in place.shards if (path := place.clips(shard) / f"{clip}.flac").is_file())
        one, other = by_hand(own, matrix), by_hand(place.root / "ours" / "0" / f"{clip}.flac", matrix)
        assert mine[clip] == pytest.approx(cosine(one, other), abs=1e-5)

    write_pairs(tmp_path)
    done = run_with_plugin("judge.md", "my_judge", EVALUATE, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "classifier,spectrum"  # and no other network is loaded
    table = pd.read_csv(tmp_path / "out" / "table.csv").loc[0]
    assert table["Timbre_low"] <= table["Timbre"] <= table["Timbre_high"]
    files = [[tmp_path / "wav" / part / f"clip{n}.wav" for n in range(4)] for part in ("reference", "ours")]
    cosines = [
        cosine(by_hand(one, matrix, 0.5), by_hand(other, matrix, 0.5)) for one, other in zip(*files, strict=True)
    ]
    assert table["Timbre"] == pytest.approx(np.mean(cosines), abs=1e-5)


def test_a_judge_without_its_file_or_name_is_refused_with_what_to_do(tmp_path: Path) -> None:
    settings = {"weights": str(tmp_path / "weights"), "table": str(tmp_path / "weights" / "weights.tsv"), "sizes": {}}
    (tmp_path / "weights").mkdir()
    columns = ("name", "url", "sha256", "bytes", "licence", "used_by", "note")
    Path(settings["table"]).write_text("\t".join(columns) + "\n", encoding="utf-8")
    add_weights(settings, np.ones((8, 64), np.float32))
    file = tmp_path / "weights" / FILE
    how = json.dumps(settings)
    register = words("judges", "register", settings=how, output=tmp_path / "judges" / "spectrum")
    save_file({"matrix": np.zeros((8, 64), np.float32)}, file)
    changed, unknown = run([[*register, "spectrum"], [*register, "spectrom"]], tmp_path)
    file.unlink()
    (missing,) = run([[*register, "spectrum"]], tmp_path)
    for (code, error), said in zip(
        (changed, unknown, missing),
        ("spectrum.safetensors has SHA-256", "did you mean 'spectrum'?", f"download https://example.org/{FILE}"),
        strict=True,
    ):
        assert code == 1
        assert said in error
    assert not (tmp_path / "judges").exists()
