"""asyncz beside what it is built on and beside its peers: `python -m tests.benchmarks [--peers] [--plot FILE]`.

Every figure is the median of several measurements, each in a process of its own, the contenders taking turns.
What counts are the ratios: the times of two machines, or of two hours, do not compare.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.benchmarks.venvs import python_with

FOLDER = Path(__file__).parent
KINDS = {
    "coroutine": 20_000,
    "threads": 20_000,
    "processes": 10_000,
    "dask": 2_000,
    "inline": 20_000,
    "add": 20_000,
    "stall": 100_000,
}
UNITS = {"stall": "milliseconds"}
PEERS = {
    "APScheduler 3.11.3": ("apscheduler==3.11.3", "apscheduler_3.py"),
    "asyncz 0.17.2": ("asyncz==0.17.2", "asyncz_0_17.py"),
}
# A peer may hang where we must not.
PATIENCE = 180.0


def command_of(contender: str) -> list[str]:
    """What measures a contender; the kind and the number of runs are to follow."""
    if contender in PEERS:
        requirement, script = PEERS[contender]
        return [str(python_with(requirement)), str(FOLDER / "peers" / script)]
    return [sys.executable, "-m", "tests.benchmarks.ours", contender]


def measured(command: list[str], kind: str, runs: int) -> float | None:
    """One measurement; None where there is none, because it fails, or does not end."""
    try:
        result = subprocess.run(
            [*command, kind, str(runs)], capture_output=True, text=True, timeout=PATIENCE, check=True
        )
    except subprocess.SubprocessError:
        return None
    figures: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return figures[UNITS.get(kind, "microseconds")]


def medians(kind: str, runs: int, repeat: int, commands: Mapping[str, list[str]]) -> dict[str, float]:
    """The median of each contender that could be measured."""
    figures: dict[str, list[float]] = {contender: [] for contender in commands}
    missing: set[str] = set()
    for _ in range(repeat):
        for contender in commands.keys() - missing:
            figure = measured(commands[contender], kind, runs)
            if figure is None:
                missing.add(contender)
            else:
                figures[contender].append(figure)
    return {contender: median(each) for contender, each in figures.items() if contender not in missing}


def cell(figure: float | None, ours: float, unit: str) -> str:
    """A figure, and how many times ours it is."""
    if figure is None:
        return "did not end"
    return f"{figure:.1f} {unit} ({figure / ours:.1f} x)"


def plot(results: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw the figures of each kind beside each other, to a logarithmic scale."""
    import matplotlib.pyplot as plt

    kinds = [kind for kind in results if kind not in UNITS]
    contenders = list(dict.fromkeys(contender for kind in kinds for contender in results[kind]))
    figure, axes = plt.subplots(figsize=(10, 5))
    width = 0.8 / len(contenders)
    for number, contender in enumerate(contenders):
        heights = [results[kind].get(contender, 0.0) for kind in kinds]
        axes.bar([position + number * width for position in range(len(kinds))], heights, width, label=contender)
    axes.set_xticks([position + 0.4 - width / 2 for position in range(len(kinds))], kinds)
    axes.set_yscale("log")
    axes.set_ylabel("microseconds a run, from due to notified")
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> int:
    """Measure and print.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"what to measure, of {', '.join(KINDS)}; all by default")
    parser.add_argument("--repeat", type=int, default=5, help="measurements each")
    parser.add_argument("--runs", type=int, help="runs a measurement; a fitting number by default")
    parser.add_argument(
        "--peers", action="store_true", help="measure the peers too, in virtual environments of their own"
    )
    parser.add_argument("--plot", type=Path, help="draw a chart to this file; needs matplotlib")
    options = parser.parse_args()
    unknown = set(options.kinds) - KINDS.keys()
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; known are {', '.join(KINDS)}")
    contenders = ["asyncz", "bare", *(PEERS if options.peers else ())]
    commands = {contender: command_of(contender) for contender in contenders}
    table = Table(title="from due to notified, a run; stall: the longest turn of the loop with 100,000 due runs")
    for column in ("", *contenders):
        table.add_column(column)
    results: dict[str, dict[str, float]] = {}
    for kind in options.kinds or KINDS:
        theirs = [each for each in contenders if not (each == "bare" and kind in {"inline", "add"})]
        results[kind] = medians(
            kind, options.runs or KINDS[kind], options.repeat, {each: commands[each] for each in theirs}
        )
        if "asyncz" not in results[kind]:
            print(f"asyncz itself could not be measured: {kind}")
            return 1
        ours, unit = results[kind]["asyncz"], "ms" if kind in UNITS else "us"
        table.add_row(
            kind,
            f"{ours:.1f} {unit}",
            *(cell(results[kind].get(each), ours, unit) if each in theirs else "" for each in contenders[1:]),
        )
    Console(width=140).print(table)
    if options.plot is not None:
        plot(results, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
