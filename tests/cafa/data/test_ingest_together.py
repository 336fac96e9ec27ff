"""Several ingests, of one folder or of the same files, and what one bad sound costs."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from cafa.common.errors import FolderInUseError
from cafa.common.ledger import read_ledgers
from cafa.data.ingest import RootFolder, ingest_shard
from cafa.media.normalise import NormaliseSettings
from tests.cafa.data.test_ingest import data_set as data_set
from tests.cafa.data.test_ingest import normalised as normalised
from tests.cafa.data.test_ingest import one_clip as one_clip
from tests.cafa.data.test_ingest import run
from tests.two_runs import another_writer, run_at_once

SETTINGS = NormaliseSettings(preset="ultrafast", short_side=32)


def test_two_ingests_at_once_into_one_folder(data_set: Callable, one_clip: Path, tmp_path: Path) -> None:
    """Two real processes: what they leave is right, and one that was refused says who was there."""
    data_set({f"c{number}": one_clip.read_bytes() for number in range(8)})
    output, ledger = tmp_path / "clips" / "0", tmp_path / "clips" / "0.ledger.parquet"
    command = [
        "ingest",
        "--manifest",
        tmp_path / "m.parquet",
        "--root",
        tmp_path / "root",
        "--shard",
        "0/1",
        "--output-folder",
        output,
        "--settings",
        '{"preset": "ultrafast"}',
        "--ledger",
        ledger,
    ]
    answers = run_at_once(command, command)
    assert 0 in [code for code, _ in answers]
    assert all(f"another run writes to {output}: process " in said for code, said in answers if code)
    assert list(read_ledgers([ledger])["status"]) == ["ok"] * 8
    assert len(list(output.glob("*.flac"))) == 8


def test_a_folder_in_use_is_refused(data_set: Callable, one_clip: Path, tmp_path: Path) -> None:
    manifest = data_set({"a": one_clip.read_bytes()})
    with another_writer(tmp_path / "clips" / "0"), pytest.raises(FolderInUseError, match="another run writes to"):
        run(manifest, tmp_path)
    assert run(manifest, tmp_path)["status"].tolist() == ["ok"]


def test_another_data_set_gives_what_it_made_of_the_same_files(
    data_set: Callable, one_clip: Path, tmp_path: Path, normalised: list[str]
) -> None:
    manifest = data_set({name: one_clip.read_bytes() for name in "abcdef"} | {"bad": b"text\n"})
    for shard in range(3):
        run(manifest, tmp_path, shard, 3)
    first = {path.name: path for path in (tmp_path / "clips").glob("*/*.*") if path.suffix in (".mp4", ".flac")}
    expected = pd.concat([read_ledgers([tmp_path / "clips" / f"{shard}.ledger.parquet"]) for shard in range(3)])
    (tmp_path / "root" / "d.mp4").write_bytes(one_clip.read_bytes() + b"\0")  # the raw file is another one now
    first["e.flac"].write_bytes(b"damaged")
    normalised.clear()

    def again(where: str, **settings: object) -> pd.DataFrame:
        ingest_shard(
            manifest,
            RootFolder(tmp_path / "root"),
            shard=0,
            shards=1,
            output_folder=tmp_path / where,
            settings=SETTINGS.model_copy(update=settings),
            ledger=tmp_path / f"{where}.parquet",
            reuse=[tmp_path / "clips"],
        )
        return read_ledgers([tmp_path / f"{where}.parquet"])

    rows = again("second")
    assert sorted(normalised) == ["d", "e"]
    assert rows.set_index("clip_id")["status"].to_dict() == expected.set_index("clip_id")["status"].to_dict()
    fine = [name for name in rows["clip_id"] if name not in ("bad", "d", "e")]
    compared = [frame.set_index("clip_id").loc[fine, "detail"].to_dict() for frame in (rows, expected)]
    assert compared[0] == compared[1]
    for name in fine:
        for suffix in (".mp4", ".flac"):
            assert (tmp_path / "second" / f"{name}{suffix}").samefile(first[f"{name}{suffix}"])
    (tmp_path / "clips" / "0").rename(tmp_path / "gone")  # links do not need the first folder
    normalised.clear()
    again("second")
    assert normalised == []
    again("third", short_side=16)
    assert sorted(normalised) == ["a", "b", "bad", "c", "d", "e", "f"]  # other settings: nothing is taken


def test_links_are_no_condition(
    data_set: Callable, one_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, normalised: list[str]
) -> None:
    manifest = data_set({"a": one_clip.read_bytes()})
    run(manifest, tmp_path)
    normalised.clear()

    def none(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", none)
    counts = ingest_shard(
        manifest,
        RootFolder(tmp_path / "root"),
        shard=0,
        shards=1,
        settings=SETTINGS,
        reuse=[tmp_path / "clips"],
        output_folder=tmp_path / "second",
        ledger=tmp_path / "second.parquet",
    )
    assert (counts, normalised) == ({"ok": 1}, [])
    assert (tmp_path / "second/a.mp4").read_bytes() == (tmp_path / "clips/0/a.mp4").read_bytes()


def test_a_sound_that_is_not_finite_costs_its_clip_only(
    data_set: Callable[[dict[str, bytes | None]], pd.DataFrame], one_clip: Path, tmp_path: Path
) -> None:
    """Codecs of floating-point values can hold any; the clip is named, with where, and the others go on."""
    bad = tmp_path / "float.mov"
    with av.open(str(one_clip)) as given, av.open(str(bad), "w") as output:
        video = output.add_stream_from_template(given.streams.video[0])
        sound = output.add_stream("pcm_f32le", rate=16000)
        sound.codec_context.layout = "mono"
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = video
                output.mux(packet)
        values = np.zeros((1, 16000), np.float32)
        values[0, 4000] = np.nan
        frame = av.AudioFrame.from_ndarray(values, format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
        output.mux([*sound.encode(frame), *sound.encode(None)])
    good = one_clip.read_bytes()
    ledger = run(data_set({"a": good, "b": bad.read_bytes(), "c": good}), tmp_path).set_index("clip_id")
    assert dict(ledger["status"]) == {"a": "ok", "b": "not_finite", "c": "ok"}
    assert "the first at 0.250 s" in ledger.loc["b", "detail"]
    assert not (tmp_path / "clips" / "0" / "b.mp4").exists()
