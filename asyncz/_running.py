"""Which run is running here. Worker processes import this too: it needs the standard library only."""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context
from typing import Protocol


class RunningRun(Protocol):
    """A run, in the process that executes it."""

    @property
    def run_id(self) -> int:
        """The number of the run."""
        ...

    @property
    def task_id(self) -> str:
        """The id of its task."""
        ...

    @property
    def attempt(self) -> int:
        """1 for its first attempt."""
        ...

    @property
    def scheduled(self) -> float:
        """When it was due, in seconds since the epoch."""
        ...

    def is_cancelled(self) -> bool:
        """Whether it is to end. May be called from any thread."""
        ...


running_run: ContextVar[RunningRun | None] = ContextVar("asyncz.running_run")


def context_for_later() -> Context:
    """The present context variables, for what is added now: it does not keep the run alive that adds it."""
    context = copy_context()
    if running_run in context:
        context.run(running_run.set, None)
    return context
