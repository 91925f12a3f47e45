"""Progress of a run on its way from another process. Standard library only, as workers import this module."""

from __future__ import annotations

import contextlib
import math
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

Report: TypeAlias = tuple[float, float | None, str]
"""Amount of work that is done, total amount or None, and a message."""

INTERVAL = 0.1
"""Minimum seconds between two reports that a worker sends for a run."""

RUN_ID = struct.Struct("!Q")
_AMOUNTS = struct.Struct("!dd")
# A character takes up to four bytes; messages have at most 1,000.
MAX_SIZE = _AMOUNTS.size + 4000
"""Maximum size of a packed report, in bytes."""


def pack(report: Report) -> bytes:
    """Return a report as bytes."""
    done, total, message = report
    return _AMOUNTS.pack(done, math.nan if total is None else total) + message.encode("utf-8", "surrogatepass")


def unpack(content: bytes | bytearray) -> Report | None:
    """Return a packed report, or None if the bytes are not one."""
    try:
        done, total = _AMOUNTS.unpack_from(content)
        message = bytes(content[_AMOUNTS.size :]).decode("utf-8", "surrogatepass")
    except (struct.error, UnicodeDecodeError):
        return None
    return done, None if math.isnan(total) else total, message


# A worker waits no longer than this many seconds for a parent that reads no reports.
_MAX_WAIT = 0.5


def send_to(address: str, run_id: int, report: Report) -> None:
    """Send a report of a run to the socket of its executor, if that is on this machine."""
    with contextlib.suppress(AttributeError, OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        sending.settimeout(_MAX_WAIT)
        sending.sendto(RUN_ID.pack(run_id) + pack(report), address)


class ThrottledReports:
    """Reports of one run: the first one is sent at once, then the latest one after each interval.

    A timer sends a report that was held back, because the function may compute for hours before its next report.
    May be used in any thread. The lock is reentrant, as a signal handler may report; it is held while a report is
    sent, so that an older report never follows a newer one.

    Args:
        send: Sends a report.
    """

    def __init__(self, send: Callable[[Report], object]) -> None:
        self._send = send
        self._lock = threading.RLock()
        self._not_before = 0.0
        self._held_back: Report | None = None
        self._timer: threading.Timer | None = None
        self._is_closed = False

    def report(self, report: Report) -> None:
        """Send a report, or hold it back until the interval is over."""
        with self._lock:
            if self._is_closed:
                return
            delay = self._not_before - time.monotonic()
            if delay > 0:
                self._held_back = report
                if self._timer is None:
                    self._start_timer(delay)
                return
            self._send_now(report)

    def close(self) -> None:
        """Send the report that was held back, if any, and stop sending."""
        with self._lock:
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()
            if self._held_back is not None:
                self._send_now(self._held_back)

    def _send_now(self, report: Report) -> None:
        self._held_back = None
        self._not_before = time.monotonic() + INTERVAL
        # A report that cannot be sent must not fail the run.
        with contextlib.suppress(Exception):
            self._send(report)

    def _start_timer(self, delay: float) -> None:
        timer = threading.Timer(delay, self._on_timer)
        # Interpreters of `InterpreterPoolExecutor` have no daemons. The end of the run cancels the timer anyway.
        with contextlib.suppress(RuntimeError):
            timer.daemon = True
        try:
            timer.start()
        except RuntimeError:
            # The system refuses another thread: the next report, or the end of the run, sends this one.
            return
        self._timer = timer

    def _on_timer(self) -> None:
        with self._lock:
            self._timer = None
            if self._held_back is not None and not self._is_closed:
                self._send_now(self._held_back)
