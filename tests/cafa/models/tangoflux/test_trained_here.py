"""The rectified flow that is trained here: its captions, its folder, and that the other form is not mistaken for it."""

from pathlib import Path

import pytest
import torch

from cafa.models.folders import save_model
from cafa.models.loading import BACKBONE, FLOW_BACKBONE, load_backbone, new_backbone
from cafa.models.stable_audio.blocks import StableAudioSettings
from cafa.models.tangoflux.blocks import TangoFluxSettings
from cafa.models.tangoflux.trained_here import RectifiedFlowBackbone
from cafa.training.backbone import BackboneTraining

SMALL = TangoFluxSettings(
    latent_channels=4,
    latents=6,
    double_blocks=1,
    single_blocks=1,
    heads=2,
    head_dim=12,
    rotary_axes=(4, 4, 4),
    text_dim=8,
    joint_dim=8,
    maximum_seconds=4.0,
)


@pytest.fixture
def backbone() -> RectifiedFlowBackbone:
    torch.manual_seed(0)
    _, made = new_backbone(SMALL)
    assert isinstance(made, RectifiedFlowBackbone)
    return made.eval()


def captions() -> torch.Tensor:
    text = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(1))
    text[:, 3:] = 0
    text[2] = 0  # an empty caption
    return text


def velocity(backbone: RectifiedFlowBackbone, conditioning: object, items: int = 3) -> torch.Tensor:
    latents = torch.randn(1, 4, 6, generator=torch.Generator().manual_seed(2)).expand(items, -1, -1)
    return backbone(latents, torch.full((items,), 0.5), conditioning)


def test_a_dropped_caption_is_the_empty_one_and_padding_is_not_heard(backbone: RectifiedFlowBackbone) -> None:
    seconds = torch.full((3,), 3.2)
    whole = velocity(backbone, backbone.of_captions(captions(), seconds))
    assert torch.isfinite(whole).all()
    dropped = backbone.of_captions(captions(), seconds).with_dropped_text(torch.tensor([1.0, 0.0, 1.0]))
    after = velocity(backbone, dropped)
    torch.testing.assert_close(after[[0, 2]], whole[[0, 2]])
    torch.testing.assert_close(after[1], whole[2], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(after[1], whole[1], atol=1e-4)
    shorter = velocity(backbone, backbone.of_captions(captions()[:, :3], seconds))
    torch.testing.assert_close(shorter, whole, atol=1e-5, rtol=1e-5)


def test_a_folder_says_which_form_it_holds(backbone: RectifiedFlowBackbone, tmp_path: Path) -> None:
    other = StableAudioSettings(
        latent_channels=4, latents=6, blocks=1, heads=2, head_dim=12, key_value_heads=1, text_dim=8, time_dim=8
    )
    for settings in (SMALL, other):
        kind, made = new_backbone(settings)
        save_model(tmp_path / kind, made.state_dict(), {"kind": kind, "settings": {"model": settings.model_dump()}})
    assert load_backbone(tmp_path / FLOW_BACKBONE)[0].flow_path == "straight"
    assert load_backbone(tmp_path / BACKBONE)[0].flow_path == "cosine"


def test_the_settings_say_which_form_is_trained() -> None:
    loop = {"steps": 1, "batch_size": 1, "learning_rate": 1e-3}
    flow = BackboneTraining.model_validate({"loop": loop, "seconds": 3.2, "model": SMALL.model_dump()})
    assert isinstance(flow.model, TangoFluxSettings)
    audio = BackboneTraining.model_validate({"loop": loop, "seconds": 3.2, "model": {"blocks": 1}})
    assert isinstance(audio.model, StableAudioSettings)
    with pytest.raises(ValueError, match="double_blocks"):
        BackboneTraining.model_validate({"loop": loop, "seconds": 3.2, "model": {"blocks": 1, "double_blocks": 1}})
