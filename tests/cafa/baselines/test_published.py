"""Published samples: the table, fetching from stand-ins of the hub and of GitHub, and names that a pattern reads."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner

from cafa.baselines import published
from cafa.baselines.published import PublishedFile, PublishedSet, get_published, read_published, sources_of
from cafa.cli import cli
from cafa.common.errors import CafaError, InputError, WeightsError
from cafa.common.ledger import read_ledgers
from cafa.generation.name_patterns import NamePattern
from tests.cafa.generation.external_runs import write_prompts
from tests.cafa.weights.servers import COMMIT, Repository, Server, git_sha1
from tests.evaluation_clips import sound_of

SILENT = {"title": "t", "system": "s", "page": "https://example.org", "licence": "MIT"}


def wav(seconds: float, number: int = 0) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, sound_of(number, seconds).T, 16000, format="WAV")
    return stream.getvalue()


def quiet(line: str) -> None:
    pass


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch) -> dict[str, PublishedSet]:
    """The table of the package, replaced."""
    made: dict[str, PublishedSet] = {}
    monkeypatch.setattr(published, "read_published", lambda: made)
    return made


def test_the_table_names_what_is_known_and_what_is_not() -> None:
    sets = read_published()
    assert {"cafa_test", "cafa_demo", "mmaudio_large_v1", "frieren", "vatt", "multifoley"} <= sets.keys()
    for name, entry in sets.items():
        assert [entry.repository is not None, bool(entry.files), entry.by_hand].count(True) == 1, name
        assert ("names" in entry.unknown) == (not entry.names)
        assert bool(entry.terms) == entry.licence.startswith("not stated")
        assert all(NamePattern(text) for text in entry.names)
    read = NamePattern(sets["frieren"].names[0]).read("frieren/Yabcdefghijk_000012_7.wav")
    assert read is not None
    assert (read["clip_id"], read["take"]) == ("abcdefghijk_000012", "7")


def test_the_demo_page_has_five_scenes_of_four_systems() -> None:
    demo = read_published()["cafa_demo"]
    assert len(demo.files) == demo.expected == 5 * (1 + 2 * 4)
    assert all(file.git for file in demo.files)
    patterns = [NamePattern(text) for text in demo.names]
    read = [next(found for one in patterns if (found := one.read(file.path))) for file in demo.files]
    assert {fields["clip_id"] for fields in read} == {"cow", "drum", "keyboard", "roof", "tree"}
    assert {file.path.split("/")[0] for file in demo.files} == {
        "cafa",
        "foleycrafter",
        "groundtruth",
        "mmaudio",
        "rewas",
    }
    sources = sources_of("cafa_demo", demo)
    assert len({source.relative_path for source in sources}) == 45
    assert sources[0].url.startswith("https://raw.githubusercontent.com/finmickey/CAFA/60d4673a8bea")


def test_files_are_checked_by_their_object_in_the_commit(
    sets: dict[str, PublishedSet], server: Server, tmp_path: Path
) -> None:
    body = wav(1.0)
    server.files["/page/our a.mp4"] = body
    file = PublishedFile.model_validate({"from": "our a.mp4", "path": "cafa/a.mp4", "git": git_sha1(body)})
    sets["demo"] = PublishedSet(**SILENT, address=f"{server.url}/page/", files=(file,))
    assert get_published(["demo"], tmp_path, quiet) == [tmp_path / "demo/cafa/a.mp4"]
    server.files["/page/our a.mp4"] = wav(1.1)
    with pytest.raises(WeightsError, match=r"git's SHA-1"):
        get_published(["demo"], tmp_path / "again", quiet)


def hub(server: Server, files: dict[str, bytes]) -> None:
    """A data set as the hub tells of it: its commit, its files with sizes and digests, the files."""
    server.repositories["datasets/lab/samples"] = Repository(lfs=files)
    server.documents["/api/datasets/lab/samples/revision/main"] = {"id": "lab/samples", "sha": COMMIT}
    tree = [
        {
            "type": "file",
            "oid": git_sha1(body),
            "size": len(body),
            "path": name,
            "lfs": {"oid": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 130},
        }
        for name, body in files.items()
    ]
    for query in ("recursive=True&expand=False", "recursive=true&expand=false"):
        server.documents[f"/api/datasets/lab/samples/tree/{COMMIT}?{query}"] = tree


def test_a_data_set_of_the_hub_is_listed_accepted_and_fetched(
    sets: dict[str, PublishedSet], server: Server, tmp_path: Path
) -> None:
    hub(server, {"a/x.wav": wav(1.0), "a/y.wav": wav(1.0, 1)})
    sets["theirs"] = PublishedSet(**{**SILENT, "terms": "unstated"}, repository="lab/samples")
    with pytest.raises(InputError, match=r"theirs: MIT: its publisher grants no right.*\n.*--accept theirs"):
        get_published(["theirs"], tmp_path, quiet)
    found = get_published(["theirs"], tmp_path, quiet, accept=("theirs",))
    assert [path.read_bytes() for path in found] == [wav(1.0), wav(1.0, 1)]
    record = json.loads((tmp_path / "weights.lock.json").read_text())
    assert record["files"]["theirs/a/x.wav"]["commit"] == COMMIT
    del server.documents["/api/datasets/lab/samples/revision/main"]
    with pytest.raises(WeightsError, match="does not say which files it has"):
        get_published(["theirs"], tmp_path / "other", quiet, accept=("theirs",))


def test_what_is_fetched_by_hand_is_asked_for_and_recorded(sets: dict[str, PublishedSet], tmp_path: Path) -> None:
    sets["drive"] = PublishedSet(**SILENT, by_hand=True)
    with pytest.raises(WeightsError, match=r"https://example.org gives its files to people alone.*published name"):
        get_published(["drive"], tmp_path, quiet)
    place = tmp_path / "drive" / "their archive.zip"
    place.parent.mkdir()
    place.write_bytes(b"first")
    assert get_published(["drive"], tmp_path, quiet) == [place]
    assert get_published(["drive"], tmp_path, quiet) == [place]
    place.write_bytes(b"another")
    with pytest.raises(WeightsError, match="it is another file"):
        get_published(["drive"], tmp_path, quiet)


def invoke(*words: object) -> str:
    done = CliRunner().invoke(cli, [str(word) for word in ("baselines", *words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_check_reads_an_archive_and_says_what_is_there(tmp_path: Path) -> None:
    clips = [f"abcdefghij{number}_000012" for number in range(4)]
    sounds = {f"set/{clips[0]}.wav": wav(10.0), f"set/{clips[1]}.wav": wav(5.0), "set/strange.wav": wav(1.0)}
    sounds |= {"set/zyxwvutsrqp_000001.wav": wav(10.0), "set/notes.txt": b"hello", f"set/{clips[3]}.wav": b"RIFF"}
    (tmp_path / "vatt").mkdir()
    with tarfile.open(tmp_path / "vatt" / "their.tar.gz", "w:gz") as archive:
        for name, body in sounds.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    prompts = write_prompts(tmp_path / "prompts.parquet", clips)
    text = invoke("check", "vatt", "--folder", tmp_path, "--prompts", prompts, "--ledger", tmp_path / "l.parquet")
    assert "sounds that are usable: 1" in text
    assert "seconds: 5 x 1, 10 x 1 (stated: 10)" in text
    assert "names that the pattern does not read: 1: set/strange.wav" in text
    ledger = read_ledgers([tmp_path / "l.parquet"])
    assert dict(zip(ledger["clip_id"], ledger["status"], strict=True)) == {
        clips[0]: "ok",
        clips[1]: "short",
        clips[2]: "missing_sample",
        clips[3]: "corrupt",
        "set/strange.wav": "unmatched_name",
        "zyxwvutsrqp_000001": "not_selected",
    }


def test_where_no_name_is_known_the_names_are_the_error(tmp_path: Path) -> None:
    (tmp_path / "cafa_test").mkdir()
    (tmp_path / "cafa_test" / "0001-abcdefghijk.wav").write_bytes(wav(10.0))
    with pytest.raises(InputError, match=r"how cafa_test names its files.*give --pattern.*1: 0001-abcdefghijk.wav"):
        invoke("check", "cafa_test", "--folder", tmp_path)
    with pytest.raises(InputError, match=r"'\{clip_id\}.flac' reads none of the names: 1: 0001-abcdefghijk.wav"):
        invoke("check", "cafa_test", "--folder", tmp_path, "--pattern", "{clip_id}.flac")
    assert "sounds that are usable: 1" in invoke(
        "check", "cafa_test", "--folder", tmp_path, "--pattern", "{clip_id}.wav"
    )
    with pytest.raises(CafaError, match="run `cafa baselines get frieren`"):
        invoke("check", "frieren", "--folder", tmp_path)


def test_list_names_licences_and_what_was_not_found() -> None:
    text = invoke("list")
    assert "NOT the MMAudio of CAFA's paper" in text
    assert "not found: names, number of files, licence, commit" in text
    assert json.loads(invoke("list", "--json"))["run"]["rewas"]["commit"].startswith("4e09954")
