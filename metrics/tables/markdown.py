"""A table for people, in markdown: values with intervals, what rows and columns mean, differences, protocol card."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from cafa.common.tables import row_tuples
from cafa.media.usable_sound import FINDINGS, LARGEST
from metrics.functional.inception import LEAST_IN_SPLIT
from metrics.tables.catalogue import METRICS
from metrics.tables.compute import LARGEST_SILENT_SHARE, OVER, Table, TableSettings, differences_frame
from metrics.tables.presets import names_elsewhere
from metrics.tables.verdict import best_among, printed


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]], text: Sequence[int] = (0,)) -> list[str]:
    """A markdown table; the columns `text` are words, the others numbers."""
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in (header, *rows)]
    rule = [":--" if column in text else "--:" for column in range(len(header))]
    return ["| " + " | ".join(row) + " |" for row in (cells[0], rule, *cells[1:])]


def _best(table: Table, metric: str, rows: Sequence[str]) -> set[str]:
    """Contestants among some rows with the best printed value; none if all have it, or if there is only one."""
    return best_among({n: table.estimates[n][metric].value for n in table.contestants if n in rows}, metric)


def _values(table: Table) -> list[str]:
    header = ["system", *(f"{metric} {METRICS[metric].arrow}" for metric in table.settings.metrics)]
    rows = []
    for heading, systems in table.settings.row_groups:
        if heading:
            rows.append([f"**{heading}**", *[""] * len(table.settings.metrics)])
        rows += _rows(table, systems)
    return _grid(header, rows)


def _column(metric: str) -> str:
    """What a column means, its unit, and what others call it."""
    facts, names = METRICS[metric], names_elsewhere(metric)
    unit = f", in {facts.unit}" if facts.unit else ""
    return f"* **{metric}** {facts.arrow}: {facts.meaning}{unit}" + (f". Elsewhere: {names}" if names else "")


def _rows(table: Table, systems: Sequence[str]) -> list[list[str]]:
    """Rows of a table among which the best value is marked."""
    settings = table.settings
    best = {metric: _best(table, metric, systems) for metric in settings.metrics}
    rows = []
    for system in systems:
        mark = " †" if table.notes.get("findings", {}).get(system, {}).keys() & FINDINGS.keys() else ""
        cells = [(f"*{system}*" if system in settings.controls else system) + mark]
        for metric in settings.metrics:
            estimate, decimals = table.estimates[system][metric], METRICS[metric].decimals
            low, high = estimate.interval(settings.bootstrap.level)
            value = printed(estimate.value, decimals)
            value = f"**{value}**" if system in best[metric] else value
            cells.append(f"{value} [{printed(low, decimals)}, {printed(high, decimals)}]")
        rows.append(cells)
    return rows


def _differences(table: Table) -> list[str]:
    rows = []
    for row in row_tuples(differences_frame(table)):
        decimals = METRICS[row.metric].decimals
        interval = f"[{printed(row.low, decimals)}, {printed(row.high, decimals)}]"
        numbers = [printed(row.difference, decimals), interval, row.better, f"{row.p_holm:.2g}", row.better_holm]
        rows.append([f"{row.a} − {row.b}", row.metric, *numbers, f"{row.detectable:.3g}"])
    header = ["systems", "metric", "difference", "interval", "better", "p (Holm)", "better of all", "detectable"]
    return _grid(header, rows, (0, 1, 4, 6))


def _published(frame: pd.DataFrame, settings: TableSettings) -> list[str]:
    """The paper's values; ``system`` names our rows of the same model, with ``;`` between them."""
    frame = frame.fillna("").astype(str)
    if "system" in frame:
        frame["system"] = [
            ", ".join(name for part in cell.split(";") if (name := part.strip()) in settings.systems)
            for cell in frame["system"]
        ]
    rows = [list(row) for row in frame.itertuples(index=False)]
    names = {"model": "model", "system": "our row", "block": "block"}
    text = [place for place, name in enumerate(frame.columns) if name in names]
    notes = [f"* {name}: {note}" for name, note in settings.published_notes.items() if name in frame.columns]
    return [*_grid([names.get(name, name) for name in frame.columns], rows, text), *(["", *notes] if notes else [])]


def _missing(card: Mapping[str, Any]) -> list[str]:
    lines = []
    for system, facts in card["missing"].items():
        if facts["count"]:
            why = ", ".join(f"{n} {reason}" for reason, n in facts["reasons"].items())
            lines.append(f"* {system} lacks {facts['count']}: {why}")
    for stage, counts in card["stages"].items():
        lost = {status: n for status, n in counts.items() if status != "ok"}
        if lost:
            why = ", ".join(f"{n} {status}" for status, n in lost.items())
            lines.append(f"* lost before, at {stage}: {sum(lost.values())} of {sum(counts.values())} ({why})")
    return lines or ["* nothing is missing, in no system and at no stage before"]


def _findings(table: Table) -> list[str]:
    """What cannot be heard of a table's sounds, by system; and a warning where that is much."""
    lines = []
    for system, found in table.notes.get("findings", {}).items():
        if said := [f"{count} {name}" for name, count in found.items() if name in FINDINGS]:
            lines.append(f"† {system}: {', '.join(said)} of {table.sounds_of(system)} sounds, scored like the others.")
        if (share := table.silent_share(system)) > LARGEST_SILENT_SHARE:
            lines.append(
                f"**Warning: {share:.1%} of the sounds of {system} are silent or constant, more than "
                f"{LARGEST_SILENT_SHARE:.0%}. Judges give such sounds values that mean nothing (ImageBind high ones): "
                "the row is never the best.**"
            )
    return [part for line in lines for part in (line, "")]


def _special(table: Table) -> list[str]:
    """What of a table is not as in the others: its seconds and clips, rows that are means, rows that are not there."""
    settings, lines = table.settings, []
    if settings.seconds is not None:
        lines.append(f"The first {settings.seconds:g} s of each sound are judged, and of the real ones as well.")
    if chosen := table.notes.get("clips"):
        lines.append(
            f"Of {chosen['of']} prompts the table takes {chosen['taken']}, of {chosen['clips']} clips: {chosen['by']}."
            + (
                f" {chosen['not_in_prompts']} ids of the list are no clips here."
                if chosen.get("not_in_prompts")
                else ""
            )
        )
    lines += [
        f"{row}: mean of {len(parts)} sounds of each prompt ({', '.join(parts)}); FAD, KAD and IS of each set."
        for row, parts in settings.takes.items()
    ]
    if settings.left_out:
        lines.append("Rows that are not here, because what they need is not:")
        lines.append("\n".join(f"* {system}: {why}" for system, why in settings.left_out.items()))
    return [part for line in lines for part in (line, "")]


def _findings_notes(findings: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Lines of the protocol card."""
    parts = [
        f"{system} " + ", ".join(f"{count} {name}" for name, count in found.items())
        for system, found in findings.items()
        if found
    ]
    words = {**FINDINGS, OVER: f"values beyond full scale, up to {LARGEST:g} times, used as they are"}
    seen = {name for found in findings.values() for name in found}
    meanings = "; ".join(f"{name}: {meaning}" for name, meaning in words.items() if name in seen)
    return [f"* sounds that cannot be heard, or are too loud: {'; '.join(parts) or 'none'}"] + (
        [f"* {meanings}"] if meanings else []
    )


def _notes(notes: Mapping[str, Any], n: int) -> list[str]:
    """Sentences for what the computation noted."""
    lines = []
    if "audio_protocol" in notes:
        used = ", ".join(f"{name} {value}" for name, value in notes["audio_protocol"].items())
        lines.append(f"* judged of each file: {used}")
    if "findings" in notes:
        lines += _findings_notes(notes["findings"])
    if "IS_splits" in notes:
        splits = notes["IS_splits"]
        lines.append(f"* IS: {splits} splits, shuffled with seed {notes['IS_seed']}" if splits > 1 else "* IS: 1 split")
        if splits < (wanted := notes.get("IS_splits_wanted", splits)):
            lines[-1] += (
                f", not {wanted}: each holds at least {LEAST_IN_SPLIT} sounds, of which there are {n}. Not comparable "
                f"with scores of {wanted} splits"
            )
    for metric in METRICS:
        if width := notes.get(f"{metric}_bandwidth"):
            lines.append(f"* {metric}: Gaussian kernel, bandwidth {width:g} (median distance of the real sounds)")
    for metric in METRICS:
        if lacking := notes.get(f"{metric}_rank_deficiency"):
            lines.append(
                f"* {metric}: {lacking} more dimensions than the smaller set can fill: much of the value is noise of "
                "the sample; read KAD"
            )
    if "Acc_ties" in notes:
        ties = [f"{system} {count}" for system, count in notes["Acc_ties"].items() if count]
        lines.append(f"* Acc: ties, counted as not correct: {', '.join(ties) or 'none'}")
    if "DeSync_rows_of_one_window" in notes:
        lines.append(
            f"* DeSync: in {notes['DeSync_rows_of_one_window']} of {n} rows the first and the last window are the "
            "same, and counted once"
        )
    return lines


def _errors(found: Mapping[str, Any]) -> str:
    """How often the demand on a judge's measure is wrong, where that is known."""
    if "errors" not in found:
        return ""
    errors = found["errors"]
    return (
        f" [n {errors['n']}; refuses a judge of {errors['good']:g} with probability {errors['refuses_good']:.2g} at "
        f"most, passes one that guesses with {errors['passes_guessing']:.2g}]"
    )


def _card(card: Mapping[str, Any]) -> list[str]:
    intervals, notes = card["intervals"], card["notes"]
    seconds = ", ".join(f"{value:g}" for value in card["seconds_scored"])
    rates = ", ".join(str(value) for value in card["sample_rate"])
    lines = [
        f"* scored: {card['n']} of {card['asked']} samples, of {card['n_clips']} of {card['asked_clips']} clips, "
        f"protocol `{card['settings']['protocol']}`; the same rows for every system",
        f"* sounds: {seconds} s at {rates} Hz; reference set of FAD and KAD: {notes['reference_sounds']} real sounds",
        f"* intervals: {intervals['level']:.0%}, {intervals['resamples']} resamples, seed {intervals['seed']}; "
        f"{intervals['method']}",
    ]
    lines += _notes(notes, card["n"])
    lines += [f"* {name}: {value}" for name, value in sorted(card["extra"].items())]
    lines.append("* versions: " + ", ".join(f"{name} {value}" for name, value in card["versions"].items()))
    judges = [
        [
            name,
            judge["weights_sha256"][:16],
            "; ".join(
                f"{measure} {found['value']:.4g} ({found['direction']} {found['threshold']:.4g})" + _errors(found)
                for measure, found in sorted(judge["measures"].items())
            ),
        ]
        for name, judge in sorted(card["judges"].items())
    ]
    header = ["judge", "weights (SHA-256)", "how good it is (what was demanded)"]
    return [*lines, "", *_grid(header, judges, (0, 1, 2)), "", "What is missing, and why:", "", *_missing(card)]


def render(name: str, table: Table, card: Mapping[str, Any], published: pd.DataFrame | None = None) -> str:
    """The table as a markdown document.

    Parameters
    ----------
    name : str
        Of the table.
    table : Table
    card : mapping
        From :func:`metrics.tables.card.protocol_card`.
    published : pandas.DataFrame, optional
        Values of the paper, printed as they are under ours.
    """
    settings = table.settings
    level = f"{settings.bootstrap.level:.0%}"
    parts = [f"# {settings.title or name}", ""]
    if settings.meaning:
        parts += [f"> {settings.meaning}", ""]
    parts += [
        *_values(table),
        "",
        f"{table.coverage.n} samples of {table.coverage.clips} clips in every row. ↑ higher is better, ↓ lower is "
        f"better, – neither. In brackets: {level} interval over clips. Bold: best printed value"
        + (" of the block." if settings.blocks else ".")
        + (" Rows in italics are controls and do not compete." if settings.controls else ""),
        "",
        *_findings(table),
        *_special(table),
    ]
    if settings.descriptions:
        parts += ["## Rows", ""]
        parts += [f"* **{s}**: {settings.descriptions[s]}" for s in settings.systems if s in settings.descriptions]
        parts.append("")
    parts += ["## Columns", "", *(_column(m) for m in settings.metrics)]
    parts.append("")
    if settings.compare:
        parts += [
            "## Differences",
            "",
            *_differences(table),
            "",
            f"Paired over clips, {level} intervals. `undecided`: the interval as printed holds 0 or touches it; "
            "`no direction`: no end of the metric is better; `not compared`: too many "
            "sounds of one of the two are silent or constant. The interval and `better` of each line stand for "
            "themselves; `p (Holm)` and `better of all` are corrected for all pairs of systems that the metric "
            "compares. `detectable`: the smallest true difference that so many clips show with a probability of 80 %.",
            "",
        ]
    if published is not None:
        parts += [
            "## Published values",
            "",
            *_published(published, settings),
            "",
            "From the paper: other judges, clips and weights unless the sentence at the top says otherwise.",
            "",
        ]
    parts += ["## Protocol card", "", *_card(card)]
    return "\n".join(parts) + "\n"
