"""A toy study: prompts, clips and samples of three systems, and raters of known preference."""

from pathlib import Path

import av
import numpy as np
import pandas as pd

from cafa.common.files import sha256_file
from cafa.media.sound import write_sound
from metrics.study.answers import HandIn, Row
from metrics.study.build import study_digest
from metrics.study.design import QUESTIONS, StudySettings, media_name
from metrics.study.results import StudyKey

RATE, SECONDS = 16_000, 1.0
SYSTEMS = ("ours", "theirs", "others")
LABELS = ("dog barking", "hammering nails")


def toy_prompts(clips: int) -> pd.DataFrame:
    """Every clip with its own caption and with that of the other category."""
    rows = []
    for number in range(clips):
        own, other = LABELS[number % 2], LABELS[(number + 1) % 2]
        for caption_id, label, protocol in (("own", own, "matched"), ("other", other, "cross")):
            rows.append((f"clip{number:03d}", caption_id, f"a {label}", label, own, f"a {own}", protocol))
    columns = ["clip_id", "caption_id", "caption", "label", "own_label", "own_caption", "protocol"]
    return pd.DataFrame(rows, columns=columns)


def write_toy_sources(folder: Path, prompts: pd.DataFrame) -> tuple[Path, Path]:
    """Normalised clips and samples as the workflow leaves them; returns the two folders."""
    clips, samples = folder / "clips", folder / "samples"
    (clips / "0").mkdir(parents=True)
    rng = np.random.default_rng(3)
    for clip_id in prompts["clip_id"].unique():
        _write_picture(clips / "0" / f"{clip_id}.mp4", rng)
        write_sound(
            clips / "0" / f"{clip_id}.flac", 0.2 * rng.standard_normal(round(SECONDS * RATE)), RATE, over="clip"
        )
    for system in SYSTEMS:
        (samples / system / "0").mkdir(parents=True)
        rows = []
        for row in prompts.itertuples():
            file = samples / system / "0" / f"{row.clip_id}_{row.caption_id}.flac"
            write_sound(file, _noise(rng), RATE, over="clip")
            rows.append((row.clip_id, row.caption_id, row.protocol, file.name, SECONDS, "ok", sha256_file(file)))
        columns = ["clip_id", "caption_id", "protocol", "file", "seconds", "status", "sha256"]
        pd.DataFrame(rows, columns=columns).to_parquet(samples / system / "0.parquet")
    return clips, samples


def _noise(rng: np.random.Generator) -> np.ndarray:
    return 0.2 * rng.standard_normal(round(SECONDS * RATE))


def _write_picture(path: Path, rng: np.random.Generator) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(round(25 * SECONDS)):
            picture = np.full((64, 64, 3), rng.integers(255), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def toy_hand_ins(
    key: StudyKey, settings: StudySettings, chance: dict[str, float], rng: np.random.Generator, careless: int = 0
) -> list[HandIn]:
    """One hand-in for each set of the design.

    Careful raters prefer the studied system to an opponent with ``chance[opponent]``, moved for each pair and rater;
    the first `careless` ones answer at random, checks included.
    """
    moved = {name: rng.normal(0, 0.15) for name in key.design.pairs}
    digest, hand_ins = study_digest(key.design), []
    for number, one in enumerate(key.design.sets):
        own, rows = rng.normal(0, 0.1), []
        for shown in one:
            pair = key.design.pairs[shown.pair]
            files = [f"media/{media_name(pair, which, settings.seed)}" for which in ("first", "second")]
            left, right = files if shown.first_left else files[::-1]
            answers = {}
            for criterion in QUESTIONS:
                likely = (
                    1.0 if pair.kind != "pair" else float(np.clip(chance[pair.second] + moved[pair.pair] + own, 0, 1))
                )
                first = rng.random() < (0.5 if number < careless else likely)
                answers[criterion] = "left" if first == shown.first_left else "right"
            rows.append(Row(pair.pair, left, right, answers, float(rng.uniform(8, 20))))
        hand_ins.append(HandIn(f"rater{number}.json", f"rater{number}", settings.name, digest, len(one), tuple(rows)))
    return hand_ins
