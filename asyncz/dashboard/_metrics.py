"""Numbers about a store in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Sequence

from asyncz._text import encodable
from asyncz.stores._console_records import StoreTotals


def store_text(totals: StoreTotals) -> str:
    """Return the numbers about a store, which all its nodes share."""
    tasks = [(f'{{state="{encodable(state)}"}}', number) for state, number in sorted(totals.tasks.items())]
    families: Sequence[tuple[str, str, Sequence[tuple[str, float]]]] = (
        ("tasks", "Stored tasks by state", tasks),
        (
            "task_overdue_seconds",
            "Seconds since the earliest due time of all stored tasks that has not become a run, or whose run waits",
            [("", totals.overdue)],
        ),
        ("runs_waiting", "Stored runs that wait for a node; at most 10000 are counted", [("", totals.waiting)]),
        ("runs_active", "Stored runs that nodes execute; at most 10000 are counted", [("", totals.running)]),
        ("nodes", "Nodes that hold a lease", [("", totals.nodes)]),
    )
    lines: list[str] = []
    for name, description, samples in families:
        full = f"asyncz_store_{name}"
        lines += [f"# HELP {full} {description}.", f"# TYPE {full} gauge"]
        lines += [f"{full}{labels} {value:.17g}" for labels, value in samples]
    return "\n".join(lines) + "\n"
