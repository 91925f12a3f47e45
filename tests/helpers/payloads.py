"""Functions that tests run, at module level so that worker processes can import them."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import itertools
import logging.config
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Never
from uuid import UUID

from typing_extensions import override

from asyncz import current_run


def add(first: int, second: int) -> int:
    return first + second


async def add_async(first: int, second: int) -> int:
    await asyncio.sleep(0)
    return first + second


class AsyncAdder:
    async def __call__(self, first: int, second: int) -> int:
        await asyncio.sleep(0)
        return first + second


async def wait_forever_after(signal: Callable[[], object]) -> None:
    signal()
    await asyncio.Event().wait()


def fail(text: str) -> int:
    raise ValueError(text)


async def fail_async(text: str) -> int:
    raise ValueError(text)


def leave() -> None:
    sys.exit(3)


def interrupt() -> None:
    raise KeyboardInterrupt


def cancel_itself() -> None:
    raise asyncio.CancelledError


def die(signal_number: int = signal.SIGKILL) -> None:
    os.kill(os.getpid(), signal_number)
    time.sleep(60)


def exit_at_once(status: int) -> None:
    os._exit(status)


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


async def sleep_async(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "slept"


def process_id() -> int:
    return os.getpid()


def log(name: str, level: int, text: str) -> None:
    logging.getLogger(name).log(level, text)


def log_and_die(name: str, text: str) -> None:
    logging.getLogger(name).warning(text)
    os.kill(os.getpid(), signal.SIGKILL)


def unpicklable_result() -> Callable[[], None]:
    return lambda: None


class LoadsBadly:
    """Fails when it is unpickled."""

    @override
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return fail, ("cannot load",)


def badly_loading_result() -> LoadsBadly:
    return LoadsBadly()


class TwoArgumentsError(Exception):
    """Cannot be unpickled: its `__init__` takes more than `args` has."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.second = second


def fail_with_two_arguments() -> None:
    raise TwoArgumentsError("a", "b")


def start_child(path: str) -> None:
    """Start a process that outlives its parent, write its id to a file, and never return."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with open(path, "w") as file:
        file.write(str(child.pid))
    time.sleep(60)


_initialized_with: list[str] = []


def initialize(text: str) -> None:
    _initialized_with.append(text)


def initialized_with() -> list[str]:
    return _initialized_with


def failing_initializer() -> None:
    raise OSError("no licence")


def die_by_segmentation_fault() -> None:
    # Its report would look like a crash of the tests.
    faulthandler.disable()
    ctypes.string_at(0)


def limit_memory(limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def allocate(size: int) -> int:
    return len(bytearray(size))


def allocate_result(size: int) -> bytes:
    return bytes(size)


class UnprintableError(Exception):
    """Has no text."""

    @override
    def __str__(self) -> str:
        raise LookupError("no text")


def fail_unprintably() -> None:
    raise UnprintableError


def hang_initializer() -> None:
    time.sleep(60)


def until_exists(path: str) -> None:
    deadline = time.monotonic() + 60
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.005)


def mark_and_wait(mark: str, go_on: str) -> int:
    """Write the process id to a file, and wait until another file exists."""
    Path(mark).write_text(str(os.getpid()))
    until_exists(go_on)
    return os.getpid()


def run_that_calls() -> tuple[UUID, str, int]:
    run = current_run()
    return run.run_id, run.task_id, run.attempt


def note_once_cancelled(begun: str, noted: str) -> None:
    run = current_run()
    Path(begun).touch()
    deadline = time.monotonic() + 60
    while not run.is_cancelled():
        if time.monotonic() > deadline:
            raise TimeoutError(noted)
        time.sleep(0.005)
    Path(noted).touch()


def die_if_new(path: str) -> int:
    """Die the first so many times that a file says; then succeed."""
    left = int(Path(path).read_text())
    if left:
        Path(path).write_text(str(left - 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def fork_a_child_that_leaves(path: str) -> None:
    """Fork a child into a session of its own, which keeps every pipe of the worker open; then die."""
    if os.fork() == 0:
        os.setsid()
        Path(f"{path}.part").write_text(str(os.getpid()))
        Path(f"{path}.part").rename(path)
        time.sleep(60)
        os._exit(0)
    until_exists(path)
    os.kill(os.getpid(), signal.SIGKILL)


def close_everything() -> None:
    os.closerange(3, 256)
    time.sleep(60)


def leave_a_thread() -> int:
    threading.Thread(target=time.sleep, args=(60,)).start()
    return os.getpid()


def log_many(name: str, records: int, size: int) -> None:
    """Log from several threads at a time, large records among them, and die."""

    def log_all(thread: int) -> None:
        for number in range(records):
            padding = "x" * size if number % 10 == 0 else ""
            logging.getLogger(name).warning("%d %d %s", thread, number, padding)

    threads = [threading.Thread(target=log_all, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.kill(os.getpid(), signal.SIGKILL)


def log_in_initializer() -> None:
    logging.getLogger("initializer").warning("before the configuration")
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"own": {"class": "logging.NullHandler"}},
            "root": {"handlers": ["own"], "level": "DEBUG"},
        }
    )
    logging.getLogger("initializer").warning("after the configuration")


def set_handlers_in_initializer() -> None:
    logging.getLogger().handlers = [logging.NullHandler()]


def log_in_signal_handlers(name: str, records: int) -> None:
    """Log from a signal handler while the same thread logs: one interrupts the other."""
    handled = itertools.count()
    running = True

    def handle(*_: object) -> None:
        logging.getLogger(name).warning("handler %d", next(handled))
        # A periodic timer would interrupt slow handlers again and again, up to the recursion limit.
        if running:
            signal.setitimer(signal.ITIMER_REAL, 0.001)

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    for number in range(records):
        logging.getLogger(name).warning("%s %s", number, "x" * 100_000)
    running = False
    signal.setitimer(signal.ITIMER_REAL, 0)


class OwnBaseException(BaseException):
    """Neither an error nor a request to exit."""


def raise_base_exception() -> None:
    raise OwnBaseException("own")


async def raise_base_exception_async() -> None:
    raise OwnBaseException("own")


async def leave_async() -> None:
    sys.exit(3)


async def interrupt_async() -> None:
    raise KeyboardInterrupt


async def cancel_itself_async() -> None:
    raise asyncio.CancelledError


def fail_with_cause() -> None:
    try:
        raise LookupError("the cause")
    except LookupError as error:
        raise ValueError("the effect") from error


def returns_coroutine() -> Coroutine[object, Never, int]:
    """A plain function, as far as can be known before it is called."""
    return add_async(1, 2)


def fork_and_return(number: int) -> int:
    """Return in the worker, and in a child that it has forked as well, which is the first to do so."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return number


def note_and_die(path: str) -> None:
    """Note in a file that it was called, and kill its process."""
    with open(path, "a") as file:
        file.write("called\n")
    os.kill(os.getpid(), signal.SIGKILL)


def note_and_fail(path: str) -> None:
    """Note in a file that it was called, and fail."""
    with open(path, "a") as file:
        file.write("called\n")
    raise ValueError("noted")


def create(path: str) -> None:
    Path(path).touch()


async def wait_to_be_cancelled(begun: str, cancelled: str) -> None:
    """Create a file, wait, and create another one when that is cancelled."""
    create(begun)
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        create(cancelled)
        raise


def note_once(path: str, number: int) -> int:
    """Add a number to a file, in one write, and return it."""
    with open(path, "ab", buffering=0) as file:
        file.write(b"%d\n" % number)
    return number


def note_after(path: str, number: int, seconds: float) -> int:
    """The same, as the last part of a longer work."""
    time.sleep(seconds)
    return note_once(path, number)


def double(number: int) -> int:
    return 2 * number


async def double_later(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def to_text(number: int) -> str:
    return str(number)


def fail_at_two(number: int) -> int:
    if number == 2:
        raise ValueError("two")
    return number


def wait_for_file(path: str, number: int) -> int:
    abandon_at = time.monotonic() + 60
    while not Path(path).exists():
        assert time.monotonic() < abandon_at
        time.sleep(0.002)
    return number


async def do_nothing() -> None:
    pass


def see_run() -> tuple[UUID, str, int, datetime]:
    run = current_run()
    return run.run_id, run.task_id, run.attempt, run.scheduled_at


async def see_run_in_child() -> tuple[UUID, str, int, datetime]:
    return see_run()


async def see_run_later() -> tuple[UUID, str, int, datetime]:
    before = see_run()
    await asyncio.sleep(0)
    assert see_run() == before == await asyncio.create_task(see_run_in_child()) == await asyncio.to_thread(see_run)
    return before


ASKS = "asks for its cancellation"


def asks_for_cancellation() -> bool:
    """Return True if the run is cancelled, and log `ASKS`.

    A worker sends the record after its parent was informed that the function asks: a cancellation that follows the
    record lets the function return.
    """
    cancelled = current_run().is_cancelled()
    logging.getLogger("asking").warning(ASKS)
    return cancelled


def run_until_cancelled(mark: str) -> str:
    """Ask for the cancellation again and again, as a long function does."""
    Path(mark).touch()
    abandon_at = time.monotonic() + 60
    cancelled = asks_for_cancellation()
    while not cancelled:
        if time.monotonic() > abandon_at:
            return "never cancelled"
        time.sleep(0.002)
        cancelled = current_run().is_cancelled()
    Path(f"{mark}-cleaned-up").touch()
    return "cleaned up"


def process_id_and_cancellation() -> tuple[int, bool]:
    return os.getpid(), current_run().is_cancelled()


class Flaky:
    """Fails so many times, then gives the number of its calls."""

    def __init__(self, failures: int, error: BaseException | None = None) -> None:
        self.failures = failures
        self.error = error or OSError("no answer")
        self.calls = 0

    async def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return self.calls
