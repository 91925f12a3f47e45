"""The worker side of the process pool. Standard library only, so that workers start fast."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from asyncz._coroutines import CallLoop, CoroutineCall
from asyncz._running import running_run
from asyncz.executors._remote_call import ERROR, SentRun, dumps, execute, report_of
from asyncz.executors._remote_progress import Report, pack
from asyncz.executors.process_pool import _worker_logging
from asyncz.executors.process_pool._frames import (
    ASKS,
    CANCEL,
    MAX_CONTENT,
    PROGRESS,
    QUIT,
    READY,
    START_FAILED,
    STARTED,
    TIME,
    TOKEN,
    Frame,
    FrameError,
    FrameReader,
    frame_header,
)

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from typing_extensions import override

    from asyncz.config import Initializer

    WorkerEnds: TypeAlias = tuple[socket.socket, Connection[bytes, bytes], Connection[bytes, bytes], bytes]
    """Worker's ends of the channel, of the start tokens and of the lifeline, and the secret of the channel."""
else:
    # Importing it costs more than all the rest of this module.
    def override(method: object) -> object:
        return method


EXIT_WITHOUT_REPORT = 70
"""Exit status of a worker that could not report the outcome of a run, for example for lack of memory."""

_SECONDS_TO_RETURN = 5.0
_RECEIVE_SIZE = 1 << 18
# The system accepts 1,024 in one call.
_MAX_PARTS = 512


class _Run(SentRun):
    """A run that the parent can cancel."""

    def __init__(self, number: int, content: bytes | bytearray, channel: _Channel) -> None:
        super().__init__(content)
        self._number = number
        self._channel = channel
        self._asks = False

    @override
    def is_cancelled(self) -> bool:
        channel = self._channel
        # A process that the function has forked does not belong to the pool.
        if channel.closed:
            return False
        if not self._asks:
            # The parent gives a function that asks the time to return.
            self._asks = True
            channel.lifeline.allow_return()
            channel.send_or_note_end(ASKS, self._number)
        channel.receive_during(self._number)
        return channel.cancelled == self._number or channel.parent_is_gone

    @override
    def report_progress(self, done: float, total: float | None, message: str, /) -> None:
        # A process that the function has forked has a copy of a lock that another thread may have held.
        if not self._channel.closed:
            super().report_progress(done, total, message)

    @override
    def send_progress(self, report: Report, /) -> None:
        self._channel.send_while_running(PROGRESS, self._number, pack(report))


class Lifeline:
    """Ends this process and its children when the parent has died.

    The parent holds the other end of a pipe and never writes. On Linux the kernel kills the process group when that end
    is closed, even if a function holds the GIL or ignores signals. A function that asks for its cancellation gets the
    time to return instead: from its first question on a thread watches the pipe. Other systems always use the thread.
    """

    def __init__(self, connection: Connection[bytes, bytes]) -> None:
        self._connection = connection
        self._may_return = False
        self._watches = False
        self._lock = threading.Lock()

    def arm(self) -> None:
        """Start to watch the parent."""
        try:
            import fcntl

            fd = self._connection.fileno()
            # The whole process group, unless it is the parent's.
            leads_group = os.getpgrp() == os.getpid()
            fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpid() if leads_group else os.getpid())
            fcntl.fcntl(fd, getattr(fcntl, "F_SETSIG"), signal.SIGKILL)  # noqa: B009  # Linux only
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
        except (ImportError, AttributeError, OSError):
            self._start_watching()
        else:
            # The signal is for later changes only.
            self._end_if_orphaned()

    def allow_return(self) -> None:
        """Give the current run the time to return after the death of the parent."""
        self._may_return = True
        self._start_watching()

    def forget_run(self) -> None:
        """Note that the current run is over."""
        self._may_return = False

    def _start_watching(self) -> None:
        with self._lock:
            if self._watches:
                return
            self._watches = True
        threading.Thread(target=self._watch, name="asyncz-lifeline", daemon=True).start()
        with contextlib.suppress(ImportError, AttributeError, OSError):
            import fcntl

            fd = self._connection.fileno()
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_ASYNC)

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._connection.fileno(), select.POLLIN)
        poll.poll()
        deadline = time.monotonic() + _SECONDS_TO_RETURN
        # The thread of the run changes it.
        while self._may_return and time.monotonic() < deadline:
            time.sleep(0.05)
        _kill_own_group()

    def _end_if_orphaned(self) -> None:
        poll = select.poll()
        poll.register(self._connection.fileno(), select.POLLIN)
        if poll.poll(0):
            _kill_own_group()


def _kill_own_group() -> None:
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


class _Channel:
    """The worker's end of the channel to the parent, usable on every thread.

    The lock protects the outgoing frames, the reader, and `running`. It does not stop signal handlers of the function:
    they interrupt the thread that holds it, may log, report or ask, and may raise. Python calls them after a call or
    at a jump back, never between two assignments without a call. So frames are added by one call, the call that sends
    bytes also stores their number, and attributes that belong together are assigned together: after an interruption at
    any point, the next `flush` continues at the right byte.
    """

    def __init__(self, ends: WorkerEnds) -> None:
        self._socket, self._tokens, lifeline, self._secret = ends
        self.lifeline = Lifeline(lifeline)
        self._token = 0
        self._lock = threading.RLock()
        self._reader = FrameReader(self._secret)
        self._incoming: deque[Frame] = deque()
        self.running = 0
        self.cancelled = 0
        self.on_cancel: Callable[[], object] | None = None
        self._outgoing: list[bytes] = []
        # The frames that are being sent, and the number of bytes that each call has sent of them.
        self._sending: list[bytes] = []
        self._sent: list[int] = []
        self._is_sending = False
        self._is_receiving = False
        self.closed = False
        self.parent_is_gone = False

    def send(self, kind: int, run_id: int = 0, content: bytes = b"") -> None:
        """Send a frame now."""
        with self._lock:
            self._append(kind, run_id, content)
            self.flush()

    def send_or_note_end(self, kind: int, run_id: int, content: bytes = b"") -> None:
        """Send a frame, or note that the parent is gone."""
        try:
            self.send(kind, run_id, content)
        except ConnectionError:
            # Not every OSError: a signal handler of the function may raise TimeoutError here.
            self.parent_is_gone = True

    def send_while_running(self, kind: int, run_id: int, content: bytes) -> None:
        """Send a frame of the current run, or note that the parent is gone. Frames of other runs are dropped."""
        # Under the lock, as the run ends under it: no such frame follows the outcome of its run.
        with self._lock:
            if self.running == run_id:
                self.send_or_note_end(kind, run_id, content)

    def buffer(self, kind: int, run_id: int, *parts: bytes) -> None:
        """Send a frame together with the next one, or when the worker waits: a send takes as long as a short run."""
        with self._lock:
            self._append(kind, run_id, *parts)

    def _append(self, kind: int, run_id: int, *parts: bytes) -> None:
        frame = (frame_header(self._secret, kind, run_id, sum(map(len, parts))), *parts)
        self._outgoing.extend(frame)

    def flush(self) -> None:
        """Send all frames."""
        with self._lock:
            # A signal handler has interrupted this call within a frame: its own frame is sent afterwards.
            if self._is_sending:
                return
            self._is_sending = True
            try:
                while self._sending or self._outgoing:
                    self._send_some()
            finally:
                self._is_sending = False

    def _send_some(self) -> None:
        if not self._sending:
            self._sending = self._outgoing
            self._outgoing = []
        rest = _without(self._sending, sum(self._sent)) if self._sent else [*self._sending]
        if rest:
            # Several parts go out in one call, and large ones are not copied.
            self._sent.extend(map(self._socket.sendmsg, (rest[:_MAX_PARTS],)))
        if sum(self._sent) == sum(map(len, self._sending)):
            self._sending = []
            self._sent = []

    def may_start(self, run_id: int) -> bool:
        """Return True if a run that was sent may start, False if the parent has taken back its token.

        Tokens come in the order of the runs: a token of a later run means that all earlier ones were taken back.
        """
        if not self._token:
            try:
                (self._token,) = TOKEN.unpack(os.read(self._tokens.fileno(), TOKEN.size))
            except BlockingIOError:
                return False
        if self._token != run_id:
            return False
        self._token = 0
        return True

    def close(self) -> None:
        """Close the channel in a process that a function has forked."""
        self.closed = True
        self._socket.close()
        self._tokens.close()

    def frames(self) -> Iterator[Frame]:
        """Yield received frames until the parent closes the channel.

        They also end if a signal handler has raised while frames were received during a run. A part of them may be
        lost; this process ends, and the parent gives the runs that have not started to others.
        """
        while True:
            while self._incoming and not self._is_receiving:
                yield self._incoming.popleft()
            self.flush()
            if self._is_receiving:
                return
            self._receive()
            if self.parent_is_gone:
                return

    def set_running(self, run_id: int) -> None:
        """Note the current run; 0 means that no run is running."""
        with self._lock:
            self.running = run_id

    def receive_during(self, run_id: int) -> None:
        """Receive messages while a run is running: it may be cancelled."""
        with self._lock, contextlib.suppress(BlockingIOError):
            # After the run, only the loop that waits for the next one may receive.
            if self.running == run_id:
                self._receive(socket.MSG_DONTWAIT)

    def receive_in_loop(self, loop: asyncio.AbstractEventLoop, run_id: int) -> None:
        """Receive messages, as a reader of an event loop."""
        self.receive_during(run_id)
        # After a signal handler has raised in `_receive`, nothing is received until the run ends.
        if self.parent_is_gone or self._is_receiving:
            loop.remove_reader(self._socket)

    def watch_in_loop(self, loop: asyncio.AbstractEventLoop, cancel: Callable[[], object]) -> None:
        """Call a function when the current run is cancelled."""
        self.on_cancel = cancel
        loop.add_reader(self._socket, self.receive_in_loop, loop, self.running)
        # The cancellation may have arrived before.
        if self.cancelled == self.running or self.parent_is_gone:
            cancel()

    def unwatch_in_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Undo `watch_in_loop`."""
        self.on_cancel = None
        if not self.closed:
            loop.remove_reader(self._socket)

    def _receive(self, flags: int = 0) -> None:
        # A signal handler asks in the middle of this call, or has raised there: see `frames`.
        if self._is_receiving:
            return
        self._is_receiving = True
        try:
            data = self._socket.recv(_RECEIVE_SIZE, flags)
        except BlockingIOError:
            self._is_receiving = False
            raise
        except OSError as error:
            # Not one that a signal handler raises, such as TimeoutError.
            if not isinstance(error, ConnectionError) and error.errno != errno.EBADF:
                raise
            data = b""
        if not data:
            self.parent_is_gone = True
        for kind, run_id, content in self._reader.feed(data):
            if kind == CANCEL:
                self.cancelled = run_id
            else:
                self._incoming.append((kind, run_id, content))
        self._is_receiving = False
        if self.on_cancel is not None and (self.parent_is_gone or self.cancelled == self.running):
            self.on_cancel()


def _without(parts: list[bytes], size: int) -> list[bytes | memoryview]:
    """Return parts without the bytes at their beginning that were sent."""
    for index, part in enumerate(parts):
        if size < len(part):
            return [memoryview(part)[size:], *parts[index + 1 :]]
        size -= len(part)
    return []


def run_worker(
    ends: WorkerEnds, log_levels: Mapping[str, int], initializer: Initializer | None, initargs: tuple[object, ...]
) -> None:
    """Serve one parent: the function of a worker process.

    Args:
        ends: Worker's ends of the connections to the parent.
        log_levels: Levels of the parent's loggers by name; the root logger's name is empty.
        initializer: The initializer of the user.
        initargs: Arguments of the initializer.
    """
    channel = _Channel(ends)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=channel.close)
    _detach_from_parent()
    channel.lifeline.arm()
    _worker_logging.forward_records(channel)
    _worker_logging.set_levels(log_levels)
    try:
        if initializer is not None:
            initializer(*initargs)
    except BaseException as error:
        channel.send(START_FAILED, 0, report_of(error, dumps))
        raise
    _Server(channel, log_levels).serve()


def _detach_from_parent() -> None:
    # A fork has copied the parent's handling of signals, and the way in which its event loop learns of them.
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Not SIG_IGN, which processes that a function starts would inherit.
    signal.signal(signal.SIGINT, _ignore_signal)
    with contextlib.suppress(OSError, AttributeError):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # A session of its own: a process group that can be killed with all its processes, and no terminal on which a
    # function could wait for an answer that never comes.
    try:
        os.setsid()
    except OSError:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)


def _ignore_signal(_: int, __: object) -> None:
    """Ignore a signal."""


class _Server:
    """Main loop of a worker: runs the jobs that the parent sends, one after another."""

    def __init__(self, channel: _Channel, log_levels: Mapping[str, int]) -> None:
        self._channel = channel
        self._log_levels = log_levels
        self._modules = len(sys.modules)
        # Each run starts from the context that the initializer has left.
        self._context = contextvars.copy_context()

    def serve(self) -> None:
        """Run the jobs that the parent sends, until it asks this worker to quit or is gone."""
        channel = self._channel
        channel.send(READY)
        with contextlib.closing(CallLoop()) as call_loop:
            try:
                for kind, number, content in channel.frames():
                    if kind == QUIT:
                        channel.flush()
                        return
                    if channel.may_start(number):
                        run = _Run(number, content, channel)
                        # The run alone holds its content, and drops it once it is loaded.
                        del content
                        self._run(call_loop, number, run)
                        del run
            except FrameError:
                os._exit(EXIT_WITHOUT_REPORT)
            except ConnectionError:
                # The parent was killed while a run was in progress: its outcome has no receiver.
                os._exit(0)
            except BaseException:
                # The outcome cannot be reported; the end of this process can.
                traceback.print_exc()
                os._exit(EXIT_WITHOUT_REPORT)
        # The parent is gone.
        os._exit(0)

    def _run(self, call_loop: CallLoop, number: int, run: _Run) -> None:
        channel = self._channel
        channel.send(STARTED, number, TIME.pack(time.time()))
        channel.set_running(number)
        kind, report = self._context.copy().run(self._execute, call_loop, run)
        if run.reports is not None:
            run.reports.close()
        channel.set_running(0)
        channel.lifeline.forget_run()
        if len(report) > MAX_CONTENT:
            error = ValueError(f"the result has {len(report)} bytes, the maximum is {MAX_CONTENT}")
            kind, report = ERROR, report_of(error, dumps)
        channel.buffer(kind, number, TIME.pack(time.time()), report)

    def _execute(self, call_loop: CallLoop, run: _Run) -> tuple[int, bytes]:
        running_run.set(run)
        return execute(partial(self._load, run), partial(self._await_outcome, call_loop), dumps)

    def _load(self, run: _Run) -> Callable[[], object]:
        call = run.load()
        if len(sys.modules) != self._modules:
            # A module that was imported just now may have configured logging. The parent's levels apply.
            self._modules = len(sys.modules)
            _worker_logging.set_levels(self._log_levels)
        return call

    def _await_outcome(self, call_loop: CallLoop, awaitable: Awaitable[object]) -> object:
        return call_loop.run(CoroutineCall(self._cancellable(awaitable)))

    async def _cancellable(self, awaitable: Awaitable[object]) -> object:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._channel.watch_in_loop(loop, task.cancel)
        try:
            return await awaitable
        finally:
            self._channel.unwatch_in_loop(loop)
