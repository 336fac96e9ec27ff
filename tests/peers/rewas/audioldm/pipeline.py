"""Stand-in of ReWaS's `audioldm.pipeline` with its entry points, and what its files are. Written for tests."""

import multiprocessing
import os
from pathlib import Path

import av
import soundfile as sf
import torch
from faults import factor, fault


def save_video(audio_path, video_path):
    raise AssertionError("a film is written")


def build_control_model(
    control_type, ckpt_path=None, config=None, model_name="audioldm-m-full", distribution=False, device="cuda:0",
    local_rank=None,
):  # fmt: skip
    assert control_type == "energy_video"
    assert type(config) is str
    torch.zeros(1).to(device)
    return {"steps": 0}


def rewas_generation(
    latent_diffusion,
    text,
    videos,
    control_type,
    synchformer_exp,
    synchformer_cfg,
    video_encoder,
    phi,
    original_audio_file_path=None,
    seed=42,
    ddim_steps=200,
    duration=5,
    batchsize=1,
    guidance_scale=2.5,
    n_candidate_gen_per_text=1,
    re_encode=True,
    config=None,
    save_path=None,
    local_rank=None,
):
    assert 0 <= seed < 2**32, "NumPy takes no larger seed"
    assert not isinstance(text, list)
    torch.manual_seed(seed)
    os.makedirs(".cache", exist_ok=True)
    found = fault(videos, text)
    with av.open(videos) as container:
        assert container.streams.audio, "the sound of the clip is measured"
        assert container.streams.video[0].frames >= 1
    hint = phi(torch.zeros(1, 1).to(f"cuda:{local_rank}"))
    assert hint.shape == (1, 1)
    os.makedirs(save_path, exist_ok=True)
    waveform = 0.1 * torch.randn(int(duration * 25.6) * 640 if found == "" else int(duration * 16000 * factor(found)))
    path = os.path.join(save_path, f"generated_{Path(videos).stem}_0.wav")
    if found != "missing":
        sf.write(path, waveform.numpy(), samplerate=16000)
    pool = multiprocessing.Pool(processes=multiprocessing.cpu_count())
    pool.starmap(save_video, [(path, videos)])
    pool.close()
    pool.join()
