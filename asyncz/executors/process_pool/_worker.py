"""What runs inside a worker process. It imports the standard library only, so that workers start fast."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
import time
import traceback
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Never

from asyncz._running import running_run
from asyncz.executors._coroutines import CoroutineCall, run_in_loop
from asyncz.executors._remote_call import SentRun, dumps, execute, report_of
from asyncz.executors.process_pool._frames import (
    ASKS,
    CANCEL,
    PERMIT,
    QUIT,
    READY,
    START_FAILED,
    STARTED,
    TIME,
    FrameReader,
    frame,
)
from asyncz.executors.process_pool._worker_logging import ForwardingHandler, RootLogger

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from typing_extensions import override

    from asyncz.config import Initializer
else:
    # Importing it costs more than all the rest of this module.
    def override(method: object) -> object:
        return method


EXIT_UNTOLD = 70
"""The exit status of a worker that could not tell how a run ended."""


class _Run(SentRun):
    """One that the parent can tell of its cancellation."""

    def __init__(self, number: int, content: bytes, channel: _Channel) -> None:
        super().__init__(content)
        self._number = number
        self._channel = channel
        self._asks = False

    @override
    def is_cancelled(self) -> bool:
        # A process that the function has forked knows nothing of what happens to the run.
        if self._channel.closed:
            return False
        # Where the parent is gone, this worker ends as soon as the function has returned.
        with contextlib.suppress(OSError):
            if not self._asks:
                # Who asks is given the time to return.
                self._asks = True
                self._channel.send(ASKS, self._number)
            self._channel.look(self._number)
        return self._channel.cancelled == self._number


class _Channel:
    """The way to the parent, for every thread of the worker."""

    def __init__(self, connection: socket.socket, permits: Connection[bytes, bytes]) -> None:
        self._connection = connection
        self._permits = permits
        self._permitted = 0
        self._lock = threading.RLock()
        self._reader = FrameReader()
        self._incoming: deque[tuple[int, int, bytes]] = deque()
        self.running = 0
        self.cancelled = 0
        self._outgoing: deque[bytes] = deque()
        self._sending = False
        self.closed = False

    def send(self, kind: int, number: int = 0, content: bytes = b"") -> None:
        with self._lock:
            self._outgoing.append(frame(kind, number, content))
            self.flush()

    def hold(self, kind: int, number: int, content: bytes) -> None:
        """Send it together with what comes next, or before the worker waits for more: a send costs as much as a run."""
        with self._lock:
            self._outgoing.append(frame(kind, number, content))

    def flush(self) -> None:
        with self._lock:
            # A signal handler that logs comes here in the midst of a frame: its own goes after that.
            if self._sending:
                return
            self._sending = True
            try:
                while self._outgoing:
                    frames = [self._outgoing.popleft() for _ in range(len(self._outgoing))]
                    self._connection.sendall(b"".join(frames))
            finally:
                self._sending = False

    def may_begin(self, number: int) -> bool:
        """Whether a run that was sent here may begin; the parent has taken back the permits of the others.

        Permits come in the order of the runs: one for a later run says that all before it were taken back.
        """
        if not self._permitted:
            try:
                (self._permitted,) = PERMIT.unpack(os.read(self._permits.fileno(), PERMIT.size))
            except BlockingIOError:
                return False
        if self._permitted != number:
            return False
        self._permitted = 0
        return True

    def close(self) -> None:
        """Leave it to the worker alone: a process that a function has forked would garble it."""
        self.closed = True
        self._connection.close()
        self._permits.close()

    def frames(self) -> Iterator[tuple[int, int, bytes]]:
        while True:
            while self._incoming:
                yield self._incoming.popleft()
            self.flush()
            if not self._receive():
                return

    def runs(self, number: int) -> None:
        """Note which run is running; 0 is none."""
        with self._lock:
            self.running = number

    def look(self, number: int) -> None:
        """Take in what has come while a run runs: it may be cancelled."""
        with self._lock, contextlib.suppress(BlockingIOError):
            # Not once the run is over: who waits for the next one reads then.
            if self.running == number:
                self._receive(socket.MSG_DONTWAIT)

    def _receive(self, flags: int = 0) -> bool:
        """Take in what has come; False where nothing more can come."""
        data = self._connection.recv(1 << 16, flags)
        for kind, number, content in self._reader.feed(data):
            if kind == CANCEL:
                self.cancelled = number
            else:
                self._incoming.append((kind, number, content))
        return bool(data)


_channel: _Channel | None = None


def start_worker(
    connection: socket.socket,
    permits: Connection[bytes, bytes],
    log_levels: Mapping[str, int],
    initializer: Initializer | None,
    initargs: tuple[object, ...],
) -> None:
    """Prepare the worker: the initializer of its pool.

    Args:
        connection: Its end of the channel to the parent.
        permits: Where it takes the permit to begin a run.
        log_levels: The levels of the parent's loggers by their names; the root's is the empty one.
        initializer: The user's own initializer.
        initargs: The arguments of that.
    """
    global _channel
    _channel = _Channel(connection, permits)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_channel.close)
    # A fork has copied what the parent does on signals, and the way by which its event loop learns of them.
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Of its own process group, so that what a function started can be killed together with the worker.
    with contextlib.suppress(OSError, AttributeError):
        os.setpgid(0, 0)
    for name in list(logging.Logger.manager.loggerDict):
        logging.getLogger(name).handlers.clear()
    root = logging.getLogger()
    root.__class__ = RootLogger
    root.handlers[:] = [ForwardingHandler(_channel)]
    for name, level in log_levels.items():
        logging.getLogger(name).setLevel(level)
    try:
        if initializer is not None:
            initializer(*initargs)
    except BaseException as error:
        _channel.send(START_FAILED, 0, report_of(error, dumps))
        raise
    # It may have set the list of handlers itself.
    if not any(isinstance(handler, ForwardingHandler) for handler in root.handlers):
        root.addHandler(ForwardingHandler(_channel))


def serve() -> None:
    """Run what the parent sends, one after another, until it says that this is all."""
    assert _channel is not None
    _channel.send(READY)
    with asyncio.Runner() as runner:
        try:
            for kind, number, content in _channel.frames():
                if kind == QUIT:
                    _channel.flush()
                    return
                if not _channel.may_begin(number):
                    continue
                _channel.send(STARTED, number, TIME.pack(time.time()))
                _channel.runs(number)
                run = _Run(number, content, _channel)
                running_run.set(run)
                kind_of_end, report = execute(run.call, partial(_run_coroutine, runner), dumps)
                _channel.runs(0)
                _channel.hold(kind_of_end, number, TIME.pack(time.time()) + report)
        except BaseException:
            # How the run ended could not be told, for want of memory for example: the end of the worker can.
            traceback.print_exc()
            os._exit(EXIT_UNTOLD)
    # The parent is gone, and with it everybody who could want something of this process.
    os._exit(0)


def _run_coroutine(runner: asyncio.Runner, coroutine: Coroutine[object, Never, object]) -> object:
    return run_in_loop(runner, CoroutineCall(coroutine))
