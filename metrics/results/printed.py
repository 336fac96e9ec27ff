"""Results as tables for papers: LaTeX (booktabs) and Markdown, best in bold, with intervals."""

from metrics.results.best import best_of, contestants, number
from metrics.results.folder import Results
from metrics.tables.catalogue import METRICS

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def latex_text(text: str) -> str:
    """`text` with everything escaped that LaTeX would read as a command."""
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))


def _markdown_text(text: str) -> str:
    escaped = "".join(f"\\{sign}" if sign in "\\|*_`[]<>" else sign for sign in text)
    return " ".join(escaped.split())


def latex_table(results: Results) -> str:
    """A ``table`` environment; its document needs ``\\usepackage{booktabs}``."""
    best = _best(results)
    arrows = {"higher": r" $\uparrow$", "lower": r" $\downarrow$", None: ""}
    heads = [latex_text(metric) + arrows[METRICS[metric].better] for metric in results.metrics]
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\begin{{tabular}}{{l{'c' * len(heads)}}}",
        r"\toprule",
        " & ".join(["System", *heads]) + r" \\",
        r"\midrule",
    ]
    for system in results.systems:
        name = latex_text(system)
        cells = [rf"\textit{{{name}}}" if system in results.controls else name]
        for metric in results.metrics:
            cell = results.cell(system, metric)
            value = number(cell.value, metric)
            value = rf"\textbf{{{value}}}" if system in best[metric] else value
            cells.append(rf"{value} {{\scriptsize [{number(cell.low, metric)}, {number(cell.high, metric)}]}}")
        lines.append(" & ".join(cells) + r" \\")
    caption = latex_text(_caption(results))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", rf"\caption{{{caption}}}", r"\end{table}", ""])


def markdown_table(results: Results) -> str:
    """The values alone, as Markdown."""
    best = _best(results)
    rows = [["system", *(f"{_markdown_text(m)} {METRICS[m].arrow}" for m in results.metrics)]]
    rows.append([":--", *["--:"] * len(results.metrics)])
    for system in results.systems:
        name = _markdown_text(system)
        cells = [f"*{name}*" if system in results.controls else name]
        for metric in results.metrics:
            cell = results.cell(system, metric)
            value = number(cell.value, metric)
            value = f"**{value}**" if system in best[metric] else value
            cells.append(f"{value} [{number(cell.low, metric)}, {number(cell.high, metric)}]")
        rows.append(cells)
    return "\n".join(["| " + " | ".join(row) + " |" for row in rows] + ["", _caption(results), ""])


def _best(results: Results) -> dict[str, set[str]]:
    names = contestants(results)
    return {m: best_of({name: results.cell(name, m).value for name in names}, m) for m in results.metrics}


def _caption(results: Results) -> str:
    card = results.card
    return (
        f"{card['n']} of {card['asked']} sounds, of {card['n_clips']} clips, in every row. In brackets: "
        f"{results.level:.0%} interval over clips (bootstrap). Bold: best printed value. {card.get('meaning', '')}"
    ).strip()
