"""Decorated functions and methods that worker processes import."""

from __future__ import annotations

import attrs

from asyncz import AsyncIOScheduler

scheduler = AsyncIOScheduler()


@scheduler.task(trigger=None, executor="processpool")
def square(number: int) -> int:
    """Return the square."""
    return number * number


@scheduler.task(trigger=None, executor="processpool")
async def cube(number: int) -> int:
    """Return the cube."""
    return number**3


def negate(number: int) -> int:
    """Return the negative number."""
    return -number


negation = scheduler.task(trigger=None, executor="processpool")(negate)
"""A function that is decorated under another name than its own."""


@attrs.frozen
class Counter:
    """A class with decorated methods.

    Attributes:
        start: Number that is added.
    """

    start: int

    @scheduler.task(trigger=None, executor="processpool")
    def add(self, number: int) -> int:
        """Return the sum."""
        return self.start + number

    @scheduler.task(trigger=None)
    async def add_soon(self, number: int) -> int:
        """Return the sum."""
        return self.start + number
