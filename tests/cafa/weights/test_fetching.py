"""Files arrive complete, are checked against what is known of them, and are recorded."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import huggingface_hub.constants
import pytest

from cafa.common.errors import InputError, WeightsError, WriteError
from cafa.weights import fetching, planning
from cafa.weights.folder import LOCK, read_record
from tests.cafa.weights.conftest import BODY, DIGEST, Shop
from tests.cafa.weights.servers import COMMIT, LATER, PAGE, POINTER


def test_a_model_of_the_hub(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    fetched = shop.get("net")
    assert [one.checked_against for one in fetched] == ["the hub (SHA-256)", "the hub (git's SHA-1)"]
    assert (shop.folder / "net/model.safetensors").read_bytes() == BODY
    assert shop.there() == ["net/config.json", "net/model.safetensors", LOCK]
    entry = read_record(shop.folder).files["net/model.safetensors"]
    assert (entry.sha256, entry.bytes, entry.commit) == (DIGEST, len(BODY), COMMIT)
    # The login is for the hub, not for the host that it leads to; and one commit is asked for.
    sent = {answer.path: answer.headers.get("Authorization") for answer in shop.server.answers}
    assert sent[f"/lab/net/resolve/{COMMIT}/model.safetensors"] == "Bearer hf_mine"
    assert sent[shop.cdn] is None


def test_what_is_there_is_asked_for_no_more(shop: Shop) -> None:
    shop.get("net")
    asked = len(shop.server.answers)
    assert [one.fresh for one in shop.get("net")] == [False, False]
    assert len(shop.server.answers) == asked


@pytest.mark.parametrize("name", ["zenodo", "github"])
def test_what_a_record_or_release_states(shop: Shop, name: str) -> None:
    md5 = hashlib.md5(BODY).hexdigest()
    shop.server.documents["/api/records/77"] = {
        "files": [{"key": "other"}, {"key": "net=0.4.pth", "size": len(BODY), "checksum": f"md5:{md5}"}]
    }
    shop.server.documents["/api/v3/repos/lab/net/releases/tags/v1"] = {
        "assets": [{"name": "net.pth", "size": len(BODY), "digest": f"sha256:{DIGEST}"}]
    }
    (fetched,) = shop.get(name)
    expected = {"zenodo": "the record of Zenodo (MD5)", "github": "the release on GitHub (SHA-256)"}
    assert fetched.checked_against == expected[name]
    assert fetched.sha256 == DIGEST


def test_another_md5_than_the_records(shop: Shop) -> None:
    shop.server.documents["/api/records/77"] = {"files": [{"key": "net=0.4.pth", "checksum": f"md5:{'0' * 32}"}]}
    with pytest.raises(WeightsError, match=r"zenodo: the file has MD5 \w{32}, the record of Zenodo has 0{32}: it was"):
        shop.get("zenodo")
    assert shop.there() == []


def test_a_release_without_digests_and_the_md5_of_the_table(shop: Shop) -> None:
    shop.server.documents["/api/v3/repos/lab/net/releases/tags/v1"] = {"assets": [{"name": "net.pth", "digest": None}]}
    with pytest.raises(WeightsError, match="nor its publisher states a digest"):
        shop.get("github")
    shop.write(github={"md5": hashlib.md5(BODY).hexdigest()})
    (fetched,) = shop.get("github")
    assert fetched.checked_against == "the table of weights (MD5)"


def test_nobody_states_anything(shop: Shop) -> None:
    with pytest.raises(WeightsError, match="bare: neither the table of weights nor its publisher states a digest"):
        shop.get("bare")
    assert shop.server.bytes_of("/files/plain.pth") == 0
    (fetched,) = shop.get("bare", unverified=True)
    assert (fetched.checked_against, fetched.sha256) == ("nothing", DIGEST)
    # From now on it is known.
    shop.server.files["/files/plain.pth"] = BODY[::-1]
    fetched.path.unlink()
    with pytest.raises(WeightsError, match=rf"weights\.lock\.json has {DIGEST}"):
        shop.get("bare", unverified=True)


@pytest.mark.parametrize("body", [PAGE, POINTER])
def test_a_page_that_nobody_states_anything_of_is_no_file(shop: Shop, body: bytes) -> None:
    shop.server.files["/files/plain.pth"] = body
    with pytest.raises(WeightsError, match=r"bare: it is a (web page|pointer of Git LFS), not the file"):
        shop.get("bare", unverified=True)
    assert shop.there() == []


def test_unverified_is_no_leave_for_what_is_known(shop: Shop) -> None:
    shop.server.moods[shop.cdn] = ["wrong"]
    with pytest.raises(WeightsError, match=f"the hub has {DIGEST}"):
        shop.get("net", unverified=True)
    assert shop.there() == ["net/config.json", LOCK]


def test_a_later_change_is_refused(shop: Shop) -> None:
    shop.get("net")
    repository = shop.server.repositories["lab/net"]
    repository.lfs["model.safetensors"], repository.commit = BODY[::-1], LATER
    shop.folder.joinpath("net/model.safetensors").unlink()
    with pytest.raises(WeightsError, match="HTTP 404: the repository, or its commit, is private or gone"):
        shop.get("net")  # the commit of before is asked for
    shop.write(net={"sha256": "0" * 64})
    with pytest.raises(WeightsError, match=rf"weights\.lock\.json states SHA-256 {DIGEST}, the table of weights has 0"):
        shop.get("net")


def test_the_publisher_replaced_a_recorded_file(shop: Shop) -> None:
    shop.write(net={"sha256": "0" * 64})
    with pytest.raises(WeightsError, match=f"net: the hub states SHA-256 {DIGEST}, the table of weights has 0{{64}}"):
        shop.get("net")
    assert shop.server.bytes_of(shop.cdn) == 0


def test_files_placed_by_hand(shop: Shop) -> None:
    (shop.folder / "net").mkdir(parents=True)
    (shop.folder / "net/model.safetensors").write_bytes(BODY)
    (shop.folder / "plain.pth").write_bytes(BODY)
    fetched = shop.get("net", "plain")  # a licence is not asked for: nothing of it is fetched
    assert [one.checked_against for one in fetched] == [
        "the hub (SHA-256)",
        "the hub (git's SHA-1)",
        "the table of weights (SHA-256)",
    ]
    assert shop.server.bytes_of(shop.cdn) == 0
    assert shop.server.bytes_of("/files/plain.pth") == 0


def test_a_wrong_file_placed_by_hand_is_left_for_its_owner(shop: Shop) -> None:
    (shop.folder / "net").mkdir(parents=True)
    file = shop.folder / "net/model.safetensors"
    file.write_bytes(BODY[::-1])
    with pytest.raises(WeightsError, match=r"net: the file has SHA-256 .* It lies at .*`cafa weights remove net`"):
        shop.get("net")
    assert file.read_bytes() == BODY[::-1]


def test_a_file_changed_behind_our_back(shop: Shop) -> None:
    shop.get("net")
    file = shop.folder / "net/model.safetensors"
    file.write_bytes(BODY[:-1] + b"!")
    with pytest.raises(WeightsError, match=rf"weights\.lock\.json has {DIGEST}"):
        shop.get("net")


def test_a_moved_folder_is_read_again_not_fetched_again(shop: Shop) -> None:
    shop.get("net")
    for file in shop.folder.rglob("net/*"):
        os.utime(file, ns=(1, 1))
    asked = len(shop.server.answers)
    assert [one.fresh for one in shop.get("net")] == [True, True]
    assert len(shop.server.answers) == asked


def test_licences_are_accepted_by_name_before_anything_is_fetched(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError) as caught:
        shop.get("net", "closed", "plain")
    text = str(caught.value)
    assert "closed: Closed 1.0: access must be asked for on its page with an account. Read it at https://hugg" in text
    assert "plain: CC-BY-NC-4.0: commercial use is forbidden. Read it at https://example.org/plain" in text
    assert text.endswith("Then add --accept closed --accept plain")
    assert not shop.server.answers
    with pytest.raises(InputError, match=r"add --accept closed$"):
        shop.get("closed", accept=("plain",))
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    said: list[str] = []
    shop.get("closed", "plain", accept=("closed", "plain"), log=said.append)
    assert said[0].startswith("closed: Closed 1.0: access must be asked for")
    # It is remembered for this folder, as long as the licence is the same.
    (shop.folder / "plain.pth").unlink()
    shop.get("plain")
    (shop.folder / "plain.pth").unlink()
    shop.write(plain={"licence": "CC-BY-NC-ND-4.0"})
    with pytest.raises(InputError, match="CC-BY-NC-ND"):
        shop.get("plain")


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("hf_other", 403)])
def test_gated(shop: Shop, monkeypatch: pytest.MonkeyPatch, token: str | None, status: int) -> None:
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(
        WeightsError, match=rf"closed: HTTP {status}: closed is gated \(Closed 1\.0\): ask for access at"
    ):
        shop.get("closed", accept=("closed",))


def test_a_full_disk_is_seen_before(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "free_space", lambda path: 40_000_000)
    with pytest.raises(WriteError, match=r"12288 bytes are to come and 40\.0 MB are free .*--to FOLDER"):
        shop.get("plain", accept=("plain",))
    assert shop.server.bytes_of("/files/plain.pth") == 0


def test_a_disk_that_fills_up_on_the_way(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device", str(shop.folder / ".fetching/x"))

    monkeypatch.setattr(fetching, "download", full)
    with pytest.raises(WeightsError, match=r"no space left|disk"):
        shop.get("plain", accept=("plain",))


def test_one_fault_does_not_keep_the_others(shop: Shop) -> None:
    shop.server.repositories["lab/net"].small.clear()
    with pytest.raises(
        WeightsError, match=r"net_config: HTTP 404: there is no file[^\n]*\n\(1 not fetched; 1 are there\)"
    ):
        shop.get("net")
    assert shop.there() == ["net/model.safetensors", LOCK]


def test_the_same_fault_of_many_files_is_said_once(shop: Shop) -> None:
    shop.server.repositories["lab/net"].token = "hf_good"
    with pytest.raises(WeightsError, match=r"^net, net_config: HTTP 401: net is gated \(MIT\)[^\n]*\n\(2 not fetched"):
        shop.get("net")
    del shop.server.repositories["lab/net"]
    with pytest.raises(WeightsError) as caught:
        shop.get("net")
    assert str(caught.value).count("HTTP 401: the repository, or its commit, is private or gone") == 2


def test_the_hubs_cache_is_used(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Path(huggingface_hub.constants.HF_HUB_CACHE) / "models--lab--net"
    for folder in ("blobs", f"snapshots/{COMMIT}", "refs"):
        (cache / folder).mkdir(parents=True)
    (cache / "blobs" / DIGEST).write_bytes(BODY)
    (cache / "refs/main").write_text(COMMIT)
    (cache / f"snapshots/{COMMIT}/model.safetensors").symlink_to(f"../../blobs/{DIGEST}")
    shop.get("net")
    assert shop.server.bytes_of(shop.cdn) == 0
    assert (shop.folder / "net/model.safetensors").read_bytes() == BODY
    # Without network too: the blob's name is its digest.
    shutil.rmtree(shop.folder)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match=r"net_config: 127\.0\.0\.1:9 takes no connections"):
        shop.get("net")
    entry = read_record(shop.folder).files["net/model.safetensors"]
    assert (entry.checked_against, entry.commit) == ("the cache of huggingface_hub (SHA-256)", COMMIT)


def test_a_damaged_record(shop: Shop) -> None:
    shop.get("net")
    (shop.folder / LOCK).write_text(json.dumps({"files": {"x": {"name": 1}}}))
    with pytest.raises(InputError, match=r"weights\.lock\.json is damaged .*delete it and run `cafa weights get`"):
        shop.get("net")


def test_names_that_are_not_there(shop: Shop) -> None:
    with pytest.raises(InputError, match="has no nett, zen; it has net, closed"):
        shop.get("nett", "zen")
