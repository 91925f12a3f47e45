"""Every store gives the same answers as the store in memory, whatever nodes ask for."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from asyncz.clock import utc
from asyncz.stores import (
    ExistingTaskPolicy,
    FinalRunState,
    Firing,
    Lease,
    MemoryStore,
    NodeRecord,
    Outcome,
    PostgresStore,
    RunQuery,
    RunRecord,
    RunRecordState,
    SqliteStore,
    Store,
    StoredTaskConflictError,
    StoreSession,
    TaskRecord,
)
from asyncz.testing._store_nodes import DUE, SECOND, StoreClock
from tests.helpers.effort import examples
from tests.helpers.postgres import new_schema

TTL = timedelta(seconds=10)
TASKS = ("a", "b", "c")
POLICIES: tuple[ExistingTaskPolicy, ...] = ("update", "keep", "replace", "refuse")

Step = tuple[str, int, int, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("declare", "change", "remove", "changes", "overdue", "fire", "submit", "claim", "finish", "finish"),
                *("again", "take_over", "runs", "nodes", "prune", "trim", "renew", "advance"),
            )
        ),
        st.integers(0, 1),
        st.integers(0, 11),
        st.integers(0, 5),
    ),
    max_size=60,
)


class Nodes:
    """Two nodes of one store, and the records that they know."""

    def __init__(self, sessions: Sequence[StoreSession], clock: StoreClock) -> None:
        self.sessions = sessions
        self.clock = clock
        self.owned: list[RunRecord] = []
        self.sent: list[Outcome] = []
        self.runs = 0

    def run(self, task_id: str, number: int, *, kind: str = "due", state: str = "running") -> RunRecord:
        self.runs += 1
        return RunRecord.model_validate(
            {
                "id": UUID(int=self.runs),
                "task_id": task_id,
                "scheduled_at": DUE + number * SECOND,
                "kind": kind,
                "state": state,
                "executor": ("io", "cpu")[number % 2],
                "on_lost": "rerun",
            }
        )

    async def do(self, step: Step) -> object:
        """Make one step, and return the answer of the store."""
        name, node, first, second = step
        session, task_id = self.sessions[node], TASKS[first % 3]
        if name == "advance":
            self.clock.advance((0.5, 1, 5, 9, 11, 100_000)[second])
            # So that one node lives longer than the other.
            return session.renew() if first % 3 else None
        calls: Mapping[str, Callable[[], Awaitable[object]]] = {
            "declare": lambda: session.declare([self._task(task_id, first, second)], POLICIES[second % 4]),
            "change": lambda: self._change(session, task_id, second),
            "remove": lambda: session.remove([task_id, "unknown"]),
            "changes": lambda: session.changes(first, 1 + second),
            "overdue": lambda: session.overdue(SECOND, 1 + second, (DUE, task_id) if first > 5 else None),
            "fire": lambda: self._fire(session, first, second),
            "submit": lambda: self._submit(session, task_id, first, second),
            "claim": lambda: self._claim(session, first, second),
            "finish": lambda: self._finish(session, first, second),
            "again": lambda: self._repeat(session, first),
            "take_over": lambda: self._take_over(session, second),
            "runs": lambda: session.runs(_query(first, second)),
            "nodes": session.nodes,
            "prune": lambda: session.prune(_keep(first), 1000),
            "trim": lambda: session.trim([task_id, TASKS[second % 3]], first % 3, 1000),
            "renew": lambda: asyncio.to_thread(session.renew),
        }
        try:
            return await calls[name]()
        except StoredTaskConflictError as error:
            return str(error)

    def _task(self, task_id: str, first: int, second: int) -> TaskRecord:
        return TaskRecord(
            id=task_id,
            function="jobs:report",
            trigger=("{}", '{"other": 1}')[second % 2],
            declaration=f"{first % 2}",
            app_version=first % 2,
            next_due=DUE + (second - 2) * SECOND,
        )

    async def _task_now(self, session: StoreSession, task_id: str) -> TaskRecord | None:
        found = {task.id: task for task in await session.changes(0, 100)}
        return found.get(task_id)

    async def _change(self, session: StoreSession, task_id: str, second: int) -> object:
        task = await self._task_now(session, task_id) or TaskRecord(id=task_id, function="jobs:new")
        updates: tuple[dict[str, object], ...] = (
            {"paused": True},
            {"paused": False},
            {"state": "parked", "problem": "gone"},
            {"state": "active", "problem": ""},
            {"version": task.version + 1},
            {"next_due": DUE},
        )
        if task.removed:
            task = task.model_copy(update={"removed": False, "version": 0})
        return await session.change(task.model_copy(update=updates[second]))

    async def _fire(self, session: StoreSession, first: int, second: int) -> object:
        firings: list[Firing] = []
        for number, task_id in enumerate(TASKS[: 1 + second % 3]):
            task = await self._task_now(session, task_id)
            if task is None or task.next_due is None:
                continue
            due, states = task.next_due, ("running", "waiting")
            number_of_due = round((due - DUE) / SECOND)
            run = self.run(task_id, number_of_due + (first % 4 == 3), state=states[(first + number) % 2])
            version = task.version + (first % 5 == 4)
            next_due = None if second == 5 else due + SECOND
            firings.append(Firing(task_id=task_id, version=version, due=due, next_due=next_due, runs=(run,)))
        fired = await session.fire(firings)
        self.owned += [run for run in fired if run.state == "running"]
        return fired

    async def _submit(self, session: StoreSession, task_id: str, first: int, second: int) -> object:
        state = "waiting" if first % 3 else "running"
        runs = [self.run(task_id, number, kind="submitted", state=state) for number in range(1 + second)]
        submitted = await session.submit(runs)
        assert not await session.submit(runs[: len(submitted)])
        self.owned += [run for run in submitted if run.state == "running"]
        return submitted

    async def _claim(self, session: StoreSession, first: int, second: int) -> object:
        claimed = await session.claim({"io": second, "cpu": first % 4}, 1 + first, TASKS[: second % 3])
        self.owned += claimed
        return claimed

    async def _take_over(self, session: StoreSession, second: int) -> object:
        # Which of the lost runs come first is not promised.
        taken = await session.take_over(1000)
        self.owned += sorted(taken, key=lambda run: run.id)
        return sorted(taken, key=lambda run: run.id)

    async def _finish(self, session: StoreSession, first: int, second: int) -> object:
        chosen = self.owned[first % 4 :: 3] if self.owned else []
        states = ("executed", "error", "waiting", "cancelled", "missed", "executed")
        outcomes = [
            Outcome.model_validate(
                {
                    "run_id": run.id,
                    "fence": run.fence,
                    "state": states[second],
                    "attempt": 1 + second,
                    "finished_at": None if second == 2 else self._now() - first * SECOND,
                    "not_before": self._now() + first * SECOND if second == 2 and first % 2 else None,
                    "result": f"{first}",
                    # Of one outcome: the order of several is not promised.
                    "then": self._then(first, second) if len(chosen) == 1 else (),
                }
            )
            for run in chosen
        ]
        self.sent += outcomes
        return sorted(await session.finish(outcomes))

    def _then(self, first: int, second: int) -> list[RunRecord]:
        task_id = TASKS[first % 3]
        return [] if second == 2 else [self.run(task_id, first, kind="submitted", state="waiting")]

    async def _repeat(self, session: StoreSession, first: int) -> object:
        return sorted(await session.finish(self.sent[first % 5 :: 2]))

    def _now(self) -> datetime:
        return utc(self.clock.now())


def _query(first: int, second: int) -> RunQuery:
    states: tuple[tuple[RunRecordState, ...], ...] = ((), ("waiting",), ("executed", "error"))
    return RunQuery(
        task_id=TASKS[first % 3] if first % 2 else None, states=states[second % 3], limit=1000 if second < 4 else 2
    )


def _keep(first: int) -> dict[FinalRunState, timedelta]:
    states: tuple[FinalRunState, ...] = ("executed", "error", "missed", "cancelled")
    return dict.fromkeys(states[: first % 5], first * SECOND)


def _comparable(answer: object) -> object:
    """Return an answer without positions in the history, which may have gaps."""
    if isinstance(answer, RunRecord):
        return answer.model_dump_json(exclude={"sequence"})
    if isinstance(answer, TaskRecord | NodeRecord):
        return answer.model_dump_json()
    if isinstance(answer, Lease):
        return answer
    if isinstance(answer, list | tuple):
        return [_comparable(each) for each in answer]
    return answer


async def answers(make_store: Callable[[Callable[[], float]], Store], script: Sequence[Step]) -> list[object]:
    """Return the answers of a store to all steps, and its records after them."""
    clock = StoreClock()
    store = make_store(clock.now)
    sessions = [await store.connect(NodeRecord(id=f"node-{number}"), TTL) for number in range(2)]
    nodes = Nodes(sessions, clock)
    try:
        found = [_comparable(await nodes.do(step)) for step in script]
        found += [_comparable(await sessions[0].changes(0, 1000)), _comparable(await sessions[0].runs(RunQuery()))]
    finally:
        for session in sessions:
            await session.close()
    return found


def compare(make_store: Callable[[Callable[[], float]], Store], script: Sequence[Step]) -> None:
    expected = asyncio.run(answers(lambda now: MemoryStore(now=now), script))
    found = asyncio.run(answers(make_store, script))
    for number, (mine, other) in enumerate(zip(expected, found, strict=True)):
        step = script[number] if number < len(script) else "the end"
        assert other == mine, f"step {number + 1}, {step}"


@settings(deadline=None, max_examples=examples(50), suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_sqlite_does_what_memory_does(script: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        compare(lambda now: SqliteStore(Path(folder) / "store.db", now=now), script)


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
def test_postgres_does_what_memory_does(postgres_server: str) -> None:
    @settings(deadline=None, max_examples=examples(25), suppress_health_check=[HealthCheck.too_slow])
    @given(steps)
    def check(script: list[Step]) -> None:
        compare(lambda now: PostgresStore(new_schema(postgres_server), now=now, notify=False), script)

    check()
