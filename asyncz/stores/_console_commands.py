"""Actions of operators in a store, each with a record that names the operator.

Changes of tasks, new runs and the end of waiting runs are written at once: the nodes adopt them like the changes of
other nodes. To cancel a running run, or to pause a scheduler, needs its node: the record asks it to do that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias
from uuid import UUID

import attrs

from asyncz._run_ids import new_run_id
from asyncz.exceptions import TaskLookupError
from asyncz.protocols import Trigger
from asyncz.stores._admin import StoreAdmin
from asyncz.stores._columns import column_list
from asyncz.stores._console_queries import ConsoleQueries
from asyncz.stores._console_records import CommandError
from asyncz.stores._triggers import encode_trigger
from asyncz.stores.records import NodeRecord, RunRecord, TaskRecord

TaskAction: TypeAlias = Literal["run", "pause", "resume", "cancel", "reschedule", "remove"]
"""Action on a task."""

_KEEP: Final = timedelta(days=90)


@attrs.frozen
class Sent:
    """Records of an action.

    Attributes:
        sequences: Positions of the records that nodes have to answer; empty if the action has been carried out.
        detail: Further description.
        nodes: The nodes of these records, in the same order.
    """

    sequences: Sequence[int] = ()
    detail: str = ""
    nodes: Sequence[NodeRecord] = ()


class ConsoleCommands:
    """Actions over one connection, for the thread of a console. Each is one transaction.

    Args:
        database: Connection.
        operator: Name of the operator.
    """

    def __init__(self, database: StoreAdmin, operator: str) -> None:
        self._database = database
        self._operator = operator
        self._queries = ConsoleQueries(database)

    def act(self, action: TaskAction, task_id: str, trigger: Trigger | None, first_due: datetime | None) -> Sent:
        """Carry out an action on a task, or ask its nodes to do that.

        Args:
            action: Name of the action.
            task_id: Id of the task.
            trigger: New trigger for `reschedule`.
            first_due: First due time of the new trigger.

        Raises:
            TaskLookupError: The store has no such task.
            CommandError: The action cannot be carried out.
        """
        with self._database.transaction():
            task = self._queries.tasks([task_id]).get(task_id)
            if task is None:
                raise TaskLookupError(task_id)
            sent = self._cancel(task) if action == "cancel" else self._act(action, task, trigger, first_due)
        self._database.notify()
        return sent

    def cancel_run(self, run_id: UUID) -> Sent:
        """Cancel a run.

        Raises:
            CommandError: The run is not stored, has ended, or has no node.
        """
        with self._database.transaction():
            self._lock_revision()
            is_ended, run = self._end_or_read(run_id)
            if run is None:
                raise CommandError("", f"no run with the id {run_id} is stored")
            if is_ended:
                self._record("cancel", run.task_id, run=run.id)
                sent = Sent()
            elif run.done:
                raise CommandError(run.task_id, f"the run {run_id} was not cancelled: it has ended")
            else:
                sent = self._ask({run.node or ""}, "cancel", run.task_id, run.id)
        self._database.notify()
        return sent

    def set_paused(self, paused: bool) -> Sent:
        """Pause or resume the schedulers of all nodes.

        Raises:
            CommandError: No node is alive.
        """
        with self._database.transaction():
            sent = self._ask({node.id for node in self._queries.nodes()}, "pause" if paused else "resume", "", None)
        self._database.notify()
        return sent

    # Steps of a transaction

    def _end_or_read(self, run_id: UUID) -> tuple[bool, RunRecord | None]:
        """End a run if it waits; return True if that was done, and the run."""
        while True:
            # Before the run is read: a node may start a waiting run until this statement has locked its row.
            is_ended = self._end_waiting("id = ?", self._stored(run_id)) == 1
            run = self._queries.run(run_id)
            # A running run may have begun to wait between both statements, for its next attempt.
            if is_ended or run is None or run.state != "waiting":
                return is_ended, run

    def _act(self, action: TaskAction, task: TaskRecord, trigger: Trigger | None, first_due: datetime | None) -> Sent:
        detail = ""
        match action:
            case "run":
                detail = f"{self._add_run(task)}"
            case "remove":
                downstream = self._downstream(task.id)
                detail = f"also removes {', '.join(downstream)} when their runs have ended" if downstream else ""
                change = {"removed": True, "next_due": None, "inactive_since": self._queries.now}
                self._change(task, change)
            case "reschedule":
                if task.upstream is not None:
                    reason = f"it is due by the results of {task.upstream!r}; add a separate task for the trigger"
                    raise CommandError(task.id, reason)
                text = encode_trigger(task.id, trigger)
                self._change(task, {"trigger": text, "started_at": self._queries.now, "next_due": first_due})
                detail = "on demand" if trigger is None else f"{trigger}"
            case _:
                self._change(task, {"paused": action == "pause"})
        self._record(action, task.id, detail=detail)
        return Sent(detail=detail)

    def _cancel(self, task: TaskRecord) -> Sent:
        self._lock_revision()
        # Of each executor: runs may wait for the one that the task had before. The index begins with it.
        executors = self._queries.waiting_executors()
        ended = sum(self._end_waiting("executor = ? AND task_id = ?", each, task.id) for each in executors)
        sql = "SELECT node, count(*) FROM asyncz_runs WHERE state = 'running' AND task_id = ? GROUP BY node"
        running = {f"{node}": int(f"{count}") for node, count in self._rows(sql, task.id)}
        if not ended and not running:
            raise CommandError(task.id, "no run of it is in progress or waiting")
        asked = {*running} & {node.id for node in self._queries.nodes()}
        detail = _counted(ended + sum(running[node] for node in asked))
        self._record("cancel", task.id, detail=f"{ended} waiting runs")
        # If runs have ended, those of dead nodes are no failure: other nodes take them over.
        sent = self._ask({*running}, "cancel", task.id, None) if asked or not ended else Sent()
        return attrs.evolve(sent, detail=detail)

    def _downstream(self, task_id: str) -> Sequence[str]:
        """Return the ids of the tasks after a task in its chains, sorted."""
        sql = (
            "WITH RECURSIVE chain (id) AS (SELECT id FROM asyncz_tasks WHERE upstream = ? AND NOT removed"
            " UNION SELECT task.id FROM asyncz_tasks AS task JOIN chain ON task.upstream = chain.id"
            " WHERE NOT task.removed) SELECT id FROM chain ORDER BY id"
        )
        return [f"{found}" for (found,) in self._rows(sql, task_id)]

    def _change(self, task: TaskRecord, change: Mapping[str, object]) -> None:
        """Write columns of a task with its next version: a node that compares the version does not write over them."""
        revision = self._next_revision()
        values = {name: self._stored(value) for name, value in change.items()}
        columns = ", ".join(f'"{name}" = ?' for name in values)
        sql = f"UPDATE asyncz_tasks SET {columns}, version = version + 1, revision = ? WHERE id = ? RETURNING id"  # noqa: S608
        _ = self._rows(sql, *values.values(), revision, task.id)

    def _add_run(self, task: TaskRecord) -> UUID:
        if task.state != "active":
            reason = task.problem or "no node declares it"
            raise CommandError(task.id, f"the task is {task.state}: {reason}")
        now = self._queries.now
        policy = self._rows("SELECT on_lost FROM asyncz_runs WHERE task_id = ? ORDER BY sequence DESC LIMIT 1", task.id)
        run = RunRecord(
            id=new_run_id(),
            task_id=task.id,
            kind="submitted",
            scheduled_at=now,
            executor=task.executor,
            state="waiting",
        )
        values = {
            **run.model_dump(exclude={"sequence", "created_at", "on_lost"}),
            # An operator does not know the policy of the program: that of the last run is taken.
            "on_lost": policy[0][0] if policy else run.on_lost,
            "created_at": now,
        }
        columns, places = column_list(values), ", ".join("?" * len(values))
        sql = f"INSERT INTO asyncz_runs ({columns}) VALUES ({places}) RETURNING sequence"  # noqa: S608  # own names
        _ = self._rows(sql, *(self._stored(value) for value in values.values()))
        return run.id

    def _end_waiting(self, condition: str, *values: object) -> int:
        """End waiting runs as cancelled; return their number. Their fence rejects nodes that would start them."""
        sql = (
            "UPDATE asyncz_runs SET state = 'cancelled', finished_at = ?, error = ?, fence = fence + 1"  # noqa: S608
            f" WHERE state = 'waiting' AND {condition} RETURNING sequence"
        )
        error = f"cancelled by {self._operator or 'an unnamed user'}"
        ended = [sequence for (sequence,) in self._rows(sql, self._stored(self._queries.now), error, *values)]
        if ended and self._rows("SELECT 1 FROM asyncz_nodes WHERE listens LIMIT 1"):
            # Nodes that listen read outcomes in the order of their numbers.
            sql = "UPDATE asyncz_counters SET value = value + ? WHERE name = 'outcomes' RETURNING value"
            ((last,),) = self._rows(sql, len(ended))
            for number, sequence in enumerate(ended, start=int(f"{last}") - len(ended) + 1):
                sql = "UPDATE asyncz_runs SET ended = ? WHERE sequence = ? RETURNING sequence"
                _ = self._rows(sql, number, sequence)
        return len(ended)

    def _ask(self, nodes: set[str], action: str, task_id: str, run: UUID | None) -> Sent:
        asked = sorted((node for node in self._queries.nodes() if node.id in nodes), key=lambda node: node.id)
        if not asked:
            raise CommandError(task_id, "no node is alive that could do that")
        return Sent([self._record(action, task_id, run=run, node=node.id) for node in asked], nodes=asked)

    def _record(
        self,
        action: str,
        task_id: str,
        *,
        run: UUID | None = None,
        node: str | None = None,
        detail: str = "",
        failure: str = "",
    ) -> int:
        # First: the counter is locked until the end of the transaction, so that nodes see records in their order.
        _ = self._next_revision()
        now = self._queries.now
        old = self._stored(now - _KEEP)
        _ = self._rows("DELETE FROM asyncz_commands WHERE created_at < ? RETURNING sequence", old)
        values: dict[str, object] = {
            "action": action,
            "task_id": task_id,
            "run": run,
            "detail": detail,
            "operator": self._operator,
            "node": node,
            "created_at": now,
            "done_at": now if node is None else None,
            "failure": failure,
        }
        columns, places = column_list(values), ", ".join("?" * len(values))
        sql = f"INSERT INTO asyncz_commands ({columns}) VALUES ({places}) RETURNING sequence"  # noqa: S608  # own names
        ((sequence,),) = self._rows(sql, *(self._stored(value) for value in values.values()))
        return int(f"{sequence}")

    def _lock_revision(self) -> None:
        """Lock the counter of revisions before `_end_waiting` locks that of outcomes, which is always the last."""
        _ = self._next_revision()

    def _next_revision(self) -> int:
        sql = "UPDATE asyncz_counters SET value = value + 1 WHERE name = 'revision' RETURNING value"
        ((value,),) = self._rows(sql)
        return int(f"{value}")

    def _stored(self, value: object) -> object:
        if isinstance(value, datetime):
            return self._database.stored_time(value)
        return self._database.stored_id(value) if isinstance(value, UUID) else value

    def _rows(self, sql: str, *values: object) -> Sequence[Sequence[object]]:
        return self._database.query(sql, *values)


def _counted(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"
