"""The jobs of a supervisor: those that were submitted and not reported, their queue and their reports."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from asyncz.executors import _remote_records
from asyncz.executors.process_pool import _frames
from asyncz.executors.process_pool._frames import Content
from asyncz.executors.process_pool._slot import Job
from asyncz.executors.process_pool._user_code import Lane, UserCodeThreads

_TIME_SIZE = _frames.TIME.size


class JobTable:
    """Jobs that were submitted and not reported; the `SlotOwner` of all slots.

    Each job is reported once: the thread that removes it from the table reports it. `add` and `cancel_all` may be
    called from any thread, everything else by the supervisor's thread only. Item assignment, `pop` with a default and
    `list` of a dictionary with integer keys are atomic under the GIL.

    Args:
        user_code: Threads that call user code.
        on_record_handled: Called after each log record, on the thread that has handled it.
    """

    def __init__(self, user_code: UserCodeThreads, on_record_handled: Callable[[], None]) -> None:
        self._user_code = user_code
        self._on_record_handled = on_record_handled
        self._jobs: dict[int, Job] = {}
        self.queue: deque[Job] = deque()

    def add(self, job: Job) -> None:
        """Add a job to the table and to the end of the queue."""
        self._jobs[job.run_id] = job
        self.queue.append(job)

    def get(self, run_id: int) -> Job | None:
        """Return a job that is not reported yet."""
        return self._jobs.get(run_id)

    def is_open(self, job: Job) -> bool:
        """Return True if a job is not reported yet."""
        return self._jobs.get(job.run_id) is job

    def remove(self, job: Job) -> bool:
        """Remove a job; return False if it was reported."""
        return self._jobs.pop(job.run_id, None) is not None

    def report(self, lane: Lane, job: Job, report: Callable[[], None]) -> None:
        """Report the last that happens to a job, after the log records of its worker."""
        if self._jobs.pop(job.run_id, None) is None:
            return
        if lane.is_scheduled:
            self._user_code.call(lane, report)
        else:
            report()

    def deliver(self, lane: Lane, job: Job, kind: int, content: Content) -> None:
        """Report the outcome of a job that its worker sent, after the log records of the worker."""
        if self._jobs.pop(job.run_id, None) is None:
            return
        if isinstance(content, bytes):
            content = content[_TIME_SIZE:]
        else:
            # In place: the content may be large.
            del content[:_TIME_SIZE]
        if lane.is_scheduled or not job.deliver_plain(kind, content):
            self._user_code.call(lane, partial(job.deliver, kind, content))

    def log(self, lane: Lane, content: Content, note_handled: Callable[[], None]) -> None:
        """Handle a log record of a worker, on a thread for user code."""

        def handle() -> None:
            try:
                _remote_records.handle_record(content)
            finally:
                note_handled()
                self._on_record_handled()

        self._user_code.call(lane, handle)

    def end_cancelled(self, job: Job) -> None:
        """Report a job that no worker has as cancelled."""
        self.report(_NO_RECORDS, job, job.cancelled)

    def fail(self, job: Job, error: BaseException) -> None:
        """Report an exception as the outcome of a job. The text of the exception may be user code."""
        if self.remove(job):
            self._user_code.call(Lane(), partial(job.fail, error))

    def fail_queue(self, error: BaseException) -> None:
        """Report an exception as the outcome of every job in the queue."""
        while self.queue:
            job = self.queue.popleft()
            self.report(_NO_RECORDS, job, partial(job.fail, error))

    def cancel_queue(self) -> None:
        """Report every job in the queue as cancelled."""
        while self.queue:
            self.end_cancelled(self.queue.popleft())

    def fail_all(self, error: BaseException) -> None:
        """Report an exception as the outcome of every job."""
        for job in list(self._jobs.values()):
            self.fail(job, error)

    def cancel_all(self) -> None:
        """Report every job as cancelled."""
        for job in list(self._jobs.values()):
            # Of two threads, one gets the job.
            if self.remove(job):
                job.cancelled()


_NO_RECORDS = Lane()
"""A lane that is always idle."""
