"""Helpers of the conformance tests of stores, and the rules of their records and their history."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Never
from uuid import UUID, uuid4

from typing_extensions import TypeVar

from asyncz.stores.exceptions import StoreClosedError
from asyncz.stores.protocol import Store, StoreSession
from asyncz.stores.records import (
    FinalRunState,
    NodeRecord,
    Outcome,
    RunQuery,
    RunRecord,
    RunReport,
    TaskRecord,
)
from asyncz.testing import rules
from asyncz.testing._store_nodes import (
    DUE,
    HOUR,
    SECOND,
    StoreClock,
    StoreNodes,
    firing_of,
    first_hint,
    new_run,
    new_task,
    outcome_of,
)
from asyncz.testing._watchdog import run_in_own_loop
from asyncz.testing.rules import STORE_RULES, Rule, RuleBrokenError
from asyncz.testing.suite import RuleSuite, note_rule

SuiteT = TypeVar("SuiteT", bound="StoreChecks")

ODD_TEXT = "\u00fc \u4e16\u754c \U0001f40d \u202e '; DROP TABLE x; -- \" \\ \n\t %s ? :a"


def checks(
    rule: Rule,
) -> Callable[[Callable[[SuiteT], Coroutine[object, Never, None]]], Callable[[SuiteT], None]]:
    """Return a decorator that makes a test of a rule, in an event loop and a thread of its own."""

    def decorate(check: Callable[[SuiteT], Coroutine[object, Never, None]]) -> Callable[[SuiteT], None]:
        @functools.wraps(check)
        def test(suite: SuiteT) -> None:
            run_in_own_loop(lambda: suite._bounded(check(suite), rule), suite.hang_timeout, rules.STORE_DOES_NOT_BLOCK)

        test.__doc__ = rule.sentence
        note_rule(test.__name__, rule)
        return test

    return decorate


class StoreChecks(RuleSuite):
    """Base class of `StoreConformance`: helpers, and the rules of records and history."""

    _rules = STORE_RULES
    _maker = "make_store"

    ttl: timedelta = timedelta(seconds=15)
    hang_timeout: float = 30.0

    def make_store(self, now: Callable[[], float], /) -> Store:
        """Return a new, empty store; called for each test.

        Args:
            now: The clock that the store has to use: returns seconds since the epoch. Leases end without waiting.
        """
        raise NotImplementedError

    # Records

    @checks(rules.KEPT_AS_GIVEN)
    async def test_records_are_kept_as_given(self) -> None:
        nodes = await self._nodes(2)
        task = TaskRecord(
            id=ODD_TEXT,
            function=f"gone:{ODD_TEXT}",
            arguments=ODD_TEXT * 1000,
            trigger=ODD_TEXT,
            executor=ODD_TEXT,
            options="",
            declaration="x" * 64,
            app_version=2**31 - 1,
            paused=True,
            next_due=datetime(2262, 1, 1, 12, 30, 59, 123_457, tzinfo=UTC),
            upstream=ODD_TEXT,
            state="parked",
            problem=ODD_TEXT,
            inactive_since=datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        )
        stored = await nodes.declare(task)
        (read,) = await nodes.sessions[1].changes(0, 10)
        given = task.model_copy(update={"version": stored.version, "revision": stored.revision})
        if not stored == read == given:
            raise RuleBrokenError(rules.KEPT_AS_GIVEN, f"{given} came back as {read}")
        run = new_run(ODD_TEXT, DUE + timedelta(microseconds=7), kind="submitted", state="waiting")
        run = run.model_copy(update={"arguments": ODD_TEXT, "on_lost": "rerun", "executor": ODD_TEXT})
        (submitted,) = await nodes.first.submit([run])
        (read_run,) = await nodes.sessions[1].runs(RunQuery())
        given_run = run.model_copy(
            update={"sequence": submitted.sequence, "created_at": nodes.now, "fence": submitted.fence}
        )
        if not submitted == read_run == given_run:
            raise RuleBrokenError(rules.KEPT_AS_GIVEN, f"{given_run} came back as {read_run}")

    @checks(rules.HISTORY)
    async def test_history_is_paged(self) -> None:
        nodes = await self._nodes(1)
        runs = [
            new_run(f"task-{number % 2}", DUE + number * SECOND, kind="submitted", state="waiting")
            for number in range(10)
        ]
        _ = await nodes.first.submit(runs)
        claimed = await nodes.first.claim({"asyncio": 4}, 4)
        _ = await nodes.first.finish([outcome_of(run) for run in claimed[:2]])
        newest = [run.id for run in reversed(runs)]
        await self._expect_history(nodes, RunQuery(limit=3), newest)
        await self._expect_history(nodes, RunQuery(limit=3, task_id="task-1"), newest[::2])
        await self._expect_history(nodes, RunQuery(states=("waiting",), limit=100), newest[:6])
        await self._expect_history(nodes, RunQuery(run_id=newest[3]), newest[3:4])
        await self._expect_history(nodes, RunQuery(run_id=uuid4()), ())
        await self._expect_history(nodes, RunQuery(states=("executed", "running"), limit=1), newest[6:])
        await self._expect_history(nodes, RunQuery(task_id="unknown"), [])

    @checks(rules.PRUNING)
    async def test_prune_keeps_what_is_not_old(self) -> None:
        nodes = await self._nodes(1)
        _ = await nodes.first.submit(
            [new_run("task", DUE + number * SECOND, kind="submitted", state="waiting") for number in range(8)]
        )
        claimed = await nodes.first.claim({"asyncio": 7}, 7)
        ends = (("executed", 50), ("executed", 40), ("executed", 5), ("error", 50), ("cancelled", 50))
        _ = await nodes.first.finish(
            [
                outcome_of(run).model_copy(update={"state": state, "finished_at": nodes.now - age * SECOND})
                for run, (state, age) in zip(claimed, ends, strict=False)
            ]
        )
        keep: dict[FinalRunState, timedelta] = {"executed": 10 * SECOND, "error": 100 * SECOND}
        pruned = [await nodes.first.prune(keep, 1) for _ in range(3)]
        left = sorted(run.state for run in await nodes.first.runs(RunQuery()))
        expected = sorted(("executed", "error", "cancelled", "running", "running", "waiting"))
        if pruned != [1, 1, 0] or left != expected:
            raise RuleBrokenError(rules.PRUNING, f"pruned were {pruned} runs, left are {left}")

    @checks(rules.REPORTS)
    async def test_reports_belong_to_owner(self) -> None:
        nodes = await self._nodes(2)
        run = await nodes.running_run()
        first = RunReport(run_id=run.id, fence=run.fence, progress='{"done": 1}', details=ODD_TEXT)
        stored = [await nodes.first.report([first]), await nodes.first.report([first])]
        later = first.model_copy(update={"progress": '{"done": 2}', "details": None})
        unknown = later.model_copy(update={"run_id": uuid4()})
        stored.append(await nodes.first.report([unknown, later]))
        if stored != [[run.id]] * 3:
            raise RuleBrokenError(rules.REPORTS, f"accepted were reports of {stored}")
        back = Outcome(run_id=run.id, fence=run.fence, state="waiting")
        _ = await nodes.first.finish([back])
        (again,) = await nodes.sessions[1].claim({"asyncio": 1}, 1)
        if await nodes.first.report([first]):
            raise RuleBrokenError(rules.REPORTS, "a report of a former owner was accepted")
        second = RunReport(run_id=run.id, fence=again.fence, details="{}")
        _ = await nodes.sessions[1].report([second])
        _ = await nodes.sessions[1].finish([outcome_of(again)])
        if await nodes.sessions[1].report([second.model_copy(update={"details": "late"})]):
            raise RuleBrokenError(rules.REPORTS, "a report was accepted after the outcome")
        expected = [
            first.model_copy(update={"progress": '{"done": 2}', "node": nodes.ids[0]}),
            second.model_copy(update={"node": nodes.ids[1]}),
        ]
        if [*await nodes.first.reports(run.id)] != expected:
            raise RuleBrokenError(rules.REPORTS, f"stored are {await nodes.first.reports(run.id)}, not {expected}")

    @checks(rules.REPORTS)
    async def test_reports_are_deleted_with_run(self) -> None:
        nodes = await self._nodes(1)
        runs = [await nodes.running_run(f"task-{number}") for number in range(3)]
        _ = await nodes.first.report([RunReport(run_id=run.id, fence=run.fence, details="{}") for run in runs])
        _ = await nodes.first.finish([outcome_of(run) for run in runs[:2]])
        _ = await nodes.first.trim(["task-0"], 0, 10)
        nodes.advance(60)
        _ = nodes.first.renew()
        _ = await nodes.first.prune({"executed": SECOND}, 10)
        left = [len(await nodes.first.reports(run.id)) for run in runs]
        if left != [0, 0, 1]:
            raise RuleBrokenError(rules.REPORTS, f"two of three runs were deleted, and the runs have {left} reports")

    @checks(rules.TRIMMING)
    async def test_trim_keeps_the_newest(self) -> None:
        nodes = await self._nodes(1)
        runs = [
            new_run(("a", "b", "other")[number % 3], DUE, kind="submitted", state="waiting") for number in range(24)
        ]
        _ = await nodes.first.submit(runs)
        claimed = await nodes.first.claim({"asyncio": 21}, 21)
        _ = await nodes.first.finish([outcome_of(run) for run in claimed[:18]])
        trimmed = [await nodes.first.trim(["a", "b", "unknown"], 2, 3) for _ in range(4)]
        left = {run.id for run in await nodes.first.runs(RunQuery())}
        # Six runs of each task have an outcome, one is running, and one waits.
        expected = {run.id for run in runs[12:]} | {run.id for run in runs if run.task_id == "other"}
        if trimmed != [3, 3, 2, 0] or left != expected:
            raise RuleBrokenError(rules.TRIMMING, f"trimmed were {trimmed} runs, and {len(left)} are left")

    @checks(rules.DEAD_NODES_FORGOTTEN)
    async def test_prune_forgets_dead_nodes(self) -> None:
        nodes = await self._nodes(2)
        run = await nodes.running_run()
        late = 24 * 3600 + self.ttl.total_seconds() + 1
        nodes.advance(late)
        _ = nodes.sessions[1].renew()
        _ = await nodes.sessions[1].prune({}, 1)
        # The lease would be valid again.
        nodes.advance(-late)
        if [node.id for node in await nodes.first.nodes()] != nodes.ids[1:]:
            raise RuleBrokenError(rules.DEAD_NODES_FORGOTTEN, "a node without a lease for a day is still known")
        if [taken.id for taken in await nodes.sessions[1].take_over(10)] != [run.id]:
            raise RuleBrokenError(rules.DEAD_NODES_FORGOTTEN, "a run of a forgotten node was not taken over")
        if not nodes.first.renew().lost or len(await nodes.first.nodes()) != 2:
            raise RuleBrokenError(rules.DEAD_NODES_FORGOTTEN, "a forgotten node cannot begin a new lease")
        nodes.advance(23 * 3600)
        _ = await nodes.first.prune({}, 1)
        nodes.advance(-23 * 3600)
        if len(await nodes.first.nodes()) != 2:
            raise RuleBrokenError(rules.DEAD_NODES_FORGOTTEN, "a node was forgotten within a day")

    @checks(rules.SUBMITTED_RUNNING)
    async def test_submitted_run_has_its_owner(self) -> None:
        nodes = await self._nodes(1)
        run = new_run("task", DUE, kind="submitted")
        submitted = await nodes.first.submit([run])
        if [(each.state, each.node, each.fence) for each in submitted] != [("running", nodes.ids[0], 1)]:
            raise RuleBrokenError(rules.SUBMITTED_RUNNING, f"submitted was {submitted}")
        if await nodes.first.finish([outcome_of(run)]) != [run.id]:
            raise RuleBrokenError(rules.SUBMITTED_RUNNING, "the outcome of the node that submitted was rejected")
        nodes.advance(self.ttl.total_seconds() + 1)
        if await nodes.first.submit([new_run("task", DUE, kind="submitted")]):
            raise RuleBrokenError(rules.SUBMITTED_RUNNING, "a node without a lease became the owner of a run")
        if len(await nodes.first.submit([new_run("task", DUE, kind="submitted", state="waiting")])) != 1:
            raise RuleBrokenError(rules.SUBMITTED_RUNNING, "a node without a lease could not submit a waiting run")

    @checks(rules.OUTCOMES_IN_ORDER)
    async def test_outcomes_are_numbered(self) -> None:
        nodes = await self._nodes(3)
        unheard = await nodes.running_run("unheard")
        _ = await nodes.first.finish([outcome_of(unheard)])
        since = await nodes.sessions[1].listen()
        tasks = await nodes.first.declare([new_task(f"task-{number}") for number in range(6)], "update")
        missed = new_run("task-5", DUE, kind="missed", state="missed", missed=2)
        firings = [firing_of(task) for task in tasks]
        firings[5] = firings[5].model_copy(update={"runs": (missed,)})
        fired = await nodes.sessions[2].fire(firings)
        back = outcome_of(fired[4]).model_copy(update={"state": "waiting", "finished_at": None})
        for outcomes in ([outcome_of(fired[0]), back], [outcome_of(fired[1])], [outcome_of(run) for run in fired[1:4]]):
            _ = await nodes.sessions[2].finish(outcomes)
            numbered = await nodes.sessions[1].outcomes(since, 100)
            _ = await nodes.sessions[2].finish(outcomes)
            if await nodes.sessions[1].outcomes(since, 100) != numbered:
                raise RuleBrokenError(rules.OUTCOMES_IN_ORDER, "an outcome that was accepted again has another number")
        pages: list[RunRecord] = []
        while page := await nodes.sessions[1].outcomes(since, 2):
            pages += page
            since = page[-1].ended
            if len(page) > 2 or len(pages) > 20:
                break
        if pages[0].id != missed.id or {run.id for run in pages} != {run.id for run in (*fired[:4], missed)}:
            raise RuleBrokenError(rules.OUTCOMES_IN_ORDER, f"the pages of 5 outcomes have {[run.id for run in pages]}")
        numbers = [run.ended for run in pages]
        if len(numbers) != 5 or numbers != sorted({*numbers}) or any(not run.done for run in pages):
            raise RuleBrokenError(rules.OUTCOMES_IN_ORDER, f"5 outcomes have the numbers {numbers}")

    @checks(rules.UNDECLARED)
    async def test_lost_programs_leave_undeclared_tasks(self) -> None:
        nodes = await self._nodes(3)
        declared = [new_task(task_id) for task_id in ("one", "both", "own", "late")]
        _ = await nodes.first.declare(declared, "update")
        await nodes.first.announce(["one", "both", "late"])
        await nodes.sessions[1].announce(["both"])
        await nodes.sessions[2].announce(["late"])
        await nodes.first.close()
        await nodes.sessions[2].close()
        living = nodes.sessions[1]
        long = timedelta(days=365)
        for seconds, expected in ((3500, {*()}), (200, {"one", "late"}), (9000, {*()})):
            nodes.advance(seconds)
            _ = living.renew()
            swept = {*await living.sweep(long, None, 1), *await living.sweep(long, None, 100)}
            if swept != expected:
                raise RuleBrokenError(rules.UNDECLARED, f"{seconds} s later, {swept} changed, not {expected}")
        found = {task.id: (task.state, task.inactive_since is None) for task in await living.changes(0, 100)}
        inactive, active = ("undeclared", False), ("active", True)
        if found != {"one": inactive, "both": active, "own": active, "late": inactive}:
            raise RuleBrokenError(rules.UNDECLARED, f"the states are {found}")
        if [(task.state, task.inactive_since) for task in await living.declare(declared, "update")] != [
            ("active", None)
        ] * 4:
            raise RuleBrokenError(rules.UNDECLARED, "a declaration did not make the tasks active again")

    @checks(rules.SWEPT)
    async def test_sweep_removes_finished_tasks(self) -> None:
        nodes = await self._nodes(2)
        session = nodes.first
        names = ("finished", "announced", "runs", "due", "on-demand", "unstarted", "removed")
        never_due: dict[str, dict[str, object]] = {
            "on-demand": {"trigger": None, "next_due": None},
            "unstarted": {"next_due": None},
        }
        tasks = [
            new_task(name).model_copy(update=never_due.get(name, {"started_at": DUE} if name == "runs" else {}))
            for name in names
        ]
        known = {task.id: task for task in await session.declare(tasks, "update")}
        await nodes.sessions[1].announce(["announced"])
        firings = [
            firing_of(known[name]).model_copy(update={"next_due": None}) for name in ("finished", "announced", "runs")
        ]
        fired = await session.fire(firings)
        _ = await session.finish([outcome_of(run) for run in fired if run.task_id != "runs"])
        _ = await session.remove(["removed"])
        undeclared = known["due"].model_copy(update={"state": "undeclared", "inactive_since": nodes.now})
        _ = await session.change(undeclared)
        history: list[set[str]] = []
        for _ in range(4):
            for each in nodes.sessions:
                _ = each.renew()
            history.append({*await session.sweep(20 * HOUR, 40 * HOUR, 100)})
            nodes.advance(15 * 3600)
        if history != [{*()}, {*()}, {"due"}, {"finished"}]:
            raise RuleBrokenError(rules.SWEPT, f"each 15 hours, these tasks were removed: {history}")
        left = {task.id: task.removed for task in await session.changes(0, 100)}
        expected = {"finished": True, "announced": False, "runs": False, "due": True}
        expected |= dict.fromkeys(never_due, False)
        if left != expected:
            raise RuleBrokenError(rules.SWEPT, f"left are (removed or not): {left}, not {expected}")

    @checks(rules.WAKE_UPS)
    async def test_changes_wake_other_nodes(self) -> None:
        nodes = await self._nodes(2)
        hints = nodes.sessions[1].wake_ups()
        waiting = asyncio.ensure_future(first_hint(hints))
        for number in range(1000):
            # Repeated, because a change before the first look may go unnoticed.
            _ = await nodes.declare(new_task(f"task-{number}"))
            done, _ = await asyncio.wait([waiting], timeout=0.05)
            if done:
                return
        raise RuleBrokenError(rules.WAKE_UPS, "another node changed 1,000 tasks, and no hint came")

    @checks(rules.CLOSED)
    async def test_closed_session_is_rejected(self) -> None:
        nodes = await self._nodes(2)
        session = nodes.first
        await session.close()
        await session.close()
        calls: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: session.declare([], "update"),
            lambda: session.change(new_task("task")),
            lambda: session.remove([]),
            lambda: session.changes(0, 1),
            lambda: session.overdue(SECOND, 1),
            lambda: session.fire([]),
            lambda: session.submit([]),
            lambda: session.claim({}, 1),
            lambda: session.finish([]),
            lambda: session.take_over(1),
            lambda: session.runs(RunQuery()),
            session.nodes,
            lambda: session.prune({}, 1),
            lambda: session.trim([], 1, 1),
            session.listen,
            lambda: session.outcomes(0, 1),
            lambda: session.announce([]),
            lambda: session.sweep(SECOND, None, 1),
            lambda: asyncio.to_thread(session.renew),
        )
        for number, call in enumerate(calls):
            try:
                _ = await call()
            except StoreClosedError:
                continue
            raise RuleBrokenError(rules.CLOSED, f"method {number + 1} of a closed session raised nothing")

    @checks(rules.STORE_DOES_NOT_BLOCK)
    async def test_methods_do_not_block_the_loop(self) -> None:
        nodes = await self._nodes(1)
        tasks = await nodes.first.declare([new_task(f"task-{number}") for number in range(200)], "update")
        fired = await nodes.first.fire([firing_of(task) for task in tasks])
        _ = await nodes.first.finish([outcome_of(run) for run in fired])

    # Helpers

    async def _bounded(self, check: Coroutine[object, Never, None], rule: Rule) -> None:
        opened: list[StoreSession] = []
        _ = _opened_sessions.set(opened)
        try:
            async with asyncio.timeout(self.hang_timeout):
                try:
                    await check
                finally:
                    for session in opened:
                        await session.close()
        except TimeoutError:
            raise RuleBrokenError(rule, f"a method has not returned for {self.hang_timeout:g} s") from None

    async def _nodes(self, number: int) -> StoreNodes:
        clock = StoreClock()
        store = self.make_store(clock.now)
        ids = [uuid4().hex for _ in range(number)]
        sessions = [
            await store.connect(NodeRecord(id=node_id, name=f"node {n}"), self.ttl) for n, node_id in enumerate(ids)
        ]
        _opened_sessions.get().extend(sessions)
        return StoreNodes(sessions, ids, clock)

    async def _expect_due(self, nodes: StoreNodes, task_id: str, due: datetime | None, rule: Rule) -> None:
        found = {task.id: task.next_due for task in await nodes.first.changes(0, 100)}
        if found[task_id] != due:
            raise RuleBrokenError(rule, f"the next due time is {found[task_id]}, not {due}")

    async def _expect_history(self, nodes: StoreNodes, query: RunQuery, expected: Sequence[UUID]) -> None:
        found: list[RunRecord] = []
        while page := await nodes.first.runs(query):
            found += page
            query = query.model_copy(update={"before": page[-1].sequence})
            if len(page) > query.limit or len(found) > 20:
                break
        if [run.id for run in found] != [*expected]:
            raise RuleBrokenError(
                rules.HISTORY, f"{query} selected {len(found)} runs, not {len(expected)}, or reordered"
            )


_opened_sessions: ContextVar[list[StoreSession]] = ContextVar("opened_sessions")
"""Sessions that the current check has opened; several checks may run at the same time."""
