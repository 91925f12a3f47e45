"""What runs inside a worker process. It imports the standard library only, so that workers start fast."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import pickle
import signal
import socket
import struct
import threading
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Never, TypeAlias, TypeGuard

from asyncz._running import running_run

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from typing_extensions import override

    from asyncz.config import Initializer
else:
    # Importing it costs more than all the rest of this module.
    def override(method: object) -> object:
        return method


HEADER = struct.Struct("!BQQ")
TIME = struct.Struct("!d")
PERMIT = struct.Struct("!Q")
_RUN_INFO = struct.Struct("!QIdI")

# Kinds of frames, from the parent and to it.
RUN, QUIT, CANCEL = 1, 2, 3
READY, START_FAILED, STARTED, RESULT, ERROR, CANCELLED, UNLOADABLE, UNPICKLABLE, LOG, ASKS = range(10, 20)

EXIT_UNTOLD = 70
"""The exit status of a worker that could not tell how a run ended."""

dumps: Callable[[object], bytes] = partial(pickle.dumps, protocol=pickle.HIGHEST_PROTOCOL)
"""How calls and results are pickled, unless somebody brings a way of their own."""

ErrorReport: TypeAlias = tuple[str, str, str, bytes | None]
"""The class of an exception, its text, its traceback as text, and itself where it can be pickled."""


class FrameReader:
    """Takes bytes as they come, and gives the frames that are complete."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Add bytes, and give each complete frame: its kind, the number of its run, its content."""
        self._bytes += data
        position = 0
        while len(self._bytes) - position >= HEADER.size:
            kind, number, length = HEADER.unpack_from(self._bytes, position)
            end = position + HEADER.size + length
            if len(self._bytes) < end:
                break
            yield kind, number, bytes(self._bytes[position + HEADER.size : end])
            position = end
        del self._bytes[:position]


def frame(kind: int, number: int = 0, content: bytes = b"") -> bytes:
    """A frame as bytes."""
    return HEADER.pack(kind, number, len(content)) + content


def run_content(run_id: int, attempt: int, scheduled: float, task_id: str, call: bytes) -> bytes:
    """The content of a frame that sends a run: what its function can ask for, and its pickled call."""
    name = task_id.encode("utf-8", "surrogatepass")
    return b"".join((_RUN_INFO.pack(run_id, attempt, scheduled, len(name)), name, call))


class SentRun:
    """A run that was sent here, as its function sees it."""

    def __init__(self, content: bytes) -> None:
        self.run_id, self.attempt, self.scheduled, length = _RUN_INFO.unpack_from(content)
        start = _RUN_INFO.size + length
        self._name = content[_RUN_INFO.size : start]
        self.call = memoryview(content)[start:]

    @property
    def task_id(self) -> str:
        return self._name.decode("utf-8", "surrogatepass")

    def is_cancelled(self) -> bool:
        """Whether it is to end; never where nobody can tell so."""
        return False


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


class _ForwardingHandler(logging.Handler):
    """Sends log records to the parent, at once, so that they arrive even if the worker is killed then."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__()
        self._channel = channel

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if self._channel.closed:
            if logging.lastResort is not None:
                logging.lastResort.handle(record)
            return
        try:
            fields = dict(record.__dict__)
            fields["msg"], fields["args"] = record.getMessage(), None
            if record.exc_info:
                fields["exc_text"] = record.exc_text or logging.Formatter().formatException(record.exc_info)
            fields["exc_info"] = None
            self._channel.send(LOG, 0, pickle.dumps(fields))
        except Exception:
            self.handleError(record)


class _RootLogger(logging.RootLogger):
    """A root logger that keeps sending records to the parent, whatever the logging is configured to."""

    @override
    def removeHandler(self, hdlr: logging.Handler) -> None:  # noqa: N802  # the name in `logging`
        if not isinstance(hdlr, _ForwardingHandler):
            super().removeHandler(hdlr)


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
    root.__class__ = _RootLogger
    root.handlers[:] = [_ForwardingHandler(_channel)]
    for name, level in log_levels.items():
        logging.getLogger(name).setLevel(level)
    try:
        if initializer is not None:
            initializer(*initargs)
    except BaseException as error:
        _channel.send(START_FAILED, 0, _report(error, dumps))
        raise
    # It may have set the list of handlers itself.
    if not any(isinstance(handler, _ForwardingHandler) for handler in root.handlers):
        root.addHandler(_ForwardingHandler(_channel))


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
    # Without one, all runs would see the context of the first.
    return runner.run(coroutine, context=contextvars.copy_context())


def execute(
    content: bytes | memoryview,
    run_coroutine: Callable[[Coroutine[object, Never, object]], object],
    dumps: Callable[[object], bytes],
) -> tuple[int, bytes]:
    """Make a call that arrived as bytes, and give the kind of its end and the report of it; never raises.

    Args:
        content: The call, pickled.
        run_coroutine: Runs a coroutine to its end.
        dumps: Pickles the result, or the exception.
    """
    try:
        call: Callable[[], object] = pickle.loads(content)
    except BaseException as error:
        return UNLOADABLE, _report(error, dumps)
    try:
        outcome = call()
        if _is_awaitable(outcome):
            outcome = run_coroutine(_awaited(outcome))
    except asyncio.CancelledError:
        return CANCELLED, b""
    except BaseException as error:
        return ERROR, _report(error, dumps)
    try:
        return RESULT, dumps(outcome)
    except BaseException as error:
        return UNPICKLABLE, pickle.dumps((_shortened(repr(type(outcome))), repr(error)))


def _is_awaitable(outcome: object) -> TypeGuard[Awaitable[object]]:
    return hasattr(type(outcome), "__await__")


async def _awaited(awaitable: Awaitable[object]) -> object:
    return await awaitable


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def _report(error: BaseException, dumps: Callable[[object], bytes]) -> bytes:
    text = "".join(traceback.format_exception(error))
    try:
        pickled: bytes | None = dumps(error)
        pickle.loads(dumps(error))
    except BaseException:
        pickled = None
    try:
        message = str(error)
    except BaseException as unprintable:
        message = f"its text cannot be had: {type(unprintable).__name__}"
    report: ErrorReport = (f"{type(error).__module__}.{type(error).__qualname__}", message, text, pickled)
    return pickle.dumps(report)
