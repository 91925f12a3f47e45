"""Starts and shuts down each executor many times, and reports the rest that stays behind.

From the command line: `python -m tests.chaos.cycles [--cycles 200]`; its exit status is 1 where anything does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DebugExecutor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from tests.chaos import workload

MAKERS: dict[str, Callable[[], UniversalExecutor]] = {
    "asyncio": AsyncIOExecutor,
    "threadpool": partial(ThreadPoolExecutor, 2),
    "processpool": partial(ProcessPoolExecutor, 2),
    "debug": DebugExecutor,
}


@attrs.frozen
class Resources:
    """Numbers of the resources of this process that must not pile up."""

    descriptors: int
    threads: int
    processes: int
    semaphores: int

    @classmethod
    def held(cls) -> Resources:
        """Those held now, without what the next collection frees."""
        gc.collect()
        return cls(
            descriptors=len(list(Path("/proc/self/fd").iterdir())),
            threads=threading.active_count(),
            processes=_descendants(),
            semaphores=_semaphores(),
        )

    def more_than(self, before: Resources) -> bool:
        """Whether there is more of anything than there was."""
        return any(after > earlier for after, earlier in zip(attrs.astuple(self), attrs.astuple(before), strict=True))


async def cycle(kind: str) -> None:
    """Start a scheduler, run something, shut it down."""
    async with AsyncIOScheduler(executors={"tried": MAKERS[kind]()}) as scheduler:
        tasks = [
            scheduler.add_task(function, executor="tried", trigger=None)
            for function in (workload.quick, workload.quick_coroutine)
        ]
        handles = [task.run() for task in tasks]
        for handle in handles:
            await handle


def cycles(kind: str, number: int) -> tuple[Resources, Resources]:
    """Objects that are held before and after a number of cycles."""
    # The first one starts what a process needs once: the fork server, the resource tracker.
    asyncio.run(cycle(kind))
    before = _settled(None)
    for _ in range(number):
        asyncio.run(cycle(kind))
    return before, _settled(before)


def _settled(expected: Resources | None) -> Resources:
    # A thread of a pool ends a moment after it has been waited for.
    hang_timeout = time.monotonic() + 10
    held = Resources.held()
    while expected is not None and held.more_than(expected) and time.monotonic() < hang_timeout:
        time.sleep(0.02)
        held = Resources.held()
    return held


def _descendants() -> int:
    """How many processes descend from this one, however they were started."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    found, generation = 0, {int(Path("/proc/self").readlink().name)}
    while generation := {pid for pid, parent in parents.items() if parent in generation}:
        found += len(generation)
    return found


def held_names() -> list[str]:
    """Return a text for each descriptor, thread and child process of this process, to find those that stay behind."""
    texts = [f"thread {thread.name}" for thread in threading.enumerate()]
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            texts.append(f"descriptor {descriptor.name} {descriptor.readlink()}")
    for entry in Path("/proc/self/task").glob("*/children"):
        for pid in entry.read_text().split():
            with contextlib.suppress(OSError):
                texts.append(f"process {pid} {Path('/proc', pid, 'cmdline').read_text()[:200]!r}")
    return texts


def _semaphores() -> int:
    """How many semaphores of multiprocessing this process has mapped: others run beside it."""
    mapped = Path("/proc/self/maps").read_text()
    return len({line.split()[5] for line in mapped.splitlines() if "/dev/shm/sem." in line})


def main() -> int:
    """Run them and print the counts, each kind in a process of its own, so that its end is seen as well."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.cycles", description=__doc__)
    parser.add_argument("--cycles", type=int, default=200, help="how many of each executor")
    parser.add_argument("--kind", choices=MAKERS, help="only this one, in this process")
    options = parser.parse_args()
    if options.kind:
        before, after = cycles(options.kind, options.cycles)
        print(f"{options.kind:<12} before {attrs.asdict(before)}\n{'':<12} after  {attrs.asdict(after)}", flush=True)
        return int(after.more_than(before))
    failed = 0
    for kind in MAKERS:
        command = [sys.executable, "-m", "tests.chaos.cycles", "--kind", kind, "--cycles", str(options.cycles)]
        result = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        print(f"{'':<12} exit status {result.returncode}, complaints at the end: {result.stderr.strip() or 'none'}")
        failed |= result.returncode or bool(result.stderr.strip())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
