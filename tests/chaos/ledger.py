"""An account of every run, kept from events only."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import attrs

from asyncz import AsyncIOScheduler, SchedulerState, TaskNotification, TaskSubmitted, events

ENDINGS = {"TaskExecuted": "executed", "TaskError": "error", "TaskMissed": "missed", "TaskCancelled": "cancelled"}


@attrs.define
class Account:
    """The runs of one executor.

    Attributes:
        submitted: The runs that were submitted.
        ends: How often each run ended.
        kinds: How many endings there were of each kind.
        disorders: How many endings came before the submission of their run.
        retrying: How many attempts were followed by another one.
        rejected: How many runs were rejected, and so never submitted.
        leaked: How many instances are still counted after the end.
    """

    submitted: set[UUID] = attrs.Factory(set[UUID])
    ends: Counter[UUID] = attrs.Factory(Counter[UUID])
    kinds: Counter[str] = attrs.Factory(Counter[str])
    disorders: int = 0
    retrying: int = 0
    rejected: int = 0
    leaked: int = 0

    @property
    def lost(self) -> int:
        """How many runs were submitted and never ended."""
        return len(self.submitted - self.ends.keys())

    @property
    def doubled(self) -> int:
        """How many runs ended more than once."""
        return sum(count > 1 for count in self.ends.values())

    @property
    def adds_up(self) -> bool:
        """Whether each run that was submitted ended once, after that, and left nothing behind."""
        return (
            len(self.submitted) == sum(self.kinds.values())
            and not self.lost
            and not self.doubled
            and not self.disorders
            and not self.leaked
        )

    def row(self, executor: str) -> str:
        """The account as a line of the table."""
        endings = "".join(f"{self.kinds[kind]:>10}" for kind in ENDINGS.values())
        return (
            f"{executor:<12}{len(self.submitted):>10}{endings}{self.rejected:>9}{self.retrying:>9}"
            f"{self.lost:>6}{self.doubled:>9}{self.disorders:>10}{self.leaked:>8}"
            f"  {'adds up' if self.adds_up else 'DOES NOT ADD UP'}"
        )


HEADING = (
    f"{'executor':<12}{'submitted':>10}{'executed':>10}{'error':>10}{'missed':>10}{'cancelled':>10}{'rejected':>9}"
    f"{'retried':>9}{'lost':>6}{'doubled':>9}{'disorder':>10}{'leaked':>8}"
)


class Ledger:
    """The accounts of all executors of a scheduler; the id of a task begins with the alias of its executor."""

    def __init__(self, scheduler: AsyncIOScheduler, executors: tuple[str, ...]) -> None:
        self.accounts = {executor: Account() for executor in executors}
        scheduler.subscribe(events.TaskSubmitted, self._submitted)
        scheduler.subscribe(events.TaskExecuted, self._ended)
        scheduler.subscribe(events.TaskError, self._ended)
        scheduler.subscribe(events.TaskMissed, self._ended)
        scheduler.subscribe(events.TaskCancelled, self._ended)
        scheduler.subscribe(events.TaskRetrying, self._retrying)

    def account_of(self, task_id: str) -> Account:
        """The account of the executor of a task."""
        return self.accounts[task_id.partition(" ")[0]]

    def disagreements(self, state: SchedulerState) -> list[str]:
        """Where the scheduler's own counters say something else."""
        of_events = {
            name: sum(account.kinds[kind] for account in self.accounts.values())
            for name, kind in (("executed",) * 2, ("errors", "error"), ("missed",) * 2, ("cancelled",) * 2)
        }
        of_events["submitted"] = sum(len(account.submitted) for account in self.accounts.values())
        of_scheduler = state.model_dump()
        return [
            f"{name}: {count} by the events, {of_scheduler[name]} by the scheduler"
            for name, count in of_events.items()
            if of_scheduler[name] != count
        ]

    def _submitted(self, event: TaskSubmitted) -> None:
        account = self.account_of(event.task_id)
        # One that is told twice is an ending without a submission of its own, and shows as such.
        account.disorders += event.details.run_id in account.submitted
        account.submitted.add(event.details.run_id)

    def _ended(self, notification: TaskNotification[object]) -> None:
        account, run_id = self.account_of(notification.task_id), notification.details.run_id
        account.disorders += run_id not in account.submitted
        account.ends[run_id] += 1
        account.kinds[ENDINGS[type(notification).__name__]] += 1

    def _retrying(self, event: events.TaskRetrying) -> None:
        account, run_id = self.account_of(event.task_id), event.details.run_id
        account.disorders += run_id not in account.submitted or run_id in account.ends
        account.retrying += 1
