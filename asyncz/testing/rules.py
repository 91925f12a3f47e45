"""Rules of executors and triggers, and the error for a broken rule."""

from __future__ import annotations

import attrs
from typing_extensions import override

from asyncz.exceptions import AsynczError


@attrs.frozen
class Rule:
    """Requirement on which the users of an executor or trigger rely.

    Attributes:
        number: Its number, counted from 1.
        name: A short name.
        sentence: The requirement.
    """

    number: int
    name: str
    sentence: str

    @override
    def __str__(self) -> str:
        return f"rule {self.number} ({self.name})"


class RuleBrokenError(AsynczError, AssertionError):
    """An executor or a trigger broke a rule.

    Attributes:
        rule: The rule.
        problem: The observed behaviour.
    """

    def __init__(self, rule: Rule, problem: str) -> None:
        super().__init__(rule, problem)
        self.rule = rule
        self.problem = problem

    @override
    def __str__(self) -> str:
        return f"{self.rule} is broken: {self.problem}. {self.rule.sentence}"


def _numbered(*rules: tuple[str, str]) -> tuple[Rule, ...]:
    return tuple(Rule(number, name, sentence) for number, (name, sentence) in enumerate(rules, start=1))


RULES: tuple[Rule, ...] = _numbered(
    ("no run is lost", "Every run that `submit` accepted ends in a notification, whatever its function does."),
    ("notified once", "`notify` is called once for a run, never twice."),
    ("released once", "`released` is called exactly once for each run that `submit` accepted."),
    ("released at its end", "`released` is called at or after `notify`, and only when the function has returned."),
    ("results", "Each run ends with the result of its own function, and its notification has the id of its own task."),
    ("exceptions", "The exception that a function raises is that of the run's `TaskError`, of the same class."),
    (
        "exit requests",
        "`SystemExit` and `KeyboardInterrupt` of a function are the `TaskError` of its run; nothing else ends.",
    ),
    ("cancelled by itself", "A function that raises `asyncio.CancelledError` ends its run as `TaskCancelled`."),
    ("awaitables", "An awaitable that a function returns is awaited, whatever its class."),
    ("details", "A notification has the start and the end of its run, and an error has its traceback as text."),
    ("loop not blocked", "`submit`, `start` and `shutdown` do not block the event loop."),
    (
        "submit only rejects",
        "`submit` raises its rejections only; other errors are notifications. A rejected run is never reported.",
    ),
    ("no run before start", "Before `start`, `submit` raises `ExecutorNotRunningError`, and counts nothing."),
    ("no run after shutdown", "From `shutdown` on, `submit` raises `ExecutorNotRunningError`, and counts nothing."),
    ("maximum of instances", "At most `max_instances` runs of a task are accepted; then `MaximumInstancesError`."),
    ("instances count down", "A released run is not counted: another run of its task is accepted immediately."),
    (
        "alias and status",
        "`state` has the alias given to `start`; it is `running` until `shutdown`, then `stopped`.",
    ),
    ("counts", "`running` and `instances` of `state` count the runs that are accepted and not released."),
    ("late runs", "A run that would start after its misfire grace time ends as `TaskMissed` without a call."),
    ("shutdown waits", "`shutdown(wait=True)` returns when every accepted run has ended by itself."),
    (
        "shutdown without waiting",
        "`shutdown(wait=False)` ends every run as `TaskCancelled` and returns, although functions may still run.",
    ),
    ("shutdown returns", "`shutdown` returns, releases all resources, and can be called at any time and repeatedly."),
    ("starts again", "`start` starts the executor, also after a `shutdown`."),
    ("cancel", "`cancel` returns True if the run ends as `TaskCancelled`, and False if it continues or has ended."),
    ("time limits", "A run over its `timeout` ends as `TaskTimeoutError`, and is counted until its function returns."),
    ("context", "A function sees the context variables of its run."),
    ("unpicklable objects", "A run that cannot be pickled is rejected immediately or ends as a `TaskError`."),
    ("dead workers", "If a worker dies, the run that it was executing ends as a `TaskError`, and no other run."),
    ("called once", "The function of a run is called once, also if it fails: further attempts are runs of their own."),
    ("state from any thread", "`state` can be read from any thread, also while runs are submitted and end."),
    ("many queued runs", "`submit` does not block the event loop, also with 1,000 runs in the queue."),
    (
        "progress",
        "Progress that a function reports reaches `report_progress` of its run, the last report before the outcome.",
    ),
    (
        "cancelled coroutines",
        "A coroutine whose cancellation is accepted is cancelled where it awaits, and its run ends as cancelled.",
    ),
    (
        "asking functions",
        "`current_run().is_cancelled()` is True in a run that was cancelled or is over its `timeout`.",
    ),
    (
        "finally blocks",
        "`finally` blocks of a coroutine that is cancelled or over its `timeout` run to their end before `released`.",
    ),
)
"""All rules of executors, by number."""

(
    NO_RUN_IS_LOST,
    NOTIFIED_ONCE,
    RELEASED_ONCE,
    RELEASED_AT_ITS_END,
    RESULTS,
    EXCEPTIONS,
    EXIT_REQUESTS,
    CANCELLED_BY_ITSELF,
    AWAITABLES,
    DETAILS,
    LOOP_NOT_BLOCKED,
    SUBMIT_ONLY_REJECTS,
    NO_RUN_BEFORE_START,
    NO_RUN_AFTER_SHUTDOWN,
    MAXIMUM_OF_INSTANCES,
    INSTANCES_COUNT_DOWN,
    ALIAS_AND_STATUS,
    COUNTS,
    LATE_RUNS,
    SHUTDOWN_WAITS,
    SHUTDOWN_WITHOUT_WAITING,
    SHUTDOWN_RETURNS,
    STARTS_AGAIN,
    CANCEL,
    TIME_LIMITS,
    CONTEXT,
    NOT_PICKLABLE,
    DEAD_WORKERS,
    CALLED_ONCE,
    STATE_FROM_ANY_THREAD,
    MANY_QUEUED_RUNS,
    PROGRESS,
    CANCELLED_COROUTINES,
    ASKING_FUNCTIONS,
    FINALLY_BLOCKS,
) = RULES

TRIGGER_RULES: tuple[Rule, ...] = _numbered(
    (
        "raises nothing",
        "`next_due_time` never raises, for any times; it returns None if no due time follows.",
    ),
    ("time zone", "Each due time is a datetime with a time zone."),
    ("always later", "Each due time is later than the one before."),
    ("does not block", "Each method returns immediately, because the event loop waits for it."),
    ("stateless", "The same arguments give the same result, regardless of other calls in between."),
    (
        "does not drift",
        "After a due time, the next one does not depend on the current time: a late run does not delay others.",
    ),
    ("any time before", "The result is the first due time after any `previous`, not only after a due time."),
    ("the end is the end", "If a trigger has no further due time, it has none at a later time either."),
    (
        "own start",
        "`started` returns a trigger for one task, and changes neither the original nor the trigger of another task.",
    ),
    ("survives pickling", "A copy that was pickled and unpickled has the same due times."),
    ("text for people", "`str()` describes the trigger, and does not show the address of the object."),
    (
        "catches up",
        "`latest_due_time` returns the last due time up to `now` that repeated calls of `next_due_time` lead to.",
    ),
)
"""All rules of triggers, in the order of their numbers."""

(
    RAISES_NOTHING,
    TIME_ZONE,
    ALWAYS_LATER,
    DOES_NOT_BLOCK,
    STATELESS,
    DOES_NOT_DRIFT,
    ANY_TIME_BEFORE,
    THE_END,
    OWN_START,
    SURVIVES_PICKLING,
    TEXT_FOR_PEOPLE,
    CATCHES_UP,
) = TRIGGER_RULES
