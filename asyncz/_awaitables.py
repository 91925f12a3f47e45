"""Test for awaitables. Worker processes import this module: standard library only."""

from __future__ import annotations

from collections.abc import Awaitable
from types import CoroutineType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from typing_extensions import TypeIs

ResultT = TypeVar("ResultT")

# The types that most functions return: a lookup here is cheaper than asking a class for an attribute it lacks.
_NEVER_AWAITABLE: frozenset[type[object]] = frozenset(
    {type(None), bool, int, float, str, bytes, tuple, list, dict, set}
)


def is_awaitable(outcome: ResultT | Awaitable[ResultT]) -> TypeIs[Awaitable[ResultT]]:
    """Return True if a call returned an object that has to be awaited."""
    kind = type(outcome)
    return kind is CoroutineType or (kind not in _NEVER_AWAITABLE and hasattr(kind, "__await__"))
