"""`cafa embed`: what judges make of sounds, pictures and captions, whichever judges a folder holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cafa.common.errors import InputError
from cafa.data.manifest import read_manifest
from cafa.data.prompts import read_prompts
from metrics.judges.registry import are_pretrained


@dataclass(frozen=True)
class Judging:
    """Judges that embed, and how.

    Parameters
    ----------
    folder : path
        Of the judges' model folders; their cards say whether they are pretrained or were trained here.
    device : str
    settings : mapping
        Fields of :class:`~metrics.embedding.published.JudgingSettings`, for pretrained judges.
    store : path, optional
        Folder of embeddings that runs share (:mod:`metrics.embedding.store`), for pretrained judges; those that were
        trained here embed faster than a file is read.
    """

    folder: Path
    device: str = "cpu"
    settings: Mapping[str, Any] = field(default_factory=dict)
    store: Path | None = None

    def pretrained(self, needed: Mapping[str, object], unused: Mapping[str, object]) -> bool:
        """Whether the judges are pretrained.

        Raises
        ------
        InputError
            If an option that such judges need is not given, or one of the others is.
        """
        pretrained = are_pretrained(self.folder)
        wanted, not_wanted = (needed, unused) if pretrained else (unused, needed)
        kind = "pretrained" if pretrained else "trained here"
        if missing := [name for name, value in wanted.items() if not value]:
            raise InputError(f"the judges in {self.folder} are {kind}: give {', '.join(missing)}")
        if given := [name for name, value in not_wanted.items() if value]:
            raise InputError(f"the judges in {self.folder} are {kind}: leave out {', '.join(given)}")
        return pretrained


@dataclass(frozen=True)
class ClipInputs:
    """The clips of a data set, as either kind of judges takes them.

    Parameters
    ----------
    manifest : path
    frames, mel : sequence of path
        Feature files, for judges that were trained here.
    clips, ingest_ledger : path, optional
        Folder of a shard's normalised clips and its ledger, for pretrained judges.
    shard : (int, int)
        Number and count, for pretrained judges.
    """

    manifest: str | Path
    frames: Sequence[str | Path] = ()
    mel: Sequence[str | Path] = ()
    clips: Path | None = None
    ingest_ledger: Path | None = None
    shard: tuple[int, int] = (0, 1)


def embed_clips(judging: Judging, inputs: ClipInputs, output: Path) -> str:
    """Embed the clips' own sound and pictures.

    Parameters
    ----------
    judging : Judging
    inputs : ClipInputs
    output : path
        Folder of ``<judge>.parquet``; of pretrained judges also ``video.arrow`` and ``ledger.parquet``.

    Returns
    -------
    str
        What became of the clips.
    """
    of_shard = {"--clips": inputs.clips, "--ingest-ledger": inputs.ingest_ledger}
    pretrained = judging.pretrained(of_shard, {"--frames": inputs.frames, "--mel": inputs.mel})
    manifest = read_manifest(inputs.manifest)
    if pretrained and inputs.clips is not None and inputs.ingest_ledger is not None:
        from metrics.embedding.published import JudgingSettings, embed_reference_shard

        settings = JudgingSettings.model_validate(judging.settings)
        shard = (inputs.clips, inputs.ingest_ledger, inputs.shard)
        return str(
            embed_reference_shard(judging.folder, manifest, *shard, settings, output, judging.device, judging.store)
        )
    from metrics.embedding.miniature import embed_reference
    from metrics.judges.trained import MicroJudges

    frames, mel = _paths(inputs.frames), _paths(inputs.mel)
    absent = embed_reference(MicroJudges(judging.folder, judging.device), frames, mel, manifest, output)
    if absent:
        return f"{len(absent)} clips have no features (their ledger says why): {', '.join(absent[:5])}"
    return "every clip of the manifest is embedded"


def embed_captions(judging: Judging, prompts: str | Path, output: Path) -> None:
    """Embed every caption of a prompt set, and the clips' own.

    Parameters
    ----------
    judging : Judging
    prompts : path
    output : path
        Table to write.
    """
    rows = read_prompts(prompts)
    captions = [*rows["caption"], *rows["own_caption"]]
    if judging.pretrained({}, {}):
        from metrics.embedding.published import embed_captions_of

        embed_captions_of(judging.folder, captions, output, judging.device, judging.store)
    else:
        from metrics.embedding.miniature import embed_text
        from metrics.judges.trained import MicroJudges

        embed_text(MicroJudges(judging.folder, judging.device), captions, output)


def embed_sounds(
    judging: Judging,
    index: Path,
    output: Path,
    *,
    frames: Sequence[str | Path] = (),
    clips: Sequence[str | Path] = (),
    batch_size: int = 16,
) -> str:
    """Embed one shard of a system's samples.

    Parameters
    ----------
    judging : Judging
    index : path
        Of the shard.
    output : path
        Folder of ``<judge>.parquet``; of pretrained judges also ``index.parquet``.
    frames : sequence of path
        Feature files of the clips' frames, for judges that were trained here.
    clips : sequence of path
        Folders of :func:`embed_clips`, of every shard, for pretrained judges.
    batch_size : int
        Samples that judges which were trained here embed together.

    Returns
    -------
    str
        What became of the samples.
    """
    if judging.pretrained({"--reference-embeddings": clips}, {"--frames": frames}):
        from metrics.embedding.published import JudgingSettings, embed_samples_shard

        settings = JudgingSettings.model_validate(judging.settings)
        where = (output, judging.device, judging.store)
        return str(embed_samples_shard(judging.folder, index, _paths(clips), settings, *where))
    from metrics.embedding.miniature import embed_samples
    from metrics.judges.trained import MicroJudges

    count = embed_samples(MicroJudges(judging.folder, judging.device), index, _paths(frames), batch_size, output)
    return f"{count} samples are embedded"


def _paths(paths: Sequence[str | Path]) -> list[Path]:
    return [Path(path) for path in paths]
