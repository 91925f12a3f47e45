"""Faults of a moment: `python -m tests.chaos.resources EXECUTOR RESOURCE [STEP …]`.

A resource is away for a moment at one step of a run's life. Prints one JSON object per step: how many runs were
submitted, how many were lost or reported twice, and the outcome of a run after the resource is back.
`tests/executors/faults/test_resources.py` runs every combination.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing.synchronize
import os
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent import futures
from functools import partial
from pathlib import Path
from typing import NoReturn
from uuid import UUID

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DaskExecutor,
    FuturesExecutor,
    ProcessPoolExecutor,
    Task,
    TaskNotification,
    ThreadPoolExecutor,
    UniversalExecutor,
)

EXECUTORS: dict[str, Callable[[], UniversalExecutor]] = {
    "asyncio": AsyncIOExecutor,
    "threadpool": ThreadPoolExecutor,
    "processpool": ProcessPoolExecutor,
    "futures-threads": lambda: FuturesExecutor(partial(futures.ThreadPoolExecutor, 2)),
    "futures-processes": lambda: FuturesExecutor(
        partial(futures.ProcessPoolExecutor, 2, multiprocessing.get_context("forkserver"))
    ),
    "dask": lambda: DaskExecutor(cluster_kwargs={"n_workers": 1, "threads_per_worker": 2}),
}
RESOURCES: tuple[str, ...] = ("descriptors", "threads", "memory", "semaphores", "directory", "tmpdir")
STEPS: tuple[str, ...] = ("start", "submit", "report", "shutdown")

GONE_SECONDS = 0.3
"""For how many seconds the resource is away."""


def _refuse(*_: object, **__: object) -> NoReturn:
    message = "can't start new thread"
    raise RuntimeError(message)


def _no_space(*_: object, **__: object) -> NoReturn:
    raise OSError(28, "No space left on device")


@contextlib.contextmanager
def _limit(kind: int, soft: int) -> Iterator[None]:
    before, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (before, hard))


@contextlib.contextmanager
def _without_descriptors() -> Iterator[None]:
    used = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    taken: list[int] = []
    with _limit(resource.RLIMIT_NOFILE, used + 1):
        # Gaps below the limit are free descriptors too.
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        try:
            yield
        finally:
            for descriptor in taken:
                os.close(descriptor)


@contextlib.contextmanager
def _replaced(owner: object, name: str, value: object) -> Iterator[None]:
    before: object = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextlib.contextmanager
def _without_directory() -> Iterator[None]:
    before = Path.cwd()
    gone = tempfile.mkdtemp()
    os.chdir(gone)
    Path(gone).rmdir()
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _without_tmpdir() -> Iterator[None]:
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = "/does/not/exist"
    tempfile.tempdir = None
    try:
        yield
    finally:
        tempfile.tempdir = None
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


def without(name: str) -> contextlib.AbstractContextManager[None]:
    """Take a resource away while the block runs."""
    if name == "descriptors":
        return _without_descriptors()
    if name == "threads":
        return _replaced(threading.Thread, "start", _refuse)
    if name == "memory":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + (1 << 20))
    if name == "semaphores":
        return _replaced(multiprocessing.synchronize, "SemLock", _no_space)
    return _without_directory() if name == "directory" else _without_tmpdir()


def wait_for(path: str, result: int) -> int:
    """Announce the call in `path`, return when `path` with the ending `.go` exists."""
    Path(path).touch()
    while not Path(f"{path}.go").exists():
        time.sleep(0.005)
    return result


async def _appears(path: Path) -> None:
    while not path.exists():  # noqa: ASYNC240  # the file says that another process has got so far
        await asyncio.sleep(0.005)


class Ledger:
    """Counts the notifications of each run."""

    def __init__(self) -> None:
        self.submitted = 0
        self.outcomes: Counter[UUID] = Counter()
        self.kinds: Counter[str] = Counter()

    def submit(self, task: Task[int]) -> None:
        """Submit a run of a task and count its notifications."""
        self.submitted += 1
        task.on_done(self.count)
        task.submit()

    def count(self, notification: TaskNotification[int]) -> None:
        """Count one notification."""
        self.outcomes[notification.details.run_id] += 1
        self.kinds[type(notification).__name__] += 1


@contextlib.contextmanager
def _back_in_a_moment(name: str) -> Iterator[None]:
    with without(name):
        deadline = time.monotonic() + GONE_SECONDS
        try:
            yield
        finally:
            time.sleep(max(0.0, deadline - time.monotonic()))


async def _scenario(executor: str, name: str, step: str, folder: Path) -> dict[str, object]:
    ledger = Ledger()
    scheduler = AsyncIOScheduler(executors={"under_test": EXECUTORS[executor]()})
    await scheduler.start()

    def add(number: int) -> tuple[Task[int], Path]:
        path = folder / str(number)
        return scheduler.add_task(wait_for, str(path), number, trigger=None, executor="under_test"), path

    (first, began), (second, second_began) = add(1), add(2)
    if step == "start":
        with _back_in_a_moment(name):
            ledger.submit(first)
            await asyncio.sleep(GONE_SECONDS / 2)
    else:
        ledger.submit(first)
        await _appears(began)
    if step == "submit":
        with _back_in_a_moment(name):
            ledger.submit(second)
            await asyncio.sleep(GONE_SECONDS / 2)
    else:
        ledger.submit(second)
    if step == "report":
        began.with_name("1.ready").touch()
        with _back_in_a_moment(name):
            # A rename needs no descriptor.
            began.with_name("1.ready").rename(began.with_name("1.go"))
            await asyncio.sleep(GONE_SECONDS / 2)
    for path in (began, second_began):
        path.with_name(f"{path.name}.go").touch()
    await _until_all_ended(ledger)
    after = scheduler.add_task(abs, -3, trigger=None, executor="under_test")
    works_again = await asyncio.wait_for(after.run().notification(), 60)
    if step == "shutdown":
        with _back_in_a_moment(name):
            closing = asyncio.ensure_future(scheduler.shutdown(timeout=10))
            await asyncio.sleep(GONE_SECONDS / 2)
        await asyncio.wait_for(closing, 60)
    else:
        await asyncio.wait_for(scheduler.shutdown(timeout=10), 60)
    return {
        "submitted": ledger.submitted,
        "lost": ledger.submitted - len(ledger.outcomes),
        "doubled": sum(number > 1 for number in ledger.outcomes.values()),
        "kinds": dict(ledger.kinds),
        "after": type(works_again).__name__,
        "status": scheduler.state.status,
    }


async def _until_all_ended(ledger: Ledger) -> None:
    async with asyncio.timeout(60):
        while len(ledger.outcomes) < ledger.submitted:
            await asyncio.sleep(0.01)


def main(executor: str, name: str, *steps: str) -> None:
    """Run one scenario per step and print a ledger each."""
    for step in steps or STEPS:
        folder = Path(tempfile.mkdtemp())
        try:
            print(json.dumps({"step": step, **asyncio.run(_scenario(executor, name, step, folder))}), flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
