"""Bytecode instructions that the library executes per run: `python -m tests.benchmarks.guard [--check] [kind ...]`.

Unlike a time, the count hardly depends on the machine and its load. It covers the code of the library in this process,
on all threads, for empty runs that are all due at once; `add` counts per added task. The standard library and worker
processes do not count: their share differs between versions of Python and between moments.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TypeAlias

import asyncz
from asyncz.schedulers import _inbox, _timer
from tests.benchmarks.ours import Countdown, loaded_scheduler

RECORDED: Mapping[str, float] = (
    {"coroutine": 1143, "threads": 1110, "processes": 2025, "inline": 846, "add": 580}
    if sys.version_info < (3, 12)
    else {"coroutine": 887, "threads": 1040, "processes": 2350, "inline": 788, "add": 527}
)
"""Counts of 2026-11-30. Python 3.11 needs more instructions for the same code."""
TOLERANCE = 0.15

KINDS = ("coroutine", "threads", "processes", "inline", "add")
RUNS = 300
# The number of wake-ups of threads and processes varies.
MEASUREMENTS = {"threads": 5, "processes": 5}

Tracer: TypeAlias = Callable[[FrameType, str, object], "Tracer | None"]

_PACKAGE = str(Path(asyncz.__file__).parent)


class Instructions:
    """Counter of instructions of the package on this thread and on threads that start later."""

    def __init__(self) -> None:
        # `next` is atomic under the GIL.
        self._counter = itertools.count()
        self._looked = 0
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def so_far(self) -> int:
        """Return the number of instructions until now."""
        self._looked += 1
        return next(self._counter) - self._looked + 1

    def stop(self) -> None:
        """Stop counting on this thread."""
        sys.settrace(None)
        threading.settrace(None)

    def _enter(self, frame: FrameType, _: str, __: object) -> Tracer | None:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._step

    def _step(self, _: FrameType, event: str, __: object) -> Tracer | None:
        if event == "opcode":
            next(self._counter)
        return self._step


async def counted(kind: str) -> float:
    """Return the instructions per run, or per added task."""
    instructions, countdown = Instructions(), Countdown(RUNS)
    try:
        async with loaded_scheduler(kind, RUNS, countdown, instructions.so_far) as (scheduler, added):
            if kind == "add":
                return added / RUNS
            before = instructions.so_far()
            scheduler.resume()
            await countdown.reached.wait()
            return (instructions.so_far() - before) / RUNS
    finally:
        instructions.stop()


def least(kind: str) -> float:
    """Return the smallest of several counts."""
    return min(asyncio.run(counted(kind)) for _ in range(MEASUREMENTS.get(kind, 1)))


def above_limits(counts: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Return each count that exceeds its limit, together with the limit."""
    limits = {kind: RECORDED[kind] * (1 + TOLERANCE) for kind in counts}
    return {kind: (count, limits[kind]) for kind, count in counts.items() if count > limits[kind]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the counts; with `--check`, return 1 if one exceeds its limit three times in a row."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.guard", description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"default: {' '.join(KINDS)}")
    parser.add_argument("--check", action="store_true", help="compare the counts with the recorded ones")
    options = parser.parse_args(arguments)
    kinds: Sequence[str] = options.kinds or KINDS
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"unknown kind: {', '.join(sorted(unknown))}")
    # Time slices end early under a trace, and the number of slices would be counted as well.
    vars(_timer)["TIME_SLICE"] = vars(_inbox)["TIME_SLICE"] = math.inf
    counts = {kind: least(kind) for kind in kinds}
    print(json.dumps(counts))
    if not options.check:
        return 0
    # On a busy machine threads and processes need a few wake-ups more, but not each time.
    for _ in range(2):
        counts |= {kind: least(kind) for kind in above_limits(counts)}
    for kind, (count, limit) in above_limits(counts).items():
        print(f"{kind}: {count:.0f} instructions; the limit is {limit:.0f}")
    return 1 if above_limits(counts) else 0


if __name__ == "__main__":
    sys.exit(main())
