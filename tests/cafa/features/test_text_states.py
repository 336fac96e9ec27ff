"""Text states of a pretrained encoder, per shard of captions."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cafa.features.store import FeatureStore
from cafa.features.text import captions_of_shard, text_id, write_text_features
from cafa.features.text_states import write_text_states
from cafa.features.verify import verify_features
from cafa.models.encoders.miniature_text import TextSettings

CAPTIONS = [f"sound of thing {number}" + " and more" * (number % 4) for number in range(11)]


class Words:
    """Stands where T5 does: one state per word."""

    def __init__(self, stop_after: int = 100) -> None:
        self.batches: list[int] = []
        self.stop_after = stop_after

    def encode(self, captions: list[str]) -> torch.Tensor:
        if len(self.batches) == self.stop_after:
            raise KeyboardInterrupt
        self.batches.append(len(captions))
        states = torch.zeros(len(captions), 16, 4)
        for row, caption in enumerate(captions):
            for place, word in enumerate(caption.split()):
                states[row, place] = len(word) + torch.arange(4) / 8
        return states


def write(path: Path, text: Words, **options: object) -> int:
    return write_text_states(path, CAPTIONS, text, {"name": "words"}, (16, 4), batch_size=4, **options)


def test_states_are_stored_without_padding_and_in_passes_of_one_size(tmp_path: Path) -> None:
    assert write(tmp_path / "t.arrow", words := Words()) == 11
    assert words.batches == [4, 4, 4]
    store = FeatureStore([tmp_path / "t.arrow"])
    assert np.array_equal(store[text_id(CAPTIONS[3])], words.encode([CAPTIONS[3]])[0].numpy().astype(np.float16))
    assert len(store.stored(text_id(CAPTIONS[0]))) == 4 * 4 * 2
    assert verify_features([tmp_path / "t.arrow"], asked=map(text_id, CAPTIONS)).faults == []


def test_a_killed_job_continues(tmp_path: Path) -> None:
    write(tmp_path / "whole.arrow", Words())
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "t.arrow", Words(stop_after=2))
    write(tmp_path / "t.arrow", words := Words())
    assert words.batches == [4]
    assert (tmp_path / "t.arrow").read_bytes() == (tmp_path / "whole.arrow").read_bytes()


def test_captions_are_dealt_to_shards(tmp_path: Path) -> None:
    parts = [captions_of_shard(CAPTIONS * 2, (number, 3)) for number in range(3)]
    assert sorted(caption for part in parts for caption in part.values()) == sorted(CAPTIONS)
    settings = TextSettings(dim=3, words=12)
    for number in range(3):
        write(tmp_path / f"{number}.arrow", Words(), shard=(number, 3))
        write_text_features(tmp_path / f"m{number}.arrow", CAPTIONS, settings, shard=(number, 3))
    write_text_features(tmp_path / "all.arrow", CAPTIONS, settings)
    assert FeatureStore([tmp_path / f"{k}.arrow" for k in range(3)]).clip_ids == sorted(map(text_id, CAPTIONS))
    together, alone = FeatureStore([tmp_path / f"m{k}.arrow" for k in range(3)]), FeatureStore([tmp_path / "all.arrow"])
    assert all(np.array_equal(together[key], alone[key]) for key in alone.clip_ids)
