"""End of the event loop without a shutdown of the executor, as by `asyncio.run`."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from typing_extensions import override

from asyncz import AsyncIOExecutor, TaskRun, TaskSpec
from asyncz.testing import RecordingNotifier
from tests.helpers.waiting import until


class EventHandler(logging.Handler):
    """Handler that sets an event when a record contains a text."""

    def __init__(self, text: str, event: threading.Event) -> None:
        super().__init__()
        self._text = text
        self._event = event

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if self._text in record.getMessage():
            self._event.set()


def test_end_of_loop_cancels_queued_functions(request: pytest.FixtureRequest) -> None:
    """The loop waits for the function that is running, which the log names, and not for those behind it."""
    begun, announced = threading.Event(), threading.Event()
    called: list[int] = []
    handler = EventHandler("The end of the event loop waits until", announced)
    logger = logging.getLogger("asyncz")
    logger.addHandler(handler)
    request.addfinalizer(partial(logger.removeHandler, handler))

    def hold() -> bool:
        begun.set()
        return announced.wait(30)

    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        executor = AsyncIOExecutor()
        await executor.start(RecordingNotifier(), "under_test")
        executor.submit(TaskRun(TaskSpec[object]("running", hold)))
        executor.submit(TaskRun(TaskSpec[object]("queued", partial(called.append, 1))))
        await until(begun.is_set)

    asyncio.run(main())
    assert announced.is_set()
    assert called == []
