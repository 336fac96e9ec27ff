import numpy as np
import pytest
import torch

from cafa.common.errors import InputError
from cafa.media.crops import centre_crop
from metrics.encoders.frames import resize_short_side, stack_equal, three_crops, to_frames


def clip(frames: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "size"), [(36, 64, (224, 398)), (64, 36, (398, 224)), (50, 50, (224, 224))]
)
def test_short_side_and_the_long_side_rounded_down(height: int, width: int, size: tuple[int, int]):
    resized = resize_short_side(to_frames(clip(2, height, width)), 224)
    assert resized.shape == (2, 3, *size)
    assert resized.dtype == torch.uint8


def test_resizing_does_not_depend_on_memory_layout():
    frames = to_frames(clip(2, 90, 160))
    contiguous = resize_short_side(frames.contiguous(), 64)
    assert torch.equal(resize_short_side(frames, 64), contiguous)
    assert torch.equal(resize_short_side(frames[1:], 64), contiguous[1:])


def test_right_size_is_left_alone():
    frames = to_frames(clip(1, 64, 80))
    assert resize_short_side(frames, 64) is frames


@pytest.mark.parametrize(("margin", "offset"), [(0, 0), (1, 0), (2, 1), (3, 2), (5, 2), (7, 4)])
def test_centre_crop_rounds_half_to_even(margin: int, offset: int):
    columns = torch.arange(8 + margin).expand(1, 3, 8, -1)
    assert centre_crop(columns, 8)[0, 0, 0, 0] == offset


@pytest.mark.parametrize("tall", [False, True])
def test_three_crops_run_along_the_long_side(tall: bool):
    places = torch.arange(8 + 5).expand(2, 3, 8, -1)
    crops = three_crops(places.mT if tall else places, 8)
    assert crops.shape == (3, 2, 3, 8, 8)
    assert [int(crop[0, 0, 0, 0]) for crop in crops] == [0, 3, 5]


def test_bad_clips_are_refused():
    with pytest.raises(InputError, match="uint8"):
        to_frames(clip(2, 8, 8).astype(np.float32))
    with pytest.raises(InputError, match="uint8"):
        to_frames(clip(2, 8, 8)[:0])
    with pytest.raises(InputError, match="6 x 8 pixels, a crop needs 8"):
        centre_crop(to_frames(clip(1, 8, 6)), 8)
    with pytest.raises(InputError, match=r"equally many frames, found \[1, 2\]"):
        stack_equal([torch.zeros(1, 2), torch.zeros(2, 2)])
    with pytest.raises(InputError, match="no clips"):
        stack_equal([])
