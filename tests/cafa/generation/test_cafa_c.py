"""CAFA-C of models that are trained here, with features of AV-CLIP and CLIP: from cached features, and from videos."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from cafa.common.errors import InputError
from cafa.features.av_clip import encode_av_clip
from cafa.features.clip import encode_clip
from cafa.features.store import FeatureStore, write_features
from cafa.features.text import text_id
from cafa.generation.foley import FoleyPipeline
from cafa.generation.interface import Request
from cafa.generation.miniature import Generator
from cafa.generation.systems import AdapterSystem, Sampling
from cafa.media import FRAME_RATE
from cafa.models.adapter_parts import AdapterSettings
from cafa.models.encoders.miniature_av_clip import AVClip, AVClipSettings
from cafa.models.encoders.miniature_clip import CLIP, CLIPSettings
from cafa.models.folders import save_model
from cafa.training.adapter import AdapterTraining, train_adapter
from cafa.training.generator import TrainingData, TrainingRun
from tests.cafa.training.tiny import FEATURE, LATENTS, SECONDS, TEXT, TinyWorld, loop

SYSTEM = AdapterSystem(adapter="adapter_c", sampling=Sampling(steps=3, guidance_scale=2.0))
AV_CLIP, CLIP_SIZE = AVClipSettings(dim=FEATURE, channels=(2, 2, 2)), CLIPSettings(dim=FEATURE, text_dim=TEXT.dim)


class SeeingWorld(TinyWorld):
    """Frames of the clips, untrained encoders of them, their features, a backbone, and CAFA-C's adapter."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        torch.manual_seed(0)
        save_model(folder / "av_clip", AVClip(AV_CLIP).state_dict(), {"kind": "av_clip", "settings": dump(AV_CLIP)})
        save_model(folder / "clip", CLIP(CLIP_SIZE).state_dict(), {"kind": "clip", "settings": dump(CLIP_SIZE)})
        rng, shape = np.random.default_rng(1), (LATENTS, 32, 32, 3)
        arrays = [(clip, rng.integers(0, 256, shape, dtype=np.uint8)) for clip in self.manifest["clip_id"]]
        frames, encoder = folder / "frames.arrow", {"name": "frames"}
        write_features(frames, arrays, kind="frames", shape=shape, dtype="uint8", encoder=encoder)
        encode_av_clip(frames, folder / "av_clip", folder / "av_clip.arrow")
        encode_clip(frames, folder / "clip", folder / "clip.arrow")
        self.seen = [FeatureStore([folder / f"{kind}.arrow"]) for kind in ("av_clip", "clip")]
        self.backbone(steps=2)
        size = AdapterSettings(feature_dim=FEATURE, clip_dim=FEATURE, hint_dim=8, dropout=0.1)
        settings = AdapterTraining(loop=loop(steps=2), seconds=SECONDS, model=size)
        # In the order in which the adapter does not take them.
        data = TrainingData(self.manifest, self.latents, self.text, self.seen[::-1])
        train_adapter(settings, data, folder / "backbone", TrainingRun(1, folder / "adapter_c"))


def dump(settings: AVClipSettings | CLIPSettings) -> dict[str, object]:
    return settings.model_dump(mode="json")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SeeingWorld:
    return SeeingWorld(tmp_path_factory.mktemp("cafa_c"))


def requests(world: SeeingWorld, *, same_pictures: bool = False) -> list[Request]:
    """One of each clip; or all with the CLIP features of the first."""
    av_clip, clip = world.seen
    ids = world.manifest["clip_id"].tolist()
    captions = [text_id(caption) for caption in world.manifest["caption"]]
    return [
        Request(
            world.text[caption],
            np.concatenate([av_clip[clip_id], clip[ids[0] if same_pictures else clip_id]], axis=-1),
            100 + number,
        )
        for number, (clip_id, caption) in enumerate(zip(ids, captions, strict=True))
    ]


def test_a_sample_depends_on_both_kinds_and_not_on_its_batch(world: SeeingWorld) -> None:
    generator = Generator(SYSTEM, world.folder)
    assert generator.video_kinds == ("av_clip", "clip")
    together = generator.latents(requests(world))
    alone = np.concatenate([generator.latents([request]) for request in requests(world)])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_array_equal(generator.latents(requests(world)), together)
    others = generator.latents(requests(world, same_pictures=True))
    assert np.abs(others[0] - together[0]).max() < 1e-5
    assert min(np.abs(others[1:] - together[1:]).max(axis=(1, 2))) > 1e-4


def write_video(path: Path, frames: int) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            picture = np.full((48, 64, 3), 20 + 7 * (number % 30), np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())
    return path


@pytest.mark.parametrize("frames", [8, LATENTS, 3 * LATENTS + 7])
def test_a_video_of_any_length_has_sound(world: SeeingWorld, tmp_path: Path, frames: int) -> None:
    pipeline = FoleyPipeline(world.folder, SYSTEM)
    (result,) = pipeline.generate(write_video(tmp_path / "video.mp4", frames), "sound number 1")
    assert len(result.waveform) == round(frames / FRAME_RATE * result.sample_rate)
    assert np.isfinite(result.waveform).all()
    assert np.abs(result.waveform).max() > 0


def test_an_encoder_of_pictures_that_it_was_not_trained_with_is_refused(world: SeeingWorld, tmp_path: Path) -> None:
    for name in ("autoencoder", "backbone", "adapter_c", "av_clip"):
        (tmp_path / name).symlink_to(world.folder / name)
    torch.manual_seed(1)
    save_model(tmp_path / "clip", CLIP(CLIP_SIZE).state_dict(), {"kind": "clip", "settings": dump(CLIP_SIZE)})
    with pytest.raises(InputError, match="trained with clip features of another encoder"):
        FoleyPipeline(tmp_path, SYSTEM)
