"""`cafa dataset`: published data sets."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafa.cli.options import settings_option, validated_settings, writable
from cafa.cli.registry_name import RegistryName

if TYPE_CHECKING:
    from cafa.data.published_lists import PublishedList


@click.group()
def command() -> None:
    """Published data sets: from their lists to validated manifests."""


@command.command()
@click.argument("kind", type=RegistryName("cafa.data.published_datasets:DATASET_KINDS", "kind"))
@settings_option("the kind of data set (cafa.data.published_datasets.DATASET_KINDS)")
@click.option("--output", required=True, callback=writable, help="manifest to write; its card is written beside it")
@click.option("--refused", required=True, callback=writable, help="ledger of refused rows to write")
def build(kind: str, settings: str, output: str, refused: str) -> None:
    """Manifest of a published data set; refused rows are named with line and reason."""
    from cafa.data.published_datasets import make_dataset

    click.echo(make_dataset(kind, settings, output, refused))


@command.command("list")
@validated_settings("cafa.data.published_lists.PublishedList", default=None)
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), callback=writable, help="where to put the list"
)
def place_list(settings: "PublishedList", output: Path) -> None:
    """Fetch one published list; a checksum, or the digest of its first download, is checked."""
    from cafa.data.published_lists import fetch_list

    click.echo(fetch_list(settings, output))


@command.command()
@click.option("--annotations", required=True, type=click.Path(path_type=Path), help="VGGSounder's list, csv")
@click.option("--sha256", help="of the list; versions differ: without it whatever lies there is taken")
@click.option("--manifest", required=True, help="manifest of VGGSound's test split")
@click.option(
    "--drop",
    multiple=True,
    default=("inaudible", "invisible"),
    show_default=True,
    type=click.Choice(["inaudible", "invisible", "background-music", "static-image", "voice-over"]),
    help="clips to leave out: own label not heard or not seen, or with the flag; may be repeated",
)
@click.option("--keep-unlisted", is_flag=True, help="take clips that the list does not name")
@click.option("--labels", required=True, callback=writable, help="labels by modality, and flags, to write (parquet)")
@click.option("--clips", required=True, callback=writable, help="clips that are taken, to write (csv)")
@click.option("--ledger", required=True, callback=writable, help="what became of each test clip, to write")
def vggsounder(
    annotations: Path,
    sha256: str | None,
    manifest: str,
    drop: tuple[str, ...],
    keep_unlisted: bool,
    labels: str,
    clips: str,
    ledger: str,
) -> None:
    """Test clips whose own label is heard and seen, by VGGSounder's annotations."""
    from cafa.data.vggsounder import choose_by_vggsounder

    said = choose_by_vggsounder(
        manifest,
        annotations,
        sha256=sha256,
        drop=drop,
        keep_unlisted=keep_unlisted,
        labels=labels,
        clips=clips,
        ledger=ledger,
    )
    click.echo(said)
