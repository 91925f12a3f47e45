"""Executors that fail, hang or stay silent on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from typing_extensions import override

import asyncz
from asyncz import AsyncIOExecutor, ExecutorState, Notifier, TaskRun, ThreadPoolExecutor
from tests.helpers import payloads
from tests.helpers.generics import ResultT


class FailsFirstStart(AsyncIOExecutor):
    """Executor whose first start fails."""

    failed = False

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        if not self.failed:
            self.failed = True
            raise OSError("not yet")
        await super().start(scheduler, alias)


class StartsOnRequest(ThreadPoolExecutor):
    """Executor whose start waits for the test, and may then fail."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__(1)
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.fails = fails

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        self.asked.set()
        await self.go_on.wait()
        if self.fails:
            raise OSError("not yet")
        await super().start(scheduler, alias)


class SilentExecutor:
    """Executor without the base class that never reports an outcome."""

    def __init__(self, *, returns_without_waiting: bool) -> None:
        self.state = ExecutorState(alias="stubborn")
        self.returns_without_waiting = returns_without_waiting
        self.taken: list[int] = []
        self.shutdowns: list[bool] = []

    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        self.state = self.state.evolve("starting").evolve("running")

    def submit(self, run: TaskRun[ResultT], /) -> None:
        self.taken.append(run.id)

    async def shutdown(self, wait: bool = True) -> None:
        self.shutdowns.append(wait)
        if wait or not self.returns_without_waiting:
            await asyncio.Event().wait()


class ReleasesEarly(SilentExecutor):
    """Executor that releases a run before it reports the outcome, if ever."""

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        await super().start(scheduler, alias)
        self.scheduler = scheduler
        self.late: list[Callable[[], None]] = []

    @override
    def submit(self, run: TaskRun[ResultT], /) -> None:
        super().submit(run)
        self.scheduler.released(run)
        self.late.append(lambda: self.scheduler.notify(run, run.execute()))


class FailsToStart(AsyncIOExecutor):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    @override
    async def start(self, scheduler: asyncz.Notifier, alias: str, /) -> None:
        await asyncio.sleep(0)
        raise self.error


class FailsToRelease(AsyncIOExecutor):
    @override
    async def release(self, *, wait: bool) -> None:
        raise payloads.OwnBaseException("at the end")


class UnstartableExecutor(AsyncIOExecutor):
    @override
    async def start(self, scheduler: asyncz.Notifier, alias: str, /) -> None:
        raise OSError("cannot start")
