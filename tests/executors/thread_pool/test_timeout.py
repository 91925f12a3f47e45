"""Timeouts of functions in threads."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from asyncz import TaskError, TaskLimits, TaskRun, TaskSpec, ThreadPoolExecutor
from asyncz.testing import RecordingNotifier

pytestmark = pytest.mark.anyio


async def test_run_returning_after_timeout_only_released() -> None:
    go_on = threading.Event()
    executor, notifier = ThreadPoolExecutor(1), RecordingNotifier()
    await executor.start(notifier, "under_test")
    run = TaskRun(TaskSpec("t", partial(go_on.wait, 30), limits=TaskLimits(timeout=0.01)))
    executor.submit(run)
    assert isinstance(await run.notification(), TaskError)
    record = notifier.record_of(run)
    assert (record.notified, record.released) == (1, 0)
    go_on.set()
    assert await notifier.until(lambda: record.released == 1, timeout=30)
    await executor.shutdown()
    assert (record.notified, record.released) == (1, 1)
