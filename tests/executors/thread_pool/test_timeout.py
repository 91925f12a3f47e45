"""Timeouts of functions in threads."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from asyncz import TaskLimits, TaskRun, TaskSpec, ThreadPoolExecutor
from tests.helpers.recorder import Recorder

pytestmark = pytest.mark.anyio


async def test_run_returning_after_timeout_only_released(recorder: Recorder) -> None:
    go_on = threading.Event()
    executor = ThreadPoolExecutor(1)
    await executor.start(recorder, "under_test")
    run = TaskRun(TaskSpec("t", partial(go_on.wait, 30), limits=TaskLimits(timeout=0.01)))
    executor.submit(run)
    await recorder.until(lambda: bool(recorder.told))
    go_on.set()
    await recorder.until(lambda: len(recorder.told) == 2)
    await executor.shutdown()
    assert recorder.told == [("notified", run.id), ("released", run.id)]
