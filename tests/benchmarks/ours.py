"""Cost of a run with asyncz, and with its building blocks.

The cost of a run with an empty function, from its due time to the call of its listener; for `stall` also the longest
turn of the loop meanwhile.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DaskExecutor,
    DebugExecutor,
    ProcessPoolExecutor,
    TaskExecuted,
    ThreadPoolExecutor,
    UniversalExecutor,
)

EXECUTORS: dict[str, Callable[[], UniversalExecutor]] = {
    "coroutine": AsyncIOExecutor,
    "threads": partial(ThreadPoolExecutor, 2),
    "processes": partial(ProcessPoolExecutor, 2),
    "dask": partial(DaskExecutor, cluster_kwargs={"n_workers": 2, "threads_per_worker": 1}),
    "inline": DebugExecutor,
    "add": DebugExecutor,
    "stall": AsyncIOExecutor,
}


async def nothing_async() -> None:
    """Does nothing, on the loop."""


def nothing() -> None:
    """Does nothing, anywhere."""


class Countdown:
    """Counts ends, on the loop's thread, until there are as many as there were submissions."""

    def __init__(self, runs: int) -> None:
        self.left = runs
        self.reached = asyncio.Event()

    def ended(self, _: object) -> None:
        """Count one."""
        self.left -= 1
        if not self.left:
            self.reached.set()


class Turns:
    """The longest turns of the loop, in milliseconds: with the garbage collection that fell into them, and without."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.longest_without_collection = 0.0
        self._collecting_since = 0.0
        self._collected = 0.0

    async def watch(self, until: asyncio.Event) -> Turns:
        """Time each turn until an event is set."""
        gc.callbacks.append(self._collection)
        before, collected = time.perf_counter(), self._collected
        while not until.is_set():
            await asyncio.sleep(0)
            turn, collection = time.perf_counter() - before, self._collected - collected
            before, collected = time.perf_counter(), self._collected
            self.longest = max(self.longest, turn * 1e3)
            self.longest_without_collection = max(self.longest_without_collection, (turn - collection) * 1e3)
        gc.callbacks.remove(self._collection)
        return self

    def _collection(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_since = time.perf_counter()
        else:
            self._collected += time.perf_counter() - self._collecting_since


@asynccontextmanager
async def loaded_scheduler(
    kind: str, runs: int, countdown: Countdown, meter: Callable[[], float]
) -> AsyncGenerator[tuple[AsyncIOScheduler, float]]:
    """Return a paused scheduler with due one-off tasks, and the cost of adding them."""
    async with AsyncIOScheduler(executors={"measured": EXECUTORS[kind]()}) as scheduler:

        def add() -> object:
            if kind in {"coroutine", "stall"}:
                return scheduler.add_task(nothing_async, executor="measured")
            return scheduler.add_task(nothing, executor="measured")

        # So that workers have started, as those of the bare pools have.
        await asyncio.gather(*(scheduler.add_task(nothing, executor="measured").result() for _ in range(4)))
        scheduler.pause()
        await asyncio.sleep(0.1)
        before = meter()
        for _ in range(runs):
            add()
        added = meter() - before
        scheduler.subscribe(TaskExecuted, countdown.ended)
        while len(scheduler.tasks) < runs:
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        yield scheduler, added


async def scheduled(kind: str, runs: int) -> dict[str, float]:
    """asyncz: one-off tasks that are all due at once."""
    countdown = Countdown(runs)
    async with loaded_scheduler(kind, runs, countdown, time.perf_counter) as (scheduler, added):
        if kind == "add":
            return {"cost": added / runs * 1e6}
        return await timed(countdown, runs, scheduler.resume)


async def timed(countdown: Countdown, runs: int, start: Callable[[], object]) -> dict[str, float]:
    """The time from a start until all has ended."""
    watching = asyncio.ensure_future(Turns().watch(countdown.reached))
    await asyncio.sleep(0)
    started = time.perf_counter()
    start()
    await countdown.reached.wait()
    elapsed = time.perf_counter() - started
    turns = await watching
    return {
        "cost": elapsed / runs * 1e6,
        "longest turn": turns.longest,
        "longest turn without garbage collection": turns.longest_without_collection,
    }


async def bare(kind: str, runs: int) -> dict[str, float]:
    """asyncio's own tasks with a callback, or a pool of `concurrent.futures` with a relay to the loop."""
    countdown = Countdown(runs)
    loop = asyncio.get_running_loop()
    if kind in {"coroutine", "stall"}:
        tasks: set[asyncio.Task[None]] = set()

        def create() -> None:
            for _ in range(runs):
                task = loop.create_task(nothing_async())
                tasks.add(task)
                task.add_done_callback(countdown.ended)

        return await timed(countdown, runs, create)
    if kind == "dask":
        return await bare_dask(countdown, runs)
    pool = (concurrent.futures.ThreadPoolExecutor if kind == "threads" else concurrent.futures.ProcessPoolExecutor)(2)

    def relay(future: concurrent.futures.Future[None]) -> None:
        loop.call_soon_threadsafe(countdown.ended, future)

    def submit() -> None:
        for _ in range(runs):
            pool.submit(nothing).add_done_callback(relay)

    with pool:
        await loop.run_in_executor(pool, nothing)
        return await timed(countdown, runs, submit)


async def bare_dask(countdown: Countdown, runs: int) -> dict[str, float]:
    """Dask's own asynchronous client, on a cluster of the same size: a submission and an awaited result each."""
    distributed = import_module("distributed")
    async with (
        distributed.LocalCluster(
            asynchronous=True, n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster, asynchronous=True, set_as_default=False) as client,
    ):
        awaited: set[asyncio.Task[None]] = set()

        async def follow(future: Awaitable[object]) -> None:
            countdown.ended(await future)

        def submit() -> None:
            for _ in range(runs):
                task = asyncio.ensure_future(follow(client.submit(nothing, pure=False)))
                awaited.add(task)
                task.add_done_callback(awaited.discard)

        await asyncio.gather(*(client.submit(nothing, pure=False) for _ in range(4)))
        return await timed(countdown, runs, submit)
