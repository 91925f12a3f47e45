"""The rules that an executor has to keep, those of a trigger, and the error that tells which one is broken."""

from __future__ import annotations

import attrs
from typing_extensions import override

from asyncz.exceptions import AsynczError


@attrs.frozen
class Rule:
    """One thing that every user of an executor, or of a trigger, relies on.

    Attributes:
        number: Its number, from 1 on.
        name: A few words to call it by.
        sentence: What it demands.
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
        problem: What was seen.
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
    ("no run is lost", "Every run that `submit` took ends in a notification, whatever its function does."),
    ("told once", "`notify` is called once for a run, never twice."),
    ("released once", "`released` is called exactly once for each run that `submit` took."),
    ("released at its end", "`released` is called at or after `notify`, and only when the work has ended."),
    ("results", "Each run ends with the result of its own function, told under the id of its own task."),
    ("exceptions", "What a function raises is the exception of the run's `TaskError`, of the same class."),
    (
        "exit requests",
        "`SystemExit` and `KeyboardInterrupt` of a function are its run's `TaskError`; nothing else ends.",
    ),
    ("cancelled by itself", "A function that raises `asyncio.CancelledError` ends its run as `TaskCancelled`."),
    ("awaitables", "What a function returns is awaited where it is an awaitable, whoever made it."),
    ("details", "A notification tells when its run started and finished, and an error has its traceback as text."),
    ("the loop goes on", "Neither `submit` nor `start` nor `shutdown` blocks the event loop."),
    (
        "submit only rejects",
        "`submit` raises nothing but its rejections; the rest is a notification, and what it rejected is never told.",
    ),
    ("no run before start", "Before `start`, `submit` raises `ExecutorNotRunningError`, and nothing is counted."),
    ("no run after shutdown", "From `shutdown` on, `submit` raises `ExecutorNotRunningError`, and nothing is counted."),
    ("maximum of instances", "Of each task at most `max_instances` runs are taken; then `MaximumInstancesError`."),
    ("instances count down", "A run that is released counts no more: another run of its task is taken at once."),
    ("alias and status", "`state` tells the alias given to `start`; `running` after that, `stopped` after `shutdown`."),
    ("counts", "`running` and `instances` of `state` count the runs that were taken and not released."),
    ("late runs", "A run that would start after its misfire grace time ends as `TaskMissed`, its function not called."),
    ("shutdown waits", "`shutdown(wait=True)` lets every run that it has come to its own end before it returns."),
    (
        "shutdown without waiting",
        "`shutdown(wait=False)` ends every run as `TaskCancelled` and returns, although work may go on.",
    ),
    ("shutdown returns", "`shutdown` comes back, releases everything, and may be called again and at any time."),
    ("starts again", "`start` gets it running, and again after a `shutdown`."),
    ("cancel", "`cancel` gives True where the run ends as `TaskCancelled`, and False where it goes on or has ended."),
    ("time limits", "A run over its task's `timeout` ends as `TaskTimeoutError`, counted until its work has ended."),
    ("context", "A function sees the context variables of its run."),
    ("what cannot be pickled", "What cannot travel to another process is rejected at once or ends as a `TaskError`."),
    ("dead workers", "A worker that dies costs the run that it ran, which ends as a `TaskError`."),
)
"""All rules of executors, in the order of their numbers."""

(
    NO_RUN_IS_LOST,
    TOLD_ONCE,
    RELEASED_ONCE,
    RELEASED_AT_ITS_END,
    RESULTS,
    EXCEPTIONS,
    EXIT_REQUESTS,
    CANCELLED_BY_ITSELF,
    AWAITABLES,
    DETAILS,
    LOOP_GOES_ON,
    SUBMIT_ONLY_REFUSES,
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
