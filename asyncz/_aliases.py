"""Aliases of the built-in executors and triggers, names of policies, and types of functions of users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NewType, Protocol, TypeAlias

PoolAlias: TypeAlias = Literal["threadpool", "pool", "processpool"]
"""Alias of a built-in pool, which has options."""

ClusterAlias: TypeAlias = Literal["dask"]
"""Alias of a built-in executor that runs on a cluster."""

LoopAlias: TypeAlias = Literal["asyncio", "default", "debug"]
"""Alias of a built-in executor without options."""

TriggerAlias: TypeAlias = Literal["and", "calendar", "cron", "date", "interval", "or"]
"""Alias of a built-in trigger."""

ExistingTaskPolicy: TypeAlias = Literal["update", "keep", "replace", "refuse"]
"""Policy for a declared task that the store knows already; see `StoreSession.declare`."""

LostRunPolicy: TypeAlias = Literal["fail", "rerun"]
"""Policy for a run of a dead node: it fails (at most once), or it runs again (at least once)."""

EventScope: TypeAlias = Literal["scheduler", "cluster"]
"""Scope of the events that a listener receives: those of this scheduler, or of all that share the store."""

ExecutorAlias = NewType("ExecutorAlias", str)
"""Alias of a registered executor, as `AsyncIOScheduler.add_executor` returns it: a variable cannot be misspelt."""


class OtherAlias(Protocol):
    """Alias that is not built in: any `str`.

    Checkers simplify a union of literals and `str` to `str`: pyrefly always, pyright if the union also has a type
    variable that `self` decides. Editors then complete no alias. They keep the literals beside this protocol, of which
    only `str` has the member.
    """

    def __getnewargs__(self) -> tuple[str]:
        """Return the arguments of `str`."""
        ...


RedactedKind: TypeAlias = Literal["argument", "result", "error", "traceback", "log", "progress"]
"""Kind of a text that is redacted."""

Redact: TypeAlias = Callable[[RedactedKind, str, str], str]
"""Function of the kind, the name and the text; it returns the text to show.

The name is that of the parameter for an argument, or its position if the name is not known, such as `1`. For other
kinds, it is the id of the task. A text comes with its line breaks and control characters; in the text to show, those of
all kinds but `traceback` become escape sequences.
"""
