"""Stand-in of ReWaS's `encoder.encoder_utils`. Written for tests."""

import torch


def get_pretrained(exp_name, local_rank=None):
    torch.nn.Linear(1, 1).to("cuda:0")
    return f"video encoder {exp_name}"


def patch_config(cfg):
    return cfg
