"""Where the models of a system find their features."""

from pathlib import Path

import numpy as np
import pytest

from cafa.common.errors import InputError
from cafa.features.store import write_features
from cafa.generation.generated_sounds import Stores


def write(path: Path, name: str, encoder: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_features(
        path, [(name, np.ones(2, np.float32))], kind="text", shape=(2,), dtype="float32", encoder={"name": encoder}
    )


def test_a_second_backbone_has_text_states_of_its_own(tmp_path: Path) -> None:
    for folder, encoder in (("text", "t5"), ("text_other", "flan_t5")):
        for shard in range(2):
            write(tmp_path / folder / f"{shard}.arrow", f"caption{shard}", encoder)
    own, other = Stores(tmp_path, text_shards=2), Stores(tmp_path, text_shards=2, text="text_other")
    assert own.of_text().encoder["name"] == "t5"
    assert other.of_text().encoder["name"] == "flan_t5"
    assert other.of_text().clip_ids == ["caption0", "caption1"]


def test_features_of_clips_are_those_of_the_shards_asked_for(tmp_path: Path) -> None:
    for shard in range(3):
        write(tmp_path / "av_clip" / f"{shard}.arrow", f"clip{shard}", "av_clip")
    assert Stores(tmp_path, clip_shards=2).of_clips("av_clip").clip_ids == ["clip0", "clip1"]
    with pytest.raises(InputError, match=r"3\.arrow"):
        Stores(tmp_path, clip_shards=4).of_clips("av_clip")
