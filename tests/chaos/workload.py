"""Functions of the runs in the chaos, for asyncz and for a peer.

The environment of the peer has the standard library only, so `typing_extensions.override` cannot be used.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


def quick() -> int:
    return 1


async def quick_coroutine() -> int:
    await asyncio.sleep(0)
    return 1


def short() -> int:
    time.sleep(0.02)
    return 1


async def short_coroutine() -> int:
    await asyncio.sleep(0.02)
    return 1


def failing() -> int:
    raise ValueError("it fails")


async def failing_coroutine() -> int:
    raise ValueError("it fails")


def leaving() -> int:
    sys.exit(3)


def slow() -> int:
    """Longer than its time limit."""
    time.sleep(0.15)
    return 1


async def slow_coroutine() -> int:
    await asyncio.sleep(0.15)
    return 1


def unpicklable_result() -> object:
    return lambda: None


class TwoArgumentsError(Exception):
    """Can be pickled, and not unpickled."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.second = second


def unpicklable_error() -> int:
    raise TwoArgumentsError("a", "b")


@dataclass(frozen=True)
class FrozenError(Exception):
    """Accepts no notes and no traceback."""

    code: int = 3


def frozen_error() -> int:
    raise FrozenError


class UnprintableError(Exception):
    """Has no text."""

    def __str__(self) -> str:  # type: ignore[explicit-override]  # see the module
        raise RuntimeError("no text")

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # see the module
        raise RuntimeError("no text")


def unprintable_error() -> int:
    raise UnprintableError


class Explosive:
    """Pickles well; `sys.exit` is called when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[int], object], tuple[int]]:  # type: ignore[explicit-override]  # see the module
        return sys.exit, (3,)


def explosive_result() -> Explosive:
    return Explosive()


def large_result() -> bytes:
    return bytes(1 << 20)


def logging_function() -> int:
    """Log a record with an extra that cannot be unpickled."""
    logging.getLogger("tests.chaos").warning("a record", extra={"explosive": Explosive()})
    return 1


async def rolling_back() -> int:
    """Coroutine that needs a moment for its cleanup."""
    try:
        await asyncio.sleep(0.15)
    finally:
        await asyncio.sleep(0.01)
    return 1


async def leaving_a_task_behind() -> int:
    task = asyncio.ensure_future(asyncio.sleep(0.05))
    await asyncio.sleep(0)
    return int(task.done())


def writing_garbage() -> int:
    """Write to every socket of its worker process; elsewhere it would write to those of the program."""
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.write(descriptor, b"garbage" * 10)
    return 1


def dying() -> int:
    """Takes its worker process along; elsewhere it would take the program."""
    os._exit(5)


KINDS: dict[str, tuple[Callable[[], object], int]] = {
    "quick": (quick, 40),
    "quick coroutine": (quick_coroutine, 20),
    "short": (short, 10),
    "cancelled": (short, 8),
    "cancelled coroutine": (short_coroutine, 8),
    "late": (short, 6),
    "failing": (failing, 8),
    "failing coroutine": (failing_coroutine, 4),
    "retried": (failing, 4),
    "leaving": (leaving, 2),
    "timing out": (slow, 1),
    "timing out coroutine": (slow_coroutine, 2),
    "unpicklable result": (unpicklable_result, 2),
    "unpicklable error": (unpicklable_error, 2),
    "frozen error": (frozen_error, 2),
    "unprintable error": (unprintable_error, 2),
    "explosive result": (explosive_result, 1),
    "large result": (large_result, 1),
    "logging": (logging_function, 2),
    "timing out rolling back": (rolling_back, 1),
    "cancelled rolling back": (rolling_back, 2),
    "leaving a task behind": (leaving_a_task_behind, 2),
    "writing garbage": (writing_garbage, 1),
    "dying": (dying, 1),
}
"""Each kind of run: its function, and how often it comes compared with the others."""


_FOR_PROCESSES = ("dying", "writing garbage")


def kinds(seed: int, executor: str) -> Iterator[str]:
    """An endless sequence of kinds, the same for the same seed."""
    chance = random.Random(f"{seed} {executor}")
    possible = [kind for kind in KINDS if kind not in _FOR_PROCESSES or executor == "processpool"]
    weights = [KINDS[kind][1] for kind in possible]
    while True:
        yield from chance.choices(possible, weights, k=100)
