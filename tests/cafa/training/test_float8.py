"""Training with the frozen blocks' linear layers in float8: what is rounded, the gradient, and the loss."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from cafa.models import float8
from cafa.models.float8 import KIND, LARGEST, Float8Linear, hold_in_float8, multiplies_float8, to_float8
from cafa.models.registry import read_card
from cafa.training.adapter import AdapterTraining
from tests.cafa.training.pretrained import PretrainedWorld
from tests.cafa.training.tiny import SECONDS, VIDEO, loop


def layer(bias: bool = True) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(64, 48, bias=bias).requires_grad_(False)


def inputs() -> torch.Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(2, 9, 64, generator=draw) * torch.logspace(-3, 3, 9).view(1, 9, 1)


def test_every_row_has_a_scale_of_its_own():
    rows = inputs().flatten(0, 1)
    rounded, scale = to_float8(rows)
    assert rounded.dtype == KIND
    assert torch.equal(rounded.float().abs().amax(1), torch.full((18,), LARGEST))
    # Four significant bits: rounding is off by a sixteenth of a value at most, or by the least step of the row.
    assert ((rounded.float() * scale - rows).abs() <= rows.abs() / 16 + scale * 2**-9).all()


def test_a_row_of_zeros_stays_zero():
    rounded, scale = to_float8(torch.zeros(1, 4))
    assert torch.equal(rounded.float() * scale, torch.zeros(1, 4))


@pytest.mark.parametrize("bias", [True, False])
def test_a_product_is_that_of_the_rounded_numbers(bias: bool):
    exact, values = layer(bias), inputs()
    small = Float8Linear(exact)
    found, wanted = small(values), exact(values)
    assert found.shape == wanted.shape
    error = (found - wanted).norm(dim=-1) / wanted.norm(dim=-1)
    assert 1e-3 < error.max() < 0.06  # rounded, and no row suffers from the size of another


def test_the_gradient_is_that_of_the_rounded_weights():
    small, values = Float8Linear(layer()), inputs().requires_grad_()
    (small(values) * torch.arange(48)).sum().backward()
    wanted = torch.arange(48.0) @ (small.weight.float() * small.scale)
    torch.testing.assert_close(values.grad, wanted.expand_as(values))
    assert list(small.parameters()) == []


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
def test_the_product_of_a_device_that_multiplies_float8_is_the_same(monkeypatch: pytest.MonkeyPatch, kind: torch.dtype):
    small, values = Float8Linear(layer()), inputs().to(kind)
    assert not multiplies_float8(values.device)
    here = small(values)
    monkeypatch.setattr(float8, "multiplies_float8", lambda device: True)  # torch has this product for the CPU, too
    there = small(values)
    assert here.dtype == there.dtype == kind
    torch.testing.assert_close(there, here, rtol=2**-7 if kind == torch.bfloat16 else 1e-5, atol=1e-4)


def test_under_autocast_it_computes_in_16_bits():
    with torch.autocast("cpu", torch.bfloat16):
        assert Float8Linear(layer())(inputs()).dtype == torch.bfloat16


def test_linear_layers_of_all_depths_are_replaced():
    inner = nn.Sequential(nn.LayerNorm(4), nn.ModuleList([nn.Linear(4, 4)]))
    module = nn.ModuleDict({"a": nn.Linear(4, 4), "b": inner})
    hold_in_float8([module])
    assert {type(part) for part in module.modules()} & {nn.Linear} == set()
    assert isinstance(inner[1][0], Float8Linear)


def test_it_needs_16_bits_and_is_on_record_only_when_it_is_on():
    given = {"seconds": SECONDS, "model": VIDEO}
    with pytest.raises(ValidationError, match="is for training in 16 bits"):
        AdapterTraining(loop=loop(), frozen_float8=True, **given)
    assert "frozen_float8" not in AdapterTraining(loop=loop(bf16=True), **given).model_dump(mode="json")
    assert AdapterTraining(loop=loop(bf16=True), frozen_float8=True, **given).model_dump(mode="json")["frozen_float8"]


@pytest.mark.parametrize("phase", ["first", "tf"])
def test_an_adapter_learns_beside_frozen_blocks_in_float8(tmp_path: Path, phase: str):
    world = PretrainedWorld(tmp_path)
    sixteen = world.train("sixteen", phase, bf16=True)
    eight = world.train("eight", phase, bf16=True, changes={"frozen_float8": True})
    one, other = (pd.read_parquet(folder / "loss.parquet")["loss"] for folder in (sixteen, eight))
    assert 0 < (one - other).abs().mean() < 0.05 * one.mean()  # random weights: errors are not small
    assert read_card(eight)["settings"]["frozen_float8"]
