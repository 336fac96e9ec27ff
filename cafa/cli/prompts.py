"""`cafa prompts`: choose clips and captions."""

import click

from cafa.cli.options import caption_words_option, files, seed_option, settings_option, writable


@click.command()
@click.option("--manifest", required=True, help="manifest of the data set")
@files("--ledger", help="ledger of a stage that the clips must have passed")
@settings_option("cafa.data.prompts.PromptSettings")
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
    settings: str,
    seed: int,
    output: str,
    excluded: str,
    published: str | None,
    caption_words: int | None,
) -> None:
    """Make the prompt set of a data set's test clips."""
    from cafa.data.manifest import read_manifest
    from cafa.data.prompt_files import publish
    from cafa.data.prompts import PromptSettings, make_prompts, read_prompts

    parsed = PromptSettings.model_validate_json(settings)
    counts = make_prompts(read_manifest(manifest), ledger, parsed, seed, output, excluded, caption_words)
    click.echo(", ".join(f"{count} {protocol}" for protocol, count in counts.items()))
    if published is not None:
        click.echo(f"{published}: SHA-256 {publish(read_prompts(output), published)}")
