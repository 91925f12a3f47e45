"""Execution of a pickled call, and the report of its outcome, in any worker. Standard library only."""

from __future__ import annotations

import asyncio
import pickle
import struct
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Never, TypeAlias, TypeGuard

_RUN_INFO = struct.Struct("!QIdI")

# Kinds of outcomes.
RESULT, ERROR, CANCELLED, UNLOADABLE, UNPICKLABLE = 13, 14, 15, 16, 19

dumps: Callable[[object], bytes] = partial(pickle.dumps, protocol=pickle.HIGHEST_PROTOCOL)
"""How calls and results are pickled, unless somebody brings a way of their own."""

ErrorReport: TypeAlias = tuple[str, str, str, bytes | None]
"""The class of an exception, its text, its traceback as text, and itself where it can be pickled."""


def run_content(run_id: int, attempt: int, scheduled: float, task_id: str, call: bytes) -> bytes:
    """The content of a frame that sends a run: what its function can ask for, and its pickled call."""
    name = task_id.encode("utf-8", "surrogatepass")
    return b"".join((_RUN_INFO.pack(run_id, attempt, scheduled, len(name)), name, call))


class SentRun:
    """A run that was sent here, as its function sees it."""

    def __init__(self, content: bytes) -> None:
        self.run_id, self.attempt, self.scheduled, length = _RUN_INFO.unpack_from(content)
        start = _RUN_INFO.size + length
        self._name = content[_RUN_INFO.size : start]
        self.call = memoryview(content)[start:]

    @property
    def task_id(self) -> str:
        return self._name.decode("utf-8", "surrogatepass")

    def is_cancelled(self) -> bool:
        """Whether it is to end; never where nobody can tell so."""
        return False


def execute(
    content: bytes | memoryview,
    run_coroutine: Callable[[Coroutine[object, Never, object]], object],
    dumps: Callable[[object], bytes],
) -> tuple[int, bytes]:
    """Make a call that arrived as bytes, and give the kind of its end and the report of it; never raises.

    Args:
        content: The call, pickled.
        run_coroutine: Runs a coroutine to its end.
        dumps: Pickles the result, or the exception.
    """
    try:
        call: Callable[[], object] = pickle.loads(content)
    except BaseException as error:
        return UNLOADABLE, report_of(error, dumps)
    try:
        outcome = call()
        if _is_awaitable(outcome):
            outcome = run_coroutine(_awaited(outcome))
    except asyncio.CancelledError:
        return CANCELLED, b""
    except BaseException as error:
        return ERROR, report_of(error, dumps)
    try:
        return RESULT, dumps(outcome)
    except BaseException as error:
        return UNPICKLABLE, pickle.dumps((_shortened(repr(type(outcome))), repr(error)))


def _is_awaitable(outcome: object) -> TypeGuard[Awaitable[object]]:
    return hasattr(type(outcome), "__await__")


async def _awaited(awaitable: Awaitable[object]) -> object:
    return await awaitable


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def report_of(error: BaseException, dumps: Callable[[object], bytes]) -> bytes:
    text = "".join(traceback.format_exception(error))
    try:
        pickled: bytes | None = dumps(error)
        pickle.loads(dumps(error))
    except BaseException:
        pickled = None
    try:
        message = str(error)
    except BaseException as unprintable:
        message = f"its text cannot be had: {type(unprintable).__name__}"
    report: ErrorReport = (f"{type(error).__module__}.{type(error).__qualname__}", message, text, pickled)
    return pickle.dumps(report)
