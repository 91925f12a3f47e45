"""A store whose calls take most of a second does not block the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asyncz import AsyncIOScheduler, IntervalTrigger
from asyncz.stores import MemoryStore, SqliteStore, Store, StoreOptions
from asyncz.stores.sqlite import _SqliteTransactions
from tests.helpers.loop_turns import run_measured
from tests.helpers.stored_jobs import calls, note
from tests.stores.faulty_stores import Faults, FaultyStore

pytestmark = pytest.mark.slow

DELAY = 0.6  # 30 times the longest turn: one call on the thread of the loop would show.
LONGEST_TURN = 0.02


async def use(store: Store) -> None:
    """Add, pause, run and remove tasks until each kind of call has been made."""
    async with AsyncIOScheduler(store=store, store_options=StoreOptions(lease=30)) as scheduler:
        scheduler.add_task(note, "one", trigger=IntervalTrigger(seconds=0.5), id="note")
        scheduler.add_task(note, "two", id="once")
        called = scheduler.add_task(note, "three", trigger=None, id="call")
        scheduler.pause_task("once")
        scheduler.resume_task("once")
        async with asyncio.timeout(300):
            await called.run()
            called.submit()
            while calls.count("three") < 2 or not {"one", "two"} <= {*calls}:
                await asyncio.sleep(0.05)
        scheduler.remove_task("once")


async def wait_only() -> None:
    for _ in range(60):
        await asyncio.sleep(0.05)


def check_turns(store: Store) -> None:
    # The first scheduler of a process imports modules and builds the validators of records.
    asyncio.run(use(MemoryStore()))
    # A call on the loop's thread makes a long turn each time, a busy machine now and then.
    longest: list[float] = []
    while len(longest) < 3:
        calls.clear()
        _, turns = run_measured(lambda: use(store))
        _, control = run_measured(wait_only)
        assert len(turns) > 100
        longest.append(max(turns))
        # On a machine that is too busy for short turns, a loop without any work has long ones, too.
        if longest[-1] < max(LONGEST_TURN, 2 * max(control)):
            return
    pytest.fail(f"seconds of the longest turns: {longest}")


def test_turns_stay_short_beside_slow_store() -> None:
    faults = Faults()
    faults.delay = DELAY
    check_turns(FaultyStore(faults))
    assert faults.calls > 10


def test_turns_stay_short_beside_slow_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transaction = _SqliteTransactions._transaction

    @contextmanager
    def slow(transactions: _SqliteTransactions, begin: str) -> Generator[sqlite3.Connection, None, None]:
        # Shorter: a session makes one transaction after another.
        time.sleep(DELAY / 3)
        with transaction(transactions, begin) as database:
            yield database

    monkeypatch.setattr(_SqliteTransactions, "_transaction", slow)
    check_turns(SqliteStore(tmp_path / "store.db", poll_interval=10))


def test_blocking_call_is_a_long_turn() -> None:
    """The measure sees one call on the loop's thread."""

    async def block() -> None:
        await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251  # the fault
        await asyncio.sleep(0)

    _, turns = run_measured(block)
    assert max(turns) > 0.4
