"""Runs on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from typing_extensions import TypeVar, override

from asyncz.events import TaskNotification
from asyncz.executors.base import BaseExecutor
from asyncz.protocols import Notifier
from asyncz.tasks import TaskRun, as_coroutine

ResultT = TypeVar("ResultT")


class AsyncIOExecutor(BaseExecutor):
    """Runs coroutine functions on the event loop, plain functions in the loop's default executor.

    Aliases `asyncio` and `default`. What a plain function returns is awaited on the loop where it is an
    awaitable. A coroutine that runs can be cancelled, a plain function that runs cannot.
    """

    has_queue = True

    def __init__(self) -> None:
        super().__init__()
        self._coroutines: dict[int, asyncio.Task[object]] = {}

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        """Remember the running loop; the loop's default executor stays the loop's own."""
        self._running_loop = asyncio.get_running_loop()
        await super().start(scheduler, alias)

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        if run.task.is_coroutine:
            self._submit_coroutine(run)
        else:
            self._submit_function(run)

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        coroutine = self._coroutines.get(run.id)
        return coroutine is not None and coroutine.cancel()

    @override
    async def release(self, *, wait: bool) -> None:
        """Wait for cancelled coroutines, so that their clean-up is not cut off."""
        if self._coroutines:
            await asyncio.wait(self._coroutines.values())

    def _submit_coroutine(self, run: TaskRun[ResultT]) -> None:
        self.claim(run)
        if run.is_too_late():
            self.finish(run, run.missed())
            return
        coroutine = self._running_loop.create_task(run.execute_async(), context=run.context)
        self._coroutines[run.id] = coroutine

        # One that is cancelled before its first step never runs its body: only a callback is sure to come.
        def ended(future: asyncio.Task[TaskNotification[ResultT]]) -> None:
            del self._coroutines[run.id]
            self.finish(run, run.cancelled() if future.cancelled() else future.result())

        coroutine.add_done_callback(ended)
        self.limit_time(run)

    def _submit_function(self, run: TaskRun[ResultT]) -> None:
        # The loop's executor is not ours: whoever owns it may drop what waits there.
        def ended(future: asyncio.Future[None]) -> None:
            if future.cancelled() and self.claim(run):
                self.finish(run, run.cancelled())

        self._running_loop.run_in_executor(None, self._run_in_thread, run).add_done_callback(ended)

    def _run_in_thread(self, run: TaskRun[ResultT]) -> None:
        if not self.claim(run):
            return
        self.limit_time(run)
        self.finish(run, run.execute(self._await_on_loop))

    def _await_on_loop(self, awaitable: Awaitable[ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(as_coroutine(awaitable), self._running_loop).result()
