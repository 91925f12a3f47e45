"""Metrics of a scheduler in the text format of Prometheus, without a dependency.

They describe the scheduler of this process, as those of `asyncz.otel` do, with other names and labels: runs are counted
by outcome, their durations also by executor, nothing by function. The status, the version and workers are added.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Self

import attrs

from asyncz import __version__
from asyncz._checks import check_flag, check_instance
from asyncz._prometheus_text import Family, Labels, Sample, text_of
from asyncz.events import RunDetails, TaskCancelled, TaskError, TaskExecuted, TaskNotification, TaskRetrying
from asyncz.schedulers import AsyncIOScheduler
from asyncz.schedulers._observation import BOUNDARIES, Observation, lateness_of, observe
from asyncz.schedulers.subscriptions import Subscription
from asyncz.states import ExecutorState

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Content type of the text."""

_STATUSES: Final = ("created", "running", "paused", "draining", "stopped")
_OUTCOMES: Final = (("executed", "executed"), ("error", "errors"), ("missed", "missed"), ("cancelled", "cancelled"))
"""Values of the label `outcome`, with the names of their counts."""

_EXECUTOR_METRICS: Final[Sequence[tuple[str, str, Callable[[ExecutorState, int], float]]]] = (
    (
        "asyncz_runs_active",
        "Runs that executors have accepted and not yet released, without those in their queues",
        lambda executor, _: executor.running - executor.queued,
    ),
    (
        "asyncz_runs_waiting",
        "Runs that wait for a slot of their task or for a worker",
        lambda executor, backlog: executor.queued + backlog,
    ),
    (
        "asyncz_runs_abandoned",
        "Runs that have an outcome although their function has not returned",
        lambda executor, _: executor.abandoned,
    ),
    ("asyncz_executor_workers", "Threads or processes of an executor", lambda executor, _: executor.workers),
    ("asyncz_executor_workers_lost_total", "Worker processes that died", lambda executor, _: executor.lost_workers),
)
"""Names and descriptions of the metrics of executors, with functions of a state and of the backlog of the executor."""


@attrs.define(eq=False)
class _Histogram:
    """Numbers of values up to each boundary, and their sum."""

    counts: list[int] = attrs.Factory(lambda: [0] * (len(BOUNDARIES) + 1))
    total: float = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(BOUNDARIES, value)] += 1
        self.total += value

    def samples(self, labels: Labels) -> Iterator[Sample]:
        """Return the lines of the histogram, with cumulative counts."""
        count = 0
        for boundary, number in zip((*(f"{each:g}" for each in BOUNDARIES), "+Inf"), self.counts, strict=True):
            count += number
            yield "_bucket", (*labels, ("le", boundary)), count
        yield "_sum", labels, self.total
        yield "_count", labels, count


class PrometheusMetrics:
    """Metrics of one scheduler; `text()` returns them for an endpoint.

    Durations, lateness and retries are counted from now on until `close()` or the end of `with`, everything else since
    the scheduler was made.

    Args:
        scheduler: The scheduler.
        task_ids: Give durations the id of the task as well. Tasks that are added at run time have no bound.

    Raises:
        InvalidInputError: An argument has another type.

    Example:
        >>> metrics = PrometheusMetrics(scheduler)
        >>> async def endpoint(request: Request) -> Response:
        ...     return Response(metrics.text(), media_type=CONTENT_TYPE)
    """

    def __init__(self, scheduler: AsyncIOScheduler, *, task_ids: bool = False) -> None:
        check_instance("scheduler", scheduler, AsyncIOScheduler)
        check_flag("task_ids", task_ids)
        self._parts = scheduler._parts
        self._task_ids = task_ids
        # The loop's thread counts, and any thread reads.
        self._lock = threading.Lock()
        self._durations: dict[Labels, _Histogram] = {}
        self._lateness: dict[Labels, _Histogram] = {}
        self._retried = 0
        self._subscriptions: tuple[Subscription, ...] = (
            scheduler.subscribe(TaskExecuted, self._on_outcome),
            scheduler.subscribe(TaskError, self._on_outcome),
            scheduler.subscribe(TaskCancelled, self._on_outcome),
            scheduler.subscribe(TaskRetrying, self._on_retrying),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop counting. Thread-safe; may be called more than once."""
        for subscription in self._subscriptions:
            subscription.unsubscribe()

    def text(self) -> str:
        """Return all metrics in the text format. Thread-safe, also while the loop is blocked."""
        seen = observe(self._parts)
        return text_of((*_of_scheduler(seen), *_of_executors(seen), *_of_store(seen), *self._of_runs()))

    def _of_runs(self) -> Sequence[Family]:
        with self._lock:
            durations = [line for labels, each in self._durations.items() for line in each.samples(labels)]
            lateness = [line for labels, each in self._lateness.items() for line in each.samples(labels)]
            retried = self._retried
        return (
            ("asyncz_attempts_retried_total", "counter", "Failed attempts that another follows", [("", (), retried)]),
            ("asyncz_run_duration_seconds", "histogram", "Seconds from the call to the outcome", durations),
            ("asyncz_run_lateness_seconds", "histogram", "Seconds from the due time to the call", lateness),
        )

    def _on_retrying(self, event: TaskRetrying) -> None:
        labels = self._labels_of(event.task_id)
        with self._lock:
            self._retried += 1
            self._add_lateness(labels, event.details)

    def _on_outcome(self, event: TaskNotification[object]) -> None:
        details = event.details
        if details.started is None:
            return
        labels = self._labels_of(event.task_id)
        outcome = "executed" if isinstance(event, TaskExecuted) else "error"
        if isinstance(event, TaskCancelled):
            outcome = "cancelled"
        with self._lock:
            duration = max(0.0, details.duration or 0.0)
            self._durations.setdefault((*labels, ("outcome", outcome)), _Histogram()).add(duration)
            self._add_lateness(labels, details)

    def _add_lateness(self, labels: Labels, details: RunDetails) -> None:
        """Count the lateness of a run with its first attempt, whether or not others follow. Under the lock."""
        if details.attempt == 1 and details.started is not None:
            self._lateness.setdefault(labels, _Histogram()).add(lateness_of(details) or 0.0)

    def _labels_of(self, task_id: str) -> Labels:
        # A finished task is unregistered after its last outcome was announced.
        controller = self._parts.tasks.holder(task_id)
        alias = "" if controller is None else controller.registration.alias
        return (("executor", alias), ("task", task_id)) if self._task_ids else (("executor", alias),)


def _of_scheduler(seen: Observation) -> Sequence[Family]:
    outcomes = [("", (("outcome", name),), seen.counts[key]) for name, key in _OUTCOMES]
    statuses = [("", (("status", name),), float(name == seen.status)) for name in _STATUSES]
    return (
        ("asyncz_build_info", "gauge", "Version of the library", [("", (("version", __version__),), 1)]),
        ("asyncz_scheduler_status", "gauge", "1 for the present status, else 0", statuses),
        ("asyncz_tasks", "gauge", "Registered tasks", [("", (), seen.tasks)]),
        (
            "asyncz_task_overdue_seconds",
            "gauge",
            "Seconds since the earliest due time that has not led to a submission",
            [("", (), seen.overdue)],
        ),
        ("asyncz_runs_submitted_total", "counter", "Submitted runs", [("", (), seen.counts["submitted"])]),
        ("asyncz_runs_total", "counter", "Runs with an outcome", outcomes),
        ("asyncz_runs_refused_total", "counter", "Due runs that were rejected", [("", (), seen.counts["rejected"])]),
    )


def _of_executors(seen: Observation) -> Sequence[Family]:
    return tuple(
        (name, _kind_of(name), description, [_executor_sample(seen, each, value) for each in seen.executors])
        for name, description, value in _EXECUTOR_METRICS
    )


def _executor_sample(
    seen: Observation, executor: ExecutorState, value: Callable[[ExecutorState, int], float]
) -> Sample:
    return "", (("executor", executor.alias),), value(executor, seen.backlog.get(executor.alias, 0))


def _kind_of(name: str) -> str:
    return "counter" if name.endswith("_total") else "gauge"


def _of_store(seen: Observation) -> Sequence[Family]:
    store = seen.store
    if store is None:
        return ()
    return tuple(
        (f"asyncz_{name}", _kind_of(name), description, [("", (), value)])
        for name, description, value in (
            ("store_connected", "1 if the last call of the store was successful, else 0", float(store.connected)),
            (
                "store_clock_offset_seconds",
                "Seconds by which the clock is ahead of that of the store",
                store.clock_offset,
            ),
            (
                "node_lease_remaining_seconds",
                "Seconds until other nodes may take over the runs of this one",
                store.lease_seconds_left,
            ),
            ("node_takeovers_total", "Runs that this node has taken over from lost ones", store.taken_over),
            (
                "node_outcomes_rejected_total",
                "Outcomes that the store has rejected, as another node had the run",
                store.rejected_outcomes,
            ),
            ("tasks_parked", "Stored tasks that cannot run in this program", store.parked),
        )
    )
