"""Coroutines on the asyncio executor."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Never

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    TaskCancelled,
    TaskNotification,
    TaskRun,
    TaskSpec,
    TaskTimeoutError,
)
from asyncz.testing import RecordingNotifier
from tests.helpers import payloads
from tests.helpers.executors import scheduler_with
from tests.helpers.generics import ResultT
from tests.helpers.payloads import do_nothing
from tests.helpers.recorder import EventRecorder

pytestmark = pytest.mark.anyio


async def test_cancelled_coroutine_cleans_up_before_stop() -> None:
    cleaned_up: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            cleaned_up.append("yes")

    scheduler = scheduler_with("asyncio")
    await scheduler.start()
    scheduler.add_task(work, executor="under_test", trigger=None).run()
    await asyncio.sleep(0.01)
    await scheduler.shutdown(wait=False)
    assert cleaned_up == ["yes"]


async def test_stubborn_coroutine_does_not_block_shutdown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("asyncz._shutdown_limits.CLEANUP_SECONDS", 0.05)

    with caplog.at_level(logging.WARNING):
        let_go = asyncio.Event()

        async def stubborn() -> None:
            while not let_go.is_set():
                try:
                    await let_go.wait()
                except asyncio.CancelledError:
                    continue

        scheduler = scheduler_with("asyncio")
        await scheduler.start()
        scheduler.add_task(stubborn, executor="under_test", trigger=None).run()
        await asyncio.sleep(0.01)
        try:
            async with asyncio.timeout(10):
                await scheduler.shutdown(wait=False)
        finally:
            let_go.set()
            await asyncio.sleep(0.01)
    assert "still running although they were cancelled" in caplog.text


async def test_externally_cancelled_coroutine_reported() -> None:
    async with scheduler_with("asyncio") as scheduler:
        listener = EventRecorder.of_scheduler(scheduler)
        before = asyncio.all_tasks()
        handle = scheduler.add_task(payloads.sleep_async, 60.0, executor="under_test", trigger=None).run()
        (coroutine,) = asyncio.all_tasks() - before
        await asyncio.sleep(0)
        coroutine.cancel()
        assert isinstance(await handle.notification(), TaskCancelled)
        assert listener.names == ["TaskSubmitted", "TaskCancelled"]


async def test_coroutine_cancelled_before_start_reported() -> None:
    async with scheduler_with("asyncio") as scheduler:
        listener = EventRecorder.of_scheduler(scheduler)
        handle = scheduler.add_task(payloads.sleep_async, 60.0, executor="under_test", trigger=None).run()
        assert handle.cancel()
        assert isinstance(await handle.notification(), TaskCancelled)
        await asyncio.sleep(0.01)
        assert listener.names == ["TaskSubmitted", "TaskCancelled"]
        assert scheduler.state.executors[0].running == 0


async def test_coroutine_timeout_cancels_it() -> None:
    cleaned_up: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned_up.append(True)

    async with AsyncIOScheduler() as scheduler:
        with pytest.raises(TaskTimeoutError):
            await scheduler.add_task(work, timeout=0.05).result()
        # Here, and not by the end of the loop.
        async with asyncio.timeout(30):
            while not cleaned_up:
                await asyncio.sleep(0.005)


async def test_shutdown_waits_for_notification() -> None:
    class SlowNotifier(RecordingNotifier):
        def __init__(self) -> None:
            super().__init__()
            self.called, self.go_on = threading.Event(), threading.Event()

        @override
        def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
            self.called.set()
            assert self.go_on.wait(30)
            super().notify(run, notification)

        @override
        def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
            self.notify(run, notification)
            self.released(run)

    notifier = SlowNotifier()
    executor = AsyncIOExecutor()
    await executor.start(notifier, "slow")
    run = TaskRun(TaskSpec("t", partial(payloads.add, 1, 2)))
    executor.submit(run)
    assert await asyncio.to_thread(notifier.called.wait, 30)
    shutdown = asyncio.ensure_future(executor.shutdown())
    for _ in range(10):
        await asyncio.sleep(0)
    came_back = shutdown.done()
    notifier.go_on.set()
    await shutdown
    assert not came_back
    record = notifier.record_of(run)
    assert (record.notified, record.released, record.released_first) == (1, 1, False)


async def test_task_factory_of_loop_used() -> None:
    made: list[asyncio.Task[object]] = []

    def factory(
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[object, Never, ResultT] | Generator[object, None, ResultT],
        *,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[ResultT]:
        assert isinstance(coroutine, Coroutine)
        task = asyncio.Task(coroutine, loop=loop, context=context)
        made.append(task)
        return task

    asyncio.get_running_loop().set_task_factory(factory)
    async with AsyncIOScheduler() as scheduler:
        await scheduler.add_task(do_nothing, id="named-as-its-task").result()
    assert "named-as-its-task" in [task.get_name() for task in made]
