"""Ids of runs, which are unique over all processes: UUIDs of version 8, as RFC 9562 leaves their layout to programs.

    rrrrrrrr-rrrr-8rrr-rrrr-nnnnnnnnnnnn

74 random bits `r` are drawn when a process starts, and again in a forked child: of 100,000 processes, two have the same
ones with a probability of 3 in 10^13. The two highest bits of the fourth group are `10`, the variant. The last 48 bits
`n` are the number of the first attempt of the run in its process. So the ids of a process are in the order of its runs,
and neighbours in an index.

A run in memory has only the number, and the id is made when it is read: a UUID for each run would take a third of the
time of a run. A stored run has its owner in the place of the number: the id may be that of another process.

Standard library only: worker processes import this.
"""

from __future__ import annotations

import itertools
import os
from typing import NamedTuple, TypeAlias
from uuid import UUID

from asyncz._run_owners import RunOwnership

RunKey: TypeAlias = int | RunOwnership
"""Number of a run of this process, or ownership of a stored run: what tells apart the executions in a process."""

PlainKey: TypeAlias = int | UUID | tuple[object, ...]
"""Key or id of a run, in types that public signatures have; 0 stands for no run."""

NO_RUN = UUID(int=0)
"""Id in the place of one that was left out."""

run_numbers = itertools.count(1)
"""Numbers of the attempts of this process."""

_NUMBER_BITS = 48
_RANDOM_BITS = 74


class _Part(NamedTuple):
    """Random part of the ids that belong to a range of numbers.

    Attributes:
        first: First number of the range, which ends before that of the next part.
        base: Id of the number 0, as an integer.
    """

    first: int
    base: int


def _drawn_base() -> int:
    drawn = int.from_bytes(os.urandom(10), "big") >> 80 - _RANDOM_BITS
    # From the highest bit: 48 random ones, the version, 12 random ones, the variant, 14 random ones, the number.
    return drawn >> 26 << 80 | 0x8 << 76 | (drawn >> 14 & 0xFFF) << 64 | 0b10 << 62 | (drawn & 0x3FFF) << _NUMBER_BITS


# Newest first. A forked child has runs of its parent in memory, whose ids stay.
_parts: tuple[_Part, ...] = (_Part(1, _drawn_base()),)


def _draw_again() -> None:
    """Draw the random part of a forked child, in its only thread. Its numbers go on after those of the parent."""
    global _parts
    _parts = (_Part(next(run_numbers), _drawn_base()), *_parts)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_draw_again)


def new_run_id() -> UUID:
    """Return the id of a new run. Thread-safe."""
    return run_id_of(next(run_numbers))


def run_id_of(key: PlainKey) -> UUID:
    """Return the id of a run. Thread-safe.

    Raises:
        TypeError: The key is not one of a run.
        ValueError: No run has the number.
    """
    if isinstance(key, int):
        return UUID(int=_id_of_number(key)) if key else NO_RUN
    if isinstance(key, RunOwnership):
        return key.run_id
    if isinstance(key, UUID):
        return key
    message = f"{type(key).__name__} is not the class of a key"
    raise TypeError(message)


def run_id_bytes(key: RunKey) -> bytes:
    """Return the 16 bytes of the id of a run. Thread-safe."""
    if isinstance(key, int):
        # As `_id_of_number`, without a call for each run that is sent to a worker.
        first, base = _parts[0]
        return (base + key if key >= first else _id_of_number(key)).to_bytes(16, "big")
    return run_id_of(key).bytes


def _id_of_number(number: int) -> int:
    for first, base in _parts:
        if number >= first:
            return base + number
    message = f"{number} is not the number of a run"
    raise ValueError(message)


def number_of(run_id: UUID) -> int | None:
    """Return the number of a run of this process; None if another process has made the id. Thread-safe."""
    value, end = run_id.int, 1 << _NUMBER_BITS
    for first, base in _parts:
        if base + first <= value < base + end:
            return value - base
        end = first
    return None


def parsed_run_id(text: str) -> UUID | None:
    """Return the id of a run in a text; None if it is not one."""
    try:
        return UUID(text)
    except ValueError:
        return None


class WantedRun:
    """Run that is looked for by its id, among keys.

    Attributes:
        run_id: Id of the run.
        number: Number of the run; None if another process has made the id.
    """

    __slots__ = ("number", "run_id")

    def __init__(self, run_id: UUID) -> None:
        self.run_id: UUID = run_id
        self.number: int | None = number_of(run_id)

    def has(self, key: PlainKey) -> bool:
        """Return True if a key is one of the run."""
        return key == self.number if isinstance(key, int) else run_id_of(key) == self.run_id
