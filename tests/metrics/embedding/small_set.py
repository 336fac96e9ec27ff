"""A small data set for pretrained judges with tiny weights of the published layouts."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cafa.common.files import sha256_file
from cafa.common.ledger import ledger_row, write_ledger
from cafa.common.shards import shard_of
from cafa.data.manifest import SCHEMA as MANIFEST
from cafa.data.prompts import SCHEMA as PROMPTS
from metrics.embedding.published import JudgingSettings, embed_reference_shard
from metrics.judges.registry import PretrainedSettings, register
from tests.evaluation_clips import write_video, write_wav

SECONDS = 4.8
CLIPS = ("clip0", "clip1", "clip2", "clip3")
LABELS = {"clip0": "a dog", "clip1": "a drum", "clip2": "a dog", "clip3": "a drum"}
QUICK = JudgingSettings(seconds=SECONDS, max_loss=1.0)


class Place:
    """Folders of a small data set in two shards: clip2's sound is short, clip3 was lost at ingest."""

    def __init__(self, root: Path, weights: dict[str, Any]) -> None:
        self.root, self.judges = root, root / "judges"
        for judge in ("classifier", "clap", "imagebind", "synchformer"):
            register(judge, PretrainedSettings.model_validate(weights), self.judges / judge)
        rows = [
            {
                "clip_id": c,
                "uri": f"{c}.mp4",
                "start": 0.0,
                "duration": None,
                "label": LABELS[c],
                "caption": LABELS[c],
                "split": "test",
                "licence": "",
                "line": number + 2,
            }
            for number, c in enumerate(CLIPS)
        ]
        self.manifest = pd.DataFrame(rows)
        table = pa.Table.from_pylist(rows, schema=MANIFEST)
        pq.write_table(table, root / "manifest.parquet")
        self.shards = sorted({shard_of(c, 2) for c in CLIPS})
        for shard in self.shards:
            mine = [c for c in CLIPS if shard_of(c, 2) == shard]
            ledger = [ledger_row(c, "ingest", "corrupt" if c == "clip3" else "ok") for c in mine]
            write_ledger(self.ledger(shard), ledger)
            for c in [c for c in mine if c != "clip3"]:
                number = CLIPS.index(c)
                write_video(self.clips(shard) / f"{c}.mp4", number, SECONDS, sound=False)
                write_wav(self.clips(shard) / f"{c}.flac", number, 3.0 if c == "clip2" else SECONDS)
        self.write_samples()
        prompts = [
            {
                "clip_id": c,
                "caption_id": "other",
                "caption": self.other(c),
                "label": self.other(c),
                "own_label": LABELS[c],
                "own_caption": LABELS[c],
                "protocol": "cross",
            }
            for c in CLIPS
        ]
        self.prompts = pd.DataFrame(prompts)[PROMPTS.names]
        self.prompts.to_parquet(root / "prompts.parquet", index=False)

    def write_samples(self) -> None:
        """Sounds of a system for three clips, and its index, in which the fourth failed."""
        records = []
        for number, c in enumerate(CLIPS[:3]):
            path = write_wav(self.root / "ours" / "0" / f"{c}.flac", 100 + number, SECONDS)
            records.append(
                {
                    "clip_id": c,
                    "caption_id": "other",
                    "protocol": "cross",
                    "caption": self.other(c),
                    "label": "x",
                    "file": path.name,
                    "seconds": 10.0,
                    "sample_rate": 16000,
                    "sha256": sha256_file(path),
                    "status": "ok",
                    "detail": None,
                }
            )
        records.append(
            {
                **records[0],
                "clip_id": "clip3",
                "status": "missing_feature",
                "detail": "no frames",
                "caption": self.other("clip3"),
                "file": None,
                "sha256": None,
            }
        )
        pd.DataFrame(records).to_parquet(self.index, index=False)

    @staticmethod
    def other(clip_id: str) -> str:
        return "a drum" if LABELS[clip_id] == "a dog" else "a dog"

    @property
    def index(self) -> Path:
        return self.root / "ours" / "0.parquet"

    def clips(self, shard: int) -> Path:
        return self.root / "clips" / str(shard)

    def ledger(self, shard: int) -> Path:
        return self.root / f"{shard}.ledger.parquet"

    def truth(self) -> list[Path]:
        folders = [self.root / "truth" / str(shard) for shard in self.shards]
        for shard, folder in zip(self.shards, folders, strict=True):
            embed_reference_shard(
                self.judges, self.manifest, self.clips(shard), self.ledger(shard), (shard, 2), QUICK, folder
            )
        return folders
