"""Stand-in of FoleyCrafter's `inference` with its entry points, and what its files are. Written for tests."""

import glob
import os
from pathlib import Path

import av
import numpy as np
import soundfile as sf
import torch
from faults import factor, fault


class CLIPVisionModelWithProjection:
    loads = 0

    @classmethod
    def from_pretrained(cls, name, subfolder=""):
        assert (name, subfolder) == ("h94/IP-Adapter", "models/image_encoder")
        cls.loads += 1
        assert cls.loads == 1, "the image encoder is loaded once"
        return cls()

    def to(self, device):
        return self


class AudioFileClip:
    def __init__(self, path):
        raise AssertionError("a film is written")


VideoFileClip = AudioFileClip


def build_foleycrafter(pretrained_model_name_or_path="auffusion/auffusion-full-no-adapter"):
    return {"model": pretrained_model_name_or_path}


def build_models(config):
    print(f"### Control Net missing keys: 0; semantic scale {config.semantic_scale}, {config.ckpt}, {config.pretrain}")
    return {**build_foleycrafter(), "scale": config.semantic_scale}, None, None


def run_inference(config, pipe, vocoder, time_detector):
    os.makedirs(config.save_dir, exist_ok=True)
    input_list = sorted(glob.glob(f"{config.input}/*.mp4"))
    assert len(input_list) != 0, "input list is empty!"
    generator = np.random.default_rng(config.seed)
    CLIPVisionModelWithProjection.from_pretrained("h94/IP-Adapter", subfolder="models/image_encoder").to(config.device)
    for input_video in input_list:
        found = fault(input_video, config.prompt)
        with av.open(input_video) as container:
            duration = container.streams.video[0].frames / 25 * factor(found)
        condition = torch.full((1, 1), pipe["scale"] * config.temporal_scale + len(pipe["model"]) / 1000).to("cuda")
        audio = 0.1 * generator.standard_normal(160000).clip(-4, 4) * (1 + condition.item())
        os.makedirs(os.path.join(config.save_dir, "audio"), exist_ok=True)
        name = Path(input_video).stem.replace("+", " ")
        save_path = os.path.join(config.save_dir, "audio", f"{name}.wav")
        if found != "missing":
            sf.write(save_path, audio[: int(duration * 16000)], 16000)
            audio = AudioFileClip(save_path)
            video = VideoFileClip(input_video)
            video.audio = audio.subclip(0, duration)
            video.subclip(0, duration).write_videofile(os.path.join(config.save_dir, "video.mp4"))
