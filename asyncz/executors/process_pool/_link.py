"""The parent's ends of the connections to one worker: channel, start tokens and lifeline."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from asyncz.executors.process_pool._frames import HEADER, RUN, SECRET_SIZE, TOKEN, Frame, FrameReader, frame_header
from asyncz.executors.process_pool._prefetch import MAX_RUNS

if TYPE_CHECKING:
    from asyncz.executors.process_pool._worker import WorkerEnds

_RECEIVE_SIZE = 1 << 18
_MAX_BUFFERS = 64
_LARGE = 1 << 15


def _pipe() -> tuple[Connection[bytes, bytes], Connection[bytes, bytes]]:
    """Return both ends of a pipe as connections, which can be passed to processes of every start method."""
    reading, writing = os.pipe()
    return Connection(reading, writable=False), Connection(writing, readable=False)


class StartTokens:
    """Permissions to start the runs that were sent to a worker.

    The worker takes one token for each run, unless the parent takes it back first. Both read the same pipe, and each
    token goes to one of them only. So no run starts twice, although a worker that executes a function cannot be asked.
    """

    def __init__(self) -> None:
        self.theirs, self._giving = _pipe()
        os.set_blocking(self.theirs.fileno(), False)
        self.unsent = bytearray()
        """Tokens to be written by the next `flush`."""

    def flush(self) -> None:
        """Write the tokens. The pipe has room: `MAX_RUNS` limits their number."""
        if self.unsent:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._giving.fileno(), self.unsent)
            self.unsent.clear()

    def revoke(self) -> list[int]:
        """Take back all tokens, and return the runs that will not start, in order."""
        taken = bytes(self.unsent)
        self.unsent.clear()
        with contextlib.suppress(BlockingIOError):
            taken = os.read(self.theirs.fileno(), MAX_RUNS * TOKEN.size) + taken
        return [run_id for (run_id,) in TOKEN.iter_unpack(taken)]

    def close_after_fork(self) -> None:
        """Close the writing end in a forked process."""
        self._giving.close()

    def close(self) -> None:
        """Close both ends."""
        self.theirs.close()
        self._giving.close()


class WorkerLink:
    """Channel, start tokens and lifeline of one worker, from the parent's side.

    Raises:
        OSError: No file descriptor is free.
    """

    def __init__(self) -> None:
        self._secret = os.urandom(SECRET_SIZE)
        # Small frames together, followed by large parts, which are not copied, and by more of both.
        self._small = bytearray()
        self._outgoing: deque[memoryview[int]] = deque()
        self._reader = FrameReader(self._secret)
        self.is_connected = True
        with contextlib.ExitStack() as opened:
            self.socket, self._their_socket = socket.socketpair()
            opened.callback(self.socket.close)
            opened.callback(self._their_socket.close)
            self.tokens = StartTokens()
            opened.callback(self.tokens.close)
            self._their_lifeline, self._lifeline = _pipe()
            opened.pop_all()
        self.socket.setblocking(False)

    def set_check(self, check: Callable[[int, int, int], None]) -> None:
        """Set the check of each received header."""
        self._reader = FrameReader(self._secret, check)

    @property
    def their_ends(self) -> WorkerEnds:
        """The ends that the worker is given."""
        return self._their_socket, self.tokens.theirs, self._their_lifeline, self._secret

    def close_their_ends(self) -> None:
        """Close the worker's ends once it has them; the tokens are shared."""
        self._their_socket.close()
        self._their_lifeline.close()

    @property
    def has_outgoing(self) -> bool:
        """Return True if bytes wait to be sent."""
        return bool(self._small or self._outgoing)

    @property
    def is_within_frame(self) -> bool:
        """Return True if a frame has been received in part."""
        return self._reader.is_within_frame

    def send(self, kind: int, run_id: int = 0, *parts: bytes) -> None:
        """Add a frame, to be sent by the next `flush`."""
        size = 0
        for part in parts:
            size += len(part)
        self._small += frame_header(self._secret, kind, run_id, size)
        for part in parts:
            if len(part) < _LARGE:
                self._small += part
            else:
                self._queue_small()
                self._outgoing.append(memoryview(part))

    def _queue_small(self) -> None:
        if self._small:
            self._outgoing.append(memoryview(self._small))
            self._small = bytearray()

    def _drop_outgoing(self) -> None:
        self._outgoing.clear()
        self._small = bytearray()

    def send_run(self, run_id: int, parts: tuple[bytes, ...]) -> None:
        """Add the frame of a run, and the token that lets the worker start it, to be sent by the next `flush`."""
        # Method calls: on attributes, `+=` takes twice as many instructions.
        self.tokens.unsent.extend(TOKEN.pack(run_id))
        first = parts[0]
        size = len(first)
        if size < _LARGE and len(parts) == 1:
            self._small.extend(HEADER.pack(self._secret, RUN, run_id, size) + first)
        else:
            self.send(RUN, run_id, *parts)

    def revoke(self) -> list[int]:
        """Take back the tokens of the runs that the worker has not started, and return those runs in order."""
        return self.tokens.revoke()

    def flush(self) -> None:
        """Send tokens and frames, as far as the worker has room."""
        if not self.is_connected:
            self._drop_outgoing()
            return
        self.tokens.flush()
        self._queue_small()
        try:
            while self._outgoing:
                self._drop_sent(self.socket.sendmsg(list(islice(self._outgoing, _MAX_BUFFERS))))
        except BlockingIOError:
            return
        except OSError:
            # The worker is gone; its sentinel reports that.
            self._drop_outgoing()

    def _drop_sent(self, size: int) -> None:
        while size:
            first = self._outgoing[0]
            if len(first) > size:
                self._outgoing[0] = first[size:]
                return
            size -= len(first)
            self._outgoing.popleft()

    def receive(self) -> Iterator[Frame] | None:
        """Return the frames that have arrived, or None at the end of the channel.

        Raises:
            BlockingIOError: Nothing has arrived.
            FrameError: By the iterator, if the bytes are not an acceptable frame.
        """
        try:
            data = self.socket.recv(_RECEIVE_SIZE)
        except BlockingIOError:
            raise
        except OSError:
            return None
        return self._reader.feed(data) if data else None

    def close_after_fork(self) -> None:
        """Close the parent's ends in a forked process: a worker notices by them that the parent is gone."""
        self.socket.close()
        self.tokens.close_after_fork()
        self._lifeline.close()

    def close(self) -> None:
        """Close everything. A worker that is still alive is killed by that."""
        self._drop_outgoing()
        self.close_their_ends()
        self.socket.close()
        self.tokens.close()
        self._lifeline.close()
