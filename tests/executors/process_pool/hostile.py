"""Functions and classes for the fault tests of worker processes, importable by them."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import logging.config
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from typing_extensions import override

from asyncz import current_run

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="initial")


@dataclass(frozen=True, slots=True)
class FrozenError(Exception):
    code: int


class UnprintableError(Exception):
    @override
    def __str__(self) -> str:
        raise RuntimeError("no text")

    @override
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class NeedsTwoError(ConnectionError):
    """An exception that cannot be unpickled: its class takes more arguments than `args` holds."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.second = second


class RejectsNotesError(Exception):
    @override
    def add_note(self, note: str, /) -> NoReturn:
        raise SystemExit(3)


class RaisesWhilePickled:
    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.armed = False

    @override
    def __reduce__(self) -> tuple[object, ...]:
        if self.armed:
            raise self.error
        return str, ("harmless",)


def exit_now() -> NoReturn:
    raise SystemExit(5)


def raise_unprintable() -> NoReturn:
    raise UnprintableError


class RaisesWhileLoaded:
    """Unpickles in the worker, which makes it, and raises in the parent."""

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return exit_now, ()


class UnprintableWhileLoaded:
    @override
    def __reduce__(self) -> tuple[object, ...]:
        return raise_unprintable, ()


def wait_for(path: str) -> str:
    """Wait until a file exists, but not for ever."""
    deadline = time.monotonic() + 60
    while not Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    return path


class SlowToPickle:
    """Argument that waits for a file while it is pickled, once it is armed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.armed = False

    @override
    def __reduce__(self) -> tuple[object, ...]:
        if self.armed:
            wait_for(self.path)
        return SlowToPickle, (self.path,)


class SlowToLoad:
    """Result that waits for a file while it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return wait_for, (self.path,)


def fail_frozen() -> None:
    raise FrozenError(3)


def fail_unprintable() -> None:
    raise UnprintableError


def fail_rejecting_notes() -> None:
    raise RejectsNotesError("x")


def fail_with_two(path: str) -> None:
    with Path(path).open("a") as file:
        file.write("x")
    raise NeedsTwoError("a", "b")


def return_exit() -> RaisesWhileLoaded:
    return RaisesWhileLoaded()


def return_unprintable() -> UnprintableWhileLoaded:
    return UnprintableWhileLoaded()


def return_slow(path: str) -> SlowToLoad:
    return SlowToLoad(path)


def kind_of(value: object) -> str:
    return type(value).__name__


def set_variable() -> None:
    variable.set("changed")


def get_variable() -> str:
    return variable.get()


async def get_variable_async() -> str:
    return variable.get()


def _channels() -> list[int]:
    """The sockets of this process: the channel to the parent is one of them."""
    found: list[int] = []
    for fd in range(3, 256):
        try:
            copied = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        with copied:
            if copied.family == socket.AF_UNIX and copied.type == socket.SOCK_STREAM:
                found.append(fd)
    return found


def write_to_channel(kind: str) -> None:
    frames = {
        "garbage": b"\xff" * 100,
        "zeros": bytes(1000),
        "unknown kind": struct.pack("!BQQ", 99, 1, 0) + bytes(16),
        "long length": struct.pack("!BQQ", 17, 0, 1 << 60) + bytes(16),
        "few bytes": b"x",
        "flood": bytes(50_000_000),
    }
    for fd in _channels():
        with contextlib.suppress(OSError):
            os.write(fd, frames[kind])
    time.sleep(60)


def log_extra(kind: str) -> None:
    extras: dict[str, object] = {
        "exit": RaisesWhileLoaded(),
        "lambda": lambda: None,
        "unprintable": UnprintableError(),
        "plain": {"a": [1, 2]},
    }
    logging.getLogger("app").warning("extra %s", kind, extra={"user": extras[kind]})


def log_after_configuration(kind: str) -> None:
    if kind == "propagate":
        logging.config.dictConfig(
            {
                "version": 1,
                "handlers": {"h": {"class": "logging.NullHandler"}},
                "loggers": {"app": {"handlers": ["h"], "propagate": False}},
            }
        )
    elif kind == "disable":
        logging.config.dictConfig({"version": 1})
    elif kind == "force":
        logging.basicConfig(force=True, handlers=[logging.NullHandler()])
    elif kind == "handlers":
        logging.getLogger("app").addHandler(logging.StreamHandler(sys.stderr))
    logging.getLogger("app").warning("configured by %s", kind)


def interrupt_a_child() -> int:
    child = subprocess.Popen(["sleep", "20"])
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    return child.wait(10)


def has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


def run_until_cancelled(begun: str, ended: str) -> None:
    Path(begun).write_text(str(os.getpid()))
    while not current_run().is_cancelled():
        time.sleep(0.01)
    Path(ended).touch()


def sleep_for_ever(begun: str) -> None:
    Path(begun).write_text(str(os.getpid()))
    time.sleep(600)
