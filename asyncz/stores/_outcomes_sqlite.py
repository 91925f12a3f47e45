"""New runs and outcomes in SQLite. For holders of a transaction that writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from datetime import datetime

from asyncz.stores._columns import (
    OUTCOME_COLUMNS,
    RUN_COLUMNS,
    column_list,
    microseconds,
    new_run_row,
    outcome_row,
)
from asyncz.stores._sweep_sqlite import OutcomeNumbers
from asyncz.stores._unvalidated import evolved
from asyncz.stores.records import Outcome, RunRecord

_ADD_RUN = (
    f"INSERT INTO asyncz_runs ({column_list(RUN_COLUMNS)}) VALUES ({', '.join('?' * len(RUN_COLUMNS))})"  # noqa: S608  # own names
    " ON CONFLICT DO NOTHING"
)
# The fence alone decides, as each transition increments it. With the state in the condition, a database would walk the
# partial index of all runs in that state.
_FINISH = (
    f"UPDATE asyncz_runs SET {', '.join(f'{column} = ?' for column in OUTCOME_COLUMNS)},"  # noqa: S608  # own names
    " node = iif(?, NULL, coalesce(?, node)), ended = ?, fence = fence + 1 WHERE id = ? AND fence = ?"
)
# Only the owner with a fence can have moved the run on to the next one, in a state that is not `running`.
_IS_FINISHED_SO = (
    f"SELECT 1 FROM asyncz_runs WHERE {' AND '.join(f'{column} IS ?' for column in OUTCOME_COLUMNS)}"  # noqa: S608  # own names
    " AND id = ? AND fence = ? + 1"
)


def is_alive(database: sqlite3.Connection | sqlite3.Cursor, node: str, now: datetime) -> bool:
    """Return True if the database has a node with a lease."""
    sql = "SELECT 1 FROM asyncz_nodes WHERE id = ? AND lease_until > ?"
    return database.execute(sql, (node, microseconds(now))).fetchone() is not None


def was_finished_so(database: sqlite3.Connection | sqlite3.Cursor, outcome: Outcome) -> bool:
    """Return True if a run has this outcome already."""
    values = (*outcome_row(outcome), outcome.run_id.bytes, outcome.fence)
    return database.execute(_IS_FINISHED_SO, values).fetchone() is not None


def add_runs(
    database: sqlite3.Connection | sqlite3.Cursor, node: str, runs: Iterable[RunRecord], now: datetime
) -> list[RunRecord]:
    """Add the runs with a new id and due time, and return them as they are stored.

    Args:
        database: Connection, or a cursor of it.
        node: Id of the node that owns the running ones.
        runs: Runs as given.
        now: Time of the store.
    """
    added: list[RunRecord] = []
    numbers = OutcomeNumbers(database)
    for run in runs:
        owner = node if run.state == "running" else None
        fence, ended = int(owner is not None), numbers.next if run.done else 0
        cursor = database.execute(_ADD_RUN, new_run_row(run, owner, fence, now, ended))
        if cursor.rowcount == 1:
            update = {"node": owner, "fence": fence, "created_at": now, "ended": ended}
            added.append(evolved(run, {**update, "sequence": cursor.lastrowid}))
            if run.done:
                numbers.take()
    numbers.save()
    return added


def finish_run(
    database: sqlite3.Connection | sqlite3.Cursor,
    node: str,
    outcome: Outcome,
    numbers: OutcomeNumbers,
    now: Callable[[], datetime],
) -> bool:
    """Store an outcome with the current fence, and the runs that receive its result; return False with another fence.

    Args:
        database: Connection, or a cursor of it.
        node: Id of the node that stores the outcome.
        outcome: The outcome.
        numbers: Numbers of outcomes, which the caller saves.
        now: Returns the time of the store.
    """
    given_back = outcome.state == "waiting"
    ended = 0 if given_back else numbers.next
    values = (*outcome_row(outcome), given_back, outcome.lost_node, ended, outcome.run_id.bytes, outcome.fence)
    if database.execute(_FINISH, values).rowcount != 1:
        return False
    if not given_back:
        numbers.take()
    if outcome.then:
        _ = add_runs(database, node, outcome.then, now())
    return True
