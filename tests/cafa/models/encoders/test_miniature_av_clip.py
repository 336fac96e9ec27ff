import numpy as np
import torch

from cafa.models.encoders.miniature_av_clip import KIND, AVClip, AVClipEncoder, AVClipSettings
from cafa.models.folders import save_model

SETTINGS = AVClipSettings(dim=8, channels=(2, 3, 4), segment_frames=4, mel_bins=8)


def model() -> AVClip:
    torch.manual_seed(0)
    return AVClip(SETTINGS)


def test_features_have_the_frame_rate_and_do_not_depend_on_neighbours(tmp_path):
    save_model(tmp_path, model().state_dict(), {"kind": KIND, "settings": SETTINGS.model_dump()})
    encoder = AVClipEncoder(tmp_path)
    frames = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    features = encoder.encode(frames)
    assert features.shape == (12, 8)
    changed = frames.copy()
    changed[-1] = 0
    # Two convolutions over five frames, and the change of the frame before: five frames of reach.
    np.testing.assert_array_equal(encoder.encode(changed)[:6], features[:6])
    assert np.abs(encoder.encode(changed)[-1] - features[-1]).max() > 1e-3


def test_contrastive_training_learns_when_things_happen():
    """Blocks that flash when they sound: after a few steps the loss is far below chance."""
    torch.manual_seed(0)
    network = model()
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)

    def batch():
        level = torch.rand(6, 4).repeat_interleave(4, 1)  # one brightness per segment of four frames
        frames = (level[..., None, None, None] * 255).expand(6, 16, 32, 32, 3).to(torch.uint8)
        return frames, (level * 6 - 5).repeat_interleave(2, 1)[..., None].expand(6, 32, 8)

    first = network.contrastive_loss(*batch()).item()
    for _ in range(60):
        optimiser.zero_grad()
        network.contrastive_loss(*batch()).backward()
        optimiser.step()
    assert network.contrastive_loss(*batch()).item() < 0.7 * first
