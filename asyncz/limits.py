"""Limits of a task's runs, and the options that set them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

import attrs
from typing_extensions import TypedDict, Unpack

from asyncz._checks import (
    check_choice,
    check_count,
    check_flag,
    check_optional_instance,
    check_optional_seconds,
)
from asyncz._constructors import explain_misuse
from asyncz._text import closest
from asyncz.exceptions import UnknownOptionError
from asyncz.retries import Retry

OverlapPolicy: TypeAlias = Literal["skip", "queue_one", "queue_all", "cancel_running"]
"""Policy for a run that is due while its task has `max_instances` running instances; see `TaskLimits`."""


class TaskOptions(TypedDict, total=False, closed=True):
    """Options that set the limits of a task, for functions that pass them on with `**options: Unpack[TaskOptions]`.

    An option that is not given keeps its value: of the scheduler's defaults for a new task, of the task itself for
    `Task.modify`. `TaskLimits` describes each.

    Example:
        >>> def add_report(name: str, **options: Unpack[TaskOptions]) -> Task[bytes]:
        ...     return scheduler.add_task(report, name, executor="processpool", **options)
    """

    max_instances: int
    """Maximum number of runs of the task at the same time, at least 1."""
    misfire_grace_time: float | None
    """Maximum seconds that a run may start late, more than 0; None for no limit."""
    coalesce: bool
    """If several due times were missed, run only the latest; if False, run each."""
    timeout: float | None
    """Maximum seconds of an attempt of a run; None for no limit."""
    retry: Retry | None
    """Retry policy of failed runs; None for no retries."""
    overlap: OverlapPolicy | None
    """Policy for a run that is due at `max_instances`; None is `skip`, or `queue_all` if `coalesce` is False."""


@attrs.frozen(kw_only=True)
class TaskLimits:
    """Limits of a task's runs; also the defaults of a scheduler.

    If a run is due while its task has `max_instances` running instances, the overlap policy decides: `skip` rejects
    the run with `TaskMaxInstances`. `queue_all` puts it into the scheduler's backlog until a slot is free; `queue_one`
    keeps only the latest there and rejects the one that it replaces. `cancel_running` asks the oldest run that can be
    cancelled to end and puts the new one into the backlog, which holds at most `max_instances` runs. The latest
    replace the oldest.

    Args:
        max_instances: Maximum number of runs of the task at the same time, at least 1.
        misfire_grace_time: Maximum seconds that a run may start late, more than 0; None for no limit.
        coalesce: If several due times were missed, run only the latest; if False, run each.
        timeout: Maximum seconds of an attempt of a run; None for no limit.
        retry: Retry policy of failed runs; None for no retries.
        overlap: Policy for a run that is due at `max_instances`. None is `skip`, or `queue_all` if `coalesce` is
            False.

    Raises:
        InvalidInputError: A limit is not valid.

    Example:
        >>> scheduler = AsyncIOScheduler(defaults=TaskLimits(timeout=60, retry=Retry(attempts=3)))
    """

    max_instances: int = 1
    """Maximum number of runs of the task at the same time, at least 1."""
    misfire_grace_time: float | None = None
    """Maximum seconds that a run may start late, more than 0; None for no limit."""
    coalesce: bool = True
    """If several due times were missed, run only the latest; if False, run each."""
    timeout: float | None = None
    """Maximum seconds of an attempt of a run; None for no limit."""
    retry: Retry | None = None
    """Retry policy of failed runs; None for no retries."""
    overlap: OverlapPolicy | None = None
    """Policy for a run that is due at `max_instances`. None is `skip`, or `queue_all` if `coalesce` is False."""

    def __attrs_post_init__(self) -> None:
        check_count("max_instances", self.max_instances)
        check_optional_seconds("misfire_grace_time", self.misfire_grace_time, zero_allowed=False)
        check_flag("coalesce", self.coalesce)
        check_optional_seconds("timeout", self.timeout, zero_allowed=False)
        check_optional_instance("retry", self.retry, Retry)
        if self.overlap is not None:
            check_choice("overlap", self.overlap, get_args(OverlapPolicy))

    @property
    def overlap_policy(self) -> OverlapPolicy:
        """Policy for a run that is due at `max_instances`: `overlap`, or the one that follows from `coalesce`."""
        return self.overlap or ("skip" if self.coalesce else "queue_all")

    def evolve(self, **options: Unpack[TaskOptions]) -> TaskLimits:
        """Return these limits with the given ones replaced.

        Raises:
            InvalidInputError: A limit is not valid.
            UnknownOptionError: An option has a name that does not exist.
        """
        if not options:
            return self
        check_options(options)
        return attrs.evolve(self, **options)

    def diff(self, other: TaskLimits) -> dict[str, str]:
        """Return the differences by name, each as `value of other to value of self`."""
        pairs = {name: (getattr(other, name), getattr(self, name)) for name in _OPTION_NAMES}
        pairs["overlap"] = (other.overlap_policy, self.overlap_policy)
        return {name: f"{before!r} to {now!r}" for name, (before, now) in pairs.items() if before != now}


explain_misuse(TaskLimits)


_OPTION_NAMES: tuple[str, ...] = ("max_instances", "misfire_grace_time", "coalesce", "timeout", "retry", "overlap")

_KEYWORDS = "keyword arguments of the function are passed by scheduler.call(function, name=value).add(...)"
_TRIGGER_OPTIONS = (
    *("weeks", "days", "hours", "minutes", "seconds", "year", "month", "week", "day", "day_of_week", "hour", "minute"),
    *("second", "run_date", "start_date", "end_date", "jitter", "timezone"),
)
_ADVICE: Mapping[str, str] = {
    **dict.fromkeys(_TRIGGER_OPTIONS, "pass the trigger as an object, such as trigger=IntervalTrigger(minutes=5)"),
    "args": "positional arguments follow the function: add_task(function, 1, 2)",
    "kwargs": _KEYWORDS,
    "name": "the id names a task: id=...",
    **dict.fromkeys(
        ("retries", "max_retries", "attempts", "max_attempts", "backoff"),
        "pass a retry policy: retry=Retry(attempts=3)",
    ),
    "trigger": "replace the trigger of a task by task.reschedule(trigger)",
    "id": "the id of a task cannot be changed",
    "next_run_time": "call task.submit() to run the task now, or pass start_at to the trigger",
    "jobstore": "pass a store to the scheduler: AsyncIOScheduler(store='sqlite:///jobs.db')",
}

DEFAULT_LIMITS: TaskLimits = TaskLimits()
"""Limits of a task if neither the task nor its scheduler sets others."""


def check_options(options: TaskOptions) -> None:
    """Reject unknown options; not every user has a type checker.

    Raises:
        UnknownOptionError: An option has a name that does not exist.
    """
    for name in options:
        if name not in _OPTION_NAMES:
            advice = _ADVICE.get(name, "")
            similar = "" if advice else closest(name, _OPTION_NAMES)
            raise UnknownOptionError(name, similar, _OPTION_NAMES, advice or _KEYWORDS)
