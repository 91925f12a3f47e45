"""How many bytecode instructions the library executes for a run: `python -m tests.benchmarks.guard [kind …]`.

Unlike a time, the count hardly depends on the machine and on what else it does. Counted is what the library itself
executes in this process, on every thread, for runs that are all due at once and do nothing, a run. What Python's own
library and the worker processes execute is not: it differs between versions, and with the moment.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TypeAlias

import asyncz
from asyncz.schedulers import _inbox, asyncio as scheduling
from tests.benchmarks.ours import Countdown, loaded_scheduler

KINDS = ("coroutine", "threads", "processes", "inline", "add")
RUNS = 300
# On threads and processes the same may take some wake-ups more, above all where the machine is busy.
MEASUREMENTS = {"threads": 5, "processes": 5}

Tracer: TypeAlias = Callable[[FrameType, str, object], "Tracer | None"]

_PACKAGE = str(Path(asyncz.__file__).parent)


class Instructions:
    """Counts what is executed in the package by threads that start from now on, and by this one."""

    def __init__(self) -> None:
        # Its `next` is one step, also for several threads.
        self._counter = itertools.count()
        self._looked = 0
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def so_far(self) -> int:
        """How many there were."""
        self._looked += 1
        return next(self._counter) - self._looked + 1

    def stop(self) -> None:
        """Count no more on this thread."""
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
    """How many instructions a run costs, or adding a task."""
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
    """The least of several counts."""
    return min(asyncio.run(counted(kind)) for _ in range(MEASUREMENTS.get(kind, 1)))


if __name__ == "__main__":
    # A turn ends after some time, which under the trace is soon: how often that is would be counted as well.
    vars(scheduling)["TURN"] = vars(_inbox)["TURN"] = math.inf
    print(json.dumps({kind: least(kind) for kind in sys.argv[1:] or KINDS}))
