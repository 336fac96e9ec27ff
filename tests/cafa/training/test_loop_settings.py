import math

import pytest
import torch
from pydantic import ValidationError

from cafa.common.errors import CafaError
from cafa.training.loop import train
from cafa.training.loop_settings import LoopSettings

#: Recorded with ema_pytorch 0.8.3 (PyPI; torch 2.13.0, float32): a model of one weight, which was sin(0.1 c) + 0.01 c
#: before call c of `EMA.update()`; after some calls c: `get_current_decay()` and the average. The first settings are
#: those of stable-audio-tools; the second differ from its defaults in all but `min_value`.
EMA_PYTORCH = [
    (
        {"ema_decay": 0.9999, "ema_power": 0.75},
        {
            1: (0.0, 0.10983341932296753),
            2: (0.4053964614868164, 0.17454762756824493),
            3: (0.5613086223602295, 0.24077799916267395),
            10: (0.8221720457077026, 0.6807369589805603),
            50: (0.9468170404434204, -0.003991743549704552),
            200: (0.9811969995498657, 1.5282245874404907),
            500: (0.9905425906181335, 4.008146286010742),
        },
    ),
    (
        {"ema_decay": 0.98, "ema_power": 2 / 3, "ema_inverse_gamma": 5.0, "ema_every": 3, "ema_after_step": 7},
        {
            3: (None, 0.32552020666133963),
            5: (None, 0.32552020666133963),
            6: (0.0, 0.6246424733950355),
            9: (0.2009364366531372, 0.823357145159841),
            12: (0.3700394630432129, 0.9674177433831818),
            50: (None, -0.18510136199130078),
            200: (None, 1.6376580481062157),
            500: (None, 4.261874604855502),
        },
    ),
]


def settings(**changes) -> LoopSettings:
    return LoopSettings(**{"steps": 5, "batch_size": 1, "learning_rate": 0.1, **changes})


@pytest.mark.parametrize(("rule", "golden"), EMA_PYTORCH)
def test_the_moving_average_is_that_of_ema_pytorch(rule, golden):
    chosen, average = settings(**rule), 0.0  # the untrained weights, call 0
    for call in range(1, 501):
        decay = chosen.decay(call - 1)
        average = decay * average + (1 - decay) * (math.sin(0.1 * call) + 0.01 * call)
        if call in golden:
            expected, value = golden[call]
            assert average == pytest.approx(value, abs=2e-6), call
            assert expected is None or decay == pytest.approx(expected, abs=1e-7), call


def test_the_decay_of_a_long_training_is_that_of_ema_pytorch():
    chosen = settings(ema_decay=0.9999, ema_power=0.75)
    # after as many calls: 0.9996916 and 0.9999 (float32), by the same recording
    assert chosen.decay(47_999) == pytest.approx(0.9996916055679321, abs=1e-7)
    assert chosen.decay(299_999) == 0.9999


def weights_of_run(folder, **changes) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """What a run gives, and the weights that each of its steps began with."""
    seen: list[torch.Tensor] = []
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)

    def loss(model, batch, generator):
        seen.append(model.weight.detach().clone())
        return {"loss": torch.mean((model(batch) - 4.0) ** 2)}

    trained = train(
        model,
        lambda index, generator: torch.randn(4, 3, generator=generator),
        loss,
        settings(**changes),
        seed=0,
        resume_dir=folder,
        key={},
        label="test",
    )
    return trained.weights["weight"], seen


@pytest.mark.parametrize("rule", [{"ema_power": 0.75}, {"ema_power": 0.5, "ema_every": 2, "ema_after_step": 3}, {}])
def test_the_loop_averages_by_the_rule_of_its_settings(tmp_path, rule):
    last, seen = weights_of_run(tmp_path / "last", steps=12)
    averaged, _ = weights_of_run(tmp_path / "averaged", steps=12, ema_decay=0.9, **rule)
    chosen, expected = settings(ema_decay=0.9, **rule), seen[0]
    for step, weights in enumerate([*seen[1:], last]):
        expected = torch.lerp(expected, weights, 1 - chosen.decay(step))
    torch.testing.assert_close(averaged, expected, atol=1e-6, rtol=0)
    assert not torch.allclose(averaged, last, atol=1e-3)


def test_the_exponential_warm_up_is_that_of_inverse_lr():
    chosen = settings(schedule="inverse", warmup_decay=0.99)
    for step in (0, 1, 100, 5000):
        assert chosen.factor(step) == pytest.approx((1 - 0.99 ** (step + 1)) * (1 + step / 1e6) ** -0.5, rel=1e-12)
    assert chosen.factor(0) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"warmup_steps": 5, "warmup_decay": 0.99}, "two warm-ups"),
        ({"ema_power": 0.75}, "give ema_decay"),
        ({"ema_decay": 0.9, "ema_every": 2}, "ema_every mean nothing without ema_power"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong, said):
    with pytest.raises(ValidationError, match=said):
        settings(**wrong)


def test_no_decay_without_an_average():
    with pytest.raises(CafaError, match="no moving average"):
        settings().decay(3)


def test_records_of_settings_are_as_before_these_choices_existed():
    """A state or a card of before is still that of the same settings: nothing is asked, nothing made again."""
    assert list(settings(ema_decay=0.9).model_dump(mode="json")) == [
        "steps",
        "batch_size",
        "learning_rate",
        "schedule",
        "warmup_steps",
        "inverse_gamma",
        "inverse_power",
        "weight_decay",
        "betas",
        "gradient_clip",
        "ema_decay",
        "accumulation",
        "bf16",
        "save_every_seconds",
    ]
    chosen = settings(ema_decay=0.9, ema_power=0.75, warmup_decay=0.99)
    recorded = chosen.model_dump(mode="json")
    assert recorded["ema_power"] == 0.75
    assert recorded["warmup_decay"] == 0.99
    assert "ema_every" not in recorded
    assert LoopSettings.model_validate(recorded) == chosen
