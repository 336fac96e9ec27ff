"""Settings of systems whose sounds somebody else has made, as files.

Torch is not imported here, so that a workflow can ask for the settings of a system alone.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from cafa.data.wording import Wording
from cafa.generation.name_patterns import NamePattern
from cafa.generation.sound_archives import archives_named
from cafa.generation.systems import Optional, SystemKind


class SamplesSystem(Wording, Optional, SystemKind):
    """Somebody's generations, in a folder or in archives.

    `caption` and `negative_prompt` say what the sounds were made from; ``{prompt}`` of a pattern is that caption.
    """

    source: ClassVar[str] = "cafa.generation.sound_sources:open_published"
    stage: ClassVar[str] = "samples_of_files"
    reads_sounds: ClassVar[bool] = True

    kind: Literal["samples"] = "samples"
    folder: str | None = Field(None, description="folder of sound or video files")
    archive: str | tuple[str, ...] | None = Field(
        None,
        description="in place of a folder: archives (.tar, .tar.gz, .tgz, .tar.bz2, .tar.xz, .zip), one, several, or "
        "a pattern such as set/*.tar; read in place",
    )
    pattern: str | tuple[str, ...] = Field(
        "{clip_id}__{caption}.mp4",
        description="name of a row's file, or several, of which the first that is there is taken; fields: "
        "cafa.generation.name_patterns; **/ at the beginning = in any folder",
    )
    name_field: str | None = Field(
        None, description="webdataset: field of the JSON beside each sound that holds its name; null = the member's own"
    )
    seconds: float | None = Field(
        None, gt=0, description="length that each sound has at least; null = what the judges hear"
    )
    takes: tuple[int, ...] = Field(
        (),
        description="numbers of {take} in the pattern: one, or several sounds of each row whose values are averaged",
    )

    @field_validator("takes")
    @classmethod
    def _takes_are_different(cls, takes: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(takes)) < len(takes) or min(takes, default=0) < 0:
            raise ValueError(f"takes must be different numbers from 0 on, got {list(takes)}")
        return takes

    @model_validator(mode="after")
    def _is_possible(self) -> "SamplesSystem":
        if (self.folder is None) == (self.archive is None):
            raise ValueError("give either `folder` or `archive`")
        if self.name_field is not None and self.archive is None:
            raise ValueError("`name_field` is for archives: files of a folder have names")
        if not self.patterns:
            raise ValueError("give at least one `pattern`")
        named = ["take" in pattern.fields for pattern in self.patterns]
        if any(named) != bool(self.takes) or any(named) != all(named):
            raise ValueError("give `takes` if and only if each pattern names {take}: the numbers to use, such as [0]")
        return self

    @property
    def patterns(self) -> tuple[NamePattern, ...]:
        """Patterns of names, in the order in which they are tried."""
        return tuple(NamePattern(text) for text in ([self.pattern] if isinstance(self.pattern, str) else self.pattern))

    def folders(self) -> tuple[str, ...]:
        """See :meth:`SystemKind.folders`."""
        if self.folder is not None:
            return (self.folder,)
        return tuple(str(path) for path in archives_named(self.archive or ()))

    def absent(self) -> str:
        """See :meth:`SystemKind.absent`."""
        lacking = [place for place in self.folders() if not Path(place).exists()]
        return f"no samples at {', '.join(lacking)}" if lacking else ""

    def window(self, made: float, judged: float | None = None) -> float:
        """See :meth:`SystemKind.window`: its own `seconds`, or those that are judged."""
        return self.seconds if self.seconds is not None else super().window(made, judged)

    @property
    def longest(self) -> float | None:
        """See :attr:`SystemKind.longest`."""
        return self.seconds

    @property
    def wordings(self) -> tuple[str, ...]:
        """See :attr:`SystemKind.wordings`: what others encoded is not encoded again."""
        return ()

    def parts(self, name: str) -> dict[str, dict[str, Any]]:
        """See :meth:`SystemKind.parts`: of several takes one system each, ``<name>_take<number>``."""
        own = self.model_dump(mode="json", exclude_unset=True)
        if len(self.takes) < 2:
            return {name: own}
        return {f"{name}_take{take}": {**own, "takes": [take]} for take in self.takes}
