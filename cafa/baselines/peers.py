"""Systems of other people that can be run: where their code is, at which commit, and what may be set.

Torch is not imported here, so that a workflow can ask for the settings of a system alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cafa.common.registry import Registry

DRIVERS = Path(str(resources.files("cafa.baselines").joinpath("drivers")))


class PeerSettings(BaseModel):
    """What a peer's driver may be told; what is not given is as the peer has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MMAudioSettings(PeerSettings):
    """How MMAudio generates: the defaults are those of its demo."""

    variant: Literal["small_16k", "small_44k", "medium_44k", "large_44k", "large_44k_v2"] = "large_44k_v2"
    steps: int = Field(25, ge=1, description="Euler steps")
    cfg_strength: float = Field(4.5, ge=0, description="classifier-free guidance")
    full_precision: bool = Field(False, description="32 bits instead of bfloat16")


class FoleyCrafterSettings(PeerSettings):
    """How FoleyCrafter generates: the defaults are those of its script."""

    semantic_scale: float = Field(1.0, ge=0, description="weight of the picture's content; 0 = the adapter is off")
    temporal_scale: float = Field(0.2, ge=0, description="weight of the times of onsets")
    checkpoints: str = Field("checkpoints/", description="folder of its checkpoints, seen from the checkout")
    pretrain: str = Field("auffusion/auffusion-full-no-adapter", description="its text-to-audio model")


class ReWaSSettings(PeerSettings):
    """How ReWaS generates: the defaults are those of its script."""

    checkpoint: str = Field("ckpts/audioldm_m_rewas_vggsound.ckpt", description="seen from the checkout")
    phi_checkpoint: str = Field("ckpts/phi_vggsound.ckpt", description="seen from the checkout")
    config: str = Field("configs/audioldm_m_rewas.yaml", description="seen from the checkout")
    synchformer_exp: str = Field("24-01-04T16-39-21", description="name of its Synchformer")
    guidance_scale: float = Field(3.0, ge=0)
    ddim_steps: int = Field(200, ge=1)


@dataclass(frozen=True)
class Peer:
    """Somebody else's system.

    Attributes
    ----------
    title, repository, commit
        Its name, the address of its code, and the commit that its driver was written for.
    driver
        File that runs in its environment; see ``drivers/serve.py``.
    environment
        File below ``envs/`` that makes its environment.
    seconds, sample_rate
        Of its sounds; the length that is asked for.
    licence
        Of code and weights.
    settings
        What may be set.
    takes_negative
        Whether it takes a negative prompt.
    """

    title: str
    repository: str
    commit: str
    driver: Path
    environment: str
    seconds: float
    sample_rate: int
    licence: str
    settings: type[PeerSettings]
    takes_negative: bool = True

    def parse(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings with all defaults; refuses unknown ones."""
        return self.settings.model_validate(dict(settings)).model_dump(mode="json")


PEERS = Registry[Peer](
    "peer",
    {
        "mmaudio": Peer(
            "MMAudio",
            "https://github.com/hkchengrex/MMAudio",
            "974010a026c731054592d8f777218bd9d85a6c24",
            DRIVERS / "mmaudio_driver.py",
            "mmaudio.yaml",
            8.0,
            44100,
            "code MIT, weights CC BY-NC 4.0",
            MMAudioSettings,
        ),
        "foleycrafter": Peer(
            "FoleyCrafter",
            "https://github.com/open-mmlab/FoleyCrafter",
            "c2399fa3cb7ecf860df5a873763dd3a1a59b4bc3",
            DRIVERS / "foleycrafter_driver.py",
            "foleycrafter.yaml",
            8.0,  # it cannot be asked: its sounds are as long as the clip, up to 10 s
            16000,
            "code Apache-2.0; the model below it, Auffusion, has a licence of its own",
            FoleyCrafterSettings,
        ),
        "rewas": Peer(
            "ReWaS",
            "https://github.com/naver-ai/rewas",
            "4e09954d386583a4e62e7a1e28c2145ca1cfc411",
            DRIVERS / "rewas_driver.py",
            "rewas.yaml",
            5.0,
            16000,
            "CC BY-NC-SA 4.0, code and weights",
            ReWaSSettings,
            takes_negative=False,
        ),
    },
)
