"""Channel of a worker process while signal handlers of a function interrupt it, log, and raise."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from types import FrameType

import pytest

from asyncz.executors.process_pool import _worker
from asyncz.executors.process_pool._frames import (
    CANCEL,
    LOG,
    PROGRESS,
    RUN,
    SECRET_SIZE,
    Frame,
    FrameReader,
    frame_header,
)

SECRET = b"s" * SECRET_SIZE
LARGE = 1 << 18


class OwnError(Exception):
    """Raised by a signal handler."""


class Parent:
    """The parent's end of a channel: collects what it receives on a thread of its own."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        reading, writing = os.pipe()
        self._ends = [Connection(reading, writable=False), Connection(writing, readable=False)]
        # The lifeline is not armed here.
        ends = (theirs, self._ends[0], self._ends[0], SECRET)
        self.channel = _worker._Channel(ends)  # pyright: ignore[reportPrivateUsage]  # the unit under test
        self._theirs = theirs
        self._received = bytearray()
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()

    def _collect(self) -> None:
        # A channel that is closed with frames that were not received is reset.
        with contextlib.suppress(ConnectionResetError):
            while data := self._socket.recv(1 << 16):
                self._received += data

    def send(self, kind: int, run_id: int, content: bytes) -> None:
        """Send a frame to the worker."""
        self._socket.sendall(frame_header(SECRET, kind, run_id, len(content)) + content)

    def close(self) -> list[Frame]:
        """Return the frames that have arrived, in order."""
        self._theirs.close()
        self._thread.join()
        self._socket.close()
        for end in self._ends:
            end.close()
        return list(FrameReader(SECRET).feed(bytes(self._received)))


@contextmanager
def interrupted_at(moment: int, handler: Callable[[], None], reached: list[bool]) -> Iterator[None]:
    """Call a function once, at a numbered moment: after a call or at its begin, as Python calls signal handlers."""
    moments = iter(range(moment + 1))

    def profile(frame: FrameType, event: str, _: object) -> None:
        if frame.f_globals.get("__name__") != _worker.__name__ or event not in {"call", "c_return"}:
            return
        if next(moments, None) == moment:
            sys.setprofile(None)
            reached.append(True)
            handler()

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("raises", [False, True])
def test_interrupted_frames_arrive_whole(raises: bool) -> None:
    """A handler that logs, reports or raises after any call: each frame is whole, and none is sent twice."""
    interruptions = 0
    for moment in range(200):
        parent, reached = Parent(), list[bool]()
        channel = parent.channel
        channel.set_running(1)

        def handle(channel: _worker._Channel = channel) -> None:  # pyright: ignore[reportPrivateUsage]  # as above
            channel.send(LOG, 0, b"handler")
            channel.send_while_running(PROGRESS, 1, b"report")
            if raises:
                raise OwnError

        contents = [b"", b"small", bytes(LARGE), b"last"]
        try:
            with interrupted_at(moment, handle, reached):
                for content in contents:
                    channel.buffer(RUN, 7, content[: len(content) // 2], content[len(content) // 2 :])
                    channel.send(LOG, 0, content)
        except OwnError:
            pass
        channel.flush()
        frames = parent.close()
        ours = [(kind, len(content)) for kind, _, content in frames if content not in (b"handler", b"report")]
        expected = [(kind, len(content)) for content in contents for kind in (RUN, LOG)]
        assert ours == (expected[: len(ours)] if raises else expected)
        others = [bytes(content) for _, _, content in frames if content in (b"handler", b"report")]
        assert others == [b"handler", b"report"] * len(reached)
        interruptions += len(reached)
        if not reached:
            break
    assert 20 < interruptions < 200


def test_interrupted_receiving_ends_or_goes_on() -> None:
    """A handler that asks changes nothing; one that raises while frames are received ends the worker after its run."""
    for moment in range(60):
        parent, reached = Parent(), list[bool]()
        channel = parent.channel
        channel.set_running(1)
        for number in range(2, 5):
            parent.send(RUN, number, b"x")
        parent.send(CANCEL, 1, b"")
        with interrupted_at(moment, partial(channel.receive_during, 1), reached):
            channel.receive_during(1)
        channel.receive_during(1)
        assert channel.cancelled == 1
        channel.set_running(0)
        frames = channel.frames()
        assert [next(frames)[1] for _ in range(3)] == [2, 3, 4]
        _ = parent.close()
        if not reached:
            break
    else:
        raise AssertionError


def test_receiving_handler_that_raises_ends_frames() -> None:
    """No frame that may be damaged is used: the frames end, and the parent gives the runs to others."""
    ended = 0
    for moment in range(60):
        parent, reached = Parent(), list[bool]()
        channel = parent.channel
        channel.set_running(1)
        for number in range(2, 5):
            parent.send(RUN, number, b"x")

        def handle() -> None:
            # A class of OSError does not mean that the parent is gone.
            raise TimeoutError

        try:
            with interrupted_at(moment, handle, reached):
                channel.receive_during(1)
        except TimeoutError:
            pass
        assert not channel.parent_is_gone
        channel.set_running(0)
        # The parent's end: `frames` would wait for more.
        parent.send(RUN, 9, b"x")
        received = [
            number for frames in [channel.frames()] for _, (_, number, _) in zip(range(4), frames, strict=False)
        ]
        assert received in ([], [2, 3, 4, 9])
        ended += not received
        _ = parent.close()
        if not reached:
            break
    assert ended > 0
