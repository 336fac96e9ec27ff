import numpy as np
import pytest
import torch

from cafa.common.errors import WeightsError
from cafa.models.folders import save_model
from metrics.encoders.miniature import clap as micro_clap
from metrics.encoders.miniature import synchformer as micro_synchformer
from metrics.encoders.miniature.blocks import WordTower, contrastive_loss, word_slots, words_of
from metrics.encoders.miniature.synchformer import GRID, LARGEST, WINDOW, MicroSynchformer
from metrics.judges.kinds import miniature_judges
from metrics.judges.trained import MicroJudges, build_judge

SOUND = {"bands": 16, "silence": -9.2}
ARCHITECTURES = {
    "classifier": {**SOUND, "classes": 5},
    "clap": SOUND,
    "imagebind": {**SOUND, "size": 16},
    "synchformer": {**SOUND, "size": 16},
}


def save_judges(folder, **changed):
    """Untrained judges, each made from a fixed seed; `changed` replaces entries of a judge's card."""
    for name, architecture in ARCHITECTURES.items():
        torch.manual_seed(1)
        card = {"kind": name, "architecture": architecture, "mel": {"name": "log_mel"}, "frames": {"name": "frames"}}
        save_model(folder / name, build_judge(name, architecture).state_dict(), card | changed.get(name, {}))


@pytest.fixture(scope="module")
def judges(tmp_path_factory) -> MicroJudges:
    folder = tmp_path_factory.mktemp("judges")
    save_judges(folder)
    return MicroJudges(folder)


@pytest.fixture(scope="module")
def clips() -> tuple[np.ndarray, np.ndarray]:
    """Log-mels (5, 160, 16) and frames (5, 80, 16, 16, 3)."""
    rng = np.random.default_rng(0)
    return (rng.uniform(-9, -1, (5, 160, 16)), rng.integers(0, 256, (5, 80, 16, 16, 3), dtype=np.uint8))


def test_columns_and_shapes(judges, clips):
    found = judges.embed_sound(*clips)
    shapes = {f"{judge}.{name}": array.shape for judge, columns in found.items() for name, array in columns.items()}
    assert shapes == {
        "classifier.embedding": (5, 64),
        "classifier.logits": (5, 5),
        "clap.embedding": (5, 64),
        "imagebind.embedding": (5, 64),
        "synchformer.logits_first": (5, 25),
        "synchformer.logits_last": (5, 25),
    }
    assert all(array.dtype == np.float32 for columns in found.values() for array in columns.values())
    assert found["classifier"]["embedding"].min() >= 0


def test_a_clip_does_not_depend_on_the_clips_beside_it(judges, clips):
    mel, frames = clips
    together = judges.embed_sound(mel, frames)
    for row in range(5):
        alone = judges.embed_sound(mel[row : row + 1], frames[row : row + 1])
        for judge, columns in together.items():
            for name, array in columns.items():
                assert np.allclose(array[row], alone[judge][name][0], rtol=1e-5, atol=1e-5)
    assert np.allclose(judges.embed_video(frames)[2], judges.embed_video(frames[2:3])[0], atol=1e-5)


def test_equal_inputs_give_equal_bits(judges, clips):
    first, again = (judges.embed_sound(*clips)["synchformer"]["logits_first"] for _ in range(2))
    assert np.array_equal(first, again)


def test_only_the_offset_judge_looks_at_the_pictures(judges, clips):
    mel, frames = clips
    one, other = judges.embed_sound(mel, frames), judges.embed_sound(mel, 255 - frames)
    assert np.array_equal(one["clap"]["embedding"], other["clap"]["embedding"])
    assert not np.allclose(one["synchformer"]["logits_first"], other["synchformer"]["logits_first"])


@pytest.mark.parametrize("level", [-9.2, 0.0])
def test_silence_and_full_scale_are_finite(judges, level):
    found = judges.embed_sound(np.full((2, 160, 16), level), np.zeros((2, 80, 16, 16, 3), np.uint8))
    assert all(np.isfinite(array).all() for columns in found.values() for array in columns.values())


def test_embeddings_of_pairs_have_unit_length(judges, clips):
    found = judges.embed_sound(*clips)
    rows = [found["clap"]["embedding"], found["imagebind"]["embedding"], judges.embed_video(clips[1])]
    rows.append(judges.embed_text(["a dog barks", "", "犬が吠える", "naïve café — 12!"]))
    for array in rows:
        assert np.allclose(np.linalg.norm(array, axis=1), 1, atol=1e-5)


def test_text_is_read_as_words(judges):
    texts = ["A dog, barking", "a dog barking", "barking dog a", "a cat barking", "dog"]
    rows = judges.embed_text(texts)
    assert np.allclose(rows[0], rows[1], atol=1e-6)
    assert np.allclose(rows[1], rows[2], atol=1e-6)
    assert not np.allclose(rows[1], rows[3], atol=1e-6)
    # Beside longer captions or alone: padding is not read.
    assert np.allclose(judges.embed_text(["dog"])[0], rows[4], atol=1e-6)


def test_words():
    assert words_of("Dogs bark: 2 times") == ["dogs", "bark", "2", "times"]
    assert words_of(" ... ") == [""]
    assert word_slots("dog cat", 64) == [*word_slots("dog", 64), *word_slots("cat", 64)]


def test_words_that_share_one_slot_are_told_apart():
    words = [f"word{number}" for number in range(300)]
    pairs = [word_slots(word, 2048)[0] for word in words]
    assert len(set(pairs)) == len(words)
    slots, mask = WordTower(8, slots=16).tokens(["one two three", "one"])
    assert mask.tolist() == [[True, True, True], [True, False, False]]
    assert slots.shape == (2, 3, 2)


def test_contrastive_loss_of_perfect_and_of_equal_pairs():
    scale = torch.tensor(100.0)
    eye = torch.eye(4).unsqueeze(0)
    # Above the limit of 20: the loss is log(1 + 3 exp(-20.1)), nearly nothing.
    assert float(contrastive_loss(eye, eye, scale)) == pytest.approx(0, abs=1e-6)
    same = torch.ones(2, 4, 1)
    assert float(contrastive_loss(same, same, scale)) == pytest.approx(np.log(4), abs=1e-5)


def test_grid():
    assert GRID[0] == -0.96
    assert GRID[12] == 0
    assert len(GRID) == 25
    assert np.allclose(np.diff(GRID), 0.08)


def test_products_are_summed_along_every_lag():
    torch.manual_seed(0)
    model = MicroSynchformer(**ARCHITECTURES["synchformer"])
    width = micro_synchformer.HEADS * micro_synchformer.HEAD_WIDTH
    seen, heard = torch.randn(2, 3, WINDOW, width)
    seen, heard = seen - seen.mean(1, keepdim=True), heard - heard.mean(1, keepdim=True)
    parts = (x.unflatten(-1, (micro_synchformer.HEADS, -1)).transpose(1, 2) for x in (seen, heard))
    products = torch.einsum("bhtd,bhsd->bhts", *parts) / micro_synchformer.HEAD_WIDTH**0.5
    lags = range(-LARGEST - 1, LARGEST + 2)
    sums = torch.stack([products.diagonal(lag, -2, -1).sum(-1) for lag in lags], dim=-1)
    overlap = torch.tensor([WINDOW - abs(lag) for lag in lags])
    evidence = torch.cat([sums / WINDOW, sums / overlap], dim=1)
    wanted = (model.evidence(evidence) + model.refine(evidence)).squeeze(1)
    assert torch.allclose(model.compare(seen, heard), wanted, atol=1e-4)


@pytest.mark.parametrize("lag", [-24, -6, 0, 10, 24])
def test_a_later_sound_has_a_positive_offset(lag):
    """Untrained, the judge correlates its towers: equal vectors, shifted, must peak at their shift."""
    model = MicroSynchformer(**ARCHITECTURES["synchformer"])
    width = micro_synchformer.HEADS * micro_synchformer.HEAD_WIDTH
    long = torch.randn(1, WINDOW + 2 * LARGEST, width, generator=torch.Generator().manual_seed(0))
    seen = long[:, LARGEST : LARGEST + WINDOW]
    heard = long[:, LARGEST - lag : LARGEST - lag + WINDOW]
    assert GRID[int(model.compare(seen, heard).argmax())] == pytest.approx(lag * 0.04)


def test_the_ends_of_a_window_do_not_tell_where_it_lies():
    model = MicroSynchformer(**ARCHITECTURES["synchformer"])
    mel = torch.rand(1, 2 * WINDOW, 16, generator=torch.Generator().manual_seed(0)) - 6
    dipped = mel.clone()
    dipped[:, [0, -1]] -= 2
    assert torch.equal(model.embed_audio(mel), model.embed_audio(dipped))


def test_first_and_last_window_are_cut(clips):
    model = MicroSynchformer(**ARCHITECTURES["synchformer"]).eval()
    frames, mel = torch.from_numpy(clips[1]), torch.from_numpy(clips[0]).float()
    found = model.judge_sound(mel, frames)
    assert torch.allclose(found["logits_first"], model(frames[:, :50], mel[:, :100]))
    assert torch.allclose(found["logits_last"], model(frames[:, 30:], mel[:, 60:]))


def test_text_embeds_without_the_other_judges():
    model = micro_clap.MicroClap(**ARCHITECTURES["clap"])
    assert model.judge_captions(["a", "b c"]).shape == (2, 64)


def test_judges_of_different_features_are_refused(tmp_path):
    save_judges(tmp_path, clap={"mel": {"name": "log_mel", "bins": 80}})
    with pytest.raises(WeightsError, match=r"different mel features \(clap differ"):
        MicroJudges(tmp_path)


def test_changed_weights_are_refused(tmp_path):
    save_judges(tmp_path)
    path = tmp_path / "imagebind" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(WeightsError, match="not what its card says"):
        MicroJudges(tmp_path)


def test_a_missing_judge_is_named(tmp_path):
    with pytest.raises(WeightsError, match="classifier is not a model folder"):
        MicroJudges(tmp_path)


def test_every_judge_is_small():
    judges = {name: build_judge(name, ARCHITECTURES[name]) for name in miniature_judges()}
    sizes = {name: sum(p.numel() for p in judge.parameters()) for name, judge in judges.items()}
    assert max(sizes.values()) < 300_000
