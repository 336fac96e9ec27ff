"""Generated pages of the reference that are short: metrics and reasons."""

from cafa.common.ledger import REASONS
from cafa.common.ledger_classes import CLASSES
from metrics.tables.catalogue import METRICS, judges_for

METRICS_HEAD = """# Metrics

Each metric is a column that a table can have (`tables.NAME.metrics` of a configuration, `--metric` of `cafa
evaluate`). What the numbers of the intervals mean is said in [Statistics](../statistics.md).

* **One value per** *sound*: the table prints the mean over sounds. *Set*: the metric is defined for all sounds of a
  system together.
* **Judge**: the model whose embeddings or answers the metric is computed from. The classifier is always opened, because
  the set of real sounds rests on it.

| metric | better | one value per | unit | judge | what it says |
|---|---|---|---|---|---|
"""


def metrics() -> str:
    """The page of metrics, from the catalogue."""
    rows = []
    for name in METRICS:
        metric = METRICS[name]
        judges = sorted(judges_for({name}) - {"classifier"}) or ["classifier"]
        kind = "set" if metric.of_sets else "sound"
        meaning = metric.meaning[:1].upper() + metric.meaning[1:]
        rows.append(
            f"| `{name}` | {metric.better or 'neither'} | {kind} | {metric.unit} | {', '.join(judges)} | {meaning}. |"
        )
    return METRICS_HEAD + "\n".join(rows) + "\n"


REASONS_HEAD = """# Reasons in ledgers

A ledger has one row for every clip that a stage was asked for. Its `status` is `ok` or one of these reasons.
`cafa ledger FILE` counts them; `cafa ledger retry` asks again for those that you name
([Data sets](../datasets.md#reading-the-ledger-and-trying-again)).

"""
CLASS_MEANING = {
    "gone": "Gone from the web, for everybody.",
    "not_for_us": "There, but not for this address or account.",
    "retry": "The next run asks again.",
    "unknown": "An answer that no rule knows. The next run asks again.",
    "unusable": "What was given cannot be used.",
}


def reasons() -> str:
    """The page of reasons, from the ledger's table."""
    parts = [REASONS_HEAD]
    for kind in CLASSES:
        rows = [f"| `{name}` | {reason.meaning} |" for name, reason in REASONS.items() if reason.kind == kind]
        parts += [f"## {kind}\n\n{CLASS_MEANING[kind]}\n", "| reason | meaning |", "|---|---|", *rows, ""]
    return "\n".join(parts)
