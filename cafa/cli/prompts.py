"""`cafa prompts`: choose clips and captions."""

from typing import TYPE_CHECKING

import click

from cafa.cli.options import caption_words_option, files, seed_option, validated_settings, writable

if TYPE_CHECKING:
    from cafa.data.prompts import PromptSettings


@click.command()
@click.option("--manifest", required=True, help="manifest of the data set")
@files("--ledger", help="ledger of a stage that the clips must have passed")
@validated_settings("cafa.data.prompts.PromptSettings")
@seed_option
@caption_words_option
@click.option("--output", required=True, callback=writable, help="prompt set to write")
@click.option("--excluded", required=True, callback=writable, help="ledger of clips that cannot be used, to write")
@click.option(
    "--csv",
    "published",
    callback=writable,
    help="the set as csv to write as well, to publish: others give it as `file`",
)
def command(
    manifest: str,
    ledger: tuple[str, ...],
    settings: "PromptSettings",
    seed: int,
    output: str,
    excluded: str,
    published: str | None,
    caption_words: int | None,
) -> None:
    """Make the prompt set of a data set's test clips."""
    from cafa.data.prompt_set import write_prompt_set

    made = write_prompt_set(
        manifest,
        ledger,
        settings,
        seed=seed,
        output=output,
        excluded=excluded,
        published=published,
        caption_words=caption_words,
    )
    click.echo(made)
