"""Notifier that records the reports of an executor."""

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
    """Reports of one run.

    Attributes:
        notified: Number of outcomes, from `finished` or `notify`.
        released: Number of releases, from `finished` or `released`.
        released_first: `released` was called before `notify`.
        work_had_ended: The function had returned when the run was released.
    """

    notified: int = 0
    released: int = 0
    released_first: bool = False
    work_had_ended: bool = True


class RecordingNotifier:
    """Replacement for the scheduler in tests of an executor: pass it to `start`, then await the runs.

    It must be created on a running loop. Runs are completed on that loop, so that `await run.notification()` works as
    with a scheduler.

    Example:
        >>> notifier = RecordingNotifier()
        >>> await executor.start(notifier, "under_test")
        >>> run = TaskRun(TaskSpec("t", partial(pow, 2, 10)))
        >>> executor.submit(run)
        >>> await run.notification()
        >>> await notifier.until(lambda: notifier.record_of(run).released == 1, timeout=10)
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._records: dict[int, RunRecord] = {}
        self._work_has_ended: dict[int, Callable[[], bool]] = {}
        self._reported = asyncio.Event()
        self._lock = threading.Lock()

    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Record the outcome of a run and its release. Thread-safe."""
        record = self.record_of(run)
        work_has_ended = self._work_has_ended.get(run.id, lambda: True)()
        # Both in one step: the loop must not see an outcome before its release.
        with self._lock:
            record.notified += 1
            record.released += 1
            record.work_had_ended = record.work_had_ended and work_has_ended
        self._on_loop(lambda: complete_run(run, notification))

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Record the outcome of a run. Thread-safe."""
        record = self.record_of(run)
        with self._lock:
            record.notified += 1
        self._on_loop(lambda: complete_run(run, notification))

    def released(self, run: TaskRun[ResultT], /) -> None:
        """Record the release of a run. Thread-safe."""
        record = self.record_of(run)
        work_has_ended = self._work_has_ended.get(run.id, lambda: True)()
        with self._lock:
            record.released += 1
            record.released_first = record.released_first or not record.notified
            record.work_had_ended = record.work_had_ended and work_has_ended
        self._on_loop(lambda: None)

    def record_of(self, run: TaskRun[ResultT], /) -> RunRecord:
        """Return the reports of a run so far. Thread-safe."""
        return self._records.setdefault(run.id, RunRecord())

    def totals(self) -> Counter[str]:
        """Return the number of outcomes and of releases in all; `finished` counts as one of each."""
        records = list(self._records.values())
        return Counter(
            notified=sum(record.notified for record in records), released=sum(record.released for record in records)
        )

    def watch(self, run: TaskRun[ResultT], work_has_ended: Callable[[], bool], /) -> None:
        """Call a function when a run is released, to record if its work has ended."""
        self._work_has_ended[run.id] = work_has_ended

    async def until(self, reached: Callable[[], bool], /, *, timeout: float) -> bool:
        """Wait until a report makes a condition true.

        Args:
            reached: The condition, evaluated after each report.
            timeout: Maximum number of seconds to wait.

        Returns:
            True if the condition became true in time.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not reached():
                    self._reported.clear()
                    await self._reported.wait()
        return reached()

    def _on_loop(self, call: Callable[[], object]) -> None:
        def make() -> None:
            call()
            self._reported.set()

        # Reports after the end of the test, when the loop is closed, are not needed.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(make)
