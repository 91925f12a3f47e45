"""The supervisor: the thread of the parent that feeds the worker processes, and replaces those that end.

Each worker has a `Slot`, which decides, and a `WorkerLink` and a `WorkerProcess`, which act. `JobTable` has the jobs,
`JobPickler` sends them to their slots, and `WorkerStarts` starts the processes. The supervisor's thread never waits for
anything but its selector, and calls no user code: processes are started, and calls, results and log records are
handled, on `UserCodeThreads`, which return their results with `post`. If the supervisor fails all the same, its jobs
fail with that error, its workers are killed, and it starts anew on the same thread.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial

from asyncz.config import ProcessPoolKwargs
from asyncz.events import Worker
from asyncz.exceptions import WorkerStartError
from asyncz.executors._exit_hooks import call_before_exit_waits
from asyncz.executors._safe_logging import logger
from asyncz.executors.process_pool import _frames, _prefetch
from asyncz.executors.process_pool._frames import FrameError
from asyncz.executors.process_pool._jobs import JobTable
from asyncz.executors.process_pool._link import WorkerLink
from asyncz.executors.process_pool._pickling import JobPickler
from asyncz.executors.process_pool._process import WorkerProcess
from asyncz.executors.process_pool._slot import Job, Slot, SlotEnd, SlotState
from asyncz.executors.process_pool._starts import FIRST_BACK_OFF, LONGEST_BACK_OFF, WorkerSlot, WorkerStarts
from asyncz.executors.process_pool._user_code import Lane, UserCodeThreads
from asyncz.runs import this_worker

_MAX_UNHANDLED_LOG_BYTES = 16 << 20
_SECONDS_TO_STOP = 10.0
_FAILURES_BEFORE_BROKEN = 10


class Supervisor:
    """The worker processes of one executor.

    Args:
        alias: Name of the executor.
        max_workers: Maximum number of processes.
        pool_kwargs: Start method, initializer and maximum number of runs of each process.
        mark_broken: Called if no worker can be started; afterwards no runs are submitted.
    """

    def __init__(
        self, alias: str, max_workers: int, pool_kwargs: ProcessPoolKwargs, mark_broken: Callable[[], None]
    ) -> None:
        self._alias = alias
        self._max_workers = max_workers
        self._runs_per_worker = pool_kwargs.get("max_tasks_per_child")
        self._mark_broken = mark_broken
        self._user_code = UserCodeThreads(f"asyncz-{alias}")
        self._jobs = JobTable(self._user_code, self._on_record_handled)
        self._pickler: JobPickler[WorkerProcess, WorkerLink] = JobPickler(self._jobs, self._user_code, self.post)
        self._starts = WorkerStarts(self, pool_kwargs, self._user_code)
        self._cancels: deque[int] = deque()
        self._posted: deque[Callable[[], None]] = deque()
        self._slots: list[WorkerSlot] = []
        self._paused: set[WorkerSlot] = set()
        self._selector = selectors.DefaultSelector()
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._is_awake = False
        self.is_stopping = False
        self._ended = False
        self._on_end: list[Callable[[], object]] = []
        self._end_lock = threading.RLock()
        self._broken_by: BaseException | None = None
        self._failures = 0
        self._window = _prefetch.PrefetchWindow()
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

    def start(self) -> None:
        """Start the thread."""
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name=f"asyncz-{self._alias}-supervisor", daemon=True)
        self._thread.start()
        _running.add(self)

    def submit(self, job: Job) -> None:
        """Run a job as soon as a worker is free."""
        self._jobs.add(job)
        if not self._is_awake:
            self._wake()
        if self._ended:
            self._jobs.cancel_all()

    def cancel(self, run_id: int) -> None:
        """Report a run as cancelled; if a worker executes it, kill the worker or let the function return."""
        self._cancels.append(run_id)
        self._wake()

    def stop_soon(self, on_end: Callable[[], object]) -> None:
        """End all workers, killing those that still work, and the thread; call a function afterwards."""
        with self._end_lock:
            has_ended = self._ended
            if not has_ended:
                self._on_end.append(on_end)
        if has_ended:
            on_end()
        else:
            self.is_stopping = True
            self._wake()

    def stop(self) -> None:
        """End all workers and the thread, and wait for that."""
        self.stop_soon(lambda: None)
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
        self._starts.close_after_fork()

    def _wake(self) -> None:
        # `_is_awake` is cleared before the queues are read: an item that is added after that sends another byte.
        if not self._is_awake:
            self._is_awake = True
            with contextlib.suppress(OSError):
                self._wake_sender.send(b"\0")

    def post(self, call: Callable[[], None]) -> None:
        """Make a call on the supervisor's thread."""
        self._posted.append(call)
        self._wake()

    # The supervisor's thread

    def _run(self) -> None:
        while not self.is_stopping:
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
        while not self.is_stopping:
            while self._posted:
                self._posted.popleft()()
            if self._cancels:
                self._cancel_requested(time.monotonic())
            now = time.monotonic()
            self._pickler.release_slots(now)
            self._recall_overdue(now)
            self._dispatch_queued(now)
            self._check_slots(now)
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
        if self._jobs.queue and len(self._slots) < self._max_workers:
            times.append(self._starts.next_start_at)
        times += [at for at in (self._pickler.next_deadline, self._user_code.help_late_lanes(now)) if at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    # Jobs to workers

    def _dispatch_queued(self, now: float) -> None:
        queue, pickler = self._jobs.queue, self._pickler
        while queue or (pickler.postponed and pickler.return_postponed()):
            if self._broken_by is not None:
                self.on_starts_failed(self._broken_by)
                break
            slot = self._choose_slot(now)
            if slot is None:
                break
            for _ in range(slot.batch_size(len(queue) // len(self._slots))):
                job = queue.popleft()
                # A cancelled job leaves the queue here only.
                if not self._jobs.is_open(job) or (pickler.is_full and pickler.postpone(job)):
                    continue
                if job.claim():
                    pickler.send(slot, job, now)
                else:
                    self._jobs.remove(job)
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
        if len(self._slots) < self._max_workers and now >= self._starts.next_start_at:
            return self._add_slot(now)
        return fillable or idle

    def _recall_overdue(self, now: float) -> None:
        """Take back the jobs behind a long run, and those of a worker that does not react."""
        for slot in self._slots:
            if slot.recall_at is None or now < slot.recall_at:
                continue
            if slot.current_run or self._has_other_slot(slot):
                self._pickler.requeue(slot.recall())
            else:
                slot.mark_progress(now)

    def _has_other_slot(self, slot: WorkerSlot) -> bool:
        return len(self._slots) < self._max_workers or any(
            other is not slot and other.accepts_jobs and not other.jobs and not other.is_recalled
            for other in self._slots
        )

    # Processes

    def _add_slot(self, now: float) -> WorkerSlot:
        slot: WorkerSlot = Slot(self._jobs, self._window, self._runs_per_worker, now)
        self._slots.append(slot)
        self._starts.start(slot)
        return slot

    def on_spawned(self, slot: WorkerSlot, process: WorkerProcess, link: WorkerLink) -> None:
        """Note that the process of a slot was started."""
        if slot not in self._slots:
            self._starts.discard(process, link)
            return
        if self._to_replace:
            self._to_replace -= 1
            self.replaced_workers += 1
        link.set_check(slot.check_header)
        slot.on_spawned(process, link, Worker(host=this_worker().host, pid=process.pid, thread="MainThread"))
        self._selector.register(link.socket, selectors.EVENT_READ, slot)
        self._selector.register(process.sentinel, selectors.EVENT_READ, slot)

    def on_not_spawned(self, slot: WorkerSlot) -> bool:
        """Drop a slot after its process could not be started; return False if it was dropped before."""
        if slot not in self._slots:
            return False
        self._slots.remove(slot)
        self._pickler.requeue(slot.on_death())
        slot.report_death(None)
        return True

    def on_starts_failed(self, error: BaseException) -> None:
        """Report an error for the jobs in the queue: no worker can be started at the moment."""
        self._pickler.return_all_postponed()
        self._jobs.fail_queue(error)
        self._pickler.forget_contents()

    def on_broken(self, error: BaseException) -> None:
        """Report an error for all jobs from now on: no worker can be started."""

        def mark() -> None:
            try:
                self._mark_broken()
            finally:
                self.post(fail)

        def fail() -> None:
            self._broken_by = error

        # The executor logs it.
        self._user_code.call(Lane(), mark)

    def _flush(self, slot: WorkerSlot) -> None:
        link = slot.link
        if link is None or not slot.is_connected:
            return
        link.flush()
        wanted = selectors.EVENT_READ if slot not in self._paused else 0
        wanted |= selectors.EVENT_WRITE if link.has_outgoing else 0
        self._set_interest(link, slot, wanted)

    def _on_record_handled(self) -> None:
        """Check the paused slots: one of them may be resumed. Called on a thread for user code."""
        if self._paused:
            self._wake()

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
        """Handle the received messages; return True if there may be more."""
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
                    self._starts.note_success()
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
        """Stop receiving from a worker."""
        if slot.is_connected and slot.link is not None:
            slot.link.is_connected = False
            self._set_interest(slot.link, slot, 0)
            slot.on_disconnect()

    def _check_slots(self, now: float) -> None:
        for slot in self._slots:
            if slot.next_deadline is not None:
                slot.act_on_deadlines(now)
        for slot in list(self._paused):
            if slot.unhandled_log_bytes < _MAX_UNHANDLED_LOG_BYTES // 2:
                self._paused.discard(slot)
                self._flush(slot)

    def _reap(self, slot: WorkerSlot) -> None:
        """Handle the end of a process: its last messages, its jobs, its exit status."""
        process = slot.process
        assert process is not None
        self._selector.unregister(process.sentinel)
        while self._receive(slot):
            pass
        self._disconnect(slot)
        self._paused.discard(slot)
        process.kill_group()
        self._pickler.requeue(slot.on_death())
        known, exit_code = process.exit_code()
        if known:
            self._drop_dead(slot, process, exit_code)
        else:
            self._user_code.call(Lane(), partial(self._wait_exit_code, slot, process))

    def _wait_exit_code(self, slot: WorkerSlot, process: WorkerProcess) -> None:
        exit_code = process.wait_exit_code()
        self.post(partial(self._drop_dead, slot, process, exit_code))

    def _drop_dead(self, slot: WorkerSlot, process: WorkerProcess, exit_code: int | None) -> None:
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
            self._starts.on_early_exit(slot, exit_code)

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
        if slot is not None and slot.is_connected and slot.link is not None:
            # The function may have asked for its cancellation, or returned, just now.
            self._receive(slot)
            if not self._jobs.is_open(job):
                return True
        if slot is None or slot.drop_unsent(job):
            self._pickler.forget(job)
            self._jobs.end_cancelled(job)
            return True
        recalled = slot.cancel(job.run_id, now)
        if job in recalled:
            recalled.remove(job)
            self._jobs.end_cancelled(job)
        self._pickler.requeue(recalled)
        self._flush(slot)
        return job.run_id not in slot.jobs or slot.is_cancelling(job.run_id)

    def _fail_all(self, error: BaseException) -> None:
        """Let every job fail, and drop every worker."""
        slots, self._slots = self._slots, list[WorkerSlot]()
        for slot in slots:
            if slot.process is not None and slot.link is not None:
                self._starts.discard(slot.process, slot.link)
        self._paused.clear()
        self._pickler.clear()
        self._jobs.fail_all(error)

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
            self.on_broken(error)
        time.sleep(min(LONGEST_BACK_OFF, FIRST_BACK_OFF * self._failures))

    def _shut_down(self) -> None:
        """End all workers."""
        now = time.monotonic()
        stopped_at, deadline = now, now + _SECONDS_TO_STOP
        # Coroutines that were cancelled just before have time for their cleanup.
        self._cancel_requested(now)
        self._jobs.cancel_queue()
        while self._slots and now < deadline:
            for slot in self._slots:
                slot.stop(stopped_at)
                self._flush(slot)
            while self._posted:
                self._posted.popleft()()
            self._check_slots(now)
            timeout = self._select_timeout(now) if self._slots else 0.0
            self._handle_events(1.0 if timeout is None else min(timeout, 1.0))
            now = time.monotonic()
        if self._slots:
            self._fail_all(WorkerStartError("did not end in time", hint="it was killed"))

    def _close(self) -> None:
        """Release everything, and report the jobs that are left as cancelled."""
        self._user_code.close()
        with self._end_lock:
            # From now on `submit` cancels its job itself.
            self._ended = True
            on_end, self._on_end = self._on_end, list[Callable[[], object]]()
        self._jobs.cancel_all()
        self._selector.close()
        self._wake_receiver.close()
        self._wake_sender.close()
        for call in on_end:
            with contextlib.suppress(RuntimeError):
                call()


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
