"""Each class of the package against the protocols that it is to satisfy: every line must pass in every checker.

A public class of the package that has the members of one of these protocols and is not listed here fails the
run of `python -m typecheck`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures

from asyncz import (
    AndTrigger,
    AsyncIOExecutor,
    CalendarIntervalTrigger,
    Clock,
    CronTrigger,
    DaskExecutor,
    DateTrigger,
    DebugExecutor,
    DelegatingExecutor,
    Executor,
    FuturesExecutor,
    IntervalTrigger,
    Notifier,
    OrTrigger,
    ProcessPoolExecutor,
    RestrictedDelegatingExecutor,
    SupportsCancel,
    SystemClock,
    ThreadPoolExecutor,
    Timer,
    Trigger,
    UniversalExecutor,
)
from asyncz.testing import FakeClock, RecordingNotifier
from asyncz.testing.clock import FakeTimer


async def made_on_a_loop() -> RecordingNotifier:
    """One that records needs a running loop."""
    return RecordingNotifier()


of_int: list[Executor[int]] = [
    AsyncIOExecutor(),
    DaskExecutor(),
    DebugExecutor(),
    DelegatingExecutor(DebugExecutor()),
    RestrictedDelegatingExecutor(DebugExecutor()),
    FuturesExecutor(concurrent.futures.ThreadPoolExecutor),
    ProcessPoolExecutor(),
    ThreadPoolExecutor(),
]
of_lists: list[Executor[list[str]]] = [
    AsyncIOExecutor(),
    DaskExecutor(),
    DebugExecutor(),
    DelegatingExecutor(DebugExecutor()),
    RestrictedDelegatingExecutor(DebugExecutor()),
    FuturesExecutor(concurrent.futures.ThreadPoolExecutor),
    ProcessPoolExecutor(),
    ThreadPoolExecutor(),
]
universal: list[UniversalExecutor] = [
    AsyncIOExecutor(),
    DaskExecutor(),
    DebugExecutor(),
    DelegatingExecutor(DebugExecutor()),
    FuturesExecutor(concurrent.futures.ThreadPoolExecutor),
    ProcessPoolExecutor(),
    ThreadPoolExecutor(),
]
cancelling: list[SupportsCancel] = [
    AsyncIOExecutor(),
    DaskExecutor(),
    DebugExecutor(),
    DelegatingExecutor(DebugExecutor()),
    RestrictedDelegatingExecutor(DebugExecutor()),
    FuturesExecutor(concurrent.futures.ThreadPoolExecutor),
    ProcessPoolExecutor(),
    ThreadPoolExecutor(),
]
triggers: list[Trigger] = [
    AndTrigger([DateTrigger()]),
    CalendarIntervalTrigger(months=1),
    CronTrigger("@daily"),
    DateTrigger(),
    IntervalTrigger(seconds=1),
    OrTrigger([DateTrigger()]),
]
clocks: list[Clock] = [SystemClock(), FakeClock()]
timers: list[Timer] = [FakeTimer(None)]
notifiers: list[Notifier] = [asyncio.run(made_on_a_loop())]

# Whoever takes an executor of one type takes one that is universal.
executor_of_int: Executor[int] = universal[0]
