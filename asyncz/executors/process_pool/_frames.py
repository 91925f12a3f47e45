"""Frames: the format of the bytes that a worker process and its parent exchange. Standard library only.

A frame is a header and its content. Each header starts with a secret that the parent chooses for the channel: bytes
that a task's function writes to the channel by mistake are detected at once, instead of being taken for a frame.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TypeAlias

HEADER = struct.Struct("!8sBQQ")
TIME = struct.Struct("!d")
TOKEN = struct.Struct("!Q")
SECRET_SIZE = 8

# Kinds of frames to the worker.
RUN, QUIT, CANCEL = 1, 2, 3
# Kinds of frames from the worker, besides the kinds of outcomes in `_remote_call`.
READY, START_FAILED, STARTED, LOG, ASKS, PROGRESS = 10, 11, 12, 17, 18, 21

MAX_CONTENT = 1 << 31
"""Maximum size of a call, a result or an exception, in bytes."""

_LARGE = 1 << 16

Content: TypeAlias = bytes | bytearray
Frame: TypeAlias = tuple[int, int, Content]
"""Kind, run id and content."""


class FrameError(Exception):
    """Bytes on a channel that are not a frame, or a frame that is not expected."""


def frame_header(secret: bytes, kind: int, run_id: int, length: int) -> bytes:
    """Return the header of a frame."""
    return HEADER.pack(secret, kind, run_id, length)


def _accept_any(kind: int, run_id: int, length: int) -> None:
    """Accept every header."""


class FrameReader:
    """Incremental parser of frames.

    Args:
        secret: Start of each header.
        check: Called with kind, run id and length of a frame that has arrived in part, before the rest is collected.
            It raises `FrameError` if the frame is not acceptable. The consumer checks the frames that are complete.
    """

    def __init__(self, secret: bytes, check: Callable[[int, int, int], None] = _accept_any) -> None:
        self._secret = secret
        self._check = check
        self._rest = b""
        self._large: bytearray | None = None
        self._large_kind = (0, 0)
        self._missing = 0

    @property
    def is_within_frame(self) -> bool:
        """Return True if a frame has been received in part."""
        return self._large is not None or bool(self._rest)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add received bytes, and yield each frame that is complete.

        The content of a large frame is collected in place, so that it exists only once.

        Raises:
            FrameError: The bytes are not a frame, or `check` rejects it.
        """
        if self._large is not None:
            part = data[: self._missing]
            self._large += part
            self._missing -= len(part)
            if self._missing:
                return
            data = data[len(part) :]
            (kind, run_id), content, self._large = self._large_kind, self._large, None
            yield kind, run_id, content
        buffer, self._rest = (self._rest + data if self._rest else data), b""
        # Local names, as each frame comes here.
        header_size, unpack_header, expected = HEADER.size, HEADER.unpack_from, self._secret
        size = len(buffer)
        position, start = 0, header_size
        while start <= size:
            secret, kind, run_id, length = unpack_header(buffer, position)
            if secret != expected:
                raise FrameError("bytes that are not a frame")
            end = start + length
            if end > size:
                self._check(kind, run_id, length)
                if length > _LARGE:
                    self._large, self._large_kind = bytearray(buffer[start:]), (kind, run_id)
                    self._missing = end - size
                    return
                break
            yield kind, run_id, buffer[start:end]
            position, start = end, end + header_size
        self._rest = buffer[position:]
