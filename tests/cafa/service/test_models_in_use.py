"""Every model in use is named with its licence."""

from pathlib import Path

from cafa.common.files import write_json
from cafa.models.folders import CARD
from cafa.service.models_in_use import models_in_use

TRAINED = {"kind": "stable_audio_backbone", "data": {"name": "world_train"}, "weights_sha256": "ab" * 32}


def registered(files: dict[str, str], **places: str) -> dict[str, object]:
    return {"kind": "pretrained", "model": "x", "files": files, "places": places, "weights_sha256": "cd" * 32}


def test_the_miniature_is_said_to_be_one(tmp_path: Path) -> None:
    write_json(tmp_path / "backbone" / CARD, TRAINED)
    found = models_in_use(tmp_path, ["backbone", "autoencoder"], 3.0)
    assert found.miniature
    assert "only the miniature's world" in found.note
    assert "cafa weights get --for generate" in found.missing
    (model,) = found.models
    assert (model.model, model.licences) == (
        "stable_audio_backbone, trained here on world_train",
        ["MIT, as this project"],
    )


def test_licences_of_published_files_are_those_of_the_table(tmp_path: Path) -> None:
    synchformer = "8aff082f2df5c3bc52759db0c865c7ee772ae6400b860d1b7e90413f2defb67c"
    cards = {
        "backbone": registered(
            {"model.safetensors": "0" * 64}, source="/weights/CAFA_avclip.safetensors", text_source="/weights/t5-base"
        ),
        "av_clip": registered({"of_another_name.pth": synchformer}, file="/elsewhere/of_another_name.pth"),
        "adapter": registered({"mine.safetensors": "1" * 64}, file="/own/mine.safetensors"),
    }
    for name, card in cards.items():
        write_json(tmp_path / name / CARD, card)
    found = models_in_use(tmp_path, list(cards), 7.0)
    backbone, av_clip, adapter = found.models
    assert not found.miniature
    assert found.note == found.missing == ""
    assert any("Stability AI Community License" in licence for licence in backbone.licences)
    assert "Apache-2.0" in backbone.licences
    assert "https://huggingface.co/MichaelFinkelson/CAFA-avclip" in backbone.pages
    assert [licence.split()[0] for licence in av_clip.licences] == ["MIT"]
    assert adapter.licences == ["not known: these files are in no table of weights"]
