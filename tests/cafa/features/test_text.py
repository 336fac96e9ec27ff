import numpy as np
import pytest

from cafa.common.errors import InputError
from cafa.features.store import FeatureStore
from cafa.features.text import text_id, write_text_features
from cafa.models.encoders.miniature_text import TextSettings, text_states

SETTINGS = TextSettings(dim=8, words=4)


def test_a_word_has_the_same_state_wherever_it_stands_and_padding_is_zero():
    first, second = text_states("Dog barking", SETTINGS), text_states("a dog", SETTINGS)
    assert np.array_equal(first[0], second[1])
    assert not np.array_equal(first[0], first[1])
    assert not first[2:].any()


def test_states_do_not_depend_on_the_process():
    # A fixed value: the encoder stands for a pretrained one, so it must never change.
    assert text_states("dog", SETTINGS)[0, :3] == pytest.approx([-1.199424, 2.079468, -0.433873], abs=1e-6)


@pytest.mark.parametrize("caption", ["", "...", "one two three four five"])
def test_captions_that_do_not_fit_are_refused(caption):
    with pytest.raises(InputError, match="1 to 4 words"):
        text_states(caption, SETTINGS)


def test_store_holds_each_caption_once(tmp_path):
    assert write_text_features(tmp_path / "t.arrow", ["a dog", "a cat", "a dog"], SETTINGS) == 2
    store = FeatureStore([tmp_path / "t.arrow"])
    assert np.allclose(store[text_id("a cat")], text_states("a cat", SETTINGS), atol=1e-3)
