"""Aliases of the built-in executors and triggers."""

from __future__ import annotations

from typing import Literal, NewType, TypeAlias

PoolAlias: TypeAlias = Literal["threadpool", "pool", "processpool"]
"""Alias of a built-in pool, which has options."""

ClusterAlias: TypeAlias = Literal["dask"]
"""Alias of a built-in executor that runs on a cluster."""

LoopAlias: TypeAlias = Literal["asyncio", "default", "debug"]
"""Alias of a built-in executor without options."""

TriggerAlias: TypeAlias = Literal["and", "calendar", "cron", "date", "interval", "or"]
"""Alias of a built-in trigger."""

ExecutorAlias = NewType("ExecutorAlias", str)
"""Alias of a registered executor, as `AsyncIOScheduler.add_executor` returns it: a variable cannot be misspelt."""
