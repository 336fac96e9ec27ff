"""Stand-in of `mmaudio.eval_utils` with its entry points: names, arguments, types and shapes. Written for tests."""

import dataclasses
import zlib
from pathlib import Path

import av
import torch
from faults import factor, fault

from mmaudio.model.sequence_config import CONFIG_44K


@dataclasses.dataclass
class ModelConfig:
    model_name: str
    model_path: Path
    vae_path: Path
    bigvgan_16k_path: Path | None
    mode: str
    synchformer_ckpt: Path = Path("./ext_weights/synchformer_state_dict.pth")

    @property
    def seq_cfg(self):
        return CONFIG_44K

    def download_if_needed(self):
        for path in (self.model_path, self.vae_path, self.synchformer_ckpt):
            path.parent.mkdir(exist_ok=True)
            if not path.exists():
                torch.save({"scale": torch.tensor(0.1)}, path)


_WEIGHTS = Path("./weights/mmaudio_large_44k_v2.pth")
all_model_cfg = {
    "large_44k_v2": ModelConfig("large_44k_v2", _WEIGHTS, Path("./ext_weights/v1-44.pth"), None, "44k"),
}


@dataclasses.dataclass
class VideoInfo:
    duration_sec: float
    fps: float
    clip_frames: torch.Tensor
    sync_frames: torch.Tensor
    all_frames: list | None
    path: str = ""


SEEN = {}


def load_video(video_path, duration_sec, load_all_frames=True):
    with av.open(str(video_path)) as container:
        frames = [
            (frame.time, torch.from_numpy(frame.to_ndarray(format="gray")).float().mean())
            for frame in container.decode(video=0)
            if frame.time <= duration_sec
        ]
    length = (len(frames) - 1 if frames[-1][0] < duration_sec else len(frames)) / 25  # by rounding it takes one too few
    duration_sec = min(duration_sec, (int(frames[-1][0] * 8) + 1) / 8, length)
    means = torch.stack([mean for _, mean in frames])

    def at(rate, side):
        count = int(rate * duration_sec)
        chosen = means[torch.linspace(0, len(means) - 1, count).long()] / 255
        return chosen.view(-1, 1, 1, 1).expand(count, 3, side, side).clone()

    clip = at(8, 4)
    SEEN[float(clip[:8].sum())] = str(video_path)
    return VideoInfo(duration_sec, 25.0, clip, at(25, 4), [] if load_all_frames else None, str(video_path))


def generate(
    clip_video,
    sync_video,
    text,
    *,
    negative_text=None,
    feature_utils,
    net,
    fm,
    rng,
    cfg_strength,
    clip_batch_size_multiplier=40,
    sync_batch_size_multiplier=40,
    image_input=False,
):
    bs = len(text)
    assert clip_video.shape == (bs, net.clip_seq_len, 3, 4, 4), (clip_video.shape, net.clip_seq_len)
    assert sync_video.shape[0] == bs
    assert negative_text is None or len(negative_text) == bs
    found = [fault(SEEN[float(one[:8].sum())], prompt) for one, prompt in zip(clip_video, text, strict=True)]
    clip_video = clip_video.to(feature_utils.device, feature_utils.dtype)
    words = torch.tensor(
        [zlib.crc32(f"{a}/{b}".encode()) % 997 / 997 for a, b in zip(text, negative_text, strict=True)]
    )
    x0 = torch.randn(bs, net.latent_seq_len, net.latent_dim, dtype=feature_utils.dtype, generator=rng)
    x1 = fm.to_data(lambda t, x: (words + clip_video.float().mean((1, 2, 3, 4))).view(-1, 1, 1).to(x.dtype) - x, x0)
    audio = feature_utils.vocode(feature_utils.decode(net.unnormalize(x1)))
    if found[0]:
        audio = torch.nn.functional.pad(audio, (0, int(audio.shape[-1] * (factor(found[0]) - 1))))
    return audio


def setup_eval_logging(log_level=20):
    print("stand-in of MMAudio: this line is on the standard output, as those of peers are")
