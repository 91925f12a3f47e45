"""Charts of the figures: a panel each for the cost of a run, lateness, scale and memory, if they were measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

from tests.benchmarks.results import Results


class Panel(Protocol):
    """Used part of the axes of matplotlib, which is installed only for charts."""

    def bar(self, x: Sequence[float], height: Sequence[float], width: float, *, label: str) -> object: ...

    def plot(
        self, x: Sequence[float], y: Sequence[float], style: str, /, *, marker: str, color: str, label: str
    ) -> object: ...

    def set_xticks(self, ticks: Sequence[float], labels: Sequence[str]) -> object: ...

    def set(self, **properties: str) -> object: ...


Draws: TypeAlias = Callable[[Panel], None]

COSTS = ("coroutine", "threads", "processes", "inline", "add")


def draw(results: Results, path: Path) -> None:
    """Draw the measurements to a file, if any of them has a panel."""
    import matplotlib.pyplot as plt

    drawn = [
        *bars(results, "cost", COSTS, "cost of a run, due to notified (us)"),
        *bars(results, "p99", kinds_with(results, "p99"), "started late, p99 at 1,000 runs a second (ms)"),
        *lines(results, ("add", "fire"), "one task among many (us)"),
        *lines(results, ("memory",), "memory (bytes a task)"),
    ]
    if not drawn:
        return
    figure, panels = plt.subplots(1, len(drawn), figsize=(6.5 * len(drawn), 5), squeeze=False)
    for panel, draw_panel in zip(panels.flat, drawn, strict=True):
        draw_panel(panel)
        panel.grid(axis="y", alpha=0.3)
        panel.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def kinds_with(results: Results, figure: str) -> tuple[str, ...]:
    """The kinds of measurement that gave a figure."""
    return tuple(kind for kind, name in results if name == figure)


def bars(results: Results, figure: str, kinds: tuple[str, ...], title: str) -> list[Draws]:
    """Draw a panel of the kinds side by side, with a bar per contender; draw nothing without measurements."""
    measured = [kind for kind in kinds if (kind, figure) in results]
    return [partial(draw_bars, {kind: results[kind, figure] for kind in measured}, title)] if measured else []


def draw_bars(figures: Mapping[str, Mapping[str, float]], title: str, panel: Panel) -> None:
    """A group of bars for each kind."""
    contenders = list(dict.fromkeys(who for by_contender in figures.values() for who in by_contender))
    width = 0.8 / len(contenders)
    for number, who in enumerate(contenders):
        places = [place for place, by_contender in enumerate(figures.values()) if who in by_contender]
        heights = [by_contender[who] for by_contender in figures.values() if who in by_contender]
        panel.bar([place + number * width for place in places], heights, width, label=who)
    names = [kind.removeprefix("lateness ") for kind in figures]
    panel.set_xticks([place + 0.4 - width / 2 for place in range(len(names))], names)
    panel.set(yscale="log", title=title)


def lines(results: Results, figures: tuple[str, ...], title: str) -> list[Draws]:
    """Draw a panel of figures by the number of tasks; draw nothing without measurements."""
    measured: dict[str, dict[str, dict[int, float]]] = {}
    for figure in figures:
        for kind in kinds_with(results, figure):
            if kind.startswith("scale "):
                for who, value in results[kind, figure].items():
                    by_figure = measured.setdefault(who, {})
                    by_figure.setdefault(figure, {})[int(kind.removeprefix("scale "))] = value
    return [partial(draw_lines, measured, title)] if measured else []


def draw_lines(figures: dict[str, dict[str, dict[int, float]]], title: str, panel: Panel) -> None:
    """A colour for each contender, and a style for each of its figures."""
    for number, (who, by_figure) in enumerate(figures.items()):
        for (figure, points), style in zip(by_figure.items(), ("--", "-"), strict=False):
            label = f"{who}, {figure}"
            panel.plot(list(points), list(points.values()), style, marker="o", color=f"C{number}", label=label)
    panel.set(xscale="log", yscale="log", xlabel="tasks in the store", title=title)
