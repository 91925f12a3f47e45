"""What runs in the chaos, for asyncz and for a peer alike: it needs the standard library only."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Callable, Iterator


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
    "dying": (dying, 1),
}
"""Each kind of run: its function, and how often it comes compared with the others."""


def kinds(seed: int, executor: str) -> Iterator[str]:
    """An endless sequence of kinds, the same for the same seed."""
    chance = random.Random(f"{seed} {executor}")
    possible = [kind for kind in KINDS if kind != "dying" or executor == "processpool"]
    weights = [KINDS[kind][1] for kind in possible]
    while True:
        yield from chance.choices(possible, weights, k=100)
