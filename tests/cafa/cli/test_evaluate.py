import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from cafa.common.errors import InputError, WeightsError
from cafa.generation.samples import make_samples
from cafa.generation.samples_system import SamplesSystem
from cafa.generation.sound_sources import PromptRow, PublishedSounds, ReferenceSounds
from cafa.media.mel import MelSettings
from cafa.models.folders import save_model
from cafa.models.weights import read_weight_sources
from metrics.encoders.panns import Cnn14, PannsEncoder, published_shapes
from metrics.encoders.panns import front_end_tables as panns_tables
from metrics.evaluation.evaluate import EvaluationSettings, default_metrics, evaluate
from metrics.evaluation.from_files import named_folders
from metrics.evaluation.pairs import read_pairs
from metrics.functional.divergence import kl_divergence
from metrics.functional.frechet import frechet_distance
from metrics.judges.kinds import miniature_judges
from metrics.judges.media import decode_whole_sound
from metrics.judges.published import RealJudges
from metrics.judges.published_files import find_weights, open_judges
from metrics.judges.published_judge import PublishedJudge
from metrics.judges.published_judges.classifier import REPORTED_CLASSES
from metrics.judges.trained import build_judge
from metrics.parity.weights import deterministic_tensors
from metrics.tables.compute import BootstrapSettings
from tests.evaluation_clips import sound_of, write_video, write_wav
from tests.published_forms import save_panns
from tests.tiny_judges import SIZES, make_weights, write_table
from tests.two_runs import run_at_once

Run = Callable[..., str]


@pytest.fixture
def cafa() -> Run:
    from click.testing import CliRunner

    from cafa.cli import cli

    def run(*arguments: object) -> str:
        result = CliRunner().invoke(cli, ["evaluate", *map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten clips and a system, half a second of sound each, the clips' own in stereo."""
    names = [f"clip{number}" for number in range(10)]
    for number, name in enumerate(names):
        write_wav(tmp_path / "reference" / f"{name}.wav", number, 0.5, rate=44100, channels=2)
        write_wav(tmp_path / "ours" / f"{name}.wav", 100 + number, 0.5)
    frame = pd.DataFrame({"clip_id": names, "caption": [f"sound {number}" for number in range(10)]})
    frame.to_csv(tmp_path / "prompts.csv", index=False)
    return tmp_path


def options(folder: Path) -> list[object]:
    return [
        "--reference",
        folder / "reference",
        "--samples",
        folder / "ours",
        "--prompts",
        folder / "prompts.csv",
        "--output",
        folder / "out",
        "--resamples",
        100,
    ]


@pytest.fixture(scope="module")
def panns_weights() -> dict[str, torch.Tensor]:
    return deterministic_tensors(published_shapes(16000), gain=2.0) | panns_tables(16000)


def test_real_judges_from_published_files(folder: Path, cafa: Run, panns_weights: dict[str, torch.Tensor]):
    """PANNs from a file of the published name and layout: FAD, KAD, KL and IS are those of its arrays."""
    weights = folder / "weights" / "Cnn14_16k_mAP=0.438.pth"
    weights.parent.mkdir()
    save_panns(weights, panns_weights)
    chosen = [word for name in ("FAD", "KAD", "KL", "IS") for word in ("--metric", name)]
    arguments = [*options(folder), *chosen, "--weights", weights.parent, "--seconds", 0.45]
    with pytest.raises(WeightsError, match="the published file has 358,668,570"):
        cafa(*arguments)
    arguments += ["--weights-table", write_table(weights.parent, digests=False)]
    with pytest.raises(WeightsError, match="weights panns_cnn14_16k: no SHA-256 is recorded"):
        cafa(*arguments)
    printed = cafa(*arguments, "--unverified")
    assert "| ours |" in printed
    assert "These weights are not verified" in printed
    judge = PannsEncoder(Cnn14.from_tensors(panns_weights, 16000), 16000, "0" * 64)
    arrays = {}
    for part in ("reference", "ours"):
        files = [decode_whole_sound(folder / part / f"clip{number}.wav") for number in range(10)]
        arrays[part] = judge.embed_with_logits([judge.prepare(*file, 0.45) for file in files])
    found = pd.read_csv(folder / "out" / "table.csv").loc[0]
    assert found["FAD"] == pytest.approx(frechet_distance(arrays["ours"][0], arrays["reference"][0]).value, rel=1e-3)
    divergence = kl_divergence(arrays["reference"][1], arrays["ours"][1])
    clips = pd.read_parquet(folder / "out" / "clips.parquet")
    np.testing.assert_allclose(clips["KL"], divergence, rtol=1e-3)
    card = json.loads((folder / "out" / "table.card.json").read_text())
    assert card["judges"]["classifier"]["network"] == "panns_cnn14_16k"
    assert card["judges"]["classifier"]["weights_sha256"] != "0" * 64
    assert card["seconds_scored"] == [0.45]
    assert set(card["extra"]["mean_probability_in_the_clips_own_sounds"]) == {"Speech", "Music"}


def test_all_missing_weights_are_named_with_what_to_download(folder: Path, cafa: Run):
    with pytest.raises(WeightsError) as error:
        cafa(*options(folder), "--weights", folder / "empty")
    *lines, last = str(error.value).split("\n")
    assert "`cafa weights get --for evaluate`" in last
    assert [line.split()[1] for line in lines] == [
        "panns_cnn14_16k",
        "laion_clap",
        "roberta_vocab",
        "roberta_merges",
        "imagebind_huge",
        "synchformer",
    ]
    assert lines[0] == (
        "weights panns_cnn14_16k not found: download https://zenodo.org/record/3987831/files/Cnn14_16k_mAP%3D0.438.pth "
        "(licence: see https://zenodo.org/record/3987831) and put the file at "
        f"{folder}/empty/Cnn14_16k_mAP=0.438.pth, or run `cafa weights get panns_cnn14_16k`"
    )


Opened = dict[str, PublishedJudge]


@pytest.fixture(scope="module")
def narrow_judges(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """The published architectures, narrow: every line of the path is the one that published weights take."""
    folder = tmp_path_factory.mktemp("narrow")
    make_weights(folder)
    sources = read_weight_sources(folder / "weights.tsv")
    judges = list(SIZES)
    return open_judges(find_weights(folder, sources, judges), sources, judges, sizes=SIZES)


def test_every_metric_of_real_judges_on_clips_of_exactly_14_segments(tmp_path: Path, narrow_judges: Opened):
    names = ["GT_playing_drum_kit1", "GT_playing_drum_kit2"]
    for number, name in enumerate(names):
        write_video(tmp_path / "reference" / f"{name}.mp4", number, 4.8)
        write_wav(tmp_path / "ours" / f"{name}.wav", 100 + number, 4.8, channels=1 + number)
    frame = pd.DataFrame({"clip_id": names, "caption": ["dog", "cat"], "own_caption": ["a drum", "drums"]})
    frame.to_csv(tmp_path / "prompts.csv", index=False)
    pairs = read_pairs(tmp_path / "prompts.csv", tmp_path / "reference", {"ours": tmp_path / "ours"})
    settings = EvaluationSettings(
        metrics=default_metrics(pairs.prompts, REPORTED_CLASSES),
        inception_splits=1,
        bootstrap=BootstrapSettings(resamples=100),
    )
    panel = RealJudges(narrow_judges, 4.8)
    evaluate(pairs, panel, settings, tmp_path / "out", {})
    clips = pd.read_parquet(tmp_path / "out" / "clips.parquet")
    for metric in ("KL", "IB", "CLAP", "Acc", "Acc_margin", "DeSync", "Speech", "Music"):
        assert clips[metric].notna().all(), metric
    assert (clips["DeSync_windows"] == 1).all()
    path = tmp_path / "ours" / f"{names[0]}.wav"
    clap = narrow_judges["clap"]
    sound = clap.prepare_audio(*decode_whole_sound(path), 4.8)
    expected = clap.embed_audio([sound], [None])["embedding"][0] @ clap.embed_text(["dog"])[0]
    assert clips["CLAP"][0] == pytest.approx(float(expected), abs=1e-6)
    found = pd.read_csv(tmp_path / "out" / "table.csv").loc[0]
    assert found[["FAD", "KAD", "FAD_CLAP", "KAD_CLAP", "IS"]].notna().all()
    card = json.loads((tmp_path / "out" / "table.card.json").read_text())
    assert card["notes"]["DeSync_rows_of_one_window"] == 2
    assert "largest_cosine_of_unrelated_captions" in card["judges"]["clap"]["measures"]


def test_lengths_that_a_judge_cannot_judge_are_refused(narrow_judges: Opened):
    with pytest.raises(InputError, match=r"DeSync needs at least 4\.8 s, got 4\.7 s"):
        RealJudges(narrow_judges, 4.7)
    with pytest.raises(InputError, match="IB needs at least 4 s"):
        RealJudges(narrow_judges, 3.9)
    whole = RealJudges(narrow_judges, 5.0, whole_file_for_imagebind=True)
    assert whole.settings == {"seconds": 5.0, "imagebind_hears": "whole file"}


def test_imagebind_hears_the_whole_file_where_that_is_asked_for(tmp_path: Path, narrow_judges: Opened):
    path = write_wav(tmp_path / "a.wav", 1, 6.0)
    for whole, samples in ((True, 96000), (False, 80000)):
        panel = RealJudges(narrow_judges, 5.0, whole_file_for_imagebind=whole)
        prepared = panel.prepare_audio(path, list(panel.judges))
        assert prepared.arrays["imagebind"].shape == (1, samples)
        assert prepared.arrays["classifier"].shape == (80000,)
        assert prepared.arrays["clap"].shape == (240000,)


def test_imagebind_hears_the_left_channel_whoever_made_the_sound(tmp_path: Path, narrow_judges: Opened):
    """From a stereo file, and from the copies that `cafa samples make` writes of it for the workflow."""
    sounds = (sound_of(1, 6.0)[0], np.random.default_rng(9).uniform(-0.5, 0.5, 6 * 16000))
    left, noise = (np.rint(sound * 2**15).astype(np.int16) for sound in sounds)
    soundfile.write(tmp_path / "left.wav", left, 16000, subtype="PCM_16")
    (tmp_path / "0").mkdir()
    for name in ("clip0.wav", "0/clip0.flac"):
        soundfile.write(tmp_path / name, np.stack([left, noise], axis=1), 16000, subtype="PCM_16")
    panel = RealJudges(narrow_judges, 5.0)

    def embedded(path: Path) -> np.ndarray:
        prepared = panel.prepare_audio(path, ["imagebind"])
        return panel.embed_audio([prepared], [{}], ["imagebind"])["imagebind"]["embedding"][0]

    row = PromptRow("clip0", "a", "a sound", "sound", "matched")
    copies = {"stereo": tmp_path / "clip0.wav"}
    for name, source in (
        ("samples", PublishedSounds(SamplesSystem(folder=str(tmp_path), pattern="{clip_id}.wav"), 44100, 5.0)),
        ("reference", ReferenceSounds(tmp_path, {"clip0": "0"}, 44100, 5.0)),
    ):
        make_samples(
            [row],
            source,
            label=name,
            seed=1,
            batch_size=1,
            shard=(0, 1),
            folder=tmp_path / name / "0",
            index=tmp_path / name / "0.parquet",
            key="k",
        )
        copies[name] = tmp_path / name / "0" / row.file_name
    alone, mixed = embedded(tmp_path / "left.wav"), tmp_path / "mixed.wav"
    for path in copies.values():
        np.testing.assert_allclose(
            embedded(path), alone, rtol=1e-5, atol=1e-5, err_msg=str(path)
        )  # the mean of both channels is removed
    soundfile.write(mixed, (left // 2 + noise // 2), 16000)
    assert np.abs(embedded(mixed) - alone).max() > 1e-4
    whole = RealJudges(narrow_judges, 5.0, whole_file_for_imagebind=True)
    for path in copies.values():  # also what is longer than judged is there for who wants it
        assert whole.prepare_audio(path, ["imagebind"]).arrays["imagebind"].shape == (2, 96000)


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained judges of the miniature, and a verdict that calls them good."""
    folder, mel = tmp_path_factory.mktemp("judges"), MelSettings()
    torch.manual_seed(0)
    verdicts = {}
    for name in miniature_judges():
        sizes: dict[str, object] = {"bands": mel.bins, "silence": -4.0}
        sizes |= (
            {"classes": 3} if name == "classifier" else {"size": 32} if name in ("imagebind", "synchformer") else {}
        )
        card = {
            "kind": name,
            "architecture": sizes,
            "mel": {"name": "log_mel", "seconds": 2.4, **mel.model_dump()},
            "frames": {"name": "frames", "seconds": 2.4, "frame_rate": 25, "frame_size": 32},
        }
        save_model(folder / name, build_judge(name, sizes).state_dict(), card)
        sha256 = json.loads((folder / name / "card.json").read_text())["weights_sha256"]
        verdicts[name] = {"weights_sha256": sha256, "measures": {}, "good": True}
    (folder / "judges.json").write_text(json.dumps({"judges": verdicts, "good": True}))
    return folder


def test_miniature_judges(tmp_path: Path, cafa: Run, miniature: Path):
    names = ["one", "two", "three"]
    for number, name in enumerate(names):
        write_video(tmp_path / "reference" / f"{name}.mp4", number, 2.4)
        write_wav(tmp_path / "ours" / f"{name}.wav", 100 + number, 2.4)
        write_wav(tmp_path / "theirs" / f"{name}.wav", 200 + number, 2.4)
    frame = pd.DataFrame({"clip_id": names, "caption": ["a dog", "a cat", "rain"], "own_caption": ["drums"] * 3})
    frame.to_csv(tmp_path / "prompts.csv", index=False)
    arguments = [
        *options(tmp_path),
        "--samples",
        f"theirs={tmp_path}/theirs",
        "--judges",
        "miniature",
        "--weights",
        miniature,
        "--check",
        miniature / "judges.json",
        "--inception-splits",
        1,
    ]
    printed = cafa(*arguments)
    assert "Judged by the small judges of the rendered world" in printed
    table = pd.read_csv(tmp_path / "out" / "table.csv").set_index("system")
    assert list(table.index) == ["ours", "theirs"]
    columns = ["FAD", "KAD", "FAD_CLAP", "KAD_CLAP", "KL", "IS", "IB", "CLAP", "Acc", "Acc_margin", "DeSync"]
    assert table[columns].notna().all().all()
    differences = pd.read_csv(tmp_path / "out" / "table.differences.csv")
    assert differences["metric"].tolist() == columns
    with pytest.raises(InputError, match=r"trained on 2\.4 s and score that length, not 8 s"):
        cafa(*arguments, "--seconds", 8)


def test_two_evaluations_at_once_into_one_folder_never_mix(tmp_path: Path, miniature: Path):
    """Two real processes, one folder, one name of a system: the second is refused, or comes after the first."""
    names = [f"clip{number:02}" for number in range(12)]
    for number, name in enumerate(names):
        write_wav(tmp_path / "reference" / f"{name}.wav", number, 2.4)
        write_wav(tmp_path / "one" / "ours" / f"{name}.wav", 100 + number, 2.4)
        write_wav(tmp_path / "two" / "ours" / f"{name}.wav", 200 + number, 2.4)
    frame = pd.DataFrame({"clip_id": names, "caption": ["a dog", "a cat", "rain"] * 4})
    frame.to_csv(tmp_path / "prompts.csv", index=False)

    def command(part: str, output: str, resamples: int = 100) -> list[object]:
        return [
            "evaluate",
            "--reference",
            tmp_path / "reference",
            "--samples",
            tmp_path / part / "ours",
            "--prompts",
            tmp_path / "prompts.csv",
            "--judges",
            "miniature",
            "--weights",
            miniature,
            "--check",
            miniature / "judges.json",
            "--metric",
            "FAD",
            "--metric",
            "KL",
            "--output",
            tmp_path / output,
            "--set-resamples",
            resamples,
        ]

    alone = {}
    for part in ("one", "two"):
        assert run_at_once(command(part, f"alone-{part}", 4000))[0][0] == 0
        alone[part] = (tmp_path / f"alone-{part}" / "table.csv").read_bytes()
    assert alone["one"] != alone["two"]
    (first, said_first), (second, said_second) = run_at_once(command("one", "out", 4000), command("two", "out", 4000))
    assert 0 in (first, second)
    for code, said in ((first, said_first), (second, said_second)):
        if code:
            assert f"cafa: error: another run writes to {tmp_path / 'out'}: process " in said
    last = {(0, 1): ("one",), (1, 0): ("two",), (0, 0): ("one", "two")}[first, second]
    assert (tmp_path / "out" / "table.csv").read_bytes() in [alone[part] for part in last]
    left = [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
    assert left == []


def test_miniature_judges_that_nobody_checked_are_refused(folder: Path, cafa: Run, miniature: Path):
    arguments = [*options(folder), "--judges", "miniature", "--weights", miniature, "--check"]
    with pytest.raises(InputError, match="no verdict on the judges at"):
        cafa(*arguments, folder / "none.json")
    verdict = json.loads((miniature / "judges.json").read_text())
    verdict["judges"]["classifier"]["weights_sha256"] = "f" * 64
    (folder / "other.json").write_text(json.dumps(verdict))
    with pytest.raises(InputError, match="is not the one that was checked"):
        cafa(*arguments, folder / "other.json")
    verdict["good"] = False
    (folder / "bad.json").write_text(json.dumps(verdict))
    with pytest.raises(InputError, match="judges that are not good enough"):
        cafa(*arguments, folder / "bad.json")


def test_systems_have_different_names():
    assert named_folders(("a/one", "two=a/one")) == {"one": Path("a/one"), "two": Path("a/one")}
    with pytest.raises(InputError, match="two systems are called 'one': name them"):
        named_folders(("a/one", "b/one"))
