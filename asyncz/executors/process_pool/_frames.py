"""Frames: the format of what a worker process and its parent send each other. Standard library only."""

from __future__ import annotations

import struct
from collections.abc import Iterator

HEADER = struct.Struct("!BQQ")
TIME = struct.Struct("!d")
PERMIT = struct.Struct("!Q")

# Kinds of frames, to the worker and from it; the kinds of outcomes are those of `_remote_call`.
RUN, QUIT, CANCEL = 1, 2, 3
READY, START_FAILED, STARTED, LOG, ASKS = 10, 11, 12, 17, 18


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
