"""`cafa dataset`: published data sets."""

import click

from cafa.cli.options import settings_option, writable


@click.group()
def command() -> None:
    """Published data sets: from their lists to validated manifests."""


@command.command()
@click.argument("kind", type=click.Choice(["vggsound", "visualsound", "vggsound_sparse"]))
@settings_option("cafa.data.published_datasets.PublishedSettings")
@click.option("--output", required=True, callback=writable, help="manifest to write; its card is written beside it")
@click.option("--refused", required=True, callback=writable, help="ledger of refused rows to write")
def build(kind: str, settings: str, output: str, refused: str) -> None:
    """Manifest of a published data set; refused rows are named with line and reason."""
    from cafa.data.published_datasets import KINDS, build_dataset

    by_split, rejected = build_dataset(kind, KINDS[kind].model_validate_json(settings), output, refused)
    counts = ", ".join(f"{count} {split}" for split, count in by_split.items())
    click.echo(f"{sum(by_split.values())} clips accepted ({counts}), {rejected} rows refused")


@command.command("list")
@settings_option("cafa.data.published_lists.PublishedList")
@click.option("--output", required=True, callback=writable, help="where to put the list")
def fetch_list(settings: str, output: str) -> None:
    """Fetch one published list; a checksum, or the digest of its first download, is checked."""
    from pathlib import Path

    from cafa.data.published_lists import PublishedList, obtain, record_of

    published = PublishedList.model_validate_json(settings).model_copy(update={"path": Path(output)})
    path = obtain(published, Path(output).parent)
    if published.sha256 is None:
        click.echo(
            f"note: no `sha256` is configured for {published.url}; the one that came is taken, recorded in "
            f"{record_of(path)}, and another one is refused from now on. To fix it, write the recorded one as `sha256`"
        )
    click.echo(f"{path}: {path.stat().st_size} bytes")
