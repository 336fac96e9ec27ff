"""The miniature's CLIP: geometry of its features, the same bits whatever is beside, and what its loss teaches."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from cafa.models.encoders.miniature_clip import CLIP, KIND, CLIPEncoder, CLIPSettings, MiniatureCLIP
from cafa.models.encoders.single_pictures import along_latents
from cafa.models.folders import save_model
from cafa.models.registry import open_video_encoder
from cafa.models.video_encoders import video_kinds

SETTINGS = CLIPSettings(dim=8, channels=(2, 3, 4), text_dim=6)


def model() -> CLIP:
    torch.manual_seed(0)
    return CLIP(SETTINGS)


def frames(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path, model().state_dict(), {"kind": KIND, "settings": SETTINGS.model_dump(mode="json")})
    return tmp_path


@pytest.mark.parametrize("count", [80, 83, 3])
def test_every_fifth_frame_is_laid_along_the_latents(folder: Path, count: int) -> None:
    given = frames(count)
    features = CLIPEncoder(folder).encode(given)
    assert features.shape == (count, 8)
    assert features.dtype == np.float32
    with torch.inference_mode():
        embeddings = model().pictures(torch.from_numpy(given[::5]))[None]  # not the model that was saved and read
    np.testing.assert_array_equal(features, along_latents(embeddings, count, count)[0].numpy())
    unseen = given.copy()
    unseen[1::5] = 0
    np.testing.assert_array_equal(CLIPEncoder(folder).encode(unseen), features)
    seen = given.copy()
    seen[0] = 0
    assert np.abs(CLIPEncoder(folder).encode(seen)[0] - features[0]).max() > 1e-3


def test_it_is_the_registered_encoder_of_its_folder(folder: Path) -> None:
    encoder = open_video_encoder(folder)
    assert isinstance(encoder, MiniatureCLIP)
    assert (encoder.kind, encoder.every, encoder.size, encoder.shape) == ("clip", 5, 32, (250, 8))
    assert video_kinds().count("clip") == 1
    assert encoder.encoder == CLIPEncoder(folder).encoder
    assert encoder.encoder["frames_per_second"] == 5


def test_a_clip_does_not_depend_on_the_others(folder: Path) -> None:
    encoder, clips = MiniatureCLIP(folder), [frames(16, seed) for seed in range(3)]
    together = encoder.encode(clips)
    assert together.shape == (3, 80, 8)
    for clip, features in zip(clips, together, strict=True):
        np.testing.assert_array_equal(encoder.encode([clip])[0], features)


def test_the_last_frame_of_a_short_window_is_repeated(folder: Path) -> None:
    encoder, given = MiniatureCLIP(folder), frames(13)
    held = np.concatenate([given, np.repeat(given[-1:], 7, axis=0)])
    features = encoder.encode_window(given, 20)
    assert features.shape == (20, 8)
    np.testing.assert_array_equal(features, encoder.encode_window(held, 20))
    np.testing.assert_array_equal(features, encoder.encode([held[::5]])[0])


def test_words_after_the_last_one_add_nothing() -> None:
    captions = model().captions
    states = torch.randn(2, 3, 6)
    padded = functional.pad(states, (0, 0, 0, 4))
    torch.testing.assert_close(captions(padded), captions(states))
    assert captions(torch.zeros(1, 3, 6)).isfinite().all()


def test_contrastive_training_learns_what_captions_say_of_pictures() -> None:
    """Pictures of three colours: after some steps a new picture is nearest to the caption of its colour."""
    network, generator = model(), torch.Generator().manual_seed(0)
    captions = functional.pad(torch.randn(3, 2, 6, generator=generator), (0, 0, 0, 2))
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        noise = torch.randint(0, 60, (3, 32, 32, 3), generator=generator)
        return (noise + 150 * torch.eye(3, dtype=torch.long)[:, None, None]).to(torch.uint8), captions

    first = network.contrastive_loss(*batch()).item()
    for _ in range(60):
        optimiser.zero_grad()
        network.contrastive_loss(*batch()).backward()
        optimiser.step()
    assert network.contrastive_loss(*batch()).item() < 0.3 * first
    with torch.inference_mode():
        seen = functional.normalize(network.pictures(batch()[0]), dim=-1)
        told = functional.normalize(network.captions(captions), dim=-1)
    assert (seen @ told.T).argmax(1).tolist() == [0, 1, 2]
