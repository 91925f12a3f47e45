"""Initializers of pool threads."""

from __future__ import annotations

import time
from functools import partial

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    TaskError,
    TaskExecuted,
    TaskNotification,
    TaskRun,
    TaskSpec,
    ThreadPoolExecutor,
    WorkerStartError,
)
from asyncz.testing import RecordingNotifier
from tests.helpers import payloads
from tests.helpers.generics import ResultT
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_failed_initializer_recovers() -> None:
    attempts: list[int] = []

    def fails_once() -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("no licence")

    pool = ThreadPoolExecutor(1, {"initializer": fails_once})
    async with AsyncIOScheduler(executors={"under_test": pool}) as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None)
        with pytest.raises(WorkerStartError):
            await task.run()
        await until(lambda: task.state.running == 0)
        assert await task.run() == 3


async def test_failed_initializer_ends_run_with_cause() -> None:
    pool = ThreadPoolExecutor(1, {"initializer": payloads.failing_initializer})
    async with AsyncIOScheduler(executors={"under_test": pool}) as scheduler:
        for _ in range(2):
            with pytest.raises(WorkerStartError, match="initializer"):
                await scheduler.add_task(payloads.add, 1, 1, executor="under_test").result()


async def test_run_submitted_after_failed_start_executes() -> None:
    starts: list[bool] = []

    def fails_once() -> None:
        starts.append(True)
        if len(starts) == 1:
            raise OSError("no licence")
        # Were it still at it, the thread that failed would be faster than this one.
        time.sleep(0.2)

    executor = ThreadPoolExecutor(1, {"initializer": fails_once})
    task = TaskSpec("t", partial(payloads.add, 1, 2))

    failing, following = TaskRun(task), TaskRun(task)

    class SubmitsAgain(RecordingNotifier):
        @override
        def released(self, run: TaskRun[ResultT], /) -> None:
            super().released(run)
            if run.id == failing.id:
                executor.submit(following)

        @override
        def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
            self.notify(run, notification)
            self.released(run)

    await executor.start(SubmitsAgain(), "under_test")
    executor.submit(failing)
    assert isinstance(await failing.notification(), TaskError)
    assert isinstance(await following.notification(), TaskExecuted)
    await executor.shutdown()
