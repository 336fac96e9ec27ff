"""Stand-in of `mmaudio.model.networks`. Written for tests."""

import torch


class MMAudio(torch.nn.Module):
    latent_dim = 32

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(()))

    def load_weights(self, src_dict):
        self.load_state_dict(src_dict)

    def update_seq_lengths(self, latent_seq_len, clip_seq_len, sync_seq_len):
        self.latent_seq_len, self.clip_seq_len, self.sync_seq_len = latent_seq_len, clip_seq_len, sync_seq_len

    def unnormalize(self, x):
        return x * self.scale


def get_my_mmaudio(name, **kwargs):
    assert name == "large_44k_v2"
    return MMAudio()
