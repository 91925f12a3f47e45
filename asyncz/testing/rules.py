"""Rules of executors, triggers and stores, and the error for a broken rule."""

from __future__ import annotations

import attrs
from typing_extensions import override

from asyncz.exceptions import AsynczError


@attrs.frozen
class Rule:
    """Requirement on which the users of an executor, a trigger or a store rely.

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
    """An executor, a trigger or a store broke a rule.

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
        "If a cancellation is accepted, the coroutine is cancelled where it awaits, and its run ends as cancelled.",
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

STORE_RULES: tuple[Rule, ...] = _numbered(
    ("one firing wins", "Of all nodes that fire the same due time, exactly one stores its runs."),
    ("not early", "No run is fired before its due time by the clock of the store."),
    ("current definition", "A firing for another version or another due time of the task fails, and changes nothing."),
    ("only active tasks", "Paused, undeclared, parked and removed tasks are not fired."),
    ("advanced", "A firing moves the task to its next due time, and is not a change of the task."),
    ("one run per due time", "A due time has at most one run, even if the task is set back to it."),
    ("independent firings", "A firing that fails does not affect the others of the same call."),
    ("first owner", "A fired run belongs to the firing node with the fence 1; missed runs are history only."),
    ("one outcome", "Of all outcomes of a run, exactly one is accepted."),
    ("fence", "An outcome is accepted only with the current fence, which each change of owner or state increments."),
    ("repeated outcome", "An outcome that was accepted is accepted again, and then changes nothing."),
    ("outcomes kept", "An accepted outcome is in the history with its times, result, error and traceback."),
    (
        "handed over",
        "The runs of `Outcome.then` are stored once, together with the accepted outcome; a rejected one adds none.",
    ),
    ("given back", "A run that is given back waits for any node, and not before its time."),
    ("one claim", "Of all nodes that claim, exactly one becomes the owner of a waiting run."),
    (
        "claims within bounds",
        "A claim returns at most its limit and the free slots of each executor, oldest first, and no excluded task.",
    ),
    (
        "take over the dead",
        "The runs of a node whose lease is over or whose session is closed can be taken over, once.",
    ),
    (
        "former owner",
        "A run that is taken over says which node has lost it, and its outcome can name that node in the history.",
    ),
    ("spare the living", "The runs of a node with a valid lease are not taken over."),
    ("no rights without lease", "A node whose lease is over fires, claims and takes over nothing until it renews it."),
    ("lost lease", "A renewal after the end of the lease says that it was lost; another renewal does not."),
    ("nodes", "`nodes` returns the nodes with a valid lease, and no other."),
    ("news", "The news of a renewal, if there are any, say what the other methods would find."),
    ("unchanged declaration", "Declaring a task with an unchanged hash writes nothing; its schedule goes on."),
    (
        "changed declaration",
        "`update` writes it and keeps a pause, `keep` does not, `replace` writes all, `refuse` raises.",
    ),
    ("newer program", "An older version of the program does not overwrite the declaration of a newer one."),
    ("compare and change", "`change` writes only if the version is the current one, and returns None otherwise."),
    ("removed", "`remove` returns the ids that existed; their runs stay in the history, and the id can be used again."),
    ("changes", "`changes` reports each task that was changed since a revision once, removed ones too, in pages."),
    (
        "overdue",
        "`overdue` returns the tasks that no node fired in time, in pages, the most overdue first.",
    ),
    ("kept as given", "Records come back as they were stored: all texts, times to the microsecond."),
    ("history", "`runs` returns the selected runs, newest first, in pages without gaps."),
    ("pruning", "`prune` deletes only finished runs older than given, and at most its limit."),
    (
        "reports",
        "`report` keeps the last texts of each owner of a run until the run is deleted, and only the owner's.",
    ),
    ("trimming", "`trim` deletes the oldest finished runs of a task, keeps the given number, and observes its limit."),
    ("dead nodes forgotten", "`prune` forgets nodes whose lease has been over for a day, and no other."),
    ("submitted once", "A submitted run is stored once, whatever its due time is, and waits for any node."),
    (
        "submitted running",
        "A run that is submitted as running belongs to that node, with the fence 1, if it has a lease.",
    ),
    (
        "outcomes in order",
        "If a node listens, each accepted outcome has one number, and `outcomes` returns them in that order, in pages.",
    ),
    (
        "undeclared",
        "The tasks of a program are undeclared an hour after its last node, no others, until they are declared again.",
    ),
    (
        "swept",
        "Undeclared tasks and idle finished ones are removed after their time, and tombstones a day later; no others.",
    ),
    ("wake-ups", "A change by another node ends the wait of `wake_ups` sooner or later."),
    ("closed", "After `close`, which may be called again, each method raises `StoreClosedError`."),
    ("loop not blocked", "No method blocks the event loop."),
)
"""All rules of stores, by number."""

(
    ONE_FIRING_WINS,
    NOT_EARLY,
    CURRENT_DEFINITION,
    ONLY_ACTIVE_TASKS,
    ADVANCED,
    ONE_RUN_PER_DUE_TIME,
    INDEPENDENT_FIRINGS,
    FIRST_OWNER,
    ONE_OUTCOME,
    FENCE,
    REPEATED_OUTCOME,
    OUTCOMES_KEPT,
    HANDED_OVER,
    GIVEN_BACK,
    ONE_CLAIM,
    CLAIMS_WITHIN_BOUNDS,
    TAKE_OVER_THE_DEAD,
    FORMER_OWNER,
    SPARE_THE_LIVING,
    NO_RIGHTS_WITHOUT_LEASE,
    LOST_LEASE,
    NODES,
    NEWS,
    UNCHANGED_DECLARATION,
    CHANGED_DECLARATION,
    NEWER_PROGRAM,
    COMPARE_AND_CHANGE,
    REMOVED,
    CHANGES,
    OVERDUE,
    KEPT_AS_GIVEN,
    HISTORY,
    PRUNING,
    REPORTS,
    TRIMMING,
    DEAD_NODES_FORGOTTEN,
    SUBMITTED_ONCE,
    SUBMITTED_RUNNING,
    OUTCOMES_IN_ORDER,
    UNDECLARED,
    SWEPT,
    WAKE_UPS,
    CLOSED,
    STORE_DOES_NOT_BLOCK,
) = STORE_RULES
