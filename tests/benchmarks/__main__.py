"""Benchmarks of asyncz, of its building blocks and of its peers: `python -m tests.benchmarks [--peers] [--plot FILE]`.

Every figure is the median of several measurements, each in a process of its own, the contenders taking turns.
Only ratios are comparable: times differ between machines, and between hours of one machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.benchmarks.chart import draw
from tests.benchmarks.results import APSCHEDULER, ASYNCZ_0_17, as_json, from_json, targets
from tests.benchmarks.svg import svg_chart, with_results
from tests.benchmarks.venvs import python_with

FOLDER = Path(__file__).parent
# The measurements of each kind, with the number of runs or tasks.
KINDS: dict[str, dict[str, int]] = {
    "coroutine": {"coroutine": 20_000},
    "threads": {"threads": 20_000},
    "processes": {"processes": 10_000},
    "dask": {"dask": 2_000},
    "inline": {"inline": 20_000},
    "add": {"add": 20_000},
    "stall": {"stall": 100_000},
    "mixed": {"mixed": 5_000},
    "lateness": {f"lateness {executor}": 20_000 for executor in ("coroutine", "threads", "processes", "inline")},
    "scale": {f"scale {tasks}": tasks for tasks in (1_000, 10_000, 100_000, 1_000_000)},
    "import": {"import": 1},
}
# So many measurements each; more of what takes a second, as the speed of a machine changes from one to the next.
REPEAT = 5
REPEAT_OF_SHORT = 15
SHORT = {"coroutine", "threads", "inline", "add", "import"}
UNITS = {"longest turn": "ms", "makespan": "ms", "p50": "ms", "p99": "ms", "max": "ms", "memory": "B", "time": "ms"}
HIDDEN = {"longest turn without garbage collection"}
BARE = {"coroutine", "threads", "processes", "dask", "stall", "mixed"}
PEERS = {
    APSCHEDULER: ("apscheduler==3.11.3", "apscheduler_3.py", "apscheduler.schedulers.asyncio"),
    ASYNCZ_0_17: ("asyncz==0.17.2", "asyncz_0_17.py", "asyncz.schedulers"),
}
IMPORT = """\
import time
started = time.perf_counter()
from {} import {}
print('{{"time": %f}}' % ((time.perf_counter() - started) * 1e3))"""
# A peer may hang, or take hours if its cost grows with the number of tasks.
PATIENCE = 180.0
MOST_TASKS_OF_PEERS = 100_000


def commands_of(measurement: str, number: int, peers: bool) -> dict[str, list[str]]:
    """Return the command that measures each chosen contender."""
    kind = measurement.split()[0]
    ours = [sys.executable, "-m", "tests.benchmarks.measure"]
    if kind == "import":
        commands = {
            "asyncz": [sys.executable, "-c", IMPORT.format("asyncz", "AsyncIOScheduler")],
            "pydantic": [sys.executable, "-c", IMPORT.format("pydantic", "BaseModel")],
        }
    else:
        commands = {"asyncz": [*ours, "asyncz", measurement.replace(str(number), "").strip(), str(number)]}
    if kind in BARE:
        commands["bare"] = [*ours, "bare", kind, str(number)]
    if peers and kind not in {"dask", "mixed"} and not (kind == "scale" and number > MOST_TASKS_OF_PEERS):
        for peer, (requirement, script, module) in PEERS.items():
            python = str(python_with(requirement))
            if kind == "import":
                commands[peer] = [python, "-P", "-c", IMPORT.format(module, "AsyncIOScheduler")]
            else:
                what = "scale" if kind == "scale" else measurement
                commands[peer] = [python, str(FOLDER / "peers" / script), what, str(number)]
    return commands


def measured(command: list[str]) -> dict[str, float] | None:
    """Return one measurement, or None if it fails or does not end."""
    # Compile imported modules once, as an installation does.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True, env=environment
    )
    try:
        output, _ = process.communicate(timeout=PATIENCE)
        figures: dict[str, float] = json.loads(output.splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError):
        return None
    else:
        return figures
    finally:
        # Its workers too, which hold its output open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def medians(commands: Mapping[str, list[str]], repeat: int) -> dict[str, dict[str, float]]:
    """The median of each figure by contender, of those that could be measured."""
    measurements: dict[str, list[dict[str, float]]] = {who: [] for who in commands}
    missing: set[str] = set()
    for _ in range(repeat):
        for who in [who for who in commands if who not in missing]:
            figures = measured(commands[who])
            if figures is None:
                missing.add(who)
            else:
                measurements[who].append(figures)
    found: dict[str, dict[str, float]] = {}
    for who in commands.keys() - missing:
        for name in measurements[who][0].keys() - HIDDEN:
            found.setdefault(name, {})[who] = median(each[name] for each in measurements[who])
    return found


def print_targets(results: Mapping[tuple[str, str], Mapping[str, float]], console: Console) -> None:
    """Say which of the targets hold."""
    table = Table("target", "figure", "limit", "", title="targets")
    for target in targets(results):
        sign = ">=" if target.at_least else "<="
        table.add_row(
            target.name, f"{target.figure:.2f}", f"{sign} {target.limit:g}", "holds" if target.holds else "MISSED"
        )
    console.print(table)


def main() -> int:
    """Measure and print.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"what to measure, of {', '.join(KINDS)}; all by default")
    parser.add_argument(
        "--repeat", type=int, help=f"measurements each; by default {REPEAT}, and {REPEAT_OF_SHORT} of what is short"
    )
    parser.add_argument("--runs", type=int, help="runs or tasks a measurement; a fitting number by default")
    parser.add_argument(
        "--peers", action="store_true", help="measure the peers too, in virtual environments of their own"
    )
    parser.add_argument("--plot", type=Path, help="draw a chart to this file; needs matplotlib")
    parser.add_argument("--json", type=Path, help="write the medians to this file")
    parser.add_argument("--svg", type=Path, help="draw the microseconds per run beside the peers to this file")
    parser.add_argument("--readme", type=Path, help="write the table and the sentence about speed to this file")
    options = parser.parse_args()
    unknown = set(options.kinds) - KINDS.keys()
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; known are {', '.join(KINDS)}")
    console = Console(width=140)
    table = Table(title="medians, and how many times the figure of asyncz; what did not end is left out")
    columns = ["asyncz", "bare", "pydantic", *(PEERS if options.peers else ())]
    for column in ("", "figure", *columns):
        table.add_column(column)
    results: dict[tuple[str, str], dict[str, float]] = {}
    for kind in options.kinds or KINDS:
        repeat = options.repeat or (REPEAT_OF_SHORT if kind in SHORT else REPEAT)
        for measurement, number in KINDS[kind].items():
            runs = number if kind == "scale" else options.runs or number
            found = medians(commands_of(measurement, runs, options.peers), repeat)
            if not all("asyncz" in figures for figures in found.values()) or not found:
                print(f"asyncz itself could not be measured: {measurement}")
                return 1
            if kind != "stall":
                found.pop("longest turn", None)
            for name, figures in sorted(found.items()):
                results[measurement, name] = figures
                unit, ours = UNITS.get(name, "us"), figures["asyncz"]
                cells = [
                    f"{figures[who]:.1f} {unit} ({figures[who] / ours:.2f} x)" if who in figures else ""
                    for who in columns[1:]
                ]
                table.add_row(measurement, name, f"{ours:.1f} {unit}", *cells)
    console.print(table)
    print_targets(results, console)
    if options.plot is not None:
        draw(results, options.plot)
    # The chart and the README show the rounded figures that are kept.
    text = as_json(results)
    kept = from_json(text)
    if options.json is not None:
        options.json.write_text(text)
    if options.svg is not None:
        options.svg.write_text(svg_chart(kept))
    if options.readme is not None:
        options.readme.write_text(with_results(options.readme.read_text(), kept))
    return 0


if __name__ == "__main__":
    sys.exit(main())
