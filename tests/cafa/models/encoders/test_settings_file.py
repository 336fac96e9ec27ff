"""The frozen networks' settings are read one way, and what is wrong with a file is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from cafa.common.errors import WeightsError
from cafa.models.encoders.clip_network import ClipVisionSettings
from cafa.models.encoders.oobleck import OobleckAudio
from cafa.models.encoders.oobleck_network import OobleckSettings
from cafa.models.encoders.t5_network import T5Settings

KINDS = {
    "a T5 encoder": T5Settings,
    "CLIP's image tower": ClipVisionSettings,
    "an Oobleck autoencoder": OobleckSettings,
}
WRONG = [
    (T5Settings, {"d_model": "wide"}, "d_model is 'wide': Input should be a valid integer"),
    (T5Settings, {"d_model": 0}, "d_model is 0: Input should be greater than 0"),
    (T5Settings, {"feed_forward_proj": "gated-silu"}, "feed_forward_proj is 'gated-silu': Input should be 'relu'"),
    (T5Settings, {"relative_attention_num_buckets": 3}, "relative_attention_num_buckets is 3"),
    (T5Settings, {"relative_attention_max_distance": 8}, "relative_attention_max_distance is 8; of 32 classes 8"),
    (ClipVisionSettings, {"hidden_size": [1]}, r"hidden_size is \[1\]: Input should be a valid integer"),
    (ClipVisionSettings, {"hidden_size": 770}, "hidden_size 770 does not divide into 12 heads"),
    (ClipVisionSettings, {"patch_size": 300}, "a patch of 300 pixels is larger than a picture of 224"),
    (ClipVisionSettings, {"hidden_act": "gelu"}, "hidden_act is 'gelu': Input should be 'quick_gelu'"),
    (ClipVisionSettings, {"vision_config": {"num_channels": 1}}, "num_channels is 1: Input should be 3"),
    (OobleckSettings, {"downsampling_ratios": 8}, "downsampling_ratios is 8: Input should be a valid tuple"),
    (OobleckSettings, {"downsampling_ratios": [2, 4, 4, 8, 0]}, r"downsampling_ratios\.4 is 0: .*greater than 0"),
    (OobleckSettings, {"channel_multiples": [1, 2]}, "downsampling_ratios are of 5 blocks, channel_multiples of 2"),
    (
        OobleckSettings,
        {"audio_channels": None, "sampling_rate": "x"},
        "audio_channels is None: .*; sampling_rate",
    ),
]


@pytest.mark.parametrize(("network", "kind"), KINDS.items())
def test_a_file_that_is_missing_or_no_configuration_is_named(tmp_path: Path, network: str, kind: Any) -> None:
    file = tmp_path / "config.json"
    with pytest.raises(WeightsError, match=f"there is no file .*config.json, which describes {network}: put the file"):
        kind.from_file(file)
    for content, found in (
        ("{", "it is not JSON"),
        ("\xff", "it is not JSON"),
        ("[1]", "should be a valid dict"),
    ):
        file.write_bytes(content.encode("latin-1"))
        with pytest.raises(WeightsError, match=f"config.json does not describe {network}: .*{found}.*; put the file"):
            kind.from_file(file)


@pytest.mark.parametrize("kind", KINDS.values())
def test_a_field_that_a_file_lacks_has_the_default_of_its_class(tmp_path: Path, kind: Any) -> None:
    file = tmp_path / "config.json"
    for name in kind.model_fields:
        whole = kind().model_dump(mode="json")
        file.write_text(json.dumps({"_class_name": "x", **{key: value for key, value in whole.items() if key != name}}))
        assert kind.from_file(file) == kind()


@pytest.mark.parametrize(("kind", "content", "found"), WRONG)
def test_what_the_network_cannot_be_is_refused(tmp_path: Path, kind: Any, content: dict[str, Any], found: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=rf"config\.json does not describe .*: {found}.*; put the file") as error:
        kind.from_file(file)
    assert "pydantic" not in str(error.value)


def test_sizes_from_another_form_are_checked_alike(tmp_path: Path) -> None:
    file = tmp_path / "vae.safetensors"
    with pytest.raises(WeightsError, match=r"vae\.safetensors does not describe an Oobleck autoencoder: .*of 1 blocks"):
        OobleckSettings.from_sizes({"downsampling_ratios": [2]}, file)
    assert OobleckAudio.of_sizes(OobleckSettings.from_sizes({"sampling_rate": 8000}, file)).sample_rate == 8000
