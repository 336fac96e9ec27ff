"""PaSST, VGGish, Microsoft's CLAP, Audiobox-Aesthetics from small files in the published form to a table."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import linalg

from cafa.common.errors import InputError, WeightsError
from cafa.models.weights import read_weight_sources
from metrics.encoders.ms_clap.encoders import gpt2_config, htsat_config
from metrics.evaluation.evaluate import EvaluationSettings, default_metrics, evaluate
from metrics.evaluation.pairs import read_pairs
from metrics.judges.kinds import JUDGES
from metrics.judges.published import RealJudges
from metrics.judges.published_files import find_weights, open_judges, weights_path
from metrics.parity.later_cases import SMALL_GPT2, SMALL_HTSAT, SMALL_PASST, SMALL_WAVLM
from metrics.tables.catalogue import METRICS
from metrics.tables.compute import BootstrapSettings
from tests.evaluation_clips import write_wav
from tests.later_judges import write_later_weights
from tests.tiny_judges import SIZES as TINY
from tests.tiny_judges import make_panns

LATER = ("passt", "vggish", "ms_clap", "audiobox")
COLUMNS = ("FD_PaSST", "KAD_PaSST", "KL_PaSST", "IS_PaSST", "FD_VGG", "MS_CLAP", "CE", "CU", "PC", "PQ")
SIZES: dict[str, dict[str, Any]] = {
    "passt": SMALL_PASST,
    "vggish": {"channels": (1, 2, 2, 3, 3, 4, 4), "hidden": 8},
    "ms_clap": {"audio": htsat_config(**SMALL_HTSAT), "text": gpt2_config(**SMALL_GPT2), "width": 64},
    "audiobox": SMALL_WAVLM,
    "classifier": TINY["classifier"],
}
SECONDS = 2.0


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files, where the table of weights says."""
    folder = tmp_path_factory.mktemp("weights")
    write_later_weights(folder, SIZES)
    make_panns(weights_path(folder, read_weight_sources()["panns_cnn14_16k"]))
    return folder


def panel(folder: Path, judges: tuple[str, ...] = LATER) -> RealJudges:
    sources = read_weight_sources()
    unknown = {name: type(row)(row.name, row.url, None, "", "", path=row.path) for name, row in sources.items()}
    paths = find_weights(folder, unknown, judges)
    return RealJudges(open_judges(paths, unknown, judges, unverified=True, sizes=SIZES), SECONDS)


def test_a_sound_gets_all_columns(weights: Path, tmp_path: Path):
    judges = panel(weights)
    file = write_wav(tmp_path / "a.wav", 1, SECONDS, rate=44100, channels=2)
    heard = judges.prepare_audio(file, LATER)
    found = judges.embed_audio([heard, heard], [{}, {}], LATER)
    shapes = {judge: {name: values.shape for name, values in columns.items()} for judge, columns in found.items()}
    assert shapes == {
        "passt": {"embedding": (2, 48), "logits": (2, 527)},
        "vggish": {"embedding": (2, 2 * 128)},
        "ms_clap": {"embedding": (2, 64)},
        "audiobox": {"ratings": (2, 4)},
    }
    for judge, columns in found.items():
        assert tuple(columns) == JUDGES[judge].columns
    assert judges.embed_text(["a dog"], "ms_clap").shape == (1, 64)


def test_files_that_are_missing_are_named_where_the_table_says(tmp_path: Path):
    with pytest.raises(WeightsError) as caught:
        find_weights(tmp_path, read_weight_sources(), LATER)
    for file in ("gpt2/vocab.json", "gpt2/merges.txt", "audiobox-aesthetics/config.json", "vggish-10086976.pth"):
        assert str(tmp_path / file) in str(caught.value)


def test_sound_shorter_than_a_piece_is_refused_before_it_is_heard(weights: Path):
    judges = panel(weights)
    with pytest.raises(InputError, match=r"FD_VGG needs at least 0\.975 s, got 0\.5 s"):
        RealJudges(judges.judges, 0.5)


def test_they_are_computed_only_where_they_are_asked_for():
    prompts = pd.DataFrame({"caption": ["a"], "own_caption": ["b"]})
    assert set(COLUMNS) <= METRICS.keys()
    assert not set(COLUMNS) & set(default_metrics(prompts, ()))
    assert all(JUDGES[judge].miniature is None for judge in LATER)


def published_distance(generated: np.ndarray, reference: np.ndarray) -> float:
    """As av-benchmark computes it."""
    first, second = np.cov(generated, rowvar=False), np.cov(reference, rowvar=False)
    offset = generated.mean(0) - reference.mean(0)
    root = linalg.sqrtm(first @ second)
    return float(offset @ offset + np.trace(first) + np.trace(second) - 2 * np.trace(root.real))


def test_an_evaluation_prints_their_columns(weights: Path, tmp_path: Path):
    count = 12
    names = [f"clip{number}" for number in range(count)]
    for number, name in enumerate(names):
        write_wav(tmp_path / "reference" / f"{name}.wav", number, SECONDS, rate=44100, channels=2)
        write_wav(tmp_path / "ours" / f"{name}.wav", 100 + number, SECONDS)
    captions = ["a dog" if number % 2 else "Hello, my dog is cute" for number in range(count)]
    pd.DataFrame({"clip_id": names, "caption": captions}).to_csv(tmp_path / "prompts.csv", index=False)
    pairs = read_pairs(tmp_path / "prompts.csv", tmp_path / "reference", {"ours": tmp_path / "ours"})
    judges = panel(weights, ("classifier", *LATER))
    settings = EvaluationSettings(metrics=COLUMNS, bootstrap=BootstrapSettings(resamples=100, set_resamples=100))
    table = evaluate(pairs, judges, settings, tmp_path / "out", {})
    values = {name: table.estimates["ours"][name].value for name in COLUMNS}
    assert all(np.isfinite(value) for value in values.values())
    assert all(table.estimates["ours"][name].n == count for name in COLUMNS)

    def embedded(folder: str, judge: str) -> np.ndarray:
        wavs = [judges.prepare_audio(tmp_path / folder / f"{name}.wav", [judge]) for name in names]
        (column, *_) = JUDGES[judge].columns
        return judges.embed_audio(wavs, [{}] * count, [judge])[judge][column].astype(np.float64)

    pieces = [embedded(folder, "vggish").reshape(-1, 128) for folder in ("ours", "reference")]
    assert len(pieces[0]) == 2 * count
    assert values["FD_VGG"] == pytest.approx(published_distance(*pieces), rel=1e-3)
    assert table.notes["FD_VGG_pieces_of_a_sound"] == 2
    assert values["CE"] == pytest.approx(embedded("ours", "audiobox")[:, 0].mean(), abs=1e-4)
    text = judges.embed_text(captions, "ms_clap")
    assert values["MS_CLAP"] == pytest.approx((text * embedded("ours", "ms_clap")).sum(1).mean(), abs=1e-4)
