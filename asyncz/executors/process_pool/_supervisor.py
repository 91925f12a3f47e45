"""Feeds worker processes, hears from them, and replaces those that die: one thread of the parent.

Each worker is a `concurrent.futures` pool of one process, which runs one endless call: `_worker.serve`.
So a crash breaks only the pool of the worker that crashed, and runs pass through one socket a worker
instead of the queues of a pool. All that is here happens in the supervisor's thread, unless said otherwise.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import selectors
import signal
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Protocol

import attrs
from typing_extensions import override

from asyncz.config import ProcessPoolKwargs
from asyncz.events import Worker
from asyncz.exceptions import WorkerLostError, WorkerStartError
from asyncz.executors._exit_hooks import call_before_exit_waits
from asyncz.executors._serialization import error_of
from asyncz.executors.process_pool import _frames, _worker
from asyncz.runs import this_worker

logger = logging.getLogger("asyncz.executors")

_STARTS_BEFORE_BROKEN = 3
# A start that is killed from outside says little about the next one; but the killer may never tire.
_KILLED_STARTS_BEFORE_BROKEN = 30
_FIRST_BACK_OFF = 0.1
_LONGEST_BACK_OFF = 1.0
# A worker that was told to end may be held up by threads that functions have left in it.
_SECONDS_TO_QUIT = 5.0
# A function that asks whether it is cancelled has so long to return when it is.
_SECONDS_TO_RETURN = 5.0
# Runs of up to so many seconds together may be on their way to a worker that is busy.
_SECONDS_IN_FLIGHT = 0.002
_RUNS_IN_FLIGHT = 256
# A run that takes longer than this lets those run elsewhere that were sent behind it.
_SECONDS_UNTIL_RECALL = 0.005
_UNGUARDED = (
    'does the main module start its scheduler under `if __name__ == "__main__":`? Each worker imports that module'
)


class Job(Protocol):
    """A run, as the supervisor sees it: without its type, which runs of different result types do not share."""

    run_id: int

    def prepare(self) -> bytes | None:
        """Take it out of the queue and pickle it; None where it has ended instead."""
        ...

    def started(self, at: float, worker: Worker) -> None:
        """Its function is called, at that time in seconds since the epoch, by that worker."""
        ...

    def deliver(self, kind: int, content: bytes) -> None:
        """It ended as the worker has sent."""
        ...

    def fail(self, error: BaseException) -> None:
        """End it with an exception."""
        ...

    def cancelled(self) -> None:
        """End it as cancelled."""
        ...


@attrs.define(eq=False)
class _Slot:
    """One worker process and what it has been sent."""

    connection: socket.socket
    permits: _Permits
    pool: ProcessPoolExecutor
    process: _WorkerProcess
    worker: Worker
    reader: _frames.FrameReader = attrs.field(factory=_frames.FrameReader)
    outgoing: bytearray = attrs.field(factory=bytearray)
    in_flight: dict[int, Job] = attrs.Factory(dict[int, Job])
    current: int = 0
    current_since: float = 0.0
    goes_on_since: float = 0.0
    recalled: bool = False
    asking_run: int = 0
    returning_run: int = 0
    returns_by: float | None = None
    killed_run: int = 0
    ready: bool = False
    connected: bool = True
    retiring: bool = False
    ends_by: float | None = None
    taken: int = 0
    start_failure: BaseException | None = None

    def goes_on(self) -> None:
        """Note that it begins with something: what waits behind that need not be recalled for a while."""
        self.goes_on_since = time.monotonic()
        self.recalled = False

    @property
    def recall_at(self) -> float | None:
        """When what waits in its hands is to be recalled; None where nothing waits there."""
        return self.goes_on_since + _SECONDS_UNTIL_RECALL if len(self.in_flight) > 1 and not self.recalled else None


class _Permits:
    """The right to begin the runs that a worker has been sent: it takes one for each, or they are taken back.

    A pipe that both read, of which each permit goes to one of them only. So no run begins twice, and the worker
    need not be asked, which answers nobody while it executes.
    """

    def __init__(self) -> None:
        reading, writing = os.pipe()
        # As connections, which are passed on to processes however these start.
        self.theirs: Connection[bytes, bytes] = Connection(reading, writable=False)
        self._giving: Connection[bytes, bytes] = Connection(writing, readable=False)
        os.set_blocking(self.theirs.fileno(), False)
        self._to_give = bytearray()

    def give(self, run_id: int) -> None:
        """Let the worker begin a run, from the next `hand_out` on."""
        self._to_give += _frames.PERMIT.pack(run_id)

    def hand_out(self) -> None:
        """Let the worker begin what it is sent now. There is room: so many runs are never in flight."""
        if self._to_give:
            os.write(self._giving.fileno(), self._to_give)
            self._to_give.clear()

    def take_back(self) -> list[int]:
        """The runs that the worker has not begun, in their order: it will not begin them any more."""
        with contextlib.suppress(BlockingIOError):
            taken = os.read(self.theirs.fileno(), _RUNS_IN_FLIGHT * _frames.PERMIT.size)
            return [run_id for (run_id,) in _frames.PERMIT.iter_unpack(taken)]
        return []

    def close(self) -> None:
        """Give back the pipe."""
        self.theirs.close()
        self._giving.close()


_process_lock = threading.Lock()


class _WorkerProcess:
    """A process, as its pool and the supervisor see it.

    Both ask it for its end, in threads of their own, and each start of another process asks as well. The
    status can be read once only: without a lock, one of two who ask at a time may be told a wrong one.
    """

    def __init__(self, process: BaseProcess, *, served: bool) -> None:
        self._process = process
        self._served = served
        self._joined = threading.Event()
        self._pool_thread: threading.Thread | None = None
        self.sentinel: int = -1

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid or 0

    def start(self) -> None:
        """Start it. From now on its sentinel is readable once it has ended."""
        with _process_lock:
            self._process.start()
        # The sentinel of multiprocessing is a pipe that the worker's own children keep open, for as long
        # as they live; the process itself cannot be kept open.
        try:
            self.sentinel = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            self.sentinel = self._process.sentinel

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        with _process_lock:
            return self._process.is_alive()

    def terminate(self) -> None:
        """Ask it to end."""
        with _process_lock:
            self._process.terminate()

    def join(self) -> None:
        """Wait until it has ended; the last that its pool does with it."""
        wait([self.sentinel])
        with _process_lock:
            self._process.join()
        self._pool_thread = threading.current_thread()
        self._joined.set()

    @property
    def exitcode(self) -> int | None:
        """Its exit status; None while it runs, and where it is not known."""
        with _process_lock:
            exit_code = self._process.exitcode
        # A fork server that has died, and took the status along, reads like this one.
        return None if exit_code == 255 and self._served else exit_code

    def ended_with(self) -> int | None:
        """Its exit status, once its sentinel is readable: a fork server tells it a moment later."""
        for _ in range(200):
            with _process_lock:
                if self._process.exitcode is not None:
                    break
            time.sleep(0.005)
        return self.exitcode

    def close(self) -> None:
        """Give back what it takes to see its end, once its pool does not look at it any more."""
        if not self._joined.wait(_SECONDS_TO_QUIT):
            return
        # It holds the semaphores of the pool: were it the last to do so, the interpreter might exit while it
        # gives them back. A pool that was shut down without waiting does not know it any more.
        if self._pool_thread is not None:
            self._pool_thread.join(_SECONDS_TO_QUIT)
            self._pool_thread = None
        if self.sentinel != self._process.sentinel:
            os.close(self.sentinel)
        with _process_lock:
            self._process.close()


class _RecordingContext(BaseContext):
    """A multiprocessing context that remembers the process it made: a pool does not tell."""

    def __init__(self, context: BaseContext) -> None:
        self._context = context
        self.processes: list[_WorkerProcess] = []

    @override
    def get_start_method(self, allow_none: bool = False) -> str:
        return self._context.get_start_method()

    def Process(self, *args: object, **kwargs: object) -> _WorkerProcess:  # noqa: N802  # the name that pools call
        process: BaseProcess = getattr(self._context, "Process")(*args, **kwargs)  # noqa: B009  # the stubs lack it
        recorded = _WorkerProcess(process, served=self.get_start_method() == "forkserver")
        self.processes.append(recorded)
        return recorded


class Supervisor:
    """The worker processes of one executor.

    Args:
        max_workers: How many there are at most.
        pool_kwargs: The keyword arguments of every pool.
        mark_broken: Called when no worker can be started; from then on no runs come.
    """

    def __init__(self, max_workers: int, pool_kwargs: ProcessPoolKwargs, mark_broken: Callable[[], None]) -> None:
        self._max_workers = max_workers
        self._context = pool_kwargs.get("mp_context") or default_context()
        self._initializer = pool_kwargs.get("initializer")
        self._initargs = pool_kwargs.get("initargs", ())
        self._runs_per_worker = pool_kwargs.get("max_tasks_per_child")
        self._mark_broken = mark_broken
        self._queue: deque[Job] = deque()
        self._kills: deque[int] = deque()
        self._slots: list[_Slot] = []
        self._connections: set[socket.socket | _Permits] = set()
        self._selector = selectors.DefaultSelector()
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._awake = False
        self._stopping = False
        self._ended = False
        self._broken_by: BaseException | None = None
        self._failed_starts = 0
        self._start_again_at = 0.0
        self._seconds_a_run = _SECONDS_UNTIL_RECALL
        self._window = 1
        self._thread: threading.Thread | None = None
        self.lost_workers = 0
        self.replaced_workers = 0
        self._to_replace = 0

    # From any thread

    @property
    def workers(self) -> int:
        """How many worker processes there are."""
        return len(self._slots)

    def start(self, alias: str) -> None:
        """Start the thread."""
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name=f"asyncz-{alias}-supervisor", daemon=True)
        self._thread.start()
        _running.add(self)

    def put(self, job: Job) -> None:
        """Run a job as soon as a worker is free."""
        self._queue.append(job)
        self._wake()
        if self._ended:
            self._cancel_queue()

    def kill(self, run_id: int) -> None:
        """End a run as cancelled, with the worker that executes it where there is one."""
        self._kills.append(run_id)
        self._wake()

    def stop(self) -> None:
        """End all workers, killing those that still work, and the thread; blocks until that is done."""
        self._stopping = True
        self._wake()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def let_go(self) -> None:
        """Close what a fork has copied, in the new process: a worker sees the end of this one by its connection."""
        self._selector.close()
        for copied in (*self._connections, self._wake_sender, self._wake_receiver):
            copied.close()

    def _wake(self) -> None:
        if not self._awake:
            self._awake = True
            with contextlib.suppress(BlockingIOError, OSError):
                self._wake_sender.send(b"\0")

    # The supervisor's own thread

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._kill_wanted()
                self._recall_from_long_runs()
                self._feed()
                self._kill_what_does_not_quit()
                for key, events in self._selector.select(self._select_timeout()):
                    slot: _Slot | None = key.data
                    if slot is None:
                        with contextlib.suppress(BlockingIOError):
                            self._wake_receiver.recv(1 << 12)
                        # Only then: a byte sent in between would be read away, and its sender forgotten.
                        self._awake = False
                    elif slot in self._slots:
                        if key.fd == slot.process.sentinel:
                            self._bury(slot)
                            continue
                        if events & selectors.EVENT_WRITE:
                            self._send(slot)
                        if events & selectors.EVENT_READ:
                            self._receive(slot)
        except Exception as error:
            logger.exception("The supervisor of a process pool failed")
            self._broken_by = error
            self._mark_broken()
        finally:
            self._end()

    def _select_timeout(self) -> float | None:
        wanted = [
            at for slot in self._slots for at in (slot.ends_by, slot.returns_by, slot.recall_at) if at is not None
        ]
        if self._queue and len(self._slots) < self._max_workers:
            wanted.append(self._start_again_at)
        return max(0.0, min(wanted) - time.monotonic()) if wanted else None

    def _feed(self) -> None:
        while self._queue:
            if self._broken_by is not None:
                self._queue.popleft().fail(self._broken_by)
                continue
            slot = self._free_slot()
            if slot is None:
                break
            job = self._queue.popleft()
            content = job.prepare()
            if content is not None:
                if not slot.in_flight:
                    slot.goes_on()
                slot.in_flight[job.run_id] = job
                slot.taken += 1
                slot.permits.give(job.run_id)
                slot.outgoing += _frames.frame(_frames.RUN, job.run_id, content)
        for slot in self._slots:
            if slot.outgoing:
                slot.permits.hand_out()
                self._send(slot)

    def _free_slot(self) -> _Slot | None:
        # Short runs go out in advance, so that a worker need not wait for each; long ones never do.
        fewest, fillable, lately = self._window, None, time.monotonic() - _SECONDS_IN_FLIGHT
        for slot in self._slots:
            if slot.connected and not slot.retiring and not self._is_used_up(slot):
                in_flight = len(slot.in_flight)
                if not in_flight:
                    return slot
                if in_flight < fewest and slot.ready and not slot.recalled and slot.goes_on_since > lately:
                    fewest, fillable = in_flight, slot
        if len(self._slots) < self._max_workers and time.monotonic() >= self._start_again_at:
            return self._start_worker()
        return fillable

    def _recall_from_long_runs(self) -> None:
        """Take back what waits behind a run that turned out to be long, so that any worker can run it."""
        for slot in self._slots:
            if slot.recall_at is not None and time.monotonic() >= slot.recall_at:
                self._recall(slot)

    def _recall(self, slot: _Slot) -> None:
        slot.recalled = True
        recalled = [slot.in_flight.pop(run_id) for run_id in slot.permits.take_back()]
        slot.taken -= len(recalled)
        self._queue.extendleft(reversed(recalled))

    def _start_worker(self) -> _Slot | None:
        ours, theirs = socket.socketpair()
        permits = _Permits()
        self._connections.add(ours)
        context = _RecordingContext(self._context)
        pool = ProcessPoolExecutor(
            1,
            mp_context=context,
            initializer=_worker.start_worker,
            initargs=(theirs, permits.theirs, _log_levels(), self._initializer, self._initargs),
        )
        try:
            pool.submit(_worker.serve)
            process = context.processes[0]
        except Exception as error:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in context.processes:
                if process.pid:
                    _kill(process)
            self._disconnect(ours, permits)
            failure = WorkerStartError("could not start", hint=str(error))
            failure.__cause__ = error
            self._start_failed(failure)
            return None
        finally:
            theirs.close()
        ours.setblocking(False)
        worker = Worker(host=this_worker().host, pid=process.pid, thread="MainThread")
        # Not before: a worker that starts by fork needs its own.
        self._connections.add(permits)
        slot = _Slot(ours, permits, pool, process, worker)
        self._slots.append(slot)
        if self._to_replace:
            self._to_replace -= 1
            self.replaced_workers += 1
        self._selector.register(ours, selectors.EVENT_READ, slot)
        self._selector.register(process.sentinel, selectors.EVENT_READ, slot)
        return slot

    def _start_failed(self, failure: WorkerStartError) -> None:
        self._failed_starts += 1
        back_off = min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * 2**self._failed_starts)
        self._start_again_at = time.monotonic() + back_off
        logger.error("A worker process could not start (%d in a row): %s", self._failed_starts, failure)
        from_outside = failure.exit_code in {-signal.SIGKILL, -signal.SIGTERM}
        if self._failed_starts >= (_KILLED_STARTS_BEFORE_BROKEN if from_outside else _STARTS_BEFORE_BROKEN):
            self._broken_by = failure
            self._mark_broken()

    def _is_used_up(self, slot: _Slot) -> bool:
        return self._runs_per_worker is not None and slot.taken >= self._runs_per_worker

    def _retire(self, slot: _Slot) -> None:
        """Let a worker end that has nothing in flight."""
        slot.retiring = True
        slot.outgoing += _frames.frame(_frames.QUIT)
        slot.pool.shutdown(wait=False)
        slot.ends_by = time.monotonic() + _SECONDS_TO_QUIT

    def _hear_no_more(self, slot: _Slot) -> None:
        if slot.connected:
            slot.connected = False
            self._selector.unregister(slot.connection)

    def _send(self, slot: _Slot) -> None:
        if not slot.connected:
            slot.outgoing.clear()
            return
        try:
            while slot.outgoing:
                del slot.outgoing[: slot.connection.send(slot.outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            # The worker is gone; its death is told on its own.
            slot.outgoing.clear()
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if slot.outgoing else 0)
        if self._selector.get_key(slot.connection).events != wanted:
            self._selector.modify(slot.connection, wanted, slot)

    def _receive(self, slot: _Slot) -> bool:
        """Read what has come; tells whether there may be more."""
        try:
            data = slot.connection.recv(1 << 18)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._hear_no_more(slot)
            # It is ending, or a function has closed what it could find: nothing more can be heard of it.
            _kill(slot.process)
            return False
        for kind, number, content in slot.reader.feed(data):
            self._handle(slot, kind, number, content)
        return True

    def _handle(self, slot: _Slot, kind: int, number: int, content: bytes) -> None:
        if kind == _frames.LOG:
            _log(content)
        elif kind == _frames.READY:
            slot.ready = True
            slot.goes_on()
            self._failed_starts = 0
        elif kind == _frames.START_FAILED:
            slot.start_failure = error_of(content)[0]
        elif kind == _frames.STARTED:
            slot.current = number
            (slot.current_since,) = _frames.TIME.unpack(content)
            slot.goes_on()
            slot.in_flight[number].started(slot.current_since, slot.worker)
            if number in self._kills:
                self._kill_wanted()
        elif kind == _frames.ASKS:
            slot.asking_run = number
        else:
            job = slot.in_flight.pop(number)
            slot.current = 0
            # As the worker measured it: what is heard here may be heard late.
            self._note_duration(_frames.TIME.unpack_from(content)[0] - slot.current_since)
            if slot.returning_run == number:
                slot.returning_run, slot.returns_by = 0, None
                job.cancelled()
            else:
                job.deliver(kind, content[_frames.TIME.size :])
            if not slot.in_flight and self._is_used_up(slot):
                self._retire(slot)

    def _note_duration(self, seconds: float) -> None:
        """Decide how many runs may be on their way to a worker."""
        # No longer does one make those behind it wait.
        seconds = min(seconds, _SECONDS_UNTIL_RECALL)
        self._seconds_a_run += 0.1 * (seconds - self._seconds_a_run)
        self._window = max(1, min(_RUNS_IN_FLIGHT, int(_SECONDS_IN_FLIGHT / max(self._seconds_a_run, 1e-6))))

    def _kill_wanted(self) -> None:
        later: list[int] = []
        while self._kills:
            run_id = self._kills.popleft()
            slot = next((slot for slot in self._slots if run_id in slot.in_flight), None)
            if slot is None:
                self._cancel_in_queue(run_id)
            elif slot.asking_run == run_id:
                self._let_return(slot, run_id)
            elif slot.current == run_id or not slot.ready:
                slot.killed_run = run_id
                _kill(slot.process)
            else:
                self._recall(slot)
                if run_id in slot.in_flight:
                    # It begins at this moment.
                    later.append(run_id)
                else:
                    self._cancel_in_queue(run_id)
        self._kills.extend(later)

    def _let_return(self, slot: _Slot, run_id: int) -> None:
        """Tell a function that asks for it that it is cancelled; it is killed if it does not return soon."""
        if slot.returning_run != run_id:
            slot.returning_run, slot.returns_by = run_id, time.monotonic() + _SECONDS_TO_RETURN
            slot.outgoing += _frames.frame(_frames.CANCEL, run_id)
            self._send(slot)

    def _cancel_in_queue(self, run_id: int) -> None:
        # What a worker had been sent and had not begun waits here again.
        for waiting in list(self._queue):
            if waiting.run_id == run_id:
                self._queue.remove(waiting)
                waiting.cancelled()

    def _kill_what_does_not_quit(self) -> None:
        for slot in self._slots:
            if slot.ends_by is not None and time.monotonic() >= slot.ends_by:
                slot.ends_by = None
                _kill(slot.process)
            if slot.returns_by is not None and time.monotonic() >= slot.returns_by:
                slot.returns_by = None
                _kill(slot.process)

    def _bury(self, slot: _Slot) -> None:
        """A worker has ended: take in what it still said, end the run that it was executing, go on."""
        while self._receive(slot):
            pass
        self._hear_no_more(slot)
        self._selector.unregister(slot.process.sentinel)
        self._slots.remove(slot)
        _kill(slot.process)
        exit_code = slot.process.ended_with()
        if slot.in_flight or not slot.retiring:
            self._to_replace += 1
            slot.killed_run = slot.killed_run or slot.returning_run
            if slot.killed_run:
                self._end_killed(slot, exit_code)
            elif slot.ready:
                self.lost_workers += 1
                self._end_current(slot, WorkerLostError(_reason(exit_code), exit_code, slot.process.pid))
            else:
                self._start_failed(_failure_of(slot, exit_code))
        # What it had been sent and had not begun runs elsewhere, in the same order.
        self._queue.extendleft(reversed(slot.in_flight.values()))
        self._disconnect(slot.connection, slot.permits)
        slot.pool.shutdown(wait=True, cancel_futures=True)
        slot.process.close()

    def _end_killed(self, slot: _Slot, exit_code: int | None) -> None:
        killed = slot.in_flight.pop(slot.killed_run, None)
        if killed is not None:
            killed.cancelled()
        # The run that was to be killed may have ended just before, and the next one begun.
        self._end_current(
            slot, WorkerLostError("was killed to end another run, which had just ended", exit_code, slot.process.pid)
        )

    def _end_current(self, slot: _Slot, lost: WorkerLostError) -> None:
        current = slot.in_flight.pop(slot.current, None)
        if current is not None:
            current.fail(lost)

    def _cancel_queue(self) -> None:
        while self._queue:
            with contextlib.suppress(IndexError):
                self._queue.popleft().cancelled()

    def _disconnect(self, connection: socket.socket, permits: _Permits) -> None:
        self._connections -= {connection, permits}
        connection.close()
        permits.close()

    def _end(self) -> None:
        """Let go of everything."""
        for slot in self._slots:
            if slot.in_flight:
                slot.killed_run = slot.current or next(iter(slot.in_flight))
                _kill(slot.process)
            elif not slot.retiring:
                self._retire(slot)
                self._send(slot)
        while self._slots:
            ready = self._selector.select(5.0)
            for key, _ in ready:
                slot_or_none: _Slot | None = key.data
                if slot_or_none is not None and slot_or_none in self._slots:
                    if key.fd == slot_or_none.process.sentinel:
                        self._bury(slot_or_none)
                    else:
                        self._receive(slot_or_none)
                elif slot_or_none is None:
                    with contextlib.suppress(BlockingIOError):
                        self._wake_receiver.recv(1 << 12)
            if not ready:
                for slot in self._slots:
                    _kill(slot.process)
        # From here on `put` looks after itself.
        self._ended = True
        self._cancel_queue()
        self._selector.close()
        self._wake_receiver.close()
        self._wake_sender.close()


def default_context() -> BaseContext:
    """How worker processes start unless the user says otherwise."""
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")


def _kill(process: _WorkerProcess) -> None:
    """Kill a worker and what it has started: it leads a process group of its own."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.is_alive():
        with contextlib.suppress(OSError):
            os.kill(process.pid, signal.SIGKILL)


def _failure_of(slot: _Slot, exit_code: int | None) -> WorkerStartError:
    """Why a worker ended before it was ready."""
    cause = slot.start_failure
    hint = "" if cause is None else f"its initializer raised {cause!r}"
    if cause is None and not (exit_code is not None and exit_code < 0):
        hint = _UNGUARDED
    failure = WorkerStartError(f"{_reason(exit_code)} while it started", exit_code, slot.process.pid, hint)
    failure.__cause__ = cause
    return failure


def _reason(exit_code: int | None) -> str:
    if exit_code is None:
        return "ended with an unknown exit status"
    if exit_code < 0:
        try:
            return f"was killed by {signal.Signals(-exit_code).name}"
        except ValueError:  # most real-time signals have no name
            return f"was killed by the signal {-exit_code}"
    return f"ended with the exit status {exit_code}"


def _log_levels() -> dict[str, int]:
    levels = {"": logging.getLogger().level}
    for name, known in list(logging.Logger.manager.loggerDict.items()):
        if isinstance(known, logging.Logger) and known.level != logging.NOTSET:
            levels[name] = known.level
    return levels


def _log(content: bytes) -> None:
    try:
        record = logging.makeLogRecord(pickle.loads(content))
        target = logging.getLogger(record.name)
        if target.isEnabledFor(record.levelno):
            target.handle(record)
    except Exception:
        logger.exception("A log record of a worker could not be handled")


_running: weakref.WeakSet[Supervisor] = weakref.WeakSet()


def _stop_all() -> None:
    for supervisor in list(_running):
        supervisor.stop()


def _let_go_of_all() -> None:
    for supervisor in list(_running):
        supervisor.let_go()
    _running.clear()


# A pool waits at the interpreter's exit for its call to end, and `serve` ends only when it is told to.
call_before_exit_waits(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_of_all)
