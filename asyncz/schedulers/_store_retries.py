"""Attempts of the runs of lost nodes, and retry policies of stored tasks that this node cannot run."""

from __future__ import annotations

from asyncz.config.models.tasks import LimitsConfig, RetryConfig
from asyncz.schedulers._store_tasks import StoredTasks
from asyncz.stores._report_texts import details_of_text
from asyncz.stores._unvalidated import evolved
from asyncz.stores.exceptions import NodeLostError
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import RunRecord

_PAGE = 500
# The names by which a stored policy may list the exception.
_NAMES = {f"{each.__module__}:{each.__qualname__}" for each in NodeLostError.__mro__}


class ForeignRetries:
    """Retry policies as the store has them. They are read when the first one is needed, and for one pass only.

    Args:
        session: Session with the store.
    """

    def __init__(self, session: StoreSession) -> None:
        self._session = session
        self._policies: dict[str, RetryConfig] | None = None

    async def delay_after_loss(self, task_id: str, attempt: int) -> float | None:
        """Return the delay after an attempt on a lost node; None if the policy of the task allows no other one."""
        if self._policies is None:
            self._policies = await self._read()
        policy = self._policies.get(task_id)
        if policy is None or attempt >= policy.attempts or _NAMES.isdisjoint(policy.on):
            return None
        # Without the classes of exceptions, which are perhaps not importable here.
        return policy.model_copy(update={"on": ("Exception",)}).create().delay_after(attempt)

    async def _read(self) -> dict[str, RetryConfig]:
        found: dict[str, RetryConfig] = {}
        since = 0
        while page := await self._session.changes(since, _PAGE):
            for record in page:
                policy = _policy_of(record.options) if record.state == "active" and not record.removed else None
                if policy is not None:
                    found[record.id] = policy
            since = page[-1].revision
        return found


async def with_lost_attempt(tasks: StoredTasks, session: StoreSession, run: RunRecord) -> RunRecord:
    """Return a run of a lost node with the number of the attempt that was lost.

    The store has the number with which the node began. The attempts that have failed there are in its reports, which
    are written within a second; without reports, the number stays. Only a run with a retry policy can have another
    attempt: the reports of others are not read.
    """
    stored = tasks.get(run.task_id)
    if stored is not None and stored.controller.task.limits.retry is None:
        return run
    failed = [
        each.attempt for report in await session.reports(run.id) for each in details_of_text(report.details).attempts
    ]
    attempt = max(failed, default=0) + 1
    return run if attempt <= run.attempt else evolved(run, {"attempt": attempt})


def _policy_of(limits: str) -> RetryConfig | None:
    try:
        return LimitsConfig.model_validate_json(limits).retry
    except ValueError:
        # Another version may know other limits.
        return None
