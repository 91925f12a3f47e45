"""Numbers about a store in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Sequence

from asyncz._prometheus_text import Sample, text_of
from asyncz.stores._console_records import StoreTotals


def store_text(totals: StoreTotals) -> str:
    """Return the numbers about a store, which all its nodes share."""
    tasks: Sequence[Sample] = [("", (("state", state),), number) for state, number in sorted(totals.tasks.items())]
    families: Sequence[tuple[str, str, Sequence[Sample]]] = (
        ("tasks", "Stored tasks by state", tasks),
        (
            "task_overdue_seconds",
            "Seconds since the earliest due time of all stored tasks that has not become a run, or whose run waits",
            [("", (), totals.overdue)],
        ),
        ("runs_waiting", "Stored runs that wait for a node; at most 10000 are counted", [("", (), totals.waiting)]),
        ("runs_active", "Stored runs that nodes execute; at most 10000 are counted", [("", (), totals.running)]),
        ("nodes", "Nodes that hold a lease", [("", (), totals.nodes)]),
    )
    return text_of((f"asyncz_store_{name}", "gauge", description, samples) for name, description, samples in families)
