"""Socket on which an executor receives the progress of runs in the processes of a foreign pool."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from asyncz.executors._remote_progress import MAX_SIZE, RUN_ID, Report, unpack


class ProgressSocket:
    """Receiver of reports from any process of this machine and user: a pool of another library has no channel for them.

    Made on first use, in any thread, as most pools execute runs in this process. On a system without such sockets,
    and for workers on other machines, there is no progress. `read` is thread-safe.

    Args:
        loop: Event loop that reads the socket.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._folder: Path | None = None
        self._remove_folder: Callable[[], object] = lambda: None
        self._receivers: dict[int, Callable[[float, float | None, str], object]] = {}

    def add(self, run_id: int, receive: Callable[[float, float | None, str], object]) -> str:
        """Receive the reports of a run; return the address of the socket, or an empty text if there is none."""
        self._receivers[run_id] = receive
        with self._lock:
            if self._folder is None:
                self._open()
            return "" if self._socket is None else f"{self._folder}/progress"

    def remove(self, run_id: int) -> None:
        """Receive the reports that have been sent, and stop receiving those of the run."""
        if self._socket is not None:
            self.read()
        self._receivers.pop(run_id, None)

    def read(self) -> None:
        """Receive all reports that have arrived."""
        while True:
            with self._lock:
                if self._socket is None:
                    return
                try:
                    content = self._socket.recv(MAX_SIZE + RUN_ID.size)
                except OSError:
                    # Nothing has arrived.
                    return
            self._receive(content)

    def close(self) -> None:
        """Close the socket. For the loop's thread."""
        with self._lock:
            if self._socket is not None:
                self._loop.remove_reader(self._socket)
                self._socket.close()
                self._socket = None
            self._remove_folder()

    def _open(self) -> None:
        # Other users of this machine have no access to the folder.
        self._folder = Path(tempfile.mkdtemp(prefix="asyncz-"))
        # Without a shutdown, the folder is removed at exit.
        self._remove_folder = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        with contextlib.ExitStack() as opened, contextlib.suppress(AttributeError, OSError):
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            opened.callback(made.close)
            made.setblocking(False)
            made.bind(os.fspath(self._folder / "progress"))
            opened.pop_all()
            self._socket = made
        # A closed loop was left by a shutdown that was cut short.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._watch)

    def _watch(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(NotImplementedError):
                self._loop.add_reader(self._socket, self.read)

    def _receive(self, content: bytes) -> None:
        if len(content) < RUN_ID.size:
            return
        (run_id,) = RUN_ID.unpack_from(content)
        report: Report | None = unpack(content[RUN_ID.size :])
        receive = self._receivers.get(run_id)
        if receive is not None and report is not None:
            receive(*report)
