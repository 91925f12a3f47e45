"""Functions that tests run, at module level so that worker processes find them, and a recording notifier."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from typing_extensions import TypeVar, override

from asyncz import TaskNotification, TaskRun

ResultT = TypeVar("ResultT")


class Recorder:
    """Keeps what executors tell it, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.notifications: list[TaskNotification[object]] = []
        self._condition = threading.Condition()

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        with self._condition:
            self.told.append(("notified", run.id))
            self.notifications.append(notification)
            self._condition.notify_all()

    def released(self, run: TaskRun[ResultT], /) -> None:
        with self._condition:
            self.told.append(("released", run.id))
            self._condition.notify_all()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait in a thread, so that the loop goes on."""

        def wait() -> bool:
            with self._condition:
                return self._condition.wait_for(reached, timeout=30)

        assert await asyncio.to_thread(wait), self.told


def add(first: int, second: int) -> int:
    return first + second


async def add_async(first: int, second: int) -> int:
    await asyncio.sleep(0)
    return first + second


class AsyncAdder:
    async def __call__(self, first: int, second: int) -> int:
        await asyncio.sleep(0)
        return first + second


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
