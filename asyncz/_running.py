"""Context variable of the run in progress. Worker processes import this module: standard library only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextvars import Context, ContextVar, copy_context
from typing import Protocol, runtime_checkable
from uuid import UUID


class RunningRun(Protocol):
    """Run in the process that executes it."""

    @property
    def run_id(self) -> UUID:
        """Id of the run."""
        ...

    @property
    def task_id(self) -> str:
        """Id of the task."""
        ...

    @property
    def attempt(self) -> int:
        """Number of the attempt, from 1."""
        ...

    @property
    def scheduled(self) -> float:
        """Due time, in seconds since the epoch."""
        ...

    def is_cancelled(self) -> bool:
        """Return True if the run should end. Thread-safe."""
        ...

    def report_progress(self, done: float, total: float | None, message: str, /) -> None:
        """Report how much of the work is done. Thread-safe."""
        ...


@runtime_checkable
class RunHere(Protocol):
    """Run in the process of its scheduler."""

    def _end_as_cancelled(self) -> None:
        """End the run as cancelled, even if its function returns or raises something else. Thread-safe."""
        ...


running_run: ContextVar[RunningRun | None] = ContextVar("asyncz.running_run")


# Shared by tasks: it is never entered, because each run gets a copy.
_empty_context = Context()


def context_for_later() -> Context:
    """Return a copy of the current context without the current run, which the copy would keep alive."""
    context = copy_context()
    if running_run in context:
        context.run(running_run.set, None)
    return context


def shared_context_for_later() -> Context:
    """Return a context like `context_for_later` that the caller must not enter: empty contexts are one object.

    A context takes 64 bytes of each task, and that of most scripts is empty.
    """
    context = copy_context()
    if not context:
        return _empty_context
    return context_for_later() if running_run in context else context


trace_fields: list[Callable[[], Mapping[str, str]]] = []
"""Function that returns further fields of the records of runs; empty unless runs are traced."""


def add_run_fields(record: logging.LogRecord) -> None:
    """Give a record the fields of the current run, if there is one and the record has none."""
    run = running_run.get(None)
    if run is not None and "asyncz_task" not in record.__dict__:
        record.__dict__.update(asyncz_task=run.task_id, asyncz_run=f"{run.run_id}", asyncz_attempt=run.attempt)
        for fields in trace_fields:
            record.__dict__.update(fields())
