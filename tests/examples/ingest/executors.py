"""Executors of the application: with a base class, without one, for one result type, and around another one."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from typing_extensions import TypeVar, override

from asyncz import (
    BaseExecutor,
    DelegatingExecutor,
    ExecutorState,
    Notifier,
    TaskRun,
    ThreadPoolExecutor,
    UniversalExecutor,
)

ResultT = TypeVar("ResultT")


class SerialExecutor(BaseExecutor):
    """One thread that runs everything in order, with attribute names that a base class might use too."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Condition()
        self._queue: deque[Callable[[], None] | None] = deque()

    @override
    async def start(self, notifier: Notifier, alias: str, /) -> None:
        await super().start(notifier, alias)
        threading.Thread(target=self._work, name=f"serial-{alias}", daemon=True).start()

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self._put(partial(self._execute, run))

    @override
    async def release(self, *, wait: bool) -> None:
        self._put(None)

    def _put(self, job: Callable[[], None] | None) -> None:
        with self._lock:
            self._queue.append(job)
            self._lock.notify()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._queue)
                job = self._queue.popleft()
            if job is None:
                return
            job()

    def _execute(self, run: TaskRun[ResultT]) -> None:
        self.start_timeout(run)
        self.finish(run, run.execute())


class MeasuringExecutor(DelegatingExecutor):
    """An executor around another one that measures how long its runs take.

    Attributes:
        seconds: Durations of the finished runs, from submission to outcome.
    """

    def __init__(self, executor: UniversalExecutor) -> None:
        super().__init__(executor)
        self.seconds: list[float] = []
        self._submitted: dict[int, float] = {}

    @override
    def submit(self, run: TaskRun[ResultT], /) -> None:
        self._submitted[run.id] = time.perf_counter()
        super().submit(run)


class ChecksumExecutor:
    """An executor without a base class, for runs whose result is `bytes`."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=1)

    @property
    def state(self) -> ExecutorState:
        """The state of the threads."""
        return self._threads.state

    async def start(self, notifier: Notifier, alias: str, /) -> None:
        """Start the threads."""
        await self._threads.start(notifier, alias)

    async def shutdown(self, wait: bool = True) -> None:
        """Stop the threads."""
        await self._threads.shutdown(wait)

    def submit(self, run: TaskRun[bytes], /) -> None:
        """Hand a run to the threads."""
        self._threads.submit(run)
