"""State machine of one worker slot.

::

    STARTING ──READY──▶ IDLE ──STARTED──▶ RUNNING ──outcome──▶ IDLE
       │                 │                   │
       │                 │                   ├─cancel─▶ RETURNING ──outcome──▶ IDLE
       │                 │                   │          (deadline)
       │                 │ used up, stop     │ cancel, stop  │ deadline
       │                 ├───▶ RETIRING ─────┼───────────────┼──deadline──▶ KILLING
       │                 │     (deadline)    └───────────────┴────────────────▶ ▲
       └─cancel, stop────┴─bytes that are not a frame───────────────────────────┘
    process ended, in every state ──▶ DEAD

A cancelled function gets the time to return in RETURNING if it asks for its cancellation or is a coroutine function;
else its process is killed. `deadline` is the one time limit of a state.

The outcome of the jobs of a process that has ended depends on the state before:

- Jobs return to the head of the queue, in order, if their functions had not been called.
- The job that was cancelled in RETURNING or KILLING ends as cancelled.
- Another job fails with `WorkerLostError` if its function was running.
- STARTING without a cancelled job is a failed start. RETIRING is expected.

A slot has no thread: only the supervisor's thread calls it. It calls no user code either: the reports of
jobs go through `SlotOwner`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Final, Generic, Protocol

from typing_extensions import TypeVar

from asyncz import _shutdown_limits
from asyncz.events import Worker
from asyncz.exceptions import WorkerLostError
from asyncz.executors import _remote_call, _remote_progress
from asyncz.executors.process_pool import _frames, _prefetch
from asyncz.executors.process_pool._frames import Content, FrameError
from asyncz.executors.process_pool._process import exit_reason
from asyncz.executors.process_pool._user_code import Lane

SECONDS_TO_QUIT = 5.0
"""Time for a retired worker to end: threads that functions have left in it may hold it up."""

SECONDS_TO_RETURN = 5.0
"""Time for a cancelled function to return, if it asks for its cancellation or is a coroutine function."""

_SECONDS_TO_START_RUN = 0.1
_SECONDS_FOR_FRAME = 5.0
_OUTCOMES = frozenset(
    {
        _remote_call.RESULT,
        _remote_call.ERROR,
        _remote_call.CANCELLED,
        _remote_call.UNLOADABLE,
        _remote_call.UNPICKLABLE,
    }
)
_MAX_LOG = 1 << 26
_LATE_FRAMES = {_frames.ASKS: 0, _frames.PROGRESS: _remote_progress.MAX_SIZE}
_TIME_SIZE = _frames.TIME.size
_MAX_OUTCOME = _frames.MAX_CONTENT + _TIME_SIZE
_LOG_OVERHEAD = 1000
_MAX_TEXTS = 1 << 28


class SlotState(Enum):
    """State of a worker slot."""

    STARTING = auto()
    IDLE = auto()
    RUNNING = auto()
    RETURNING = auto()
    RETIRING = auto()
    KILLING = auto()
    DEAD = auto()


# Global names: on 3.11, finding a member of an enumeration takes as long as a call.
STARTING: Final = SlotState.STARTING
IDLE: Final = SlotState.IDLE
RUNNING: Final = SlotState.RUNNING
RETURNING: Final = SlotState.RETURNING
RETIRING: Final = SlotState.RETIRING
KILLING: Final = SlotState.KILLING
DEAD: Final = SlotState.DEAD


class SlotEnd(Enum):
    """Meaning of the end of a worker process."""

    RETIRED = auto()
    KILLED = auto()
    LOST = auto()
    START_FAILED = auto()


class Job(Protocol):
    """A run without its result type. Only `pickle` and `deliver` call user code."""

    run_id: int
    can_return: bool
    """True if the function returns when it is cancelled: it is a coroutine function."""

    def claim(self) -> bool:
        """Take the run out of the executor's queue; return False if it has ended."""
        ...

    def pickle_plain(self) -> tuple[bytes, ...] | None:
        """Return the content of the frame that sends the run if that calls no user code, else None."""
        ...

    @property
    def is_plain(self) -> bool:
        """True if pickling the call is quick and calls no user code."""
        ...

    def pickle(self) -> tuple[bytes, ...]:
        """Return the content of the frame that sends the run."""
        ...

    def limit_pickling(self) -> Callable[[], None]:
        """Start the timeout of the run while it is pickled; return a function that stops it. From any thread."""
        ...

    def handed_over(self) -> None:
        """Note that an idle worker has been sent the run: the time limit counts from now on."""
        ...

    def started(self, at: float, worker: Worker) -> None:
        """Note that the function was called, at a time in seconds since the epoch, by a worker."""
        ...

    def progressed(self, content: Content) -> None:
        """Report the progress that the worker sent."""
        ...

    def deliver_plain(self, kind: int, content: Content) -> bool:
        """Report the outcome that the worker sent if that calls no user code; return True if it was reported."""
        ...

    def deliver(self, kind: int, content: Content) -> None:
        """Report the outcome that the worker sent."""
        ...

    def fail(self, error: BaseException) -> None:
        """Report an exception as the outcome."""
        ...

    def cancelled(self) -> None:
        """Report a cancellation as the outcome."""
        ...


class SlotLink(Protocol):
    """The part of a `WorkerLink` that a slot uses."""

    @property
    def is_within_frame(self) -> bool: ...

    def send(self, kind: int, run_id: int = 0, *parts: bytes) -> None: ...

    def send_run(self, run_id: int, parts: tuple[bytes, ...]) -> None: ...

    def revoke(self) -> list[int]: ...


class SlotProcess(Protocol):
    """The part of a `WorkerProcess` that a slot uses."""

    @property
    def pid(self) -> int: ...

    def kill(self) -> None: ...


ProcessT = TypeVar("ProcessT", bound=SlotProcess)
LinkT = TypeVar("LinkT", bound=SlotLink)


class SlotOwner(Protocol):
    """The part of the supervisor that a slot uses."""

    def report(self, lane: Lane, job: Job, report: Callable[[], None]) -> None:
        """Report the last that happens to a job, after the log records of its worker."""
        ...

    def deliver(self, lane: Lane, job: Job, kind: int, content: Content) -> None:
        """Report the outcome of a job that its worker sent, after the log records of the worker."""
        ...

    def log(self, lane: Lane, content: Content, note_handled: Callable[[], None]) -> None:
        """Handle a log record, and call a function afterwards, on the thread that has handled it."""
        ...


class Slot(Generic[ProcessT, LinkT]):
    """One worker process, and the jobs that it was given.

    Args:
        owner: Receives reports.
        window: Number of runs that may be sent ahead.
        max_runs: Number of runs after which the worker is retired; None means no limit.
        now: The current monotonic time.
    """

    def __init__(self, owner: SlotOwner, window: _prefetch.PrefetchWindow, max_runs: int | None, now: float) -> None:
        self._owner = owner
        self._window = window
        self._max_runs = max_runs
        self.state = STARTING
        self.deadline: float | None = None
        self.created_at = now
        self.link: LinkT | None = None
        self.process: ProcessT | None = None
        self.is_connected = True
        self.worker = Worker(host="", pid=0, thread="")
        self.lane = Lane()
        self.jobs: dict[int, Job] = {}
        # Jobs that are being pickled, and those behind them, in order.
        self.unsent: deque[tuple[Job, tuple[bytes, ...] | None]] = deque()
        self.current_run = 0
        self.current_since = 0.0
        self.cancelled_run = 0
        self.asking_run = 0
        self.progress_at = now
        self.is_recalled = False
        self.started_jobs = 0
        self.start_report: Content | None = None
        self.frame_error = ""
        self.ready_at: float | None = None
        self.was_ready = False
        self.was_retired = False
        self.received_at = now
        # Sizes of the log records that were received, written by the supervisor's thread only, and of those that were
        # handled, written by threads for user code under the lock.
        self._handled_lock = threading.Lock()
        self.log_bytes = 0
        self.handled_log_bytes = 0

    # Jobs on their way to the worker

    @property
    def accepts_jobs(self) -> bool:
        """True if the worker may be given another job."""
        state = self.state
        # Comparisons: on 3.11 a member of an enumeration is hashed by a function in Python.
        if state is not RUNNING and state is not IDLE and state is not STARTING:
            return False
        return self.is_connected and (self._max_runs is None or self.started_jobs < self._max_runs)

    @property
    def is_used_up(self) -> bool:
        """True if the worker was given its maximum number of runs."""
        return self._max_runs is not None and self.started_jobs >= self._max_runs

    @property
    def may_prefetch(self) -> bool:
        """True if a busy worker may be given another job."""
        return self.was_ready and not self.is_recalled and len(self.jobs) < self._window.size

    def batch_size(self, share: int) -> int:
        """Return the number of jobs that the worker may be given at once.

        Args:
            share: The worker's share of the queue.
        """
        if self._max_runs is not None or not self.jobs or not self.may_prefetch:
            return 1
        room = (self._window.size - len(self.jobs)) // 2
        return (room if room < share else share) or 1

    def reserve(self, job: Job, now: float) -> None:
        """Give a job to the worker; its content is added by `send`."""
        if not self.jobs:
            self.mark_progress(now)
        self.jobs[job.run_id] = job
        self.started_jobs += 1

    def send(self, job: Job, content: tuple[bytes, ...]) -> None:
        """Send a reserved job, after the jobs that were reserved before it."""
        if not self.unsent:
            self.send_next(job, content)
        else:
            self.unsent = deque((each, content if each is job else known) for each, known in self.unsent)
            self.send_pickled()

    def wait_for_pickle(self, job: Job, content: tuple[bytes, ...] | None) -> None:
        """Let a reserved job, and the jobs behind it, wait in order until it is pickled."""
        self.unsent.append((job, content))

    def send_pickled(self) -> None:
        """Send the first waiting jobs, up to the first one that is not pickled."""
        if self.link is None:
            return
        while self.unsent and self.unsent[0][1] is not None:
            job, content = self.unsent.popleft()
            self.send_next(job, content or ())

    def send_next(self, job: Job, content: tuple[bytes, ...]) -> None:
        """Send a reserved job if no other one waits in `unsent`."""
        link = self.link
        if link is None:
            self.unsent.append((job, content))
            return
        link.send_run(job.run_id, content)
        if self.state is IDLE and len(self.jobs) == 1:
            job.handed_over()

    def drop_unsent(self, job: Job) -> bool:
        """Take back a job that is not sent yet; return False if it is not such a job."""
        kept = deque(each for each in self.unsent if each[0] is not job)
        if len(kept) == len(self.unsent):
            return False
        self.unsent = kept
        del self.jobs[job.run_id]
        self.started_jobs -= 1
        self.send_pickled()
        return True

    def mark_progress(self, now: float) -> None:
        """Note that the worker has begun or ended a job: the jobs behind it are not recalled for a while."""
        self.progress_at = now
        self.is_recalled = False

    @property
    def recall_at(self) -> float | None:
        """Time at which jobs that the worker has not started may go to others; None if it has none."""
        if self.is_recalled or self.link is None or not self.was_ready:
            return None
        if len(self.jobs) > 1:
            return self.progress_at + _prefetch.SECONDS_UNTIL_RECALL
        if self.jobs and not self.current_run:
            # An idle worker that does not react may be stopped by a signal.
            return self.progress_at + _SECONDS_TO_START_RUN
        return None

    def recall(self) -> list[Job]:
        """Take back the jobs that the worker has not started, and return them in order."""
        self.is_recalled = True
        if self.link is None:
            return []
        # The jobs behind one that is being pickled wait for the same worker.
        taken = [*self.link.revoke(), *(job.run_id for job, _ in self.unsent)]
        self.unsent.clear()
        recalled = [self.jobs.pop(run_id) for run_id in taken if run_id in self.jobs]
        self.started_jobs -= len(recalled)
        return recalled

    # Process and frames

    def on_spawned(self, process: ProcessT, link: LinkT, worker: Worker) -> None:
        """Note that the process was started."""
        self.process, self.link, self.worker = process, link, worker
        if self.state is KILLING:
            process.kill()
        else:
            self.send_pickled()

    def check_header(self, kind: int, run_id: int, length: int) -> None:
        """Raise an error for a frame that is not possible now; called before the rest of a frame is collected.

        Raises:
            FrameError: The frame is of an unknown kind, too long, or not of the current run.
        """
        if run_id == self.current_run != 0 and kind in _OUTCOMES and length <= _MAX_OUTCOME:
            return
        if kind == _frames.STARTED:
            if self.was_ready and not self.current_run and run_id in self.jobs and length == _TIME_SIZE:
                return
            allowed = -1
        elif kind == _frames.LOG:
            allowed = _MAX_LOG
        elif self.was_ready:
            # A thread that a run has left behind may ask or report late.
            allowed = _LATE_FRAMES.get(kind, -1)
        elif kind in {_frames.READY, _frames.START_FAILED}:
            allowed = 0 if kind == _frames.READY else _MAX_TEXTS
        else:
            allowed = -1
        if length > allowed:
            raise FrameError(f"a frame of kind {kind} for the run {run_id} with {length} bytes is not expected")

    def on_frame(self, kind: int, run_id: int, content: Content, now: float) -> None:
        """Handle a frame, unless it is not possible now.

        Raises:
            FrameError: See `check_header`.
        """
        # The two frames of each run, accepted as by `check_header`. A content above `_MAX_OUTCOME` is not collected.
        if run_id == self.current_run != 0 and kind in _OUTCOMES:
            self._on_outcome(kind, run_id, content, now)
            return
        if kind == _frames.STARTED and not self.current_run and self.was_ready and len(content) == _TIME_SIZE:
            job = self.jobs.get(run_id)
            if job is not None:
                self._on_started(job, content, now)
                return
        self.check_header(kind, run_id, len(content))
        if kind == _frames.LOG:
            self._log(content)
        elif kind == _frames.PROGRESS:
            if run_id == self.current_run != 0:
                self.jobs[run_id].progressed(content)
        elif kind == _frames.ASKS:
            self.asking_run = run_id
        elif kind == _frames.READY:
            self._on_ready(now)
        else:
            self.start_report = content

    def _log(self, content: Content) -> None:
        size = len(content) + _LOG_OVERHEAD
        self.log_bytes += size

        def note_handled() -> None:
            with self._handled_lock:
                self.handled_log_bytes += size

        self._owner.log(self.lane, content, note_handled)

    @property
    def unhandled_log_bytes(self) -> int:
        """Size of the log records that were received and not handled yet."""
        return self.log_bytes - self.handled_log_bytes

    def _on_ready(self, now: float) -> None:
        self.was_ready = True
        self.ready_at = now
        self.mark_progress(now)
        if self.state is STARTING:
            self.state = IDLE
            first = next(iter(self.jobs.values()), None)
            if first is not None:
                first.handed_over()

    def _on_started(self, job: Job, content: Content, now: float) -> None:
        self.current_run = job.run_id
        self.current_since = since = _frames.TIME.unpack(content)[0]
        self.mark_progress(now)
        if self.lane.is_scheduled:
            # The outcome of this run must not wait for user code of an earlier one.
            self.lane = Lane()
        if self.state is IDLE:
            self.state = RUNNING
        job.started(since, self.worker)

    def _on_outcome(self, kind: int, run_id: int, content: Content, now: float) -> None:
        job = self.jobs.pop(run_id)
        self.current_run = 0
        # As the worker measured it: this thread may be late.
        self._window.record(_frames.TIME.unpack_from(content)[0] - self.current_since)
        self.mark_progress(now)
        if self.state is RETURNING:
            self.state, self.deadline, self.cancelled_run = IDLE, None, 0
            self._owner.report(self.lane, job, job.cancelled)
        else:
            if self.state is RUNNING:
                self.state = IDLE
            self._owner.deliver(self.lane, job, kind, content)
        if self._max_runs is not None and not self.jobs and self.is_used_up and self.state is IDLE:
            self.retire(now)

    # Cancellation and end

    def cancel(self, run_id: int, now: float) -> list[Job]:
        """Cancel a job that was sent.

        If the job starts at this moment, nothing is done and `is_cancelling` is False afterwards: call again.

        Returns:
            Jobs that return to the queue, the cancelled one among them if it had not started.
        """
        if self.state in {KILLING, DEAD}:
            return []
        if run_id == self.current_run and (self.asking_run == run_id or self.jobs[run_id].can_return):
            self._request_return(run_id, now)
        elif run_id == self.current_run or not self.was_ready:
            self.kill(run_id)
        else:
            return self.recall()
        return []

    def is_cancelling(self, run_id: int) -> bool:
        """Return True if a job will end as cancelled, or with its process."""
        return self.cancelled_run == run_id or self.state in {KILLING, DEAD}

    def _request_return(self, run_id: int, now: float) -> None:
        if self.state is RUNNING and self.link is not None:
            self.state, self.deadline = RETURNING, now + SECONDS_TO_RETURN
            self.cancelled_run = run_id
            self.link.send(_frames.CANCEL, run_id)

    def retire(self, now: float) -> None:
        """Ask an idle worker to quit."""
        self.state, self.deadline = RETIRING, now + SECONDS_TO_QUIT
        self.was_retired = True
        if self.link is not None:
            self.link.send(_frames.QUIT)

    def kill(self, cancelled_run: int = 0) -> None:
        """Kill the process; one job may be cancelled by that."""
        self.state, self.deadline = KILLING, None
        self.cancelled_run = cancelled_run or self.cancelled_run
        if self.process is not None:
            self.process.kill()

    def on_disconnect(self) -> None:
        """Kill a worker that has closed the channel: it is ending, or a function has closed all descriptors."""
        self.is_connected = False
        if self.process is not None:
            self.process.kill()

    def stop(self, since: float) -> None:
        """End the worker: an idle one quits, a cancelled run may return first, all others are killed. Call repeatedly.

        Args:
            since: Time of the first call.
        """
        latest = since + _shutdown_limits.CLEANUP_SECONDS
        if self.state is IDLE and not self.jobs:
            self.retire(since)
            self.deadline = latest
        elif self.state is RETURNING and self.deadline is not None:
            self.deadline = min(self.deadline, latest)
        elif self.state not in {RETIRING, KILLING, DEAD}:
            self.kill(self.current_run or next(iter(self.jobs), 0))

    def on_frame_error(self, error: FrameError) -> None:
        """Kill a worker that sent bytes which are not an acceptable frame."""
        self.frame_error = f"sent {error}"
        self.kill()

    @property
    def frame_deadline(self) -> float | None:
        """Time at which a frame that was received in part means that the rest will not come."""
        if self.link is None or not self.link.is_within_frame or self.state in {KILLING, DEAD}:
            return None
        return self.received_at + _SECONDS_FOR_FRAME

    @property
    def next_deadline(self) -> float | None:
        """Earliest time at which `act_on_deadlines` has something to do."""
        times = [at for at in (self.deadline, self.frame_deadline) if at is not None]
        return min(times) if times else None

    def act_on_deadlines(self, now: float) -> None:
        """Kill a worker that has not reached its next state in time."""
        if self.deadline is not None and now >= self.deadline:
            self.kill()
        frame_deadline = self.frame_deadline
        if frame_deadline is not None and now >= frame_deadline:
            self.on_frame_error(FrameError("a frame that it did not complete"))

    def on_death(self) -> list[Job]:
        """Note that the process has ended, and return the jobs that had not begun."""
        self.state, self.deadline = DEAD, None
        kept = {self.current_run, self.cancelled_run}
        requeued = [job for run_id, job in self.jobs.items() if run_id not in kept]
        self.jobs = {run_id: job for run_id, job in self.jobs.items() if run_id in kept}
        self.unsent.clear()
        return requeued

    @property
    def end(self) -> SlotEnd:
        """Meaning of the end of the process."""
        if self.was_retired and not self.jobs:
            return SlotEnd.RETIRED
        if self.cancelled_run:
            return SlotEnd.KILLED
        return SlotEnd.LOST if self.was_ready else SlotEnd.START_FAILED

    def report_death(self, exit_code: int | None) -> None:
        """Report the outcomes of the remaining jobs."""
        cancelled = self.jobs.pop(self.cancelled_run, None)
        if cancelled is not None:
            self._owner.report(self.lane, cancelled, cancelled.cancelled)
        reason = self.frame_error or exit_reason(exit_code)
        if self.cancelled_run and not self.frame_error:
            reason = "was killed to cancel another run, which had just ended"
        lost = WorkerLostError(reason, exit_code, self.worker.pid or None)
        for job in self.jobs.values():
            self._owner.report(self.lane, job, partial(job.fail, lost))
        self.jobs.clear()
