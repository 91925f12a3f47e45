"""Measurements and the targets of this library."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

Results: TypeAlias = Mapping[tuple[str, str], Mapping[str, float]]
"""The median of each contender, by the kind of measurement and the name of the figure."""

APSCHEDULER = "APScheduler 3.11.3"
ASYNCZ_0_17 = "asyncz 0.17.2"


def as_json(results: Results) -> str:
    """Return results as JSON: by kind of measurement, figure and contender."""
    by_kind = dict[str, dict[str, dict[str, float]]]()
    for (kind, figure), values in results.items():
        by_kind.setdefault(kind, {})[figure] = {who: round(value, 2) for who, value in sorted(values.items())}
    return json.dumps(by_kind, indent=1) + "\n"


def from_json(text: str) -> Results:
    """Return the results that `as_json` has written."""
    by_kind: dict[str, dict[str, dict[str, float]]] = json.loads(text)
    return {(kind, figure): values for kind, figures in by_kind.items() for figure, values in figures.items()}


class Target(NamedTuple):
    """A figure and its maximum, or its minimum if `at_least` is set."""

    name: str
    figure: float
    limit: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Return True if the target is met."""
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit


def targets(results: Results) -> Iterator[Target]:
    """The targets of which both sides were measured."""

    def ratio(key: tuple[str, str], who: str, to: str) -> Iterator[float]:
        figures = results.get(key, {})
        if who in figures and to in figures:
            yield figures[who] / figures[to]

    on_the_loop = 2.0 if sys.version_info < (3, 12) else 1.2
    for kind, limit in {"coroutine": on_the_loop, "threads": 0.5, "processes": 0.2}.items():
        for value in ratio((kind, "cost"), "asyncz", "bare"):
            yield Target(f"{kind}: asyncz to bare", value, limit)
    for peer, times in {APSCHEDULER: 4.0, ASYNCZ_0_17: 10.0}.items():
        for kind in ("coroutine", "threads", "processes", "inline"):
            for value in ratio((kind, "cost"), peer, "asyncz"):
                yield Target(f"{kind}: {peer} to asyncz", value, times, at_least=True)
    for value in ratio(("add", "cost"), APSCHEDULER, "asyncz"):
        yield Target(f"add: {APSCHEDULER} to asyncz", value, 3.0, at_least=True)
    for value in ratio(("mixed", "makespan"), "asyncz", "bare"):
        yield Target("mixed: makespan, asyncz to bare", value, 1.1)
    few, many = (results.get((f"scale {size}", "fire"), {}) for size in (1_000, 1_000_000))
    if "asyncz" in few and "asyncz" in many:
        yield Target("scale: fire at 1,000,000 to 1,000", many["asyncz"] / few["asyncz"], 2.0)
    for (kind, name), figures in results.items():
        if name == "memory" and "asyncz" in figures:
            yield Target(f"{kind}: bytes a task", figures["asyncz"], 800)
    for value in ratio(("import", "time"), "asyncz", "pydantic"):
        yield Target("import: asyncz to pydantic's BaseModel", value, 1.2)
