"""The table of weights, what it is selected by, where files lie, and what is removed."""

from pathlib import Path

import pytest

from cafa.common.errors import InputError, WeightsError
from cafa.common.weight_files import PURPOSES, read_weight_sources
from cafa.models.releases import CAFA_AVCLIP, SYNCHFORMER
from cafa.weights.catalogue import models_of, select
from cafa.weights.checking import digests_of
from cafa.weights.folder import LOCK, find_weight, read_record, require_weight, weights_folder
from cafa.weights.inventory import remove, states_of, verify
from cafa.weights.publishers import COMMIT, HUB
from tests.cafa.weights.conftest import BODY, Shop, write_table
from tests.cafa.weights.servers import git_sha1

#: models whose licence must be accepted by name
TERMS = {"imagebind_huge", "stable_audio_open", "stable_audio_open_original", "tangoflux", "mmaudio"}


def names(purpose: str) -> set[str]:
    return set(models_of(select(read_weight_sources(), (), (purpose,))))


def test_what_the_projects_files_are_for() -> None:
    assert names("generate") == {"cafa_avclip", "t5_base", "synchformer"}
    assert names("evaluate") == {"panns_cnn14_16k", "laion_clap", "roberta", "imagebind_huge", "synchformer"}
    assert names("train") >= {"stable_audio_open", "synchformer", "clip_large", "tangoflux", "flan_t5_large"}
    assert names("baselines") >= {"mmaudio", "tangoflux"}
    assert names("all") == set().union(*(names(purpose) for purpose in PURPOSES))


def test_generating_needs_no_gated_file_and_no_licence_that_forbids_anything() -> None:
    assert not [source.name for source in select(read_weight_sources(), (), ("generate",)) if source.terms]


def test_every_row_can_be_fetched_and_checked() -> None:
    sources = read_weight_sources().values()
    assert len({source.relative_path for source in sources}) == len(sources)
    for source in sources:
        assert source.page.startswith("https://"), source.name
        hub = HUB.fullmatch(source.url)
        assert source.sha256 or hub, f"{source.name}: nobody would state a digest of it"
        if hub and not COMMIT.fullmatch(hub["revision"]):
            known = {"cafa_avclip", "mmaudio_large_44k_v2", "ms_clap", "audiobox", "audiobox_config"}
            assert source.name in known, f"{source.name}: names no commit"
        if source.terms:
            assert source.model_name in TERMS


def test_files_lie_where_the_full_size_settings_expect_them(tmp_path: Path) -> None:
    """`cafa weights get --to weights` fills the folder that config/paper.yaml names."""
    import yaml

    settings = yaml.safe_load((Path(__file__).parents[3] / "config/paper.yaml").read_text())["pretrained"]["models"]
    places = {Path("weights") / source.relative_path for source in read_weight_sources().values()}
    for model in settings.values():
        for key in ("source", "text_source", "file"):
            if place := model.get(key):
                assert any(path.is_relative_to(place) for path in places), place


def test_files_of_one_address_are_where_the_registry_says() -> None:
    sources = read_weight_sources()
    assert (sources["cafa_avclip"].url, sources["synchformer"].url) == (CAFA_AVCLIP.url, SYNCHFORMER.url)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"md5": "xyz"}, "'xyz' is not a MD5"),
        ({"purposes": "generate play"}, r"purposes are \['play'\]"),
        ({"terms": "secret"}, r"terms are \['secret'\]"),
        ({"path": "../x"}, "not a place below"),
        ({"path": "/x"}, "not a place below"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, row: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_weight_sources(write_table(tmp_path / "t.tsv", {"name": "x", "url": "https://x.org/x.pth", **row}))


def test_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert weights_folder() == tmp_path / "cafa/weights"
    monkeypatch.setenv("CAFA_WEIGHTS", str(tmp_path / "mine"))
    assert weights_folder() == tmp_path / "mine"
    assert weights_folder(tmp_path / "given") == tmp_path / "given"


def test_finding(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAFA_WEIGHTS", str(shop.folder))
    assert find_weight("net", table=shop.table) is None
    with pytest.raises(WeightsError, match=r"weights net are not in .*run `cafa weights get net`"):
        require_weight("net", table=shop.table)
    shop.get("net")
    assert require_weight("net", table=shop.table) == shop.folder / "net/model.safetensors"
    with pytest.raises(InputError, match="no file of the table of weights is named 'nix'"):
        find_weight("nix")


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BODY)
    assert digests_of(tmp_path / "a", {"git"}) == {"git": git_sha1(BODY)}


def test_states(shop: Shop) -> None:
    def here(name: str) -> str:
        return next(state.here for state in states_of(shop.folder, shop.sources(name)))

    assert here("net") == "no"
    shop.server.moods[shop.cdn] = ["cut 5000", *["status 500"] * 9]
    with pytest.raises(WeightsError):
        shop.get("net")
    assert here("net") == "1 of 2 files, 0.0 MB of the next"
    shop.server.moods.clear()
    shop.get("net")
    assert here("net") == "checked"
    (shop.folder / "net/config.json").write_text("{}")
    assert here("net") == "here, not checked"


def test_verifying_what_nothing_is_known_of(shop: Shop) -> None:
    shop.folder.mkdir()
    (shop.folder / "bare.pth").write_bytes(BODY)
    (verdict,) = verify(shop.sources("bare"), shop.folder, lambda line: None)
    assert verdict.state == "unknown"
    assert "`cafa weights get bare` asks its publisher" in verdict.text
    (verdict,) = verify(shop.sources("bare"), shop.folder, lambda line: None, unverified=True)
    assert verdict.state == "ok"
    (shop.folder / "bare.pth").write_bytes(BODY[:-1])
    (verdict,) = verify(shop.sources("bare"), shop.folder, lambda line: None)
    assert (verdict.state, "it ends early" in verdict.text) == ("wrong", True)
    (verdict,) = verify(shop.sources("net_config"), shop.folder, lambda line: None)
    assert verdict.state == "missing"


def test_verifying_writes_nothing_where_nothing_is_new(shop: Shop) -> None:
    shop.get("net")
    before = (shop.folder / LOCK).stat()
    assert [one.state for one in verify(shop.sources("net"), shop.folder, lambda line: None)] == ["ok", "ok"]
    assert (shop.folder / LOCK).stat() == before


def test_removing_and_forgetting(shop: Shop) -> None:
    shop.get("plain", "net", accept=("plain",))
    shop.server.repositories["lab/net"].lfs["model.safetensors"] = BODY[::-1]
    assert remove(shop.sources("net"), shop.folder) == {"net": len(BODY), "net_config": 9}
    assert not (shop.folder / "net").exists()
    with pytest.raises(WeightsError, match=r"weights\.lock\.json has"):
        shop.get("net")
    remove(shop.sources("net", "plain"), shop.folder, forget=True)
    assert (shop.get("net")[0].fresh, read_record(shop.folder).accepted) == (True, {})
    assert remove(shop.sources("github"), shop.folder) == {}


def test_a_part_is_removed_too(shop: Shop) -> None:
    shop.server.moods[shop.cdn] = ["cut 5000", *["status 500"] * 9]
    with pytest.raises(WeightsError):
        shop.get("net")
    assert remove(shop.sources("net"), shop.folder)["net"] >= 5000
    assert not list(shop.folder.glob(".fetching/.*part*"))
