"""Stand-in of `mmaudio.model.utils.features_utils`. Written for tests."""

import torch


class FeaturesUtils(torch.nn.Module):
    def __init__(
        self,
        *,
        tod_vae_ckpt=None,
        bigvgan_vocoder_ckpt=None,
        synchformer_ckpt=None,
        enable_conditions=True,
        mode,
        need_vae_encoder=True,
    ):
        super().__init__()
        self.kept = torch.nn.Parameter(torch.zeros(()))

    @property
    def device(self):
        return self.kept.device

    @property
    def dtype(self):
        return self.kept.dtype

    def decode(self, z):
        return z

    def vocode(self, mel):
        return mel.flatten(1).repeat_interleave(32, dim=1)[:, None]
