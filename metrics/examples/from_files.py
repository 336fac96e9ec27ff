"""`cafa examples`: the page of examples, from files."""

from collections.abc import Sequence
from pathlib import Path

from cafa.data.prompts import read_prompts
from metrics.examples.page import write_examples
from metrics.examples.settings import ExampleSources, ExamplesSettings


def make_examples_page(
    prompts: str | Path,
    sources: ExampleSources,
    settings: ExamplesSettings,
    output: Path,
    systems: Sequence[str] = (),
) -> str:
    """Write an HTML page that plays clips under several prompts, by several systems.

    Parameters
    ----------
    prompts : path
        Prompt set.
    sources : ExampleSources
        Where clips and samples are.
    settings : ExamplesSettings
    output : path
        HTML to write.
    systems : sequence of str
        To show, in the place of those of the settings.

    Returns
    -------
    str
        The file, and how many videos it holds.
    """
    if systems:
        settings = settings.model_copy(update={"systems": tuple(systems)})
    return f"{output}: {write_examples(read_prompts(prompts), sources, settings, output)} videos"
