"""Stores that break one promise each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from typing_extensions import override

from asyncz.clock import utc
from asyncz.stores import (
    ExistingTaskPolicy,
    FinalRunState,
    Firing,
    Lease,
    MemoryStore,
    NodeRecord,
    Outcome,
    RunQuery,
    RunRecord,
    RunReport,
    TaskRecord,
)
from asyncz.stores.memory import MemoryStoreSession


class BrokenSession(MemoryStoreSession):
    """Base class of sessions that break a promise."""

    breaks: ClassVar[str]
    """Name of the rule."""


class BrokenStore(MemoryStore):
    """Store with broken sessions."""

    def __init__(self, session: type[BrokenSession], now: Callable[[], float]) -> None:
        super().__init__(now=now)
        self._session = session

    @override
    async def connect(self, node: NodeRecord, ttl: timedelta, /) -> BrokenSession:
        return self._session(self._tables, self._lock, lambda: utc(self._now()), node, ttl)


class FiresAgain(BrokenSession):
    breaks = "one firing wins"

    @override
    def _fire(self, firing: Firing, now: datetime) -> list[RunRecord]:
        self._tables.due_times.clear()
        if (task := self._tables.tasks.get(firing.task_id)) is not None and task.next_due == firing.next_due:
            self._tables.tasks[task.id] = task.model_copy(update={"next_due": firing.due})
        return [*super()._fire(firing, now)]


class FiresEarly(BrokenSession):
    breaks = "not early"

    @override
    def _fire(self, firing: Firing, now: datetime) -> list[RunRecord]:
        return [*super()._fire(firing, now + timedelta(seconds=1))]


class FiresLaterRuns(BrokenSession):
    breaks = "not early"

    @override
    def _fire(self, firing: Firing, now: datetime) -> list[RunRecord]:
        runs = [*super()._fire(firing.model_copy(update={"runs": ()}), now)]
        if self._tables.tasks[firing.task_id].next_due == firing.next_due:
            runs += [self._tables.add_run(self._with_first_owner(run), now) for run in firing.runs]
        return runs


class IgnoresVersions(BrokenSession):
    breaks = "current definition"

    @override
    def _fire(self, firing: Firing, now: datetime) -> list[RunRecord]:
        task = self._tables.tasks.get(firing.task_id)
        version = firing.version if task is None else task.version
        return [*super()._fire(firing.model_copy(update={"version": version}), now)]


class FiresPausedTasks(BrokenSession):
    breaks = "only active tasks"

    @override
    def _fire(self, firing: Firing, now: datetime) -> list[RunRecord]:
        task = self._tables.tasks.get(firing.task_id)
        if task is not None:
            self._tables.tasks[task.id] = task.model_copy(update={"paused": False})
        return [*super()._fire(firing, now)]


class ReportsFirings(BrokenSession):
    breaks = "advanced"

    @override
    def _fire(self, firing: Firing, now: datetime) -> list[RunRecord]:
        fired = [*super()._fire(firing, now)]
        for run in fired:
            self._tables.revision += 1
            task = self._tables.tasks[run.task_id]
            self._tables.tasks[run.task_id] = task.model_copy(update={"revision": self._tables.revision})
        return fired


class ForgetsDueTimes(BrokenSession):
    breaks = "one run per due time"

    @override
    def _fire(self, firing: Firing, now: datetime) -> list[RunRecord]:
        self._tables.due_times.clear()
        return [*super()._fire(firing, now)]


class FiresAllOrNothing(BrokenSession):
    breaks = "independent firings"

    @override
    async def fire(self, firings: Sequence[Firing], /) -> Sequence[RunRecord]:
        known = self._tables.tasks
        if all(firing.task_id in known and known[firing.task_id].version == firing.version for firing in firings):
            return await super().fire(firings)
        return ()


class FiresWithoutFence(BrokenSession):
    breaks = "first owner"

    @override
    def _fire(self, firing: Firing, now: datetime) -> list[RunRecord]:
        return [run.model_copy(update={"node": None, "fence": 0}) for run in super()._fire(firing, now)]


class AcceptsEveryOutcome(BrokenSession):
    breaks = "one outcome"

    @override
    def _finish(self, outcome: Outcome) -> bool:
        run = self._tables.runs.get(outcome.run_id)
        return run is not None and super()._finish(outcome.model_copy(update={"fence": run.fence}))


class ComparesStates(BrokenSession):
    """Rejects outcomes of finished runs, as a fence would, but not those of a former owner."""

    breaks = "fence"

    @override
    def _finish(self, outcome: Outcome) -> bool:
        run = self._tables.runs.get(outcome.run_id)
        if run is None or run.done:
            return False
        return super()._finish(outcome.model_copy(update={"fence": run.fence}))


class ForgetsTracebacks(BrokenSession):
    breaks = "outcomes kept"

    @override
    def _finish(self, outcome: Outcome) -> bool:
        return super()._finish(outcome.model_copy(update={"traceback": outcome.traceback[:1000]}))


class HandsOverRejectedResults(BrokenSession):
    breaks = "handed over"

    @override
    def _finish(self, outcome: Outcome) -> bool:
        self._hand_over(outcome.then)
        return super()._finish(outcome)


class ForgetsDownstreamTasks(BrokenSession):
    breaks = "handed over"

    @override
    def _finish(self, outcome: Outcome) -> bool:
        return super()._finish(outcome.model_copy(update={"then": ()}))


class IgnoresDelays(BrokenSession):
    breaks = "given back"

    @override
    def _finish(self, outcome: Outcome) -> bool:
        return super()._finish(outcome.model_copy(update={"not_before": None}))


class ClaimsForTwo(BrokenSession):
    breaks = "one claim"

    @override
    async def claim(self, executors: Mapping[str, int], limit: int, skip: Sequence[str] = (), /) -> Sequence[RunRecord]:
        claimed = await super().claim(executors, limit, skip)
        for run in claimed:
            self._tables.runs[run.id] = run.model_copy(update={"state": "waiting"})
        return claimed


class ClaimsWithoutSlots(BrokenSession):
    breaks = "claims within bounds"

    @override
    async def claim(self, executors: Mapping[str, int], limit: int, skip: Sequence[str] = (), /) -> Sequence[RunRecord]:
        return await super().claim(dict.fromkeys(executors, limit), limit, skip)


class ClaimsExcludedTasks(BrokenSession):
    breaks = "claims within bounds"

    @override
    async def claim(self, executors: Mapping[str, int], limit: int, skip: Sequence[str] = (), /) -> Sequence[RunRecord]:
        return await super().claim(executors, limit)


class NeverTakesOver(BrokenSession):
    breaks = "take over the dead"

    @override
    async def take_over(self, limit: int, /) -> Sequence[RunRecord]:
        return ()


class ForgetsFormerOwners(BrokenSession):
    breaks = "former owner"

    @override
    async def take_over(self, limit: int, /) -> Sequence[RunRecord]:
        return [run.model_copy(update={"lost_node": None}) for run in await super().take_over(limit)]


class BlamesTheHeir(BrokenSession):
    breaks = "former owner"

    @override
    def _finish(self, outcome: Outcome) -> bool:
        return super()._finish(outcome.model_copy(update={"lost_node": None}))


class TakesOverEverything(BrokenSession):
    breaks = "spare the living"

    @override
    async def take_over(self, limit: int, /) -> Sequence[RunRecord]:
        return [self._own(run) for run in self._tables.runs.values() if run.state == "running"][:limit]


class ActsWithoutLease(BrokenSession):
    breaks = "no rights without lease"

    @override
    async def claim(self, executors: Mapping[str, int], limit: int, skip: Sequence[str] = (), /) -> Sequence[RunRecord]:
        _ = self.renew()
        return await super().claim(executors, limit, skip)


class HidesLostLeases(BrokenSession):
    breaks = "lost lease"

    @override
    def renew(self) -> Lease:
        self._lease = super().renew().model_copy(update={"lost": False})
        return self._lease


class HidesWaitingRuns(BrokenSession):
    breaks = "news"

    @override
    def renew(self) -> Lease:
        lease = super().renew()
        assert lease.news is not None
        return lease.model_copy(update={"news": lease.news.model_copy(update={"waiting": False})})


class ListsDeadNodes(BrokenSession):
    breaks = "nodes"

    @override
    async def nodes(self) -> Sequence[NodeRecord]:
        return sorted(self._tables.nodes.values(), key=lambda node: node.id)


class RewritesDeclarations(BrokenSession):
    breaks = "unchanged declaration"

    @override
    async def declare(self, tasks: Sequence[TaskRecord], existing: ExistingTaskPolicy, /) -> Sequence[TaskRecord]:
        for task in tasks:
            if (known := self._tables.tasks.get(task.id)) is not None:
                _ = self._tables.write_task(known)
        return await super().declare(tasks, existing)


class UnpausesUpdatedTasks(BrokenSession):
    breaks = "changed declaration"

    @override
    async def declare(self, tasks: Sequence[TaskRecord], existing: ExistingTaskPolicy, /) -> Sequence[TaskRecord]:
        return await super().declare(tasks, "replace" if existing == "update" and _changed(self, tasks) else existing)


class LetsOlderProgramsWrite(BrokenSession):
    breaks = "newer program"

    @override
    async def declare(self, tasks: Sequence[TaskRecord], existing: ExistingTaskPolicy, /) -> Sequence[TaskRecord]:
        newest = max((task.app_version for task in self._tables.tasks.values()), default=0)
        return await super().declare([task.model_copy(update={"app_version": newest}) for task in tasks], existing)


class ChangesWithoutComparing(BrokenSession):
    breaks = "compare and change"

    @override
    async def change(self, task: TaskRecord, /) -> TaskRecord | None:
        known = self._tables.tasks.get(task.id)
        return await super().change(task if known is None else task.model_copy(update={"version": known.version}))


class RemovesHistory(BrokenSession):
    breaks = "removed"

    @override
    async def remove(self, task_ids: Sequence[str], /) -> Sequence[str]:
        for run in [run for run in self._tables.runs.values() if run.task_id in task_ids]:
            del self._tables.runs[run.id]
        return await super().remove(task_ids)


class LeavesNoTombstones(BrokenSession):
    breaks = "changes"

    @override
    async def changes(self, since: int, limit: int, /) -> Sequence[TaskRecord]:
        return [task for task in await super().changes(since, limit) if not task.removed]


class ListsOverdueByName(BrokenSession):
    breaks = "overdue"

    @override
    async def overdue(
        self, by: timedelta, limit: int, after: tuple[datetime, str] | None = None, /
    ) -> Sequence[TaskRecord]:
        return sorted(await super().overdue(by, 1000, after), key=lambda task: task.id, reverse=True)[:limit]


class SkipsEqualDueTimes(BrokenSession):
    breaks = "overdue"

    @override
    async def overdue(
        self, by: timedelta, limit: int, after: tuple[datetime, str] | None = None, /
    ) -> Sequence[TaskRecord]:
        return await super().overdue(by, limit, None if after is None else (after[0], "\U0010ffff"))


class RejectsRepeatedOutcomes(BrokenSession):
    breaks = "repeated outcome"

    @override
    def _finish(self, outcome: Outcome) -> bool:
        run = self._tables.runs.get(outcome.run_id)
        return run is not None and run.fence == outcome.fence and super()._finish(outcome)


class AcceptsSecondOutcomes(BrokenSession):
    breaks = "repeated outcome"

    @override
    def _finish(self, outcome: Outcome) -> bool:
        run = self._tables.runs.get(outcome.run_id)
        if run is not None and run.fence == outcome.fence + 1 and run.state == outcome.state == "executed":
            return True
        return super()._finish(outcome)


class TrimsTheNewest(BrokenSession):
    breaks = "trimming"

    @override
    async def trim(self, task_ids: Sequence[str], keep: int, limit: int, /) -> int:
        trimmed = 0
        for task_id in task_ids:
            done = [run for run in self._tables.runs.values() if run.done and run.task_id == task_id]
            for run in done[keep:][: limit - trimmed]:
                del self._tables.runs[run.id]
                trimmed += 1
        return trimmed


class TrimsRunningRuns(BrokenSession):
    breaks = "trimming"

    @override
    async def trim(self, task_ids: Sequence[str], keep: int, limit: int, /) -> int:
        for run in tuple(self._tables.runs.values()):
            if run.state == "running" and run.task_id in task_ids:
                del self._tables.runs[run.id]
        return await super().trim(task_ids, keep, limit)


class AcceptsLateReports(BrokenSession):
    breaks = "reports"

    @override
    def _report(self, report: RunReport) -> bool:
        run = self._tables.runs.get(report.run_id)
        return run is not None and super()._report(report.model_copy(update={"fence": run.fence}))


class ForgetsFormerReports(BrokenSession):
    breaks = "reports"

    @override
    def _report(self, report: RunReport) -> bool:
        self._tables.reports.pop(report.run_id, None)
        return super()._report(report)


class KeepsReportsOfDeletedRuns(BrokenSession):
    breaks = "reports"

    @override
    async def prune(self, keep: Mapping[FinalRunState, timedelta], limit: int, /) -> int:
        reports = self._tables.reports.copy()
        pruned = await super().prune(keep, limit)
        self._tables.reports.update(reports)
        return pruned


class KeepsDeadNodes(BrokenSession):
    breaks = "dead nodes forgotten"

    @override
    async def prune(self, keep: Mapping[FinalRunState, timedelta], limit: int, /) -> int:
        nodes = self._tables.nodes.copy()
        pruned = await super().prune(keep, limit)
        self._tables.nodes = nodes
        return pruned


class ForgetsSleepingNodes(BrokenSession):
    breaks = "dead nodes forgotten"

    @override
    async def prune(self, keep: Mapping[FinalRunState, timedelta], limit: int, /) -> int:
        now = self._now()
        nodes = {node_id: node for node_id, node in self._tables.nodes.items() if self._tables.is_alive(node_id, now)}
        pruned = await super().prune(keep, limit)
        self._tables.nodes = nodes
        return pruned


class SubmitsWithoutLease(BrokenSession):
    breaks = "submitted running"

    @override
    async def submit(self, runs: Sequence[RunRecord], /) -> Sequence[RunRecord]:
        _ = self._write_lease(first=True)
        return await super().submit(runs)


class KeepsMilliseconds(BrokenSession):
    breaks = "kept as given"

    @override
    async def runs(self, query: RunQuery, /) -> Sequence[RunRecord]:
        return [
            run.model_copy(update={"scheduled_at": run.scheduled_at.replace(microsecond=0)})
            for run in await super().runs(query)
        ]


class ReturnsOldestFirst(BrokenSession):
    breaks = "history"

    @override
    async def runs(self, query: RunQuery, /) -> Sequence[RunRecord]:
        return [*reversed(await super().runs(query))]


class IgnoresRunId(BrokenSession):
    breaks = "history"

    @override
    async def runs(self, query: RunQuery, /) -> Sequence[RunRecord]:
        return await super().runs(query.model_copy(update={"run_id": None}))


class PrunesWithoutLimit(BrokenSession):
    breaks = "pruning"

    @override
    async def prune(self, keep: Mapping[FinalRunState, timedelta], limit: int, /) -> int:
        return await super().prune(keep, 1000)


class MergesSubmittedRuns(BrokenSession):
    breaks = "submitted once"

    @override
    async def submit(self, runs: Sequence[RunRecord], /) -> Sequence[RunRecord]:
        merged = {(run.task_id, run.scheduled_at): run for run in runs}
        return await super().submit([*merged.values()])


class NumbersRepeatedOutcomes(BrokenSession):
    breaks = "outcomes in order"

    @override
    def _finish(self, outcome: Outcome) -> bool:
        accepted = super()._finish(outcome)
        run = self._tables.runs.get(outcome.run_id)
        if accepted and run is not None and run.ended:
            self._tables.runs[run.id] = run.model_copy(update={"ended": self._tables.next_ended()})
        return accepted


class NumbersNoMissedRuns(BrokenSession):
    breaks = "outcomes in order"

    @override
    async def outcomes(self, since: int, limit: int, /) -> Sequence[RunRecord]:
        return [run for run in await super().outcomes(since, limit) if run.kind != "missed"]


class UndeclaresAtOnce(BrokenSession):
    breaks = "undeclared"

    @override
    async def sweep(self, keep_undeclared: timedelta, keep_finished: timedelta | None, limit: int, /) -> Sequence[str]:
        nodes = self._tables.nodes
        self._tables.programs = {
            node: (task_ids, None if node not in nodes else closed_at)
            for node, (task_ids, closed_at) in self._tables.programs.items()
        }
        return await super().sweep(keep_undeclared, keep_finished, limit)


class ForgetsOtherPrograms(BrokenSession):
    breaks = "undeclared"

    @override
    async def announce(self, task_ids: Sequence[str], /) -> None:
        self._tables.programs.clear()
        await super().announce(task_ids)


class RemovesAnnouncedTasks(BrokenSession):
    breaks = "swept"

    @override
    async def announce(self, task_ids: Sequence[str], /) -> None:
        await super().announce(())


class KeepsTombstones(BrokenSession):
    breaks = "swept"

    @override
    async def remove(self, task_ids: Sequence[str], /) -> Sequence[str]:
        removed = await super().remove(task_ids)
        for task_id in removed:
            task = self._tables.tasks[task_id]
            self._tables.tasks[task_id] = task.model_copy(update={"inactive_since": None})
        return removed


class RemovesBusyTasks(BrokenSession):
    breaks = "swept"

    @override
    async def sweep(self, keep_undeclared: timedelta, keep_finished: timedelta | None, limit: int, /) -> Sequence[str]:
        runs = self._tables.runs
        self._tables.runs = {run_id: run.model_copy(update={"finished_at": utc(0)}) for run_id, run in runs.items()}
        try:
            return await super().sweep(keep_undeclared, keep_finished, limit)
        finally:
            self._tables.runs = runs


class NeverWakes(BrokenSession):
    breaks = "wake-ups"

    @override
    def _wake(self) -> None:
        pass


class AnswersWhenClosed(BrokenSession):
    breaks = "closed"

    @override
    def _check_open(self) -> None:
        pass


class BlocksTheLoop(BrokenSession):
    breaks = "loop not blocked"

    @override
    async def finish(self, outcomes: Sequence[Outcome], /) -> Sequence[UUID]:
        if len(outcomes) > 100:
            time.sleep(5)  # noqa: ASYNC251  # the fault
        return await super().finish(outcomes)


def _changed(session: BrokenSession, tasks: Sequence[TaskRecord]) -> bool:
    known = session._tables.tasks
    return any(task.id in known and known[task.id].declaration != task.declaration for task in tasks)


BROKEN_SESSIONS: tuple[type[BrokenSession], ...] = tuple(BrokenSession.__subclasses__())
