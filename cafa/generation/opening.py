"""The one way from the settings of a system to its generator."""

from pathlib import Path

from cafa.generation.interface import SoundGenerator
from cafa.generation.miniature import Generator
from cafa.generation.systems import GenerativeSystem, JointSystem
from cafa.models.registry import is_registered


def open_generator(system: GenerativeSystem, models: str | Path, device: str = "cpu") -> SoundGenerator:
    """Load a system's models, whether they were trained here or registered.

    Parameters
    ----------
    system : GenerativeSystem
    models : path
        Folder of model folders.
    device : str
    """
    if not isinstance(system, JointSystem) and is_registered(Path(models) / system.backbone):
        from cafa.generation.pretrained import PretrainedGenerator

        return PretrainedGenerator(system, models, device)
    return Generator(system, models, device)
