"""Failures to cancel, and errors that an outcome hides, are logged."""

from __future__ import annotations

import pytest
from typing_extensions import override

from asyncz import AsyncIOScheduler, TaskCancelled, TaskRun
from tests.helpers.generics import ResultT
from tests.helpers.manual_executors import FinishesOnRequest
from tests.helpers.payloads import do_nothing

pytestmark = pytest.mark.anyio


class _FailsToCancel(FinishesOnRequest):
    """Executor whose `cancel_run` raises."""

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        raise OSError("no connection")


class _CancelsLater(FinishesOnRequest):
    """Executor that accepts each cancellation, and reports the outcome of the function later."""

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        return True


def _fail() -> None:
    raise ValueError("cleanup failed")


async def test_failed_cancellation_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    executor = _FailsToCancel()
    scheduler = AsyncIOScheduler(executors={"own": executor})
    await scheduler.start()
    handles = [scheduler.add_task(do_nothing, executor="own", trigger=None, id=f"task {n}").run() for n in range(2)]
    await scheduler.shutdown(wait=False)
    for number, handle in enumerate(handles):
        assert isinstance(await handle.notification(), TaskCancelled)
        assert f"A run of the task 'task {number}' could not be cancelled: OSError('no connection')" in caplog.text


async def test_error_hidden_by_cancellation_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    executor = _CancelsLater()
    async with AsyncIOScheduler(executors={"own": executor}) as scheduler:
        handle = scheduler.add_task(_fail, executor="own", trigger=None, id="failing").run()
        assert handle.cancel()
        executor.finish_all()
        assert isinstance(await handle.notification(), TaskCancelled)
    assert "A run of the task 'failing' was interrupted, and then failed" in caplog.text
    assert "cleanup failed" in caplog.text
