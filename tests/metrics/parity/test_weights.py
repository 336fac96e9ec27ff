import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from cafa.parity.weights import pseudo_normal
from metrics.parity.weights import deterministic_tensors, fill, tensor_for

NAMES = {
    "conv.weight": (4, 3, 5, 5),
    "bn.weight": (7,),
    "bn.bias": (7,),
    "bn.running_var": (7,),
    "bn.running_mean": (7,),
    "cls_token": (1, 1, 8),
    "x.pos_embed": (1, 9, 8),
    "attn.bias_k": (1, 1, 8),
    "attn.in_proj_bias": (6,),
    "transformer.OFF_tok": (1, 1, 8),
    "relative_position_bias_table": (9, 2),
}


def test_rule_agrees_with_the_published_one(golden: Path):
    spec = importlib.util.spec_from_file_location("golden_rule", golden.parent / "deterministic_weights.py")
    rule = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rule)
    for name, shape in NAMES.items():
        np.testing.assert_array_equal(tensor_for(name, shape), rule.tensor_for(name, shape), err_msg=name)
    np.testing.assert_array_equal(pseudo_normal("long", 70_000), rule.pseudo_normal("long", 70_000))


def test_gain_scales_matrices_but_not_tables_or_vectors():
    for name, shape in NAMES.items():
        scaled = len(shape) >= 2 and not name.endswith(("cls_token", "pos_embed"))
        expected = tensor_for(name, shape) * np.float32(2 if scaled else 1)
        np.testing.assert_array_equal(tensor_for(name, shape, 2.0), expected, err_msg=name)


def test_fill_keeps_constants_and_counts():
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
    network.register_buffer("window", torch.full((4,), 5.0))
    fill(network, prefix="net.")
    assert torch.equal(network.window, torch.full((4,), 5.0))
    assert network[0].num_batches_tracked == 0
    np.testing.assert_array_equal(network[1].weight.numpy(), tensor_for("net.1.weight", (2, 3)))
    assert not network[1].weight.requires_grad


def test_state_dict_leaves_constants_out():
    shapes = {"melW": (2, 2), "log_logit_scale": (), "bn.num_batches_tracked": (), "a.weight": (2,)}
    tensors = deterministic_tensors(shapes)
    assert list(tensors) == ["bn.num_batches_tracked", "a.weight"]
    assert tensors["bn.num_batches_tracked"] == 0


@pytest.mark.parametrize("size", [1, 65_536, 65_537])
def test_pseudo_normal_is_a_prefix_of_itself(size: int):
    np.testing.assert_array_equal(pseudo_normal("p", size), pseudo_normal("p", 70_000)[:size])
