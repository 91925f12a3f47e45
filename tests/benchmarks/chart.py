"""Draws the figures: a panel each for the cost of a run, lateness, scale and memory."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.results import Results

COSTS = ("coroutine", "threads", "processes", "inline", "add")


def draw(results: Results, path: Path) -> None:
    """Draw what has been measured to a file."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(13, 9))
    costs, late, scale, memory = panels.flat
    late_kinds = [kind for kind, figure_name in results if figure_name == "p99"]
    for panel, keys, names, label in (
        (costs, [(kind, "cost") for kind in COSTS], COSTS, "cost of a run, due to notified (us)"),
        (
            late,
            [(kind, "p99") for kind in late_kinds],
            [kind.removeprefix("lateness ") for kind in late_kinds],
            "started late, p99 at 1,000 runs a second (ms)",
        ),
    ):
        contenders = list(dict.fromkeys(who for key in keys for who in results.get(key, {})))
        width = 0.8 / max(1, len(contenders))
        for number, who in enumerate(contenders):
            heights = [results.get(key, {}).get(who, 0.0) for key in keys]
            panel.bar([position + number * width for position in range(len(keys))], heights, width, label=who)
        panel.set_xticks([position + 0.4 - width / 2 for position in range(len(keys))], names)
        panel.set(yscale="log", title=label)
        panel.grid(axis="y", alpha=0.3)
        if contenders:
            panel.legend(fontsize=8)
    for panel, lines_of, label in (
        (scale, ("add", "fire"), "one task among many (us)"),
        (memory, ("memory",), "memory (bytes a task)"),
    ):
        for name, style in zip(lines_of, ("--", "-"), strict=False):
            lines: dict[str, dict[int, float]] = {}
            for (kind, figure_name), figures in results.items():
                if kind.startswith("scale ") and figure_name == name:
                    for who, value in figures.items():
                        lines.setdefault(who, {})[int(kind.removeprefix("scale "))] = value
            for number, (who, points) in enumerate(lines.items()):
                panel.plot(
                    list(points), list(points.values()), style, marker="o", color=f"C{number}", label=f"{who}, {name}"
                )
        panel.set(xscale="log", yscale="log", xlabel="tasks in the store", title=label)
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
