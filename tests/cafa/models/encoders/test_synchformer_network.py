import pytest
import torch

from cafa.common.errors import InputError, WeightsError
from cafa.models.encoders.layers import ClsPooling
from cafa.models.encoders.synchformer_network import (
    CONDITIONING_STRIDE,
    DESYNC_STRIDE,
    DividedAttention,
    Motionformer,
    SynchformerVisual,
    normalise_frames,
    segment_starts,
    take_segments,
)
from metrics.parity.weights import fill

TINY = {"width": 24, "depth": 2, "heads": 3, "size": 32, "frames": 6}


@pytest.mark.parametrize(
    ("frames", "stride", "count"),
    [
        (120, 8, 14),
        (122, 8, 14),
        (125, 8, 14),
        (200, 8, 24),
        (250, 8, 30),
        (250, 9, 27),
        (250, 16, 15),
        (16, 9, 1),
    ],
)
def test_segment_counts_of_the_published_protocols(frames: int, stride: int, count: int):
    assert len(segment_starts(frames, stride)) == count


def test_last_conditioning_segment_ends_with_the_clip():
    assert segment_starts(250, CONDITIONING_STRIDE)[-1] + 16 == 250
    assert segment_starts(250, DESYNC_STRIDE)[-1] + 16 == 248


def test_short_clip_and_bad_stride_are_refused():
    with pytest.raises(InputError, match="needs 16 frames, the clip has 15"):
        segment_starts(15, 8)
    with pytest.raises(InputError, match="positive"):
        segment_starts(20, 0)


def test_segments_are_the_frames_they_name():
    frames = torch.arange(2 * 43).view(2, 43, 1).expand(-1, -1, 5)
    segments = take_segments(frames, 9)
    assert segments.shape == (2, 4, 16, 5)
    for index, start in enumerate(segment_starts(43, 9)):
        assert torch.equal(segments[:, index], frames[:, start : start + 16])


def test_normalisation_maps_bytes_to_plus_minus_one():
    assert normalise_frames(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1, 1]
    with pytest.raises(InputError, match="uint8"):
        normalise_frames(torch.zeros(2))


@pytest.mark.parametrize("axis", ["time", "space"])
def test_divided_attention_is_dense_attention_with_a_mask(axis: str):
    """Oracle: ordinary attention where everything outside the group and the CLS token is masked."""
    times, places, width, heads = 3, 4, 12, 2
    torch.manual_seed(0)
    layer = DividedAttention(width, heads).eval()
    tokens = torch.randn(2, 1 + times * places, width)
    group = torch.arange(times * places) % places if axis == "time" else torch.arange(times * places) // places
    seen = torch.ones(1 + times * places, 1 + times * places, dtype=torch.bool)
    seen[1:, 1:] = group[:, None] == group[None, :]

    query, key, value = layer.qkv(tokens).view(2, -1, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    weights = (query @ key.mT / (width // heads) ** 0.5).masked_fill(~seen, -torch.inf).softmax(-1)
    expected = layer.proj((weights @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(layer(tokens, times, axis), expected, atol=1e-6, rtol=1e-5)


def test_cls_pooling_equals_a_whole_transformer_layer():
    torch.manual_seed(0)
    pooling = ClsPooling(12, 2, 48).eval()
    torch.nn.init.normal_(pooling.cls_token)
    layer = torch.nn.TransformerEncoderLayer(
        12,
        2,
        48,
        activation=torch.nn.GELU(),
        layer_norm_eps=1e-6,
        batch_first=True,
        norm_first=True,
        dropout=0.0,
    )
    layer.load_state_dict({k: v for k, v in pooling.state_dict().items() if k != "cls_token"})
    tokens = torch.randn(3, 5, 12)
    whole = layer(torch.cat((pooling.cls_token.expand(3, -1, -1), tokens), dim=1))[:, 0]
    torch.testing.assert_close(pooling(tokens), whole, atol=1e-6, rtol=1e-5)


def test_result_does_not_depend_on_how_many_segments_pass_at_once():
    network = fill(SynchformerVisual(**TINY))
    segments = torch.randn(2, 3, 6, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    whole = network(segments)
    torch.testing.assert_close(network(segments, segments_per_pass=1), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(network(segments[1:]), whole[1:], atol=1e-5, rtol=1e-5)


def test_place_and_time_of_a_patch_both_matter():
    network = fill(Motionformer(**TINY))
    plain = torch.zeros(1, 6, 3, 32, 32)
    moved = plain.clone()
    plain[0, :2, :, :16, :16] = 1
    moved[0, 2:4, :, 16:, 16:] = 1
    assert (network(plain) - network(moved)).abs().max() > 1e-3


def test_wrong_segment_shape_is_refused():
    with pytest.raises(InputError, match="expected"):
        Motionformer(**TINY)(torch.zeros(1, 6, 3, 32, 30))


def test_loading_is_strict(synchformer_shapes):
    names = {f"vfeat_extractor.{k}": v for k, v in Motionformer(**TINY).state_dict().items()}
    tensors = names | {"vproj.weight": torch.zeros(24, 24), "vproj.bias": torch.zeros(24)}
    others = {"afeat_extractor.x": torch.zeros(1), "vfeat_extractor.patch_embed.proj.bias": torch.zeros(1)}
    SynchformerVisual.from_tensors(tensors | others, **TINY)
    with pytest.raises(WeightsError, match="surprise"):
        SynchformerVisual.from_tensors(tensors | {"vfeat_extractor.surprise": torch.zeros(1)}, **TINY)
    with pytest.raises(WeightsError, match=r"vproj\.bias"):
        SynchformerVisual.from_tensors({k: v for k, v in tensors.items() if k != "vproj.bias"}, **TINY)


def test_full_size_names_are_the_published_ones(synchformer_shapes):
    with torch.device("meta"):
        ours = {name: list(t.shape) for name, t in SynchformerVisual().state_dict().items()}
    published = {k: v for k, v in synchformer_shapes.items() if k.startswith(("vfeat_extractor.", "vproj."))}
    unused = {"vfeat_extractor.patch_embed.proj.weight", "vfeat_extractor.patch_embed.proj.bias"}
    assert ours == {k: v for k, v in published.items() if k not in unused}
