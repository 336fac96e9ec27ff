"""Data sets of the rendered world: planned as a table of clips with event times, and rendered shard by shard."""

from collections.abc import Sequence
from pathlib import Path

from cafa.common.errors import InputError
from cafa.common.files import atomic_write
from cafa.common.folder_lock import only_writer_of
from cafa.common.ledger import ledger_row, write_ledger
from cafa.common.progress import progress
from cafa.common.shards import shard_of
from cafa.common.stages import stage_version
from cafa.data.manifest import read_manifest
from cafa.world import clips


def plan_dataset(
    dataset: str,
    clips_per_category: int,
    splits: Sequence[str],
    *,
    seed: int,
    source: str | Path,
    event_times: str | Path,
    wrong_sounds: float | None = None,
) -> None:
    """List the clips of a data set, and the true times of their events.

    Parameters
    ----------
    dataset : str
        Name of the data set; two names share no clip.
    clips_per_category : int
    splits : sequence of str
        ``NAME=SHARE``: one of ``train`` or ``test``, and ``validation`` if wanted; the shares have the sum 1.
    seed : int
        Base seed.
    source : path
        Table of clips (csv) to write, input of `cafa manifest`.
    event_times : path
        Event times (parquet) to write.
    wrong_sounds : float, optional
        Share of clips with a sound that does not belong to their picture; the event times then say which they are.

    Raises
    ------
    InputError
        If the splits are others.
    """
    main, validation = _shares(splits)
    rows = clips.plan(dataset, clips_per_category, seed, main, round(validation * clips_per_category))
    with atomic_write(event_times) as temporary:
        known = clips.event_times(rows["clip_id"].tolist(), seed, wrong_sounds=wrong_sounds)
        known.to_parquet(temporary, index=False)
    with atomic_write(source) as temporary:
        rows.to_csv(temporary, index=False)


def _shares(values: Sequence[str]) -> tuple[str, float]:
    """Name of the main split, and the share of validation."""
    pairs = [value.partition("=")[::2] for value in values]
    try:
        shares = {name: float(share or 1) for name, share in pairs}
    except ValueError as error:
        raise InputError(f"splits must look like train=0.9, got {' '.join(values)}: {error}") from error
    main = [name for name in shares if name != "validation"]
    if len(main) != 1 or abs(sum(shares.values()) - 1) > 1e-9:
        raise InputError(f"splits must be one of train or test, and validation if wanted, with sum 1: got {shares}")
    return main[0], shares.get("validation", 0.0)


def render_dataset(
    manifest: str | Path,
    *,
    seed: int,
    shard: tuple[int, int],
    output_folder: str | Path,
    ledger: str | Path,
    wrong_sounds: float | None = None,
) -> None:
    """Render the clips of a shard as mp4 files; those that an unfinished job of the same version rendered stay.

    Parameters
    ----------
    manifest : path
        Of the data set.
    seed : int
        Base seed, as in :func:`plan_dataset`.
    shard : (int, int)
        Number and count.
    output_folder : path
        Gets ``<clip_id>.mp4``.
    ledger : path
        Ledger to write; a journal stands beside it until the shard is finished.
    wrong_sounds : float, optional
        As in :func:`plan_dataset`.

    Raises
    ------
    ChangedError
        If an unfinished job was begun with another seed, version or share of wrong sounds.
    """
    clip_ids = [c for c in read_manifest(manifest)["clip_id"] if shard_of(c, shard[1]) == shard[0]]
    journal, version = Path(ledger).with_suffix(".journal.jsonl"), stage_version("render_world")
    with only_writer_of([ledger]):
        shown = progress(clip_ids, "render", len(clip_ids))
        clips.render_shard(shown, seed, output_folder, journal, version, wrong_sounds)
        write_ledger(ledger, [ledger_row(clip_id, "render") for clip_id in clip_ids])
        journal.unlink()
