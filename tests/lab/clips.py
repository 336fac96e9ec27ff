"""Lists and clips as their publishers give them, from a few real clips: on a server, in archives, in a folder.

The rows of each list are in the published form. Three test clips and two training clips are sound; one is nowhere, one
has zero bytes, one is no film, one is short. Labels of test clips are of the twelve of VGGSound-Sparse, so that all of
them are in that list, too: the whale is called a lion.
"""

import csv
import io
import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from cafa.common.files import sha256_file


class LabClip(NamedTuple):
    """A clip of the lists, and what becomes of it.

    Attributes
    ----------
    file : str
        Film below the folder of real clips; empty: none.
    place : str
        ``archive``, ``tar``, ``folder``, ``milliseconds`` (a folder, by its other name), ``mirror`` or ``nowhere``.
    outcome : str
        ``ok``, or the reason in the ledgers.
    """

    video_id: str
    start: int
    label: str
    split: str
    file: str
    place: str
    outcome: str = "ok"

    @property
    def clip_id(self) -> str:
        """Name of the clip as in all stages."""
        return f"{self.video_id}_{self.start:06d}"

    @property
    def by_milliseconds(self) -> str:
        """Name as V-AURA's lists and many folders have it."""
        return f"{self.video_id}_{self.start * 1000}_{self.start * 1000 + 10_000}"


CLIPS = (
    LabClip("3qesirWAGt4", 20, "dog barking", "test", "3qesirWAGt4_000020.mp4", "archive"),
    LabClip("ZYc410CE4Rg", 0, "playing tennis", "test", "ZYc410CE4Rg_000000.mp4", "folder"),
    LabClip("F8Zt3mYlOqU", 94, "lions roaring", "test", "F8Zt3mYlOqU_000094.mp4", "mirror"),
    LabClip("aaaaaaaaaaa", 10, "dog barking", "test", "", "nowhere", "not_found"),
    LabClip("bbbbbbbbbbb", 30, "playing tennis", "test", "", "archive", "empty_file"),
    LabClip("ccccccccccc", 7, "lions roaring", "test", "", "folder", "not_media"),
    LabClip("fcvgg0_____", 40, "playing congas", "train", "fcvgg0.mp4", "tar"),
    LabClip("0B4dYTMsgHA", 130, "child speech, kid speaking", "train", "0B4dYTMsgHA_000130.mp4", "milliseconds"),
    LabClip("ddddddddddd", 5, "cattle mooing", "train", "cow.mp4", "mirror", "short"),
)
#: name of a clip in the archives of the hub
IN_ARCHIVE = "scratch/shared/beegfs/hchen/train_data/VGGSound_final/video/{}.mp4"


def clips_of(split: str, usable: bool = False) -> list[LabClip]:
    """Clips of a split; `usable`: those alone that reach the tables."""
    return [clip for clip in CLIPS if clip.split == split and (clip.outcome == "ok" or not usable)]


def write_lists(folder: Path) -> dict[str, str]:
    """Write the four published lists; SHA-256 by name."""
    train, test = clips_of("train"), clips_of("test")
    rows: dict[str, Iterable[Sequence[object]]] = {
        "vggsound.csv": [(clip.video_id, clip.start, clip.label, clip.split) for clip in CLIPS],
        "test.csv": [(f"{clip.clip_id}.mp4", clip.label) for clip in test],
        "visualsound.csv": [
            ("filename", "start", "desc", "split"),
            *((clip.video_id, clip.start, clip.label, "train") for clip in train),
        ],
        "vggsound_sparse.csv": [("file", "start_sec"), *((clip.by_milliseconds, 4.64) for clip in test)],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in rows.items():
        with (folder / name).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows(lines)
    return {name: sha256_file(folder / name) for name in rows}


def write_clips(root: Path, web: Path, films: Path) -> None:
    """Put every clip to its place: archives and a mirror below `web`, a folder ``data/vggsound`` below `root`."""
    for name, mode, place in (("vggsound_00.tar.gz", "w:gz", "archive"), ("vggsound_01.tar", "w", "tar")):
        (web / "archives").mkdir(parents=True, exist_ok=True)
        with tarfile.open(web / "archives" / name, mode, **({"compresslevel": 1} if "gz" in mode else {})) as archive:
            for clip in (clip for clip in CLIPS if clip.place == place):
                data = (films / clip.file).read_bytes() if clip.file else b""
                member = tarfile.TarInfo(IN_ARCHIVE.format(clip.clip_id))
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    own, mirror = root / "data/vggsound", web / "clips"
    for clip in CLIPS:
        places = {
            "folder": own / "video" / f"{clip.clip_id}.mp4",
            "milliseconds": own / f"{clip.by_milliseconds}.mp4",
            "mirror": mirror / f"{clip.clip_id}.mp4",
        }
        if (target := places.get(clip.place)) is None:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if clip.file:
            shutil.copy(films / clip.file, target)
        else:
            target.write_bytes(b"a film that was never written\n" * 40)


def fading_noise(number: int, seconds: float, sample_rate: int, form: str) -> bytes:
    """A file of noise that fades, again and again."""
    times = np.arange(int(seconds * sample_rate)) / sample_rate
    noise = np.random.default_rng(number).standard_normal(len(times))
    file = io.BytesIO()
    soundfile.write(file, 0.2 * noise * np.exp(-times % 2.0), sample_rate, format=form)
    return file.getvalue()


def add_to_tar(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """A plain file of an archive."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def write_generations(folder: Path) -> None:
    """Sounds of other systems for the usable test clips, under the names and in the forms that their authors publish.

    MMAudio: a tar of FLAC, 8 s; Frieren: a zip of several WAV of each clip at 16 kHz; MultiFoley: a webdataset, of all
    clips but one; ReWaS: a folder of WAV of 5 s.
    """
    for name in ("mmaudio_large_v1", "frieren", "multifoley", "rewas"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    clips = clips_of("test", usable=True)
    with (
        tarfile.open(folder / "mmaudio_large_v1/mmaudio_large_44k_vggsound.tar", "w") as mmaudio,
        zipfile.ZipFile(folder / "frieren/frieren_noreflow_25.zip", "w") as frieren,
        tarfile.open(folder / "multifoley/00000.tar", "w") as multifoley,
    ):
        for number, clip in enumerate(clips):
            name = f"mmaudio_large_44k_vggsound/{clip.clip_id}.flac"
            add_to_tar(mmaudio, name, fading_noise(number, 8.0, 44100, "FLAC"))
            for take in range(10):
                sound = fading_noise(10 * number + take, 8.2, 16000, "WAV")
                frieren.writestr(f"frieren_noreflow_25/Y{clip.clip_id}_{take}.wav", sound)
            if clip != clips[-1]:
                add_to_tar(multifoley, f"{clip.clip_id}.wav", fading_noise(100 + number, 8.0, 48000, "WAV"))
                add_to_tar(multifoley, f"{clip.clip_id}.json", b'{"caption": "a sound"}')
            (folder / f"rewas/{clip.clip_id}.wav").write_bytes(fading_noise(200 + number, 5.0, 16000, "WAV"))
