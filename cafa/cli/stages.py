"""`cafa stages`: the versions of results, and the code behind them."""

import click

from cafa.common.stage_table import STAGES


@click.group()
def command() -> None:
    """Versions of the results of every stage, and whether the code behind them is the recorded one."""


@command.command("list")
def list_stages() -> None:
    """Print every stage with the version that its results would have."""
    from cafa.common.stage_report import listed_stages

    click.echo(listed_stages())


@command.command()
def check() -> None:
    """Exit with 1 if the code behind a stage changed and the record was not renewed."""
    from cafa.common.stage_report import require_recorded

    click.echo(require_recorded())


@command.command()
@click.argument("stages", nargs=-1, type=click.Choice(list(STAGES)))
@click.option("--all", "every", is_flag=True, help="all stages whose code changed")
@click.option("--new-results", is_flag=True, help="the code makes other results: raise the version")
def record(stages: tuple[str, ...], every: bool, new_results: bool) -> None:
    """Record the present code of STAGES: their results stay as they are, unless --new-results says otherwise."""
    from cafa.common.stage_report import record_stages

    click.echo(record_stages(stages, every=every, new_results=new_results))
