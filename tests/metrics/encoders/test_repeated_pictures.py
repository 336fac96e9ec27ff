"""The same pictures under several sounds: the miniature's offset judge looks at them once, to the same bits."""

import pytest
import torch

from metrics.encoders.miniature.synchformer import MEL_STEP, WINDOW, MicroSynchformer, window

FRAMES, SIZE, BANDS = 80, 16, 16


@pytest.mark.parametrize("rows", [[0, 0, 0, 1, 1, 2, 0], [0, 1, 2], [1, 1, 1, 1]])
def test_repeated_pictures_are_looked_at_once(rows: list[int]) -> None:
    torch.manual_seed(0)
    model = MicroSynchformer(BANDS, -9.2, SIZE).eval()
    for layer in model.refine:  # its last layer begins as zeros
        if isinstance(layer, torch.nn.Conv1d):
            torch.nn.init.normal_(layer.weight)
    frames = torch.randint(0, 256, (3, FRAMES, SIZE, SIZE, 3), dtype=torch.uint8)[rows]
    mel = torch.rand(len(rows), MEL_STEP * FRAMES, BANDS) * 8 - 9
    with torch.inference_mode():
        asked = {
            "logits_first": model(window(frames, 0), window(mel, 0, MEL_STEP)),
            "logits_last": model(window(frames, FRAMES - WINDOW), window(mel, FRAMES - WINDOW, MEL_STEP)),
        }
    seen: list[int] = []
    model.frames[0].register_forward_hook(lambda layer, given, made: seen.append(len(given[0])))
    found = model.judge_sound(mel, frames)
    assert found.keys() == asked.keys()
    assert all(torch.equal(found[name], asked[name]) for name in asked)
    runs = 1 + sum(row != before for row, before in zip(rows[1:], rows[:-1], strict=True))
    assert seen == [runs * WINDOW] * 2
