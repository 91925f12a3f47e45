"""A worker process: start, exit status, kill."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.context
import multiprocessing.process
import multiprocessing.util
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Protocol

from asyncz.config import Initializer
from asyncz.exceptions import WorkerStartError
from asyncz.executors._remote_call import safe_repr, safe_str
from asyncz.executors._start_checks import is_program_file
from asyncz.executors.process_pool import _worker, _worker_logging
from asyncz.executors.process_pool._link import WorkerLink

_MAX_SOCKET_PATH = 100
_SECONDS_FOR_EXIT_CODE = 1.0
_UNGUARDED = (
    "each worker imports the main module, and that import failed (its traceback is on the standard error output): does"
    ' the main module start its scheduler under `if __name__ == "__main__":`?'
)


class _ProcessFactory(Protocol):
    def __call__(self, *, target: object, args: tuple[object, ...], name: str) -> BaseProcess: ...


_start_lock = threading.Lock()
"""Held while the connections of a worker are made and its process is started, so that a worker that starts by fork at
the same time does not inherit connections that are not registered yet."""


def default_context() -> BaseContext:
    """Return the context in which worker processes start by default."""
    methods = multiprocessing.get_all_start_methods()
    if "forkserver" not in methods or _fork_server_is_inherited:
        return multiprocessing.get_context("spawn")
    # The fork server listens at a socket in the temporary folder, and paths of sockets have a maximum length.
    with contextlib.suppress(OSError):
        if len(os.fsencode(multiprocessing.util.get_temp_dir())) + len("/listener-12345678") > _MAX_SOCKET_PATH:
            return multiprocessing.get_context("spawn")
    return multiprocessing.get_context("forkserver")


class WorkerProcess:
    """A worker process that was started.

    `exit_code` and `close` are for one thread at a time: an exit status can be read once only.
    """

    def __init__(self, process: BaseProcess, method: str) -> None:
        self._process = process
        self._served = method == "forkserver"
        self.pid = process.pid or 0
        # `multiprocessing` would read the exit status at the start of any other process.
        children: set[BaseProcess] = getattr(multiprocessing.process, "_children", set())
        children.discard(process)
        # The sentinel of `multiprocessing` is a pipe that the worker's own children keep open.
        try:
            self._pidfd: int | None = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            self._pidfd = None

    @property
    def sentinel(self) -> int:
        """File descriptor that is readable once the process has ended."""
        return self._process.sentinel if self._pidfd is None else self._pidfd

    def exit_code(self) -> tuple[bool, int | None]:
        """Return True and the exit status once the process has ended; an unknown status is None."""
        exit_code = self._process.exitcode
        # The status is lost with a fork server that has died.
        return exit_code is not None, None if exit_code == 255 and self._served else exit_code

    def wait_exit_code(self) -> int | None:
        """Return the exit status of a process that has ended; a fork server reports it a moment later."""
        deadline = time.monotonic() + _SECONDS_FOR_EXIT_CODE
        while True:
            known, exit_code = self.exit_code()
            if known or time.monotonic() > deadline:
                return exit_code
            time.sleep(0.005)

    def kill(self) -> None:
        """Kill the process and the processes that it has started: it leads a process group."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        if not self.exit_code()[0]:
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)

    def kill_group(self) -> None:
        """Kill the processes that the ended process has left in its group."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Release the file descriptors of a process that has ended."""
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        with contextlib.suppress(ValueError):
            self._process.close()


def spawn(
    context: BaseContext,
    initializer: Initializer | None,
    initargs: tuple[object, ...],
    register: Callable[[WorkerLink], None],
) -> tuple[WorkerProcess, WorkerLink]:
    """Start a worker process. Calls user code: `initargs` are pickled.

    Args:
        context: Decides how the process starts.
        initializer: The initializer of the user.
        initargs: Arguments of the initializer.
        register: Called with the connections before the process is started.

    Raises:
        Exception: The process cannot be started.
    """
    levels = _worker_logging.log_levels()
    method = context.get_start_method()
    with _start_lock:
        link = WorkerLink()
        register(link)
        process: BaseProcess | None = None
        try:
            arguments = (link.their_ends, levels, initializer, initargs)
            process = _process_class(context)(target=_worker.run_worker, args=arguments, name="asyncz-worker")
            with _interrupts_blocked(method), _only_importable_main():
                process.start()
            started = WorkerProcess(process, method)
        except BaseException:
            if process is not None and process.pid:
                with contextlib.suppress(OSError):
                    os.kill(process.pid, signal.SIGKILL)
            link.close()
            raise
        link.close_their_ends()
    return started, link


def _process_class(context: BaseContext) -> _ProcessFactory:
    made: _ProcessFactory = getattr(context, "Process")  # noqa: B009  # the stubs lack it
    # A subclass of the user stays as it is.
    if made is getattr(multiprocessing.context, "ForkServerProcess", None):
        from asyncz.executors.process_pool import _fork_server

        # A class demands more of its arguments than it is given here.
        served: _ProcessFactory = vars(_fork_server)["ServedProcess"]
        return served
    return made


@contextlib.contextmanager
def _interrupts_blocked(method: str) -> Generator[None]:
    """Block SIGINT for the process until it handles the signal: Ctrl-C goes to the whole terminal.

    A fork server would keep that for the processes of others.
    """
    if method == "forkserver":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _only_importable_main() -> Generator[None]:
    """Keep a worker from importing a main module that is not a file, such as that of `python -`.

    Functions of other modules work without it.
    """
    main = sys.modules.get("__main__")
    path: object = getattr(main, "__file__", None)
    if main is None or not isinstance(path, str) or is_program_file(path):
        yield
        return
    del main.__file__
    try:
        yield
    finally:
        main.__file__ = path


def is_temporary(error: BaseException) -> bool:
    """Return True if a start failed because something is missing that may be there a moment later."""
    return isinstance(error, OSError | MemoryError | EOFError) or (
        isinstance(error, RuntimeError) and "thread" in safe_str(error)
    )


def exit_error(cause: BaseException | None, exit_code: int | None, pid: int | None) -> WorkerStartError:
    """Return the error of a worker process that ended before it was ready.

    Args:
        cause: The exception of its initializer.
        exit_code: Its exit status.
        pid: Its process id.
    """
    hint = "" if cause is None else f"its initializer raised {safe_repr(cause)}"
    if cause is None and (exit_code is None or exit_code >= 0):
        hint = _UNGUARDED
    failure = WorkerStartError(f"{exit_reason(exit_code)} while it started", exit_code, pid, hint)
    failure.__cause__ = cause
    return failure


def exit_reason(exit_code: int | None) -> str:
    """Return a text for an exit status."""
    if exit_code is None:
        return "ended with an unknown exit status"
    if exit_code < 0:
        try:
            return f"was killed by {signal.Signals(-exit_code).name}"
        except ValueError:  # most real-time signals have no name
            return f"was killed by the signal {-exit_code}"
    return f"ended with the exit status {exit_code}"


_fork_server_is_inherited = False
"""True in a process that was forked from one with a fork server, which only that process can use."""


def _renew_after_fork() -> None:
    global _start_lock, _fork_server_is_inherited
    _start_lock = threading.Lock()
    server: object = getattr(sys.modules.get("multiprocessing.forkserver"), "_forkserver", None)
    _fork_server_is_inherited = getattr(server, "_forkserver_pid", None) is not None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)
