"""New runs, outcomes and their numbers in PostgreSQL. For holders of a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias
from uuid import UUID

import psycopg
from psycopg.rows import scalar_row
from pydantic import ConfigDict, TypeAdapter

from asyncz.stores._columns import OUTCOME_COLUMNS, RUN_COLUMNS, column_list
from asyncz.stores.records import Outcome, RunRecord

NOW = "coalesce(%(now)s::timestamptz, clock_timestamp())"
"""Time of the store."""

ALIVE = f"EXISTS (SELECT FROM asyncz_nodes WHERE id = %(node)s AND lease_until > {NOW})"  # own names
"""Condition that this node has a lease."""

# Runs arrive as one JSON text, without the values that are None. The store sets the sequence, and the time when it has
# stored them.
GIVEN_RUNS = "json_populate_recordset(NULL::asyncz_runs, %(runs)s::json) WITH ORDINALITY AS given"
"""Rows of runs that a statement adds."""

_SET_COLUMNS = {"sequence", "created_at", "node", "fence", "ended"}
_GIVEN_COLUMNS = [column for column in RUN_COLUMNS if column not in _SET_COLUMNS]
ADD_RUNS = f"""
INSERT INTO asyncz_runs ({column_list(_GIVEN_COLUMNS)}, node, fence, created_at)
SELECT {column_list(_GIVEN_COLUMNS, "given")},
    CASE given.state WHEN 'running' THEN %(node)s END, CASE given.state WHEN 'running' THEN 1 ELSE 0 END, {NOW}
"""
"""Begin of a statement that adds runs from rows that are called `given`."""

# The store knows the other values. Their way back would cost more than the statement.
ADDED = "id, sequence, created_at"
"""Columns that a statement returns for runs it has added."""

_SUBMIT = f"""
{ADD_RUNS} FROM {GIVEN_RUNS} WHERE given.state = 'waiting' OR {ALIVE} ORDER BY ordinality
ON CONFLICT DO NOTHING RETURNING {ADDED}
""".encode()

# Reserves numbers for the rows of `ended`, if a node listens. The row of the counter stays locked until the transaction
# ends, so that numbers become visible in their order. All transactions lock it last, and none of them waits for a user.
_COUNTED = """UPDATE asyncz_counters SET value = value + (SELECT count(*) FROM ended)
    WHERE name = 'outcomes' AND EXISTS (SELECT FROM ended) AND EXISTS (SELECT FROM asyncz_nodes WHERE listens)
    RETURNING value - (SELECT count(*) FROM ended) AS before"""
_NUMBER = f"""
WITH ended AS (SELECT id, ordinality FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS ended (id, ordinality)),
counted AS ({_COUNTED})
UPDATE asyncz_runs SET ended = before + ordinality FROM ended, counted WHERE asyncz_runs.id = ended.id
""".encode()  # noqa: S608  # own names
# A run that another transaction has locked is left to a later call: the counter must not be locked meanwhile. With the
# number in the condition, which PostgreSQL checks again after it has locked a row, no run gets two. Without a node that
# listens, the runs are forgotten, as those without a row are.
_NUMBER_LATE = f"""
WITH ended AS MATERIALIZED (
    SELECT id, row_number() OVER (ORDER BY finished_at, id) AS position FROM (
        SELECT id, finished_at FROM asyncz_runs
        WHERE id = ANY (ARRAY(SELECT run_id FROM asyncz_unnumbered)) AND ended = 0 FOR UPDATE SKIP LOCKED
    ) AS run
),
counted AS ({_COUNTED}),
forgotten AS (
    DELETE FROM asyncz_unnumbered WHERE run_id = ANY (ARRAY(SELECT id FROM ended))
        OR NOT EXISTS (SELECT FROM asyncz_runs WHERE id = run_id)
)
UPDATE asyncz_runs SET ended = before + position FROM ended, counted
WHERE asyncz_runs.id = ended.id AND asyncz_runs.id = ANY (ARRAY(SELECT id FROM ended))
""".encode()  # noqa: S608  # own names
_LISTEN = b"UPDATE asyncz_nodes SET listens = true WHERE id = %(node)s"
_LAST_NUMBER = b"SELECT value FROM asyncz_counters WHERE name = 'outcomes'"

# The fence alone decides, as each transition increments it. With the state in the condition, the planner would choose
# the partial index of running runs and walk all of them. All writers lock the rows in one order. LATERAL and the array
# have the rows found by their ids: a join could read the whole table, as the planner expects 100 outcomes of any text.
# NO KEY: reports of a run refer to its id, and must not wait for the transaction of a user that finishes it.
_OUTCOME = """
WITH outcome AS (
    SELECT * FROM json_to_recordset(%(outcomes)s::json) AS outcome (
        run_id uuid, fence int, state text, attempt int, not_before timestamptz, started_at timestamptz,
        finished_at timestamptz, result text, error text, traceback text, "then" json, lost_node text
    )
)"""
_OWNED = f"""{_OUTCOME},
owned AS MATERIALIZED (
    SELECT run.id, run.fence FROM (SELECT run_id, fence FROM outcome ORDER BY run_id) AS outcome CROSS JOIN LATERAL (
        SELECT id, fence FROM asyncz_runs WHERE id = outcome.run_id AND fence = outcome.fence FOR NO KEY UPDATE
    ) AS run
)"""  # noqa: S608  # own names
_OWNED_AND_COUNTED = f"""{_OWNED},
ended AS (
    SELECT owned.id, row_number() OVER (ORDER BY finished_at, owned.id) AS position
    FROM owned JOIN outcome ON owned.id = run_id AND owned.fence = outcome.fence WHERE outcome.state <> 'waiting'
),
counted AS ({_COUNTED})"""  # noqa: S608  # own names
_SET = """
UPDATE asyncz_runs SET state = outcome.state, attempt = outcome.attempt, not_before = outcome.not_before,
    started_at = outcome.started_at, finished_at = outcome.finished_at, result = outcome.result,
    error = outcome.error, traceback = outcome.traceback, fence = asyncz_runs.fence + 1,
    node = CASE outcome.state WHEN 'waiting' THEN NULL ELSE coalesce(outcome.lost_node, asyncz_runs.node) END"""
_ENDED = "coalesce((SELECT before FROM counted) + (SELECT position FROM ended WHERE ended.id = asyncz_runs.id), 0)"
_OF_OWNED = """
FROM outcome, owned
WHERE asyncz_runs.id = owned.id AND owned.id = outcome.run_id AND asyncz_runs.fence = outcome.fence
    AND asyncz_runs.id = ANY (ARRAY(SELECT id FROM owned))
"""
_SET_OUTCOME = f"{_SET}, ended = {_ENDED} {_OF_OWNED}"
_FINISH = f"{_OWNED_AND_COUNTED} {_SET_OUTCOME} RETURNING asyncz_runs.id".encode()
# No two transactions add the same run: its id is made from that of the upstream run, whose outcome is accepted once.
_HANDED_OVER = f"""handed_over AS (
    {ADD_RUNS} FROM finished CROSS JOIN LATERAL json_populate_recordset(NULL::asyncz_runs, "then") AS given
    ON CONFLICT DO NOTHING
)"""
# Only if a result is handed over, as the statement takes longer.
_FINISH_AND_HAND_OVER = f"""{_OWNED_AND_COUNTED},
finished AS ({_SET_OUTCOME} RETURNING asyncz_runs.id, outcome."then"),
{_HANDED_OVER}
SELECT id FROM finished
""".encode()  # noqa: S608  # own names
# In a transaction of the user, which may stay open: it must not lock the counter. `number_late` follows.
_FINISH_WITHOUT_NUMBER = f"""{_OWNED},
finished AS ({_SET} {_OF_OWNED} RETURNING asyncz_runs.id, outcome."then"),
{_HANDED_OVER},
unnumbered AS (
    INSERT INTO asyncz_unnumbered (run_id) SELECT id FROM finished
    WHERE EXISTS (SELECT FROM asyncz_nodes WHERE listens) ON CONFLICT DO NOTHING
)
SELECT id FROM finished
""".encode()  # noqa: S608  # own names
# Only the owner with a fence can have moved the run on to the next one, in a state that is not `running`.
_FINISHED_BEFORE = f"""{_OUTCOME}
SELECT asyncz_runs.id FROM asyncz_runs JOIN outcome ON asyncz_runs.id = run_id
    AND asyncz_runs.fence = outcome.fence + 1
WHERE {" AND ".join(f"asyncz_runs.{column} IS NOT DISTINCT FROM outcome.{column}" for column in OUTCOME_COLUMNS)}
""".encode()  # noqa: S608  # own names

# Built when they are used first, as the records are.
_DEFER = ConfigDict(defer_build=True)
_RUN_LIST: TypeAdapter[Sequence[RunRecord]] = TypeAdapter(Sequence[RunRecord], config=_DEFER)
_OUTCOME_LIST: TypeAdapter[Sequence[Outcome]] = TypeAdapter(Sequence[Outcome], config=_DEFER)

Statement: TypeAlias = tuple[bytes, dict[str, object]]
"""A statement with its values."""


def finish_statement(outcomes: Sequence[Outcome], values: Mapping[str, object]) -> Statement:
    """Return the statement that stores outcomes, and returns the ids of those with the current fence.

    Args:
        outcomes: The outcomes.
        values: Id of the node that stores them, and the time of the store; None for that of the server.
    """
    finish = _FINISH_AND_HAND_OVER if any(outcome.then for outcome in outcomes) else _FINISH
    return finish, {**values, "outcomes": _outcomes_json(outcomes)}


def finish_without_number_statement(outcome: Outcome, values: Mapping[str, object]) -> Statement:
    """Return the statement that stores an outcome in a transaction that may stay open; see `finish_statement`."""
    return _FINISH_WITHOUT_NUMBER, {**values, "outcomes": _outcomes_json([outcome])}


def finished_before_statement(outcomes: Sequence[Outcome]) -> Statement:
    """Return the statement that returns the ids of the runs that have one of these outcomes already."""
    return _FINISHED_BEFORE, {"outcomes": _outcomes_json(outcomes)}


def submit_statement(runs: Sequence[RunRecord], values: Mapping[str, object]) -> Statement:
    """Return the statement that stores runs with new ids, the running ones only if their node has a lease."""
    return _SUBMIT, {**values, "runs": runs_json(runs)}


def runs_json(runs: Sequence[RunRecord]) -> str:
    """Return runs for `GIVEN_RUNS`."""
    return _RUN_LIST.dump_json(runs, exclude_none=True).decode()


def _outcomes_json(outcomes: Sequence[Outcome]) -> str:
    return _OUTCOME_LIST.dump_json(outcomes, exclude_none=True).decode()


def number_outcomes(database: psycopg.Connection[tuple[object, ...]], run_ids: Sequence[UUID]) -> None:
    """Number the outcomes of runs that were stored with one. In the transaction that stored them."""
    _ = database.execute(_NUMBER, {"ids": [*run_ids]})


def number_late(database: psycopg.Connection[tuple[object, ...]]) -> None:
    """Number the outcomes that transactions of users have stored. Not in a transaction, as it locks the counter."""
    _ = database.execute(_NUMBER_LATE)


def listen(database: psycopg.Connection[tuple[object, ...]], node: str) -> int:
    """Number outcomes from now on, and return the last number. Not in a transaction."""
    _ = database.execute(_LISTEN, {"node": node})
    # The outcomes of the time before get their numbers before the last one is read.
    number_late(database)
    with database.cursor(row_factory=scalar_row) as cursor:
        (value,) = cursor.execute(_LAST_NUMBER).fetchall()
    return int(f"{value}")
