"""Tasks that coroutines leave behind on the event loop that they share."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Awaitable
from typing import Literal

import pytest

from asyncz import AsyncIOScheduler, TaskExecuted
from asyncz.executors._left_behind import TasksLeftBehind
from tests.helpers.payloads import add
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

WATCHDOG_SECONDS = 60
Kind = Literal["awaits first", "does not await", "nested", "swallows"]


class Leaver:
    """Leaves a task behind, and keeps a record of it."""

    def __init__(self, kind: Kind = "awaits first") -> None:
        self.kind = kind
        self.log: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def background(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.log.append("cancelled")
            if self.kind != "swallows":
                raise
        finally:
            await asyncio.sleep(0)
            self.log.append("closed")

    async def parent(self) -> None:
        self.tasks.append(asyncio.create_task(self.background()))

    async def __call__(self) -> None:
        if self.kind == "nested":
            await asyncio.create_task(self.parent())
        else:
            self.tasks.append(asyncio.create_task(self.background()))
        if self.kind != "does not await":
            await asyncio.sleep(0.01)

    def returns_awaitable(self) -> Awaitable[None]:
        return self()


@pytest.mark.parametrize("kind", ["awaits first", "nested", "swallows"])
async def test_task_left_behind_is_cancelled(kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    """It does not go on during the runs of others."""
    leaver = Leaver(kind)
    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler() as scheduler:
        await scheduler.add_task(leaver, trigger=None, id="leaver").run()
        await until(lambda: leaver.log == ["cancelled", "closed"])
        assert "'leaver' has left the asyncio task" in caplog.text
        # The loop and the executor go on.
        assert await scheduler.add_task(asyncio.sleep, 0.01, 3, trigger=None).run() == 3


async def test_task_that_never_started_is_cancelled() -> None:
    leaver = Leaver("does not await")
    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler() as scheduler:
        await scheduler.add_task(leaver, trigger=None).run()
        await until(lambda: leaver.tasks[0].done())
        assert leaver.tasks[0].cancelled()


async def test_task_of_returned_awaitable_is_cancelled() -> None:
    """A plain function whose awaitable runs on the loop."""
    leaver = Leaver()
    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler() as scheduler:
        await scheduler.add_task(leaver.returns_awaitable, trigger=None).run()
        await until(lambda: leaver.log == ["cancelled", "closed"])


async def test_task_left_by_cancelled_run_is_cancelled() -> None:
    tasks: list[asyncio.Task[object]] = []

    async def work() -> None:
        tasks.append(asyncio.create_task(asyncio.Event().wait()))
        await asyncio.Event().wait()

    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler() as scheduler:
        handle = scheduler.add_task(work, trigger=None).run()
        await until(lambda: bool(tasks))
        handle.cancel()
        await handle.notification()
        await until(tasks[0].cancelled)


async def test_task_in_context_of_its_own_goes_on() -> None:
    """The documented way to start something that outlives the run."""
    tasks: list[asyncio.Task[str]] = []

    async def go_on() -> str:
        await asyncio.sleep(0.3)
        return "went on"

    async def work() -> None:
        tasks.append(asyncio.create_task(go_on(), context=contextvars.Context()))
        await asyncio.sleep(0.01)

    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler() as scheduler:
        await scheduler.add_task(work, trigger=None).run()
        assert await tasks[0] == "went on"


async def test_tasks_of_live_runs_and_others_go_on() -> None:
    """Only the tasks of runs that are over are cancelled."""
    ended: list[str] = []

    async def child(name: str) -> None:
        await asyncio.sleep(0.3)
        ended.append(name)

    async def work() -> None:
        await asyncio.gather(child("of a run"), asyncio.create_task(child("of a run")))

    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler() as scheduler:
        mine = asyncio.create_task(child("of the program"))
        handle = scheduler.add_task(work, trigger=None).run()
        short = scheduler.add_task(asyncio.sleep, 0, trigger=None)
        while not handle.done():
            await short.run()
        await handle
        await mine
    assert sorted(ended) == ["of a run", "of a run", "of the program"]


async def test_scheduler_started_by_a_run_goes_on() -> None:
    """What a run makes of asyncz does not belong to the run: schedulers, executors, tasks."""
    inner = AsyncIOScheduler(executors={"pool": "threadpool"})

    async def start_inner(outer: AsyncIOScheduler) -> None:
        await inner.start()
        inner.add_executor("threadpool", alias="late")
        outer.add_executor("threadpool", alias="late")
        outer.add_task(add, 1, 1, executor="late", id="late", trigger=None).submit()

    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler() as scheduler:
        await scheduler.add_task(start_inner, scheduler, trigger=None).run()
        # Two runs end, each with a check.
        for _ in range(2):
            await scheduler.add_task(asyncio.sleep, 0.02, trigger=None).run()
        for executor in ("asyncio", "pool", "late"):
            assert await inner.add_task(add, 1, 2, executor=executor, trigger=None).run() == 3
        outcome = await scheduler.get_task("late").run().notification()
        assert isinstance(outcome, TaskExecuted)
        await inner.shutdown()


async def test_looks_take_a_bounded_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many runs among many tasks of the loop do not make each end of a run slow."""
    looks: list[float] = []
    check = TasksLeftBehind.check

    def counting(self: TasksLeftBehind) -> None:
        began = time.perf_counter()
        check(self)
        looks.append(time.perf_counter() - began)

    monkeypatch.setattr(TasksLeftBehind, "check", counting)
    others = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3000)]
    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler() as scheduler:
        short = scheduler.add_task(asyncio.sleep, 0, trigger=None)
        began = time.perf_counter()
        runs = 0
        while time.perf_counter() - began < 1.0:
            await short.run()
            runs += 1
        share = sum(looks) / (time.perf_counter() - began)
    for other in others:
        other.cancel()
    assert looks
    assert share < 0.2
    assert len(looks) < runs
