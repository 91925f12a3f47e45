"""Executors whose runs end when the test decides."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime

from typing_extensions import override

import asyncz
from asyncz import ExecutorState, TaskRun
from asyncz.executors.base import BaseExecutor
from tests.helpers.generics import ResultT


class FinishesOnRequest(BaseExecutor):
    """Executor that keeps each run until the test finishes it."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: deque[Callable[[], None]] = deque()

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self.taken.append(lambda: self.finish(run, run.execute()))

    def finish_all(self) -> None:
        while self.taken:
            self.taken.popleft()()


class CustomExecutor:
    """Executor without the base class, whose outcomes are reported through a function.

    Args:
        report: Called with the function that reports the outcome and releases the run.
        releases: Number of releases of each run.
    """

    def __init__(self, report: Callable[[Callable[[], None]], object], releases: int = 1) -> None:
        self.state = ExecutorState(alias="own")
        self.report = report
        self.releases = releases
        self.taken: list[datetime] = []

    async def start(self, scheduler: asyncz.Notifier, alias: str, /) -> None:
        self.scheduler = scheduler
        self.state = self.state.evolve("starting").evolve("running")

    def submit(self, run: TaskRun[ResultT], /) -> None:
        def end() -> None:
            self.scheduler.notify(run, run.execute())
            for _ in range(self.releases):
                self.scheduler.released(run)

        self.taken.append(run.scheduled_at)
        self.report(end)

    async def shutdown(self, wait: bool = True) -> None:
        self.state = self.state.evolve("stopped")


def inline(call: Callable[[], None]) -> None:
    call()
