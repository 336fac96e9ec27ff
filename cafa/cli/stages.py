"""`cafa stages`: the versions of results, and the code behind them."""

import click

from cafa.common.errors import CafaError
from cafa.common.stages import STAGES


@click.group()
def command() -> None:
    """Versions of the results of every stage, and whether the code behind them is the recorded one."""


@command.command("list")
def list_stages() -> None:
    """Print every stage with the version that its results would have."""
    from cafa.common.stages import code_behind, stage_version

    for stage in STAGES:
        click.echo(f"{stage:<18} {stage_version(stage):<18} {len(code_behind(stage))} modules")


@command.command()
def check() -> None:
    """Exit with 1 if the code behind a stage changed and the record was not renewed."""
    from cafa.common.stages import changed_code

    changed = {stage: names for stage in STAGES if (names := changed_code(stage)) is not None}
    for stage, names in changed.items():
        click.echo(f"{stage}: {' '.join(names)}")
    if changed:
        stages = " ".join(changed)
        raise CafaError(
            f"the code behind {len(changed)} of {len(STAGES)} stages is not the recorded one (~ changed, + new, - gone)"
            f"\nSame results:  cafa stages record {stages}"
            f"\nOther results: cafa stages record --new-results {stages}   (raises their versions: they are made again)"
        )
    click.echo(f"the code behind all {len(STAGES)} stages is the recorded one")


@command.command()
@click.argument("stages", nargs=-1, type=click.Choice(list(STAGES)))
@click.option("--all", "every", is_flag=True, help="all stages whose code changed")
@click.option("--new-results", is_flag=True, help="the code makes other results: raise the version")
def record(stages: tuple[str, ...], every: bool, new_results: bool) -> None:
    """Record the present code of STAGES: their results stay as they are, unless --new-results says otherwise."""
    from cafa.common.stages import changed_code
    from cafa.common.stages import record as record_stages

    if every == bool(stages):
        raise CafaError("name the stages to record, or give --all")
    names = [stage for stage in STAGES if changed_code(stage) is not None] if every else list(stages)
    for stage, version in record_stages(names, new_results=new_results).items():
        click.echo(f"{stage}: v{version}")
