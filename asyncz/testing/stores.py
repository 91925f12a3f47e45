"""Conformance tests of stores: subclass `StoreConformance`, define `make_store`, and run pytest."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

from asyncz.stores.exceptions import StoredTaskConflictError
from asyncz.stores.records import (
    Outcome,
    RunQuery,
    RunRecord,
    TaskRecord,
)
from asyncz.testing import rules
from asyncz.testing._store_nodes import (
    DUE,
    HOUR,
    SECOND,
    expect_changed,
    firing_of,
    new_run,
    new_task,
    outcome_of,
)
from asyncz.testing.rules import RuleBrokenError
from asyncz.testing.store_checks import ODD_TEXT, StoreChecks, checks


class StoreConformance(StoreChecks):
    """Conformance tests of a store: subclass it and define `make_store`.

    Each test method checks one rule of `asyncz.testing.STORE_RULES`. `verify()` runs all of them without pytest.

    Attributes:
        ttl: The duration of leases.
        hang_timeout: The number of seconds after which a check is abandoned.

    Example:
        >>> class TestFiles(StoreConformance):
        ...     def make_store(self, now: Callable[[], float]) -> Store:
        ...         return FileStore(tempfile.mkdtemp(), now=now)
    """

    # Firing

    @checks(rules.ONE_FIRING_WINS)
    async def test_one_firing_wins(self) -> None:
        nodes = await self._nodes(4)
        tasks = await nodes.first.declare([new_task(f"task-{number}") for number in range(25)], "update")
        fired = await asyncio.gather(*(session.fire([firing_of(task) for task in tasks]) for session in nodes.sessions))
        won = [run.task_id for runs in fired for run in runs]
        if sorted(won) != sorted(task.id for task in tasks):
            raise RuleBrokenError(rules.ONE_FIRING_WINS, f"4 nodes fired 25 tasks, and {len(won)} firings succeeded")
        stored = await nodes.first.runs(RunQuery())
        if len(stored) != 25:
            raise RuleBrokenError(rules.ONE_FIRING_WINS, f"25 due times became {len(stored)} runs")

    @checks(rules.NOT_EARLY)
    async def test_firing_before_due_time_fails(self) -> None:
        nodes = await self._nodes(1)
        task = await nodes.declare(new_task("task", due=nodes.now + SECOND))
        if await nodes.first.fire([firing_of(task)]):
            raise RuleBrokenError(rules.NOT_EARLY, "a task was fired one second before its due time")
        nodes.advance(1)
        # As a node with a fast clock computes it.
        later = task.next_due or DUE
        runs = (new_run("task", later), new_run("task", later + SECOND))
        early = firing_of(task).model_copy(update={"runs": runs, "next_due": later + HOUR})
        if await nodes.first.fire([early]):
            raise RuleBrokenError(rules.NOT_EARLY, "a run was fired one second before its due time")
        if not await nodes.first.fire([firing_of(task)]):
            raise RuleBrokenError(rules.NOT_EARLY, "a task was not fired at its due time")

    @checks(rules.CURRENT_DEFINITION)
    async def test_firing_with_old_definition_fails(self) -> None:
        nodes = await self._nodes(1)
        task = await nodes.declare(new_task("task"))
        changed = await nodes.first.change(task.model_copy(update={"options": '{"timeout": 5}'}))
        wrong_due = firing_of(expect_changed(changed)).model_copy(update={"due": DUE - SECOND})
        for firing, difference in ((firing_of(task), "version"), (wrong_due, "due time")):
            if await nodes.first.fire([firing]):
                raise RuleBrokenError(rules.CURRENT_DEFINITION, f"a firing with another {difference} succeeded")
        await self._expect_due(nodes, "task", DUE, rules.CURRENT_DEFINITION)

    @checks(rules.ONLY_ACTIVE_TASKS)
    async def test_inactive_tasks_are_not_fired(self) -> None:
        nodes = await self._nodes(1)
        inactive: tuple[dict[str, object], ...] = (
            {"paused": True},
            {"state": "undeclared"},
            {"state": "parked", "problem": "unknown function"},
        )
        for number, update in enumerate(inactive):
            task = await nodes.declare(new_task(f"task-{number}"))
            changed = expect_changed(await nodes.first.change(task.model_copy(update=update)))
            if await nodes.first.fire([firing_of(changed)]):
                raise RuleBrokenError(rules.ONLY_ACTIVE_TASKS, f"a task with {update} was fired")
        removed = await nodes.declare(new_task("removed"))
        _ = await nodes.first.remove([removed.id])
        if await nodes.first.fire([firing_of(removed)]):
            raise RuleBrokenError(rules.ONLY_ACTIVE_TASKS, "a removed task was fired")

    @checks(rules.ADVANCED)
    async def test_firing_advances_the_task(self) -> None:
        nodes = await self._nodes(1)
        task = await nodes.declare(new_task("task"))
        _ = await nodes.first.fire([firing_of(task)])
        await self._expect_due(nodes, "task", DUE + HOUR, rules.ADVANCED)
        if await nodes.first.changes(task.revision, 10):
            raise RuleBrokenError(rules.ADVANCED, "a firing was reported as a change")
        nodes.advance(3600)
        _ = nodes.first.renew()
        again = firing_of(task.model_copy(update={"next_due": DUE + HOUR}))
        if not await nodes.first.fire([again.model_copy(update={"next_due": None})]):
            raise RuleBrokenError(rules.ADVANCED, "the next due time was not fired")
        await self._expect_due(nodes, "task", None, rules.ADVANCED)

    @checks(rules.ONE_RUN_PER_DUE_TIME)
    async def test_due_time_has_one_run(self) -> None:
        nodes = await self._nodes(1)
        task = await nodes.declare(new_task("task"))
        _ = await nodes.first.fire([firing_of(task)])
        set_back = expect_changed(await nodes.first.change(task.model_copy(update={"next_due": DUE})))
        if await nodes.first.fire([firing_of(set_back)]):
            raise RuleBrokenError(rules.ONE_RUN_PER_DUE_TIME, "a due time became two runs")
        if len(await nodes.first.runs(RunQuery())) != 1:
            raise RuleBrokenError(rules.ONE_RUN_PER_DUE_TIME, "the history has two runs of one due time")

    @checks(rules.INDEPENDENT_FIRINGS)
    async def test_failed_firing_does_not_affect_others(self) -> None:
        nodes = await self._nodes(1)
        tasks = await nodes.first.declare([new_task(f"task-{number}") for number in range(5)], "update")
        firings = [firing_of(task) for task in tasks]
        firings[2] = firings[2].model_copy(update={"version": 99})
        firings.insert(1, firing_of(new_task("unknown")))
        fired = {run.task_id for run in await nodes.first.fire(firings)}
        if fired != {"task-0", "task-1", "task-3", "task-4"}:
            raise RuleBrokenError(rules.INDEPENDENT_FIRINGS, f"of 4 valid firings of 6, those of {fired} succeeded")

    @checks(rules.FIRST_OWNER)
    async def test_fired_runs_have_their_owner(self) -> None:
        nodes = await self._nodes(1)
        task = await nodes.declare(new_task("task"))
        runs = (
            new_run("task", DUE - 2 * HOUR, kind="missed", state="missed", missed=3),
            new_run("task", DUE - HOUR, state="waiting"),
            new_run("task", DUE),
        )
        fired = await nodes.first.fire([firing_of(task).model_copy(update={"runs": runs})])
        found = [(run.state, run.node, run.fence, run.missed) for run in fired]
        node = nodes.ids[0]
        if found != [("missed", None, 0, 3), ("waiting", None, 0, 0), ("running", node, 1, 0)]:
            raise RuleBrokenError(rules.FIRST_OWNER, f"the fired runs are (state, node, fence, missed): {found}")

    # Outcomes

    @checks(rules.ONE_OUTCOME)
    async def test_one_outcome_is_accepted(self) -> None:
        nodes = await self._nodes(2)
        run = await nodes.running_run()
        accepted = await asyncio.gather(
            *(
                session.finish([outcome_of(run, result=f"{number}")])
                for number, session in enumerate(nodes.sessions * 4)
            )
        )
        if sum(len(ids) for ids in accepted) != 1:
            raise RuleBrokenError(rules.ONE_OUTCOME, f"of 8 outcomes of a run, {accepted} were accepted")
        if await nodes.first.finish([outcome_of(run).model_copy(update={"run_id": uuid4()})]):
            raise RuleBrokenError(rules.ONE_OUTCOME, "the outcome of an unknown run was accepted")

    @checks(rules.FENCE)
    async def test_late_outcome_is_rejected(self) -> None:
        nodes = await self._nodes(2)
        run = await nodes.running_run()
        nodes.advance(self.ttl.total_seconds() + 1)
        _ = nodes.sessions[1].renew()
        (taken,) = await nodes.sessions[1].take_over(10)
        if taken.fence <= run.fence:
            raise RuleBrokenError(rules.FENCE, f"the fence was {run.fence} before and {taken.fence} after a take-over")
        if await nodes.first.finish([outcome_of(run)]):
            raise RuleBrokenError(rules.FENCE, "the outcome of the former owner was accepted")
        if await nodes.sessions[1].finish([outcome_of(taken)]) != [run.id]:
            raise RuleBrokenError(rules.FENCE, "the outcome of the new owner was rejected")
        (stored,) = await nodes.first.runs(RunQuery())
        if stored.fence <= taken.fence:
            raise RuleBrokenError(rules.FENCE, "the outcome did not change the fence")

    @checks(rules.REPEATED_OUTCOME)
    async def test_repeated_outcome_is_accepted(self) -> None:
        nodes = await self._nodes(2)
        run = await nodes.running_run()
        back = outcome_of(run).model_copy(update={"state": "waiting", "attempt": 2, "finished_at": None})
        for number in range(3):
            if await nodes.first.finish([back]) != [run.id]:
                raise RuleBrokenError(rules.REPEATED_OUTCOME, f"call {number + 1} that gives a run back was rejected")
        (claimed,) = await nodes.sessions[1].claim({"asyncio": 1}, 1)
        if await nodes.first.finish([back]):
            raise RuleBrokenError(rules.REPEATED_OUTCOME, "a run was given back by its former owner")
        outcome = outcome_of(claimed).model_copy(update={"attempt": 2, "error": ODD_TEXT, "started_at": DUE})
        stored: list[RunRecord] = []
        for number in range(3):
            if await nodes.sessions[1].finish([outcome]) != [run.id]:
                raise RuleBrokenError(rules.REPEATED_OUTCOME, f"call {number + 1} with an outcome was rejected")
            stored += await nodes.first.runs(RunQuery())
        if stored[1:] != stored[:-1]:
            raise RuleBrokenError(rules.REPEATED_OUTCOME, f"a repeated outcome changed the run: {stored}")
        other = outcome.model_copy(update={"started_at": DUE + timedelta(microseconds=1)})
        if await nodes.sessions[1].finish([other]):
            raise RuleBrokenError(rules.REPEATED_OUTCOME, "a second outcome with another time was accepted")

    @checks(rules.OUTCOMES_KEPT)
    async def test_outcome_is_kept(self) -> None:
        nodes = await self._nodes(1)
        run = await nodes.running_run()
        outcome = Outcome(
            run_id=run.id,
            fence=run.fence,
            state="error",
            attempt=3,
            started_at=DUE + timedelta(microseconds=1),
            finished_at=DUE + timedelta(microseconds=999_999),
            result=None,
            error=f"ValueError: {ODD_TEXT}",
            traceback=f"Traceback\n{ODD_TEXT}" * 100,
        )
        _ = await nodes.first.finish([outcome])
        (stored,) = await nodes.first.runs(RunQuery())
        for name in ("state", "attempt", "started_at", "finished_at", "result", "error", "traceback"):
            if getattr(stored, name) != getattr(outcome, name):
                raise RuleBrokenError(rules.OUTCOMES_KEPT, f"{name} is {getattr(stored, name)!r} in the history")

    @checks(rules.HANDED_OVER)
    async def test_result_is_handed_over_once(self) -> None:
        nodes = await self._nodes(2)
        run = await nodes.running_run()
        then = tuple(new_run(f"next-{n}", DUE, kind="submitted", state="waiting") for n in range(2))
        outcome = outcome_of(run).model_copy(update={"then": then})
        nodes.advance(self.ttl.total_seconds() + 1)
        _ = nodes.sessions[1].renew()
        (taken,) = await nodes.sessions[1].take_over(10)
        _ = await nodes.first.finish([outcome])
        if len(await nodes.first.runs(RunQuery())) != 1:
            raise RuleBrokenError(rules.HANDED_OVER, "a rejected outcome has handed over its result")
        accepted = outcome.model_copy(update={"fence": taken.fence})
        for _ in range(2):
            # The answer of the first call may have been lost.
            _ = await nodes.sessions[1].finish([accepted])
        found = [each for each in await nodes.first.runs(RunQuery()) if each.task_id != run.task_id]
        if sorted(each.id for each in found) != sorted(each.id for each in then):
            raise RuleBrokenError(rules.HANDED_OVER, f"2 runs were handed over, stored were {found}")
        if any((each.state, each.fence, each.created_at) != ("waiting", 0, nodes.now) for each in found):
            raise RuleBrokenError(rules.HANDED_OVER, f"the runs that were handed over do not wait: {found}")
        claimed = await nodes.first.claim({"asyncio": 9}, 9) or await nodes.sessions[1].claim({"asyncio": 9}, 9)
        _ = await nodes.sessions[1].finish([outcome_of(each) for each in claimed])
        _ = await nodes.sessions[1].prune({"executed": timedelta()}, 1)
        _ = await nodes.sessions[1].finish([accepted])
        if len(claimed) != 2 or await nodes.first.runs(RunQuery(states=("waiting",))):
            raise RuleBrokenError(rules.HANDED_OVER, "a result was handed over again, or its runs cannot be claimed")

    @checks(rules.GIVEN_BACK)
    async def test_run_given_back_waits(self) -> None:
        nodes = await self._nodes(2)
        run = await nodes.running_run()
        again = outcome_of(run).model_copy(
            update={"state": "waiting", "attempt": 2, "not_before": nodes.now + 5 * SECOND, "finished_at": None}
        )
        if await nodes.first.finish([again]) != [run.id]:
            raise RuleBrokenError(rules.GIVEN_BACK, "the owner could not give its run back")
        if await nodes.first.finish([outcome_of(run)]):
            raise RuleBrokenError(rules.GIVEN_BACK, "the former owner could still finish the run that it gave back")
        if await nodes.sessions[1].claim({"asyncio": 5}, 5):
            raise RuleBrokenError(rules.GIVEN_BACK, "a waiting run was claimed before its time")
        nodes.advance(5)
        claimed = await nodes.sessions[1].claim({"asyncio": 5}, 5)
        if [(each.id, each.attempt, each.node) for each in claimed] != [(run.id, 2, nodes.ids[1])]:
            raise RuleBrokenError(rules.GIVEN_BACK, f"another node claimed {claimed} instead of the run")

    # Waiting runs

    @checks(rules.ONE_CLAIM)
    async def test_run_is_claimed_once(self) -> None:
        nodes = await self._nodes(4)
        runs = [new_run("task", DUE + number * SECOND, kind="submitted", state="waiting") for number in range(20)]
        _ = await nodes.first.submit(runs)
        claimed = await asyncio.gather(*(session.claim({"asyncio": 20}, 20) for session in nodes.sessions))
        ids = [run.id for each in claimed for run in each]
        if sorted(ids) != sorted(run.id for run in runs):
            raise RuleBrokenError(rules.ONE_CLAIM, f"4 nodes claimed {len(ids)} runs, {len({*ids})} of 20 different")
        if any(run.fence < 1 or run.state != "running" for each in claimed for run in each):
            raise RuleBrokenError(rules.ONE_CLAIM, "a claimed run is not running, or has no fence")

    @checks(rules.CLAIMS_WITHIN_BOUNDS)
    async def test_claim_keeps_its_bounds(self) -> None:
        nodes = await self._nodes(1)
        runs = [
            new_run(
                "task", DUE + number * SECOND, kind="submitted", state="waiting", executor=("io", "cpu")[number % 2]
            )
            for number in range(10)
        ]
        _ = await nodes.first.submit(runs)
        attempts: tuple[tuple[dict[str, int], int, list[int]], ...] = (
            ({"io": 2, "cpu": 0}, 10, [0, 2]),
            ({"io": 10, "cpu": 10}, 3, [1, 3, 4]),
            ({"other": 5}, 10, []),
            ({"cpu": 1, "io": 10}, 10, [5, 6, 8]),
        )
        for slots, limit, expected in attempts:
            claimed = await nodes.first.claim(slots, limit)
            if [run.id for run in claimed] != [runs[number].id for number in expected]:
                times = [run.scheduled_at - DUE for run in claimed]
                raise RuleBrokenError(
                    rules.CLAIMS_WITHIN_BOUNDS, f"with {slots} and limit {limit}, claimed were the runs at {times}"
                )

    @checks(rules.CLAIMS_WITHIN_BOUNDS)
    async def test_claim_leaves_out_tasks(self) -> None:
        nodes = await self._nodes(1)
        runs = [new_run(("a", "b", "c")[number % 3], DUE, kind="submitted", state="waiting") for number in range(9)]
        _ = await nodes.first.submit(runs)
        claimed = await nodes.first.claim({"asyncio": 2}, 9, ["a", "c", "unknown"])
        if [run.id for run in claimed] != [runs[1].id, runs[4].id]:
            raise RuleBrokenError(rules.CLAIMS_WITHIN_BOUNDS, f"claimed were {claimed} of excluded tasks")

    @checks(rules.SUBMITTED_ONCE)
    async def test_run_is_submitted_once(self) -> None:
        nodes = await self._nodes(2)
        runs = [new_run("task", DUE, kind="submitted", state="waiting") for _ in range(2)]
        added = await nodes.first.submit(runs)
        if [run.id for run in added] != [run.id for run in runs]:
            raise RuleBrokenError(rules.SUBMITTED_ONCE, "two runs that were submitted at the same time became one")
        if await nodes.sessions[1].submit(runs[:1]):
            raise RuleBrokenError(rules.SUBMITTED_ONCE, "a run was stored twice")
        claimed = await nodes.sessions[1].claim({"asyncio": 9}, 9)
        if len(claimed) != 2:
            raise RuleBrokenError(rules.SUBMITTED_ONCE, f"another node claimed {len(claimed)} of 2 submitted runs")

    # Leases

    @checks(rules.TAKE_OVER_THE_DEAD)
    async def test_runs_of_dead_nodes_are_taken_over(self) -> None:
        nodes = await self._nodes(4)
        run = await nodes.running_run()
        nodes.advance(self.ttl.total_seconds() + 1)
        for session in nodes.sessions[1:]:
            _ = session.renew()
        taken = await asyncio.gather(*(session.take_over(10) for session in nodes.sessions[1:]))
        owners = [each for runs in taken for each in runs]
        if [each.id for each in owners] != [run.id]:
            raise RuleBrokenError(rules.TAKE_OVER_THE_DEAD, f"3 nodes took over {len(owners)} runs of 1")
        owner = next(number for number, runs in enumerate(taken, start=1) if runs)
        await nodes.sessions[owner].close()
        heir = nodes.sessions[1 if owner != 1 else 2]
        if [each.id for each in await heir.take_over(10)] != [run.id]:
            raise RuleBrokenError(rules.TAKE_OVER_THE_DEAD, "the run of a closed session was not taken over at once")

    @checks(rules.FORMER_OWNER)
    async def test_lost_run_names_its_former_owner(self) -> None:
        nodes = await self._nodes(2)
        run = await nodes.running_run()
        await nodes.first.close()
        heir, former = nodes.sessions[1], nodes.ids[0]
        taken = await heir.take_over(10)
        if [(each.id, each.node, each.lost_node) for each in taken] != [(run.id, nodes.ids[1], former)]:
            raise RuleBrokenError(rules.FORMER_OWNER, f"the node {former} has lost the run, taken over were {taken}")
        if any(each.lost_node is not None for each in await heir.runs(RunQuery())):
            raise RuleBrokenError(rules.FORMER_OWNER, "a run of the history names a lost node as that of a take-over")
        outcome = outcome_of(taken[0]).model_copy(update={"state": "error", "lost_node": former})
        _ = await heir.finish([outcome])
        if [each.node for each in await heir.runs(RunQuery())] != [former]:
            raise RuleBrokenError(rules.FORMER_OWNER, "the outcome of a lost run does not name the lost node")
        if await heir.finish([outcome]) != [run.id]:
            raise RuleBrokenError(rules.FORMER_OWNER, "an outcome that names a lost node is accepted once only")

    @checks(rules.SPARE_THE_LIVING)
    async def test_runs_of_living_nodes_are_spared(self) -> None:
        nodes = await self._nodes(2)
        _ = await nodes.running_run()
        for _ in range(3):
            nodes.advance(self.ttl.total_seconds() * 0.9)
            _ = [session.renew() for session in nodes.sessions]
            if await nodes.sessions[1].take_over(10):
                raise RuleBrokenError(rules.SPARE_THE_LIVING, "the run of a node that renews its lease was taken over")

    @checks(rules.NO_RIGHTS_WITHOUT_LEASE)
    async def test_node_without_lease_has_no_rights(self) -> None:
        nodes = await self._nodes(2)
        task = await nodes.declare(new_task("task"))
        _ = await nodes.first.submit([new_run("task", DUE, kind="submitted", state="waiting")])
        _ = await nodes.running_run("other")
        nodes.advance(self.ttl.total_seconds() + 1)
        session = nodes.sessions[1]
        for found, method in (
            (await session.fire([firing_of(task)]), "fired"),
            (await session.claim({"asyncio": 9}, 9), "claimed"),
            (await session.take_over(9), "took over"),
        ):
            if found:
                raise RuleBrokenError(rules.NO_RIGHTS_WITHOUT_LEASE, f"a node whose lease is over {method} runs")
        _ = session.renew()
        if not await session.fire([firing_of(task)]):
            raise RuleBrokenError(rules.NO_RIGHTS_WITHOUT_LEASE, "a node that renewed its lease could not fire")

    @checks(rules.LOST_LEASE)
    async def test_lost_lease_is_reported(self) -> None:
        nodes = await self._nodes(1)
        leases = [nodes.first.lease, nodes.first.renew()]
        nodes.advance(self.ttl.total_seconds() + 1)
        leases += [nodes.first.renew(), nodes.first.renew()]
        if [lease.lost for lease in leases] != [False, False, True, False]:
            raise RuleBrokenError(rules.LOST_LEASE, f"`lost` of four leases is {[lease.lost for lease in leases]}")
        last = leases[-1]
        if (last.now, last.until) != (nodes.now, nodes.now + self.ttl) or nodes.first.lease != last:
            raise RuleBrokenError(rules.LOST_LEASE, f"the last lease is {nodes.first.lease}, at {nodes.now}")

    @checks(rules.NODES)
    async def test_nodes_are_those_with_a_lease(self) -> None:
        nodes = await self._nodes(3)
        await nodes.sessions[2].close()
        if [node.id for node in await nodes.first.nodes()] != sorted(nodes.ids[:2]):
            raise RuleBrokenError(rules.NODES, "a node with a closed session is among the nodes, or another one is not")
        nodes.advance(self.ttl.total_seconds() + 1)
        _ = nodes.first.renew()
        found = [(node.id, node.name, node.lease_until) for node in await nodes.first.nodes()]
        if found != [(nodes.ids[0], "node 0", nodes.now + self.ttl)]:
            raise RuleBrokenError(rules.NODES, f"after the end of a lease, the nodes are {found}")

    @checks(rules.NEWS)
    async def test_renewal_reports_news(self) -> None:
        nodes = await self._nodes(2)
        first, (one, two) = nodes.first, sorted(nodes.ids)
        if first.renew().news is None:
            # A store that does not look for news is asked by other methods.
            return

        def expect(**expected: object) -> None:
            known = {"nodes": (one, two), "revision": task.revision, "waiting": False, "overdue": False, "lost": False}
            news = first.renew().news
            if news is None or news.model_dump() != known | expected:
                raise RuleBrokenError(rules.NEWS, f"the news are {news}, not {known | expected}")

        task = await nodes.declare(new_task("task", due=nodes.now))
        expect()
        nodes.advance(0.4)
        expect()
        nodes.advance(0.2)
        expect(overdue=True)
        paused = expect_changed(await first.change(task.model_copy(update={"paused": True})))
        expect(revision=paused.revision)
        not_before = nodes.now + 2 * SECOND
        waiting = new_run("task", DUE, kind="submitted", state="waiting").model_copy(update={"not_before": not_before})
        _ = await first.submit([waiting])
        expect(revision=paused.revision)
        nodes.advance(3)
        expect(revision=paused.revision, waiting=True)
        (_,) = await nodes.sessions[1].claim({"asyncio": 1}, 1)
        expect(revision=paused.revision)
        nodes.advance(self.ttl.total_seconds())
        expect(revision=paused.revision, lost=True, nodes=(nodes.ids[0],))
        (_,) = await first.take_over(10)
        expect(revision=paused.revision, nodes=(nodes.ids[0],))
        nodes.advance(self.ttl.total_seconds() + 1)
        # The runs of this node are not lost: it has a lease again.
        expect(revision=paused.revision, nodes=(nodes.ids[0],))

    # Declarations and changes

    @checks(rules.UNCHANGED_DECLARATION)
    async def test_unchanged_declaration_writes_nothing(self) -> None:
        nodes = await self._nodes(2)
        task = await nodes.declare(new_task("task"))
        _ = await nodes.first.fire([firing_of(task)])
        paused = expect_changed(
            await nodes.first.change(task.model_copy(update={"paused": True, "next_due": DUE + HOUR}))
        )
        declared = new_task("task", due=DUE + 9 * HOUR)
        for policy in ("update", "keep", "refuse"):
            (again,) = await nodes.sessions[1].declare([declared], policy)
            if again != paused:
                raise RuleBrokenError(rules.UNCHANGED_DECLARATION, f"with {policy!r}, {paused} became {again}")
        if await nodes.first.changes(paused.revision, 10):
            raise RuleBrokenError(rules.UNCHANGED_DECLARATION, "an unchanged declaration was written")

    @checks(rules.CHANGED_DECLARATION)
    async def test_changed_declaration_follows_policy(self) -> None:
        nodes = await self._nodes(1)
        for policy in ("update", "keep", "replace"):
            task = await nodes.declare(new_task(policy))
            _ = await nodes.first.change(task.model_copy(update={"paused": True}))
            changed = new_task(policy, due=DUE + HOUR).model_copy(
                update={"declaration": "other", "executor": "io", "trigger": '{"other": 1}'}
            )
            (now,) = await nodes.first.declare([changed], policy)
            found = (now.executor, now.paused, now.next_due)
            expected = {
                "update": ("io", True, DUE + HOUR),
                "keep": ("asyncio", True, DUE),
                "replace": ("io", False, DUE + HOUR),
            }[policy]
            if found != expected:
                raise RuleBrokenError(rules.CHANGED_DECLARATION, f"with {policy!r}, (executor, paused, due) is {found}")
        task = await nodes.declare(new_task("refuse"))
        other = task.model_copy(update={"declaration": "other"})
        try:
            _ = await nodes.first.declare([new_task("new"), other], "refuse")
        except StoredTaskConflictError:
            pass
        else:
            raise RuleBrokenError(rules.CHANGED_DECLARATION, "`refuse` raised nothing")
        if any(each.id == "new" for each in await nodes.first.changes(task.revision, 10)):
            raise RuleBrokenError(rules.CHANGED_DECLARATION, "`refuse` raised, and wrote another task")

    @checks(rules.NEWER_PROGRAM)
    async def test_newer_declaration_is_not_overwritten(self) -> None:
        nodes = await self._nodes(1)
        newer = await nodes.declare(new_task("task").model_copy(update={"app_version": 2, "declaration": "newer"}))
        for policy in ("update", "replace"):
            older = new_task("task").model_copy(update={"app_version": 1, "declaration": "older", "executor": "old"})
            (now,) = await nodes.first.declare([older], policy)
            if now != newer:
                raise RuleBrokenError(rules.NEWER_PROGRAM, f"with {policy!r}, version 1 overwrote version 2")

    @checks(rules.COMPARE_AND_CHANGE)
    async def test_change_compares_the_version(self) -> None:
        nodes = await self._nodes(4)
        new = new_task("task").model_copy(update={"declaration": ""})
        added = await asyncio.gather(*(session.change(new) for session in nodes.sessions))
        if sum(record is not None for record in added) != 1:
            raise RuleBrokenError(rules.COMPARE_AND_CHANGE, f"4 nodes added one task, and the results were {added}")
        (task,) = [record for record in added if record is not None]
        changed = await asyncio.gather(
            *(
                session.change(task.model_copy(update={"options": f"{{{n}}}"}))
                for n, session in enumerate(nodes.sessions)
            )
        )
        winners = [record for record in changed if record is not None]
        if len(winners) != 1 or winners[0].version == task.version:
            raise RuleBrokenError(rules.COMPARE_AND_CHANGE, f"4 nodes changed one task, and the results were {changed}")
        (stored,) = await nodes.first.changes(0, 10)
        if stored != winners[0]:
            raise RuleBrokenError(rules.COMPARE_AND_CHANGE, f"stored is {stored}, not {winners[0]}")

    @checks(rules.REMOVED)
    async def test_removed_task_leaves_its_history(self) -> None:
        nodes = await self._nodes(1)
        run = await nodes.running_run("task")
        removed = await nodes.first.remove(["unknown", "task"])
        if [*removed] != ["task"] or [*await nodes.first.remove(["task"])]:
            raise RuleBrokenError(rules.REMOVED, f"removing a task and an unknown id returned {removed}")
        if await nodes.first.finish([outcome_of(run)]) != [run.id] or len(await nodes.first.runs(RunQuery())) != 1:
            raise RuleBrokenError(rules.REMOVED, "the run of a removed task could not be finished, or is gone")
        again = await nodes.declare(new_task("task", due=DUE + HOUR))
        nodes.advance(3600)
        _ = nodes.first.renew()
        if len(await nodes.first.fire([firing_of(again)])) != 1:
            raise RuleBrokenError(rules.REMOVED, "the id of a removed task cannot be used again")

    @checks(rules.CHANGES)
    async def test_changes_are_reported_once(self) -> None:
        nodes = await self._nodes(2)
        tasks = await nodes.first.declare([new_task(f"task-{number}") for number in range(7)], "update")
        _ = await nodes.first.change(tasks[3].model_copy(update={"paused": True}))
        _ = await nodes.sessions[1].remove(["task-5"])
        pages: list[TaskRecord] = []
        since = 0
        while page := await nodes.sessions[1].changes(since, 2):
            pages += page
            since = page[-1].revision
            if len(page) > 2 or len(pages) > 20:
                raise RuleBrokenError(rules.CHANGES, "pages of changes are longer than their limit, or never end")
        if sorted(task.id for task in pages) != sorted(task.id for task in tasks):
            raise RuleBrokenError(rules.CHANGES, f"7 tasks were changed, reported were {[task.id for task in pages]}")
        if [(task.id, task.paused, task.removed) for task in pages[-2:]] != [
            ("task-3", True, False),
            ("task-5", False, True),
        ]:
            raise RuleBrokenError(rules.CHANGES, f"the last changes are not the latest: {pages[-2:]}")

    @checks(rules.OVERDUE)
    async def test_overdue_tasks_are_found(self) -> None:
        nodes = await self._nodes(1)
        late = (("b", 5), ("a", 60), ("paused", 60), ("c", 1))
        for name, seconds in late:
            task = await nodes.declare(new_task(name, due=nodes.now - seconds * SECOND))
            if name == "paused":
                _ = await nodes.first.change(task.model_copy(update={"paused": True}))
        questions: tuple[tuple[float, int, list[str]], ...] = (
            (2, 9, ["a", "b"]),
            (2, 1, ["a"]),
            (0.5, 9, ["a", "b", "c"]),
            (90, 9, []),
        )
        for by, limit, expected in questions:
            found = [task.id for task in await nodes.first.overdue(timedelta(seconds=by), limit)]
            if found != expected:
                raise RuleBrokenError(rules.OVERDUE, f"overdue by {by} s are {found}, not {expected}")

    @checks(rules.OVERDUE)
    async def test_overdue_tasks_are_paged(self) -> None:
        nodes = await self._nodes(1)
        # Several tasks have the same due time.
        ids = [f"task-{number}" for number in range(7)]
        for number, task_id in enumerate(ids):
            _ = await nodes.declare(new_task(task_id, due=nodes.now - (60 - number // 3) * SECOND))
        found: list[str] = []
        after: tuple[datetime, str] | None = None
        while page := await nodes.first.overdue(SECOND, 2, after):
            found += [task.id for task in page]
            after = page[-1].next_due or DUE, page[-1].id
            if len(page) > 2 or len(found) > 20:
                break
        if found != ids:
            raise RuleBrokenError(rules.OVERDUE, f"the pages of 7 overdue tasks contain {found}")
