"""Peak memory of a program that sends a large argument to a worker process and gets a large result back.

`python -m tests.regressions.memory POOL SIZE` prints one JSON object with sizes in bytes. POOL is `asyncz`, or
`concurrent.futures` for the pool of the standard library.
"""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from asyncz import AsyncIOScheduler, ProcessPoolExecutor


def field_of(pid: int | str, name: str) -> int:
    """Return a size from the status that the kernel gives of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise LookupError(name)


def reset_peak() -> None:
    """Let the peak of this process count from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_of(use: Callable[[], object]) -> int:
    """Return the bytes by which the memory of this process rises while a function is called."""
    before = field_of("self", "VmRSS")
    reset_peak()
    use()
    return field_of("self", "VmHWM") - before


def settled(pid: int, limit: int) -> int:
    """Return the memory of a process once it is below a limit, or after ten seconds."""
    deadline = time.monotonic() + 10
    while (size := field_of(pid, "VmRSS")) > limit and time.monotonic() < deadline:
        time.sleep(0.02)
    return size


def measure_asyncz(size: int) -> dict[str, int]:
    with AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(1)}).in_thread() as thread:
        scheduler = thread.scheduler
        pid = thread.run(scheduler.add_task(os.getpid, executor="cpu", trigger=None))
        idle = field_of(pid, "VmRSS")
        data = bytes(size)
        argument = peak_of(lambda: thread.run(scheduler.add_task(len, data, executor="cpu", trigger=None)))
        after_argument = settled(pid, idle + size // 4)
        result = peak_of(lambda: thread.run(scheduler.add_task(bytes, size, executor="cpu", trigger=None)))
        after_result = settled(pid, idle + size // 4)
    kept = max(after_argument, after_result) - idle
    return {"argument": argument, "result": result, "kept": kept}


def measure_futures(size: int) -> dict[str, int]:
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("forkserver")) as pool:
        pool.submit(os.getpid).result()
        data = bytes(size)
        argument = peak_of(lambda: pool.submit(len, data).result())
        # The pool keeps the last argument until its next call.
        pool.submit(os.getpid).result()
        result = peak_of(lambda: pool.submit(bytes, size).result())
    return {"argument": argument, "result": result, "kept": 0}


def measure(pool: str, size: int) -> dict[str, int]:
    """Measure one of both pools."""
    return measure_asyncz(size) if pool == "asyncz" else measure_futures(size)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
