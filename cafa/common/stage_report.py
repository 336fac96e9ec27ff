"""`cafa stages`: the versions of results, and whether the code behind them is the recorded one."""

from collections.abc import Sequence

from cafa.common.errors import CafaError
from cafa.common.stages import STAGES, changed_code, names_behind, record, stage_version


def listed_stages() -> str:
    """Every stage with the version that its results would have, as lines."""
    width = max(map(len, STAGES))
    return "\n".join(
        f"{stage:<{width}} {len(names_behind(stage)):>4} modules  {stage_version(stage)}" for stage in STAGES
    )


def require_recorded() -> str:
    """Check that the code behind every stage is the recorded one.

    Returns
    -------
    str
        That it is.

    Raises
    ------
    CafaError
        If it is not: which modules changed, and how to record them.
    """
    changed = {stage: names for stage in STAGES if (names := changed_code(stage)) is not None}
    if changed:
        lines = "".join(f"{stage}: {' '.join(names)}\n" for stage, names in changed.items())
        stages = " ".join(changed)
        raise CafaError(
            f"the code behind {len(changed)} of {len(STAGES)} stages is not the recorded one (~ changed, + new, - gone)"
            f"\n{lines}Same results:  cafa stages record {stages}"
            f"\nOther results: cafa stages record --new-results {stages}   (raises their versions: they are made again)"
        )
    return f"the code behind all {len(STAGES)} stages is the recorded one"


def record_stages(stages: Sequence[str], *, every: bool, new_results: bool) -> str:
    """Record the present code of stages.

    Parameters
    ----------
    stages : sequence of str
    every : bool
        Instead of these, all stages whose code changed.
    new_results : bool
        The code makes other results: raise the versions.

    Returns
    -------
    str
        Versions, as lines.

    Raises
    ------
    CafaError
        If stages are named and `every` is set, or neither; or there is no such stage.
    """
    if every == bool(stages):
        raise CafaError("name the stages to record, or give --all")
    names = [stage for stage in STAGES if changed_code(stage) is not None] if every else list(stages)
    return "\n".join(f"{stage}: v{version}" for stage, version in record(names, new_results=new_results).items())
