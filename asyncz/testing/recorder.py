"""A notifier that keeps what an executor tells it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable

import attrs
from typing_extensions import TypeVar

from asyncz.events import TaskNotification
from asyncz.runs import TaskRun, complete_run

ResultT = TypeVar("ResultT")


@attrs.define(eq=False)
class RunRecord:
    """What was told of one run.

    Attributes:
        notified: Number of outcomes, from `finished` or `notify`.
        released: Number of releases, from `finished` or `released`.
        released_first: Whether `released` was called before `notify`.
        work_had_ended: What was known of its work when it was released.
    """

    notified: int = 0
    released: int = 0
    released_first: bool = False
    work_had_ended: bool = True


class RecordingNotifier:
    """Stands for the scheduler in the test of an executor: hand it to `start`, then await the runs.

    To be made on a running loop. The runs are concluded on that loop, so that
    `await run.notification()` works as it does with a scheduler.

    Example:
        >>> notifier = RecordingNotifier()
        >>> await executor.start(notifier, "tried")
        >>> run = TaskRun(TaskSpec("t", partial(pow, 2, 10)))
        >>> executor.submit(run)
        >>> await run.notification()
        >>> await notifier.until(lambda: notifier.record_of(run).released == 1, timeout=10)
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._records: dict[int, RunRecord] = {}
        self._work_has_ended: dict[int, Callable[[], bool]] = {}
        self._told = asyncio.Event()
        self._lock = threading.Lock()

    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Record the outcome of a run and its release. May be called from any thread."""
        record = self.record_of(run)
        work_has_ended = self._work_has_ended.get(run.id, lambda: True)()
        # In one step: a test that sees the outcome must find the release as well.
        with self._lock:
            record.notified += 1
            record.released += 1
            record.work_had_ended = record.work_had_ended and work_has_ended
        self._on_loop(lambda: complete_run(run, notification))

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Keep how a run ended. May be called from any thread."""
        record = self.record_of(run)
        with self._lock:
            record.notified += 1
        self._on_loop(lambda: complete_run(run, notification))

    def released(self, run: TaskRun[ResultT], /) -> None:
        """Keep that a run's work is over. May be called from any thread."""
        record = self.record_of(run)
        work_has_ended = self._work_has_ended.get(run.id, lambda: True)()
        with self._lock:
            record.released += 1
            record.released_first = record.released_first or not record.notified
            record.work_had_ended = record.work_had_ended and work_has_ended
        self._on_loop(lambda: None)

    def record_of(self, run: TaskRun[ResultT], /) -> RunRecord:
        """What was told of a run so far. May be called from any thread."""
        return self._records.setdefault(run.id, RunRecord())

    def told(self) -> Counter[str]:
        """Return the number of outcomes and of releases in all; `finished` counts as one of each."""
        records = list(self._records.values())
        return Counter(
            notified=sum(record.notified for record in records), released=sum(record.released for record in records)
        )

    def watch(self, run: TaskRun[ResultT], work_has_ended: Callable[[], bool], /) -> None:
        """Ask, when a run is released, whether its work has ended."""
        self._work_has_ended[run.id] = work_has_ended

    async def until(self, reached: Callable[[], bool], /, *, timeout: float) -> bool:
        """Wait until something was told that makes `reached` true.

        Args:
            reached: Asked again each time when something was told.
            timeout: How many seconds to wait at most.

        Returns:
            Whether it came to be.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not reached():
                    self._told.clear()
                    await self._told.wait()
        return reached()

    def _on_loop(self, call: Callable[[], object]) -> None:
        def make() -> None:
            call()
            self._told.set()

        # What is told after the test has ended is of no interest any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(make)
