"""Embedding sounds, pictures and captions with all judges, into one parquet file per judge.

Columns are the keys and lists of float32. The schema's metadata name the judge, its weights' SHA-256 and what it uses
of a file (``hears``); of the offset judge ``grid``, the offsets in seconds that its classes stand for; of a classifier
``leaks``, the classes that are reported for themselves. :mod:`metrics.embedding.reading` reads them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cafa.common.errors import ClipError, InputError
from cafa.common.files import digest_of, sha256_file
from cafa.common.ledger import OK
from cafa.common.progress import progress
from cafa.common.shards import batches_of_shard
from cafa.common.tables import records
from cafa.features.store import FeatureStore
from cafa.media.mel import MelSettings, log_mel
from cafa.media.sound import mono_at_rate, read_own_rate
from metrics.embedding.reading import CLIP_KEY, SAMPLE_KEY, TEXT_KEY, text_path
from metrics.embedding.writing import CAPTIONS, VIDEO, open_tables
from metrics.judges.kinds import JUDGES
from metrics.judges.trained import MicroJudges

BATCH = 32


def embed_reference(
    judges: MicroJudges, frames: Sequence[Path], mel: Sequence[Path], manifest: pd.DataFrame, output: Path
) -> list[str]:
    """Embed the clips' own sound and pictures, in order of clip_id.

    Parameters
    ----------
    judges : MicroJudges
    frames, mel : sequence of path
        Feature files of the data set, made as those that the judges were trained on.
    manifest : DataFrame
        Its clips are embedded where they have features.
    output : path
        Folder of ``<judge>.parquet``, keyed by clip_id; imagebind has the column ``video`` as well. Judges without
        weights have none: the clips' sound is there as log-mels, and no metric compares with what they measure.

    Returns
    -------
    list of str
        Clips without features: the ledgers of the stages before say why.

    Raises
    ------
    InputError
        If the features are not of the judges' encoders, or no clip has any.
    """
    pictures = FeatureStore(frames, digest_of(judges.frames))
    sounds = FeatureStore(mel, digest_of(judges.mel))
    asked = sorted(manifest["clip_id"])
    clip_ids = [clip_id for clip_id in asked if clip_id in pictures and clip_id in sounds]
    if not clip_ids:
        raise InputError(f"none of the manifest's {len(asked)} clips has features: name the files of its data set")
    columns = {name: JUDGES[name].columns for name in judges.trained}
    looking = [judge for judge in columns if JUDGES[judge].video_column]
    columns |= {judge: (*columns[judge], VIDEO) for judge in looking}
    paths = {judge: output / f"{judge}.parquet" for judge in columns}
    batches = batches_of_shard(clip_ids, BATCH, 0, 1)
    with open_tables(judges, CLIP_KEY, paths, columns) as tables:
        for batch in progress(batches, "embed reference", len(batches)):
            shown = pictures.stack(batch)
            found = judges.embed_sound(sounds.stack(batch), shown)
            for judge in looking:
                found[judge][VIDEO] = judges.embed_video(shown, judge)
            tables.add({"clip_id": batch}, found)
    return sorted(set(asked) - set(clip_ids))


def embed_text(judges: MicroJudges, captions: Sequence[str], output: Path) -> None:
    """Embed every different caption with the judges that read captions, in alphabetical order; keyed by caption.

    `output` is the file of CLAP's, beside which those of other judges lie; refused if no judge reads captions.
    """
    reading = [name for name in judges.judges if JUDGES[name].text_file is not None]
    if not reading:
        raise InputError(f"none of the judges {', '.join(judges.judges)} reads captions: there is nothing to embed")
    batches = batches_of_shard(sorted(set(captions)), CAPTIONS, 0, 1)
    paths = {judge: text_path(output, judge) for judge in reading}
    with open_tables(judges, TEXT_KEY, paths, dict.fromkeys(reading, ("embedding",))) as tables:
        for batch in batches:
            tables.add({"caption": batch}, {judge: {"embedding": judges.embed_text(batch, judge)} for judge in reading})


def read_sample(
    folder: Path, row: Mapping[str, Any], seconds: float, settings: MelSettings
) -> tuple[np.ndarray, tuple[np.ndarray, int]]:
    """Log-mel of a generated file, and the sound as it is: (channels, samples), samples per second.

    It is checked to be the file of the index.

    Raises
    ------
    InputError
        If the file is missing, has changed since it was written, or cannot be read.
    """
    path = folder / row["file"]
    if not path.is_file() or sha256_file(path) != row["sha256"]:
        state = "has changed since" if path.is_file() else "is not there, but"
        raise InputError(f"{path} {state} the index of samples was written: make the samples again")
    try:
        data, rate = read_own_rate(path, seconds)
        sound = mono_at_rate(data, rate, settings.sample_rate, seconds, path)
    except ClipError as error:
        raise InputError(f"{path} cannot be judged: {error}") from error
    return log_mel(sound, settings), (data, rate)


def embed_samples(judges: MicroJudges, index: Path, frames: Sequence[Path], batch_size: int, output: Path) -> int:
    """Embed one shard of a system's samples; each file is decoded once for all judges.

    Rows of the index that are not ``ok`` get no embedding; scoring deals with them.

    Parameters
    ----------
    judges : MicroJudges
    index : path
        Index of the shard; its files lie in the folder of the same name beside it.
    frames : sequence of path
        Frames of the data set's clips, for the offset judge.
    batch_size : int
        Samples judged together.
    output : path
        Folder of ``<judge>.parquet``, keyed by clip_id, caption_id, protocol.

    Returns
    -------
    int
        Samples embedded.

    Raises
    ------
    InputError
        If a file is not the one that the index names.
    MissingClipError
        If a clip has no frames.
    """
    rows = pd.read_parquet(index)
    ready = records(rows[rows["status"] == OK])
    pictures = FeatureStore(frames, digest_of(judges.frames))
    settings = MelSettings(**{name: judges.mel[name] for name in MelSettings.model_fields})
    columns = {name: JUDGES[name].columns for name in judges.judges}
    paths = {judge: output / f"{judge}.parquet" for judge in columns}
    batches = batches_of_shard(ready, batch_size, 0, 1)
    with open_tables(judges, SAMPLE_KEY, paths, columns) as tables:
        for batch in progress(batches, "embed samples", len(batches)):
            read = [read_sample(index.with_suffix(""), row, judges.mel["seconds"], settings) for row in batch]
            found = judges.embed_sound(
                np.stack([mel for mel, _ in read]), pictures.stack([row["clip_id"] for row in batch])
            )
            found |= judges.measure_sound([sound for _, sound in read])
            tables.add({name: [row[name] for row in batch] for name in SAMPLE_KEY}, found)
    return len(ready)
