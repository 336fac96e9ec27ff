"""The joint model: video and text trained together from scratch, as MMAudio does; the paper's counter-example.

The backbone's architecture with the video features added to the projected latents. Both conditions are dropped
independently in training; guidance contrasts (text, video) with (null, null).
"""

from torch import Tensor, nn

from cafa.models.adapter_parts import AdapterSettings, HintNetwork, pad_to
from cafa.models.stable_audio.blocks import StableAudioConditioning, StableAudioSettings
from cafa.models.stable_audio.denoiser import StableAudioBackbone


class JointModel(nn.Module):
    """Stable Audio's denoiser with a video input.

    Parameters
    ----------
    backbone : StableAudioSettings
    settings : AdapterSettings
        Size of the video input.
    """

    def __init__(self, backbone: StableAudioSettings, settings: AdapterSettings) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = StableAudioBackbone(backbone)
        self.hint = HintNetwork(settings)
        self.hint_projection = nn.Linear(settings.hint_dim, backbone.width, bias=False)

    def forward(
        self, latents: Tensor, time: Tensor, conditioning: StableAudioConditioning, features: Tensor, video: Tensor
    ) -> Tensor:
        """Predicted velocity, (B, C, T).

        Parameters
        ----------
        latents, time, conditioning
            As in :class:`StableAudioBackbone`.
        features : Tensor, (B, F, feature_dim)
        video : Tensor, (B,)
            1 where the video is given, 0 where it is dropped (the null video).
        """
        stream = self.backbone.tokens(latents, time, conditioning)
        hint = self.hint_projection(self.hint(features)) * video.view(-1, 1, 1)
        return self.backbone.run_blocks(stream, offset=pad_to(hint, latents.shape[2]))
