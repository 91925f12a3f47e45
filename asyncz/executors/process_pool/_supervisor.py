"""The supervisor: the thread of the parent that feeds the worker processes, and replaces those that end.

Each worker has a `Slot`, which decides, and a `WorkerLink` and a `WorkerProcess`, which act. The supervisor's thread
never waits for anything but its selector, and calls no user code: processes are started, and calls, results and log
records are handled, on `UserCodeThreads`, which hand their results back with `_post`. If the supervisor fails all the
same, its jobs fail with that error, its workers are killed, and it starts anew on the same thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

from asyncz.config import ProcessPoolKwargs
from asyncz.events import Worker
from asyncz.exceptions import WorkerStartError
from asyncz.executors._exit_hooks import call_before_exit_waits
from asyncz.executors._serialization import error_of
from asyncz.executors.process_pool import _frames, _prefetch, _process, _worker_logging
from asyncz.executors.process_pool._frames import Content, FrameError
from asyncz.executors.process_pool._link import WorkerLink
from asyncz.executors.process_pool._process import WorkerProcess
from asyncz.executors.process_pool._slot import Job, Slot, SlotEnd, SlotState
from asyncz.executors.process_pool._user_code import Lane, UserCodeThreads
from asyncz.runs import this_worker

logger = logging.getLogger("asyncz.executors")

WorkerSlot: TypeAlias = Slot[WorkerProcess, WorkerLink]

_STARTS_BEFORE_BROKEN = 3
# A start that is killed from outside, or lacks a resource, says little about the next one.
_TEMPORARY_FAILURES_BEFORE_END = 30
_FIRST_BACK_OFF = 0.1
_LONGEST_BACK_OFF = 1.0
_SECONDS_UNTIL_SLOW = 0.02
_MAX_SLOW = 32
_MAX_UNHANDLED_LOG_BYTES = 16 << 20
_SECONDS_TO_STOP = 10.0
_FAILURES_BEFORE_BROKEN = 10


class Supervisor:
    """The worker processes of one executor.

    Args:
        max_workers: Maximum number of processes.
        pool_kwargs: Start method, initializer and maximum number of runs of each process.
        mark_broken: Called if no worker can be started; afterwards no runs are submitted.
    """

    def __init__(self, max_workers: int, pool_kwargs: ProcessPoolKwargs, mark_broken: Callable[[], None]) -> None:
        self._max_workers = max_workers
        self._context = pool_kwargs.get("mp_context") or _process.default_context()
        self._initializer = pool_kwargs.get("initializer")
        self._initargs = pool_kwargs.get("initargs", ())
        self._runs_per_worker = pool_kwargs.get("max_tasks_per_child")
        self._mark_broken = mark_broken
        # Every job that is submitted and not reported. Other threads only add: item assignment is atomic.
        self._jobs: dict[int, Job] = {}
        self._queue: deque[Job] = deque()
        self._cancels: deque[int] = deque()
        self._posted: deque[Callable[[], None]] = deque()
        self._slots: list[WorkerSlot] = []
        self._links: weakref.WeakSet[WorkerLink] = weakref.WeakSet()
        # Jobs that are being pickled: their slot, None if it was given up, and the time of the start.
        self._pickling: dict[int, tuple[WorkerSlot | None, float]] = {}
        self._pickled: dict[int, tuple[bytes, ...]] = {}
        self._paused: set[WorkerSlot] = set()
        self._selector = selectors.DefaultSelector()
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._is_awake = False
        self._stopping = False
        self._ended = False
        self._on_end: list[Callable[[], object]] = []
        self._end_lock = threading.Lock()
        self._broken_by: BaseException | None = None
        self._failed_starts = 0
        self._failed_at = 0.0
        self._start_again_at = 0.0
        self._failures = 0
        self._window = _prefetch.PrefetchWindow()
        self._user_code = UserCodeThreads("asyncz")
        self._log_lane = Lane()
        self._thread: threading.Thread | None = None
        self.lost_workers = 0
        self.replaced_workers = 0
        self._to_replace = 0

    # From any thread

    @property
    def workers(self) -> int:
        """Number of worker processes, including those that start."""
        return len(self._slots)

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers that are ready."""
        return [slot.process.pid for slot in list(self._slots) if slot.was_ready and slot.process is not None]

    def start(self, alias: str) -> None:
        """Start the thread."""
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ, None)
        self._user_code = UserCodeThreads(f"asyncz-{alias}")
        self._thread = threading.Thread(target=self._run, name=f"asyncz-{alias}-supervisor", daemon=True)
        self._thread.start()
        _running.add(self)

    def submit(self, job: Job) -> None:
        """Run a job as soon as a worker is free."""
        self._jobs[job.run_id] = job
        self._queue.append(job)
        self._wake()
        if self._ended:
            self._cancel_all()

    def cancel(self, run_id: int) -> None:
        """Report a run as cancelled; if a worker executes it, kill the worker or let the function return."""
        self._cancels.append(run_id)
        self._wake()

    def stop_soon(self, on_end: Callable[[], object]) -> None:
        """End all workers, killing those that still work, and the thread; call a function afterwards."""
        with self._end_lock:
            if not self._ended:
                self._on_end.append(on_end)
                on_end = _do_nothing
        self._stopping = True
        self._wake()
        on_end()

    def stop(self) -> None:
        """End all workers and the thread, and wait for that."""
        self.stop_soon(_do_nothing)
        self.join()

    def join(self) -> None:
        """Wait for the end of the thread."""
        if self._thread is not None:
            self._thread.join()

    def close_after_fork(self) -> None:
        """Close the copied descriptors in a forked process: a worker notices by them that this process is gone."""
        self._selector.close()
        self._wake_sender.close()
        self._wake_receiver.close()
        for link in list(self._links):
            link.close_after_fork()

    def _wake(self) -> None:
        # `_is_awake` is cleared before the queues are read: what is added after that sends another byte.
        if not self._is_awake:
            self._is_awake = True
            with contextlib.suppress(OSError):
                self._wake_sender.send(b"\0")

    def _post(self, call: Callable[[], None]) -> None:
        """Make a call on the supervisor's thread."""
        self._posted.append(call)
        self._wake()

    # The supervisor's thread

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._serve()
            except BaseException as error:
                self._start_anew(error)
        try:
            self._shut_down()
        except BaseException as error:
            self._fail_all(error)
        finally:
            self._close()

    def _serve(self) -> None:
        while not self._stopping:
            while self._posted:
                self._posted.popleft()()
            if self._cancels:
                self._cancel_requested(time.monotonic())
            now = time.monotonic()
            self._give_up_slow_pickles(now)
            self._recall_overdue(now)
            self._dispatch_queued(now)
            self._look_at_slots(now)
            self._handle_events(self._select_timeout(now))

    def _handle_events(self, timeout: float | None) -> None:
        for key, events in self._selector.select(timeout):
            slot: WorkerSlot | None = key.data
            if slot is None:
                with contextlib.suppress(BlockingIOError):
                    self._wake_receiver.recv(1 << 12)
                # Only now: a byte that is sent in between would be read, and its sender forgotten.
                self._is_awake = False
            elif slot in self._slots and slot.state is not SlotState.DEAD:
                if slot.process is not None and key.fd == slot.process.sentinel:
                    self._reap(slot)
                    continue
                if events & selectors.EVENT_WRITE:
                    self._flush(slot)
                if events & selectors.EVENT_READ:
                    self._receive(slot)

    def _select_timeout(self, now: float) -> float | None:
        times = [at for slot in self._slots for at in (slot.next_deadline, slot.recall_at) if at is not None]
        times += [since + _SECONDS_UNTIL_SLOW for slot, since in self._pickling.values() if slot is not None]
        if self._queue and len(self._slots) < self._max_workers:
            times.append(self._start_again_at)
        look_at = self._user_code.look(now)
        if look_at is not None:
            times.append(look_at)
        return max(0.0, min(times) - time.monotonic()) if times else None

    # Jobs to workers

    def _dispatch_queued(self, now: float) -> None:
        while self._queue:
            if self._broken_by is not None:
                self._fail_queue(self._broken_by)
                break
            slot = self._choose_slot(now)
            if slot is None:
                break
            job = self._queue.popleft()
            # A cancelled job is removed here only.
            if self._jobs.get(job.run_id) is job:
                self._give(slot, job, now)
        for slot in self._slots:
            if slot.link is not None and slot.link.has_outgoing:
                self._flush(slot)

    def _choose_slot(self, now: float) -> WorkerSlot | None:
        fewest, fillable = self._window.size, None
        lately = now - _prefetch.SECONDS_IN_FLIGHT
        idle = None
        for slot in self._slots:
            if not slot.accepts_jobs:
                continue
            count = len(slot.jobs)
            if not count:
                if slot.was_ready and not slot.is_recalled:
                    return slot
                idle = idle or slot
            elif count < fewest and slot.may_prefetch and slot.progress_at > lately:
                fewest, fillable = count, slot
        if idle is not None and not idle.was_ready:
            return idle
        if len(self._slots) < self._max_workers and now >= self._start_again_at:
            return self._add_slot(now)
        return fillable or idle

    def _give(self, slot: WorkerSlot, job: Job, now: float) -> None:
        if not job.claim():
            del self._jobs[job.run_id]
            return
        content = self._pickled.pop(job.run_id, None) or job.pickle_plain()
        slot.reserve(job, now)
        if content is None:
            self._pickling[job.run_id] = slot, now
            self._user_code.call(Lane(), partial(self._pickle, job))
        if content is None or slot.unsent:
            slot.wait_for_pickle(job, content)
        else:
            slot.send(job, content)

    def _pickle(self, job: Job) -> None:
        """Pickle a job, on a thread for user code."""
        try:
            content = job.pickle()
        except BaseException as error:
            self._post(partial(self._on_pickle_failed, job, error))
        else:
            self._post(partial(self._on_pickled, job, content))

    def _on_pickled(self, job: Job, content: tuple[bytes, ...]) -> None:
        slot, _ = self._pickling.pop(job.run_id, (None, 0.0))
        if self._jobs.get(job.run_id) is not job:
            return
        if slot is not None and slot.jobs.get(job.run_id) is job:
            slot.send(job, content)
        else:
            self._pickled[job.run_id] = content
            self._queue.appendleft(job)

    def _on_pickle_failed(self, job: Job, error: BaseException) -> None:
        slot, _ = self._pickling.pop(job.run_id, (None, 0.0))
        if slot is not None:
            slot.drop_unsent(job)
        if self._jobs.pop(job.run_id, None) is job:
            # The text of the error is user code.
            self._user_code.call(Lane(), partial(job.fail, error))

    def _give_up_slow_pickles(self, now: float) -> None:
        """Give the slots of jobs whose pickling takes long to other jobs."""
        if not self._pickling:
            return
        slow = sum(slot is None for slot, _ in self._pickling.values())
        for run_id, (slot, since) in list(self._pickling.items()):
            if slot is not None and now >= since + _SECONDS_UNTIL_SLOW and slow < _MAX_SLOW:
                slow += 1
                self._pickling[run_id] = None, since
                job = self._jobs.get(run_id)
                if job is not None:
                    slot.drop_unsent(job)
            elif slot is not None and now >= since + _SECONDS_UNTIL_SLOW:
                self._pickling[run_id] = slot, now

    def _requeue(self, jobs: Iterable[Job]) -> None:
        """Return jobs to the head of the queue, in order."""
        waiting: list[Job] = []
        for job in jobs:
            if job.run_id in self._pickling:
                self._pickling[job.run_id] = None, 0.0
            else:
                waiting.append(job)
        self._queue.extendleft(reversed(waiting))

    def _recall_overdue(self, now: float) -> None:
        """Take back the jobs behind a long run, and those of a worker that does not react."""
        for slot in self._slots:
            if slot.recall_at is None or now < slot.recall_at:
                continue
            if slot.current_run or self._has_other_slot(slot):
                self._requeue(slot.recall())
            else:
                slot.mark_progress(now)

    def _has_other_slot(self, slot: WorkerSlot) -> bool:
        return len(self._slots) < self._max_workers or any(
            other is not slot and other.accepts_jobs and not other.jobs and not other.is_recalled
            for other in self._slots
        )

    # Processes

    def _add_slot(self, now: float) -> WorkerSlot:
        slot: WorkerSlot = Slot(self, self._window, self._runs_per_worker, now)
        self._slots.append(slot)
        self._user_code.call(Lane(), partial(self._spawn, slot))
        return slot

    def _spawn(self, slot: WorkerSlot) -> None:
        """Start the process of a slot, on a thread for user code: `initargs` are pickled."""
        try:
            process, link = _process.spawn(self._context, self._initializer, self._initargs, self._links.add)
        except BaseException as error:
            self._post(partial(self._on_spawn_failed, slot, _process.start_error(error), _process.is_temporary(error)))
        else:
            self._post(partial(self._on_spawned, slot, process, link))

    def _on_spawned(self, slot: WorkerSlot, process: WorkerProcess, link: WorkerLink) -> None:
        if slot not in self._slots:
            self._discard(process, link)
            return
        if self._to_replace:
            self._to_replace -= 1
            self.replaced_workers += 1
        link.set_check(slot.check_header)
        slot.on_spawned(process, link, Worker(host=this_worker().host, pid=process.pid, thread="MainThread"))
        self._selector.register(link.socket, selectors.EVENT_READ, slot)
        self._selector.register(process.sentinel, selectors.EVENT_READ, slot)

    def _on_spawn_failed(self, slot: WorkerSlot, failure: WorkerStartError, is_temporary: bool) -> None:
        if slot in self._slots:
            self._slots.remove(slot)
            self._requeue(slot.on_death())
            slot.report_death(None)
            self._count_failed_start(slot)
            self._on_start_failure(failure, is_temporary)

    def _count_failed_start(self, slot: WorkerSlot) -> None:
        """Delay the next start. Processes that end together, for example by Ctrl-C, count once."""
        now = time.monotonic()
        if slot.created_at >= self._failed_at:
            self._failed_starts += 1
            self._failed_at = now
        self._start_again_at = now + min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * 2**self._failed_starts)

    def _on_start_failure(self, failure: WorkerStartError, is_temporary: bool) -> None:
        if self._stopping:
            return
        text = "A worker process could not start (%d in a row): %s"
        self._log_error(text, self._failed_starts, failure)
        if is_temporary or failure.exit_code in {-signal.SIGKILL, -signal.SIGTERM}:
            if self._failed_starts >= _TEMPORARY_FAILURES_BEFORE_END:
                self._failed_starts = 0
                self._fail_queue(failure)
        elif self._failed_starts >= _STARTS_BEFORE_BROKEN:
            self._become_broken(failure)

    def _become_broken(self, error: BaseException) -> None:
        def mark() -> None:
            try:
                self._mark_broken()
            finally:
                self._post(fail)

        def fail() -> None:
            self._broken_by = error

        # The executor logs it.
        self._user_code.call(Lane(), mark)

    def _log_error(self, text: str, *values: object) -> None:
        """Log an error; log handlers are user code."""
        self._user_code.call(self._log_lane, partial(logger.error, text, *values))

    def _flush(self, slot: WorkerSlot) -> None:
        link = slot.link
        if link is None or not slot.is_connected:
            return
        link.flush()
        wanted = selectors.EVENT_READ if slot not in self._paused else 0
        wanted |= selectors.EVENT_WRITE if link.has_outgoing else 0
        self._set_interest(link, slot, wanted)

    def _set_interest(self, link: WorkerLink, slot: WorkerSlot, wanted: int) -> None:
        registered = self._selector.get_map().get(link.socket)
        if registered is None:
            if wanted:
                self._selector.register(link.socket, wanted, slot)
        elif not wanted:
            self._selector.unregister(link.socket)
        elif registered.events != wanted:
            self._selector.modify(link.socket, wanted, slot)

    def _receive(self, slot: WorkerSlot) -> bool:
        """Handle what has arrived; return True if there may be more."""
        link, now = slot.link, time.monotonic()
        assert link is not None
        try:
            frames = link.receive()
            if frames is None:
                self._disconnect(slot)
                return False
            slot.received_at = now
            for kind, run_id, content in frames:
                slot.on_frame(kind, run_id, content, now)
                if kind == _frames.READY:
                    self._failed_starts = 0
        except BlockingIOError:
            return False
        except FrameError as error:
            slot.on_frame_error(error)
            self._disconnect(slot)
            return False
        if slot.unhandled_log_bytes > _MAX_UNHANDLED_LOG_BYTES:
            # Let the worker wait until its records are handled.
            self._paused.add(slot)
        if slot in self._paused or link.has_outgoing:
            self._flush(slot)
        return True

    def _disconnect(self, slot: WorkerSlot) -> None:
        """Receive no more from a worker."""
        if slot.is_connected and slot.link is not None:
            slot.link.is_connected = False
            self._set_interest(slot.link, slot, 0)
            slot.on_disconnect()

    def _look_at_slots(self, now: float) -> None:
        for slot in self._slots:
            if slot.next_deadline is not None:
                slot.act_on_deadlines(now)
        for slot in list(self._paused):
            if slot.unhandled_log_bytes < _MAX_UNHANDLED_LOG_BYTES // 2:
                self._paused.discard(slot)
                self._flush(slot)

    def _reap(self, slot: WorkerSlot) -> None:
        """Handle the end of a process: what it still sent, its jobs, its exit status."""
        process = slot.process
        assert process is not None
        self._selector.unregister(process.sentinel)
        while self._receive(slot):
            pass
        self._disconnect(slot)
        self._paused.discard(slot)
        process.kill_group()
        self._requeue(slot.on_death())
        known, exit_code = process.exit_code()
        if known:
            self._bury(slot, process, exit_code)
        else:
            self._user_code.call(Lane(), partial(self._wait_exit_code, slot, process))

    def _wait_exit_code(self, slot: WorkerSlot, process: WorkerProcess) -> None:
        exit_code = process.wait_exit_code()
        self._post(partial(self._bury, slot, process, exit_code))

    def _bury(self, slot: WorkerSlot, process: WorkerProcess, exit_code: int | None) -> None:
        if slot not in self._slots:
            return
        self._slots.remove(slot)
        # Counted before the outcomes are reported: a listener may read the state.
        end = slot.end
        self._to_replace += end is not SlotEnd.RETIRED
        self.lost_workers += end is SlotEnd.LOST
        slot.report_death(exit_code)
        if slot.link is not None:
            slot.link.close()
        process.close()
        if end is SlotEnd.START_FAILED:
            self._count_failed_start(slot)
            self._user_code.call(slot.lane, partial(self._explain_failed_start, slot, exit_code))

    def _explain_failed_start(self, slot: WorkerSlot, exit_code: int | None) -> None:
        """Make the error of a failed start, on a thread for user code: the initializer's exception is unpickled."""
        cause = None if slot.start_report is None else error_of(slot.start_report)[0]
        failure = _process.exit_error(cause, exit_code, slot.worker.pid)
        self._post(partial(self._on_start_failure, failure, is_temporary=False))

    # Reports: `SlotOwner`

    def report(self, lane: Lane, job: Job, report: Callable[[], None]) -> None:
        """Report the last that happens to a job, after the log records of its worker."""
        if self._jobs.pop(job.run_id, None) is None:
            return
        if lane.is_idle:
            report()
        else:
            self._user_code.call(lane, report)

    def deliver(self, lane: Lane, job: Job, kind: int, content: Content) -> None:
        """Report the outcome of a job that its worker sent, after the log records of the worker."""
        if self._jobs.pop(job.run_id, None) is None:
            return
        if isinstance(content, bytearray):
            # In place: the content may be large.
            del content[: _frames.TIME.size]
        else:
            content = content[_frames.TIME.size :]
        if not lane.is_idle or not job.deliver_plain(kind, content):
            self._user_code.call(lane, partial(job.deliver, kind, content))

    def log(self, lane: Lane, content: Content, note_handled: Callable[[], None]) -> None:
        """Handle a log record of a worker, on a thread for user code."""

        def handle() -> None:
            try:
                _worker_logging.handle_record(content)
            finally:
                note_handled()
                if self._paused:
                    self._wake()

        self._user_code.call(lane, handle)

    # Cancellation and end

    def _cancel_requested(self, now: float) -> None:
        later: list[int] = []
        while self._cancels:
            run_id = self._cancels.popleft()
            job = self._jobs.get(run_id)
            if job is not None and not self._cancel(job, now):
                later.append(run_id)
        self._cancels.extend(later)

    def _cancel(self, job: Job, now: float) -> bool:
        """Cancel a job; return False if it starts at this moment."""
        slot = next((slot for slot in self._slots if job.run_id in slot.jobs), None)
        if slot is None or slot.drop_unsent(job):
            self._end_cancelled(job)
            return True
        recalled = slot.cancel(job.run_id, now)
        if job in recalled:
            recalled.remove(job)
            self._end_cancelled(job)
        self._requeue(recalled)
        self._flush(slot)
        return job.run_id not in slot.jobs or slot.is_cancelling(job.run_id)

    def _end_cancelled(self, job: Job) -> None:
        self._pickled.pop(job.run_id, None)
        self.report(_NO_RECORDS, job, job.cancelled)

    def _fail_queue(self, error: BaseException) -> None:
        while self._queue:
            job = self._queue.popleft()
            self._pickled.pop(job.run_id, None)
            self.report(_NO_RECORDS, job, partial(job.fail, error))

    def _fail_all(self, error: BaseException) -> None:
        """Let every job fail, and drop every worker."""
        slots, self._slots = self._slots, list[WorkerSlot]()
        for slot in slots:
            if slot.process is not None and slot.link is not None:
                self._discard(slot.process, slot.link)
        self._paused.clear()
        self._pickling.clear()
        self._pickled.clear()
        for run_id in list(self._jobs):
            job = self._jobs.pop(run_id, None)
            if job is not None:
                self._user_code.call(Lane(), partial(job.fail, error))

    def _discard(self, process: WorkerProcess, link: WorkerLink) -> None:
        """Kill a process that has no slot, and close its connections."""

        def close() -> None:
            process.kill()
            process.wait_exit_code()
            link.close()
            process.close()

        self._user_code.call(Lane(), close)

    def _start_anew(self, error: BaseException) -> None:
        """Continue after a failure of the supervisor itself."""
        self._failures += 1
        text = "The supervisor of a process pool failed and starts anew; its runs fail with this error"
        self._user_code.call(self._log_lane, partial(logger.critical, text, exc_info=error))
        self._fail_all(error)
        self._selector.close()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_receiver, selectors.EVENT_READ, None)
        if self._failures >= _FAILURES_BEFORE_BROKEN:
            self._become_broken(error)
        time.sleep(min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * self._failures))

    def _shut_down(self) -> None:
        """End all workers."""
        now = time.monotonic()
        deadline = now + _SECONDS_TO_STOP
        for slot in self._slots:
            slot.stop(now)
            self._flush(slot)
        while self._slots and now < deadline:
            while self._posted:
                self._posted.popleft()()
            self._look_at_slots(now)
            timeout = self._select_timeout(now) if self._slots else 0.0
            self._handle_events(1.0 if timeout is None else min(timeout, 1.0))
            now = time.monotonic()
        self._fail_all(WorkerStartError("did not end in time", hint="it was killed"))

    def _close(self) -> None:
        """Release everything, and report the jobs that are left as cancelled."""
        self._user_code.close()
        with self._end_lock:
            # From now on `submit` cancels its job itself.
            self._ended = True
            on_end, self._on_end = self._on_end, list[Callable[[], object]]()
        self._cancel_all()
        self._selector.close()
        self._wake_receiver.close()
        self._wake_sender.close()
        for call in on_end:
            with contextlib.suppress(RuntimeError):
                call()

    def _cancel_all(self) -> None:
        for run_id in list(self._jobs):
            # Of two threads, one gets the job.
            job = self._jobs.pop(run_id, None)
            if job is not None:
                job.cancelled()


def _do_nothing() -> None:
    """Do nothing."""


_NO_RECORDS = Lane()
"""A lane that is always idle."""

_running: weakref.WeakSet[Supervisor] = weakref.WeakSet()


def _stop_all() -> None:
    for supervisor in list(_running):
        supervisor.stop()


def _close_all_after_fork() -> None:
    for supervisor in list(_running):
        supervisor.close_after_fork()
    _running.clear()


call_before_exit_waits(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all_after_fork)
