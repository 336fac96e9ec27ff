"""An adapter that learns the guided velocity of its teacher."""

import json

import pytest
import torch

from cafa.common.errors import InputError
from cafa.diffusion.guidance import adapted_velocity, adapter_velocity
from cafa.diffusion.schedules import alpha_sigma
from cafa.generation.miniature import Generator
from cafa.generation.systems import parse_system
from cafa.models.registry import open_adapter, read_card
from cafa.training.adapter import AdapterTraining
from cafa.training.batches import FeatureBatches
from cafa.training.distillation import GuidanceDistillation, check_pairs, swap_captions
from cafa.training.distributed import Share
from cafa.training.frozen_backbone import open_frozen
from tests.cafa.training.tiny import SECONDS, VIDEO, TinyWorld, loop

SETTINGS = {
    "objective": {"caption_dropout": 0.0},
    "guidance_distillation": {"guidance_scale": 3.0, "asymmetric_scale": 0.5},
}


@pytest.fixture(scope="module")
def distilled(world: TinyWorld):
    """A teacher that has learned something, and its student."""
    teacher = world.adapter("teacher", steps=30)
    student = world.adapter("student", settings=SETTINGS, start_from=teacher, steps=60, batch_size=4, ema_decay=0.5)
    return teacher, student


def test_one_pass_of_the_student_is_near_two_of_the_teacher(world: TinyWorld, distilled) -> None:
    frozen = open_frozen(world.folder / "backbone", torch.device("cpu"))
    (teacher, _), (student, card) = (open_adapter(folder, frozen) for folder in distilled)
    batch = FeatureBatches(world.manifest, world.latents, world.text, [world.video])(range(8))
    latents, video = batch["latents"], batch["video"]
    conditioning = frozen.condition(batch["text"], torch.full((8,), SECONDS))
    time = torch.linspace(0.1, 0.9, 8)
    alpha, sigma = (part.view(-1, 1, 1) for part in alpha_sigma(time))
    noisy = alpha * latents + sigma * torch.randn(latents.shape, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        guided = adapter_velocity(frozen.denoiser, teacher, conditioning, video, 3.0, 0.5)(noisy, time)
        passes = {
            name: adapted_velocity(frozen.denoiser, adapter, noisy, time, conditioning, video)
            for name, adapter in (("teacher", teacher), ("student", student))
        }
    errors = {name: float(((velocity - guided) ** 2).mean()) for name, velocity in passes.items()}
    assert errors["student"] < 0.7 * errors["teacher"], errors
    assert card["settings"]["guidance_distillation"]["other_captions"] == 0.5
    assert card["start"] == {"weights_sha256": read_card(distilled[0])["weights_sha256"]}


def test_a_student_is_not_guided_again(world: TinyWorld, distilled) -> None:
    system = {"kind": "adapter", "adapter": "student", "sampling": {"steps": 2, "guidance_scale": 1.0}}
    Generator(parse_system(json.dumps(system)), world.folder)
    system["sampling"] = {"steps": 2}
    with pytest.raises(InputError, match="adapter student was distilled with a guidance scale of 3"):
        Generator(parse_system(json.dumps(system)), world.folder)


def test_a_distillation_without_a_teacher_or_with_null_texts_is_refused(world: TinyWorld) -> None:
    with pytest.raises(InputError, match="there is no teacher: name the adapter that the training starts from"):
        world.adapter("refused", settings=SETTINGS, batch_size=4)
    with pytest.raises(InputError, match="an odd share"):
        world.adapter("refused", settings=SETTINGS, batch_size=3, start_from=world.folder / "adapter")
    distillation = GuidanceDistillation(guidance_scale=3.0)
    with pytest.raises(ValueError, match=r"caption_dropout is 0.1: set it to 0"):
        AdapterTraining(loop=loop(), seconds=SECONDS, model=VIDEO, guidance_distillation=distillation)


def test_who_swaps_captions_does_not_depend_on_the_number_of_processes() -> None:
    text = torch.arange(24).float().view(8, 1, 3)

    def swapped(share: Share) -> torch.Tensor:
        return swap_captions(share.of(text), 0.5, torch.Generator().manual_seed(5), share)

    whole = swapped(Share())
    assert torch.equal(whole, torch.cat([swapped(Share(rank, 2)) for rank in range(2)]))
    assert not torch.equal(whole, text)
    assert torch.equal(whole.sort(0).values, text)
    assert torch.equal(swap_captions(text, 0.0, torch.Generator(), Share()), text)
    every = swap_captions(text[:5], 1.0, torch.Generator(), Share())
    assert torch.equal(every, text[[1, 0, 3, 2, 4]])
    check_pairs(GuidanceDistillation(guidance_scale=3.0, other_captions=0.0), 3, 1)
