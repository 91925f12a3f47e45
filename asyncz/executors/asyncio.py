"""Runs on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Never

from typing_extensions import TypeVar, override

from asyncz._callables import as_coroutine
from asyncz.events import TaskNotification
from asyncz.executors._eager import EagerTasks
from asyncz.executors._threads import ThreadedFunctions
from asyncz.executors.base import BaseExecutor
from asyncz.protocols import Notifier
from asyncz.runs import TaskRun

ResultT = TypeVar("ResultT")

# Coroutines that were cancelled are given so long to clean up.
_SECONDS_TO_CLEAN_UP = 10.0


class AsyncIOExecutor(BaseExecutor):
    """Runs coroutine functions on the event loop, plain functions in the loop's default executor.

    Aliases `asyncio` and `default`. A coroutine goes to where it first waits while its run is submitted, where the loop
    lets it, and else at the loop's next turn. What a plain function returns is awaited on the loop where it is an
    awaitable. A coroutine that runs can be cancelled, a plain function that runs cannot.
    """

    has_queue = True
    _runs_inside = True

    def __init__(self) -> None:
        super().__init__()
        self._coroutines: dict[int, asyncio.Task[object]] = {}
        self._functions = ThreadedFunctions(self)
        self._watch: asyncio.Task[None] | None = None
        # The coroutine that is being driven to where it first waits, if there is one, and the run that it was last.
        self._starting: Coroutine[object, Never, object] | None = None
        self._started = 0

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        """Remember the running loop; the loop's default executor stays the loop's own."""
        await super().start(scheduler, alias)
        self._running_loop = asyncio.get_running_loop()
        self._eager_tasks = EagerTasks(self._running_loop)
        self._functions.watch_exit()

    @override
    def waits_in_queue(self, run: TaskRun[ResultT], /) -> bool:
        return not run.task.is_coroutine

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        if not run.task.is_coroutine:
            self._submit_function(run)
            return
        if run.limits.misfire_grace_time is not None and run.is_too_late():
            self._finish_at_once(run, run.missed())
            return

        loop, execution = self._running_loop, run._execute_async_in_own_context()
        context = None if run._context is None else run._context.copy()
        # Driven to where it first waits at once; but not one from within another, which could go on without end.
        if self._starting is not None or loop.get_task_factory() is not None:
            coroutine = loop.create_task(execution, name=run.task_id, context=context)
        else:
            self._starting = execution
            self._started = run.id
            try:
                coroutine = self._eager_tasks.make(execution, run.task_id, context)
            finally:
                self._starting = None
        if not coroutine.done():
            self._follow(run, coroutine)
            return
        try:
            notification = coroutine.result()
        except asyncio.CancelledError:
            notification = run.cancelled()
        self._finish_at_once(run, notification)

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        is_starting = self._starting is not None and run.id == self._started
        coroutine = self._starting_task() if is_starting else self._coroutines.get(run.id)
        return coroutine is not None and coroutine.cancel()

    @override
    async def release(self, *, wait: bool) -> None:
        """Wait for cancelled coroutines, so that their clean-up is not cut off; one may take 10 seconds."""
        hanging: set[asyncio.Task[object]] = set()
        if self._coroutines:
            _, hanging = await asyncio.wait(self._coroutines.values(), timeout=_SECONDS_TO_CLEAN_UP)
        if hanging:
            self.logger.warning("%d coroutine(s) go on although they were cancelled: %s", len(hanging), hanging)
        else:
            self._functions.tell_unreturned("Not this shutdown, but the end of the event loop")
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
            self._watch = None

    def _follow(self, run: TaskRun[ResultT], coroutine: asyncio.Task[TaskNotification[ResultT]]) -> None:
        # One that is cancelled before its first step never runs its body: only a callback is sure to come.
        def ended(future: asyncio.Task[TaskNotification[ResultT]]) -> None:
            self._coroutines.pop(run.id, None)
            self.finish(run, run.cancelled() if future.cancelled() else future.result())

        self._coroutines[run.id] = coroutine
        coroutine.add_done_callback(ended)
        if run.limits.timeout is not None:
            self.start_timeout(run)

    def _starting_task(self) -> asyncio.Task[object] | None:
        # Not always the current one: that may be another, which it starts as eagerly.
        tasks = asyncio.all_tasks(self._running_loop)
        return next((task for task in tasks if task.get_coro() is self._starting), None)

    async def _watch_loop(self) -> None:
        # What ends a loop cancels its tasks, and then waits for the threads of its default executor.
        try:
            await self._running_loop.create_future()
        finally:
            if self.state.status == "running":
                self._functions.drop_queue("The end of the event loop")

    def _submit_function(self, run: TaskRun[ResultT]) -> None:
        if self._watch is None:
            self._watch = self._running_loop.create_task(self._watch_loop())

        # The loop's executor is not ours: whoever owns it may drop what waits there.
        def ended(future: asyncio.Future[None]) -> None:
            if future.cancelled() and self.claim(run):
                self.finish(run, run.cancelled())

        self._running_loop.run_in_executor(None, self._run_in_thread, run).add_done_callback(ended)

    def _run_in_thread(self, run: TaskRun[ResultT]) -> None:
        if not self.claim(run):
            return
        if run.limits.timeout is not None:
            self.start_timeout(run)
        self.finish(run, self._functions.call(run, self._await_on_loop))

    def _await_on_loop(self, awaitable: Awaitable[ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(as_coroutine(awaitable), self._running_loop).result()
