"""Settings of systems whose sounds somebody else's code makes, in an environment of its own.

Torch is not imported here, so that a workflow can ask for the settings of a system alone.
"""

import os
import sys
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from cafa.baselines.peers import PEERS, Peer
from cafa.common.errors import InputError
from cafa.data.wording import Wording
from cafa.generation.systems import Optional, SystemKind


class ExternalSystem(Wording, Optional, SystemKind):
    """Somebody else's system: its code, in an environment and a checkout of its own."""

    source: ClassVar[str] = "cafa.generation.external_sounds:open_external"
    stage: ClassVar[str] = "samples_of_external"
    needs: ClassVar[frozenset[str]] = frozenset({"clips"})

    kind: Literal["external"] = "external"
    peer: str = Field(description="whose: mmaudio, foleycrafter, rewas, or one that a plugin registers")
    checkout: str = Field(description="folder of a git checkout of the peer's code")
    commit: str | None = Field(
        None, pattern="^[0-9a-f]{40}$", description="its commit; null = the one that the driver was written for"
    )
    python: str | tuple[str, ...] | None = Field(
        None,
        description="interpreter of the peer's environment, or the words of a command that ends in one; "
        "null = that of the conda environment of the job",
    )
    seconds: float | None = Field(None, gt=0, description="length that is asked for; null = the peer's")
    settings: dict[str, Any] = Field(default_factory=dict, description="how the peer generates")
    seconds_per_clip: float = Field(600.0, gt=0, description="longest time of a clip; then the peer hangs")
    start_seconds: float = Field(3600.0, gt=0, description="longest time of loading models, downloads included")

    @model_validator(mode="after")
    def _is_possible(self) -> "ExternalSystem":
        peer = self.of_peer()
        peer.parse(self.settings)
        if self.negative_prompt is not None and not peer.takes_negative:
            raise ValueError(f"{peer.title} takes no negative prompt")
        return self

    def of_peer(self) -> Peer:
        """Whose system it is."""
        return PEERS[self.peer]

    def length(self) -> float:
        """Seconds that are asked for."""
        return self.seconds or self.of_peer().seconds

    def window(self, made: float, judged: float | None = None) -> float:
        """See :meth:`SystemKind.window`: the seconds that the peer is asked for."""
        return self.length()

    def folders(self) -> tuple[str, ...]:
        """See :meth:`SystemKind.folders`."""
        return (self.checkout,)

    @property
    def longest(self) -> float | None:
        """See :meth:`SystemKind.longest`."""
        return self.length()

    @property
    def wordings(self) -> tuple[str, ...]:
        """See :meth:`SystemKind.wordings`: the peer encodes texts itself."""
        return ()

    def absent(self) -> str:
        """See :meth:`SystemKind.absent`: the checkout, or a program that is named as its Python."""
        place = self.python if isinstance(self.python, str) else None
        lacking = [path for path in (self.checkout, place) if path is not None and not Path(path).exists()]
        return f"no {' and no '.join(lacking)}" if lacking else ""

    def interpreter(self) -> tuple[str, ...]:
        """Words that start Python in the peer's environment.

        Raises
        ------
        InputError
            If there is none: neither `python` is set, nor does the job run in a conda environment.
        """
        if self.python is not None:
            return (self.python,) if isinstance(self.python, str) else self.python
        conda = os.environ.get("CONDA_PREFIX", "")
        if not conda or Path(conda).resolve() == Path(sys.prefix).resolve():
            raise InputError(
                f"{self.of_peer().title} runs in an environment of its own (envs/{self.of_peer().environment}): set "
                "`python` of the system to its interpreter, or run Snakemake with --sdm conda"
            )
        return (str(Path(conda) / "bin" / "python"),)
