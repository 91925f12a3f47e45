"""Registry of the runs of one executor: one record per run, with a state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeAlias, cast

from typing_extensions import TypeVar

if TYPE_CHECKING:
    from asyncz.events import TaskCancelled, TaskError
    from asyncz.runs import RunTimer, TaskRun

ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)

MakeOutcome: TypeAlias = "Callable[[], TaskError | TaskCancelled]"
"""Creates the outcome of a run that was interrupted, when its work has ended."""


class RunState(Enum):
    """State of a run in its executor.

    ::

        add ─▶ QUEUED ──claim──▶ RUNNING ◀── add
                 │                │   └─abandon─▶ ABANDONED
                 │abandon, finish │finish             │finish
                 ▼                ▼                   │
               DONE ◀─────────────┴───────────────────┘

    Every transition is made under the lock of the registry. `DONE` means: the slot of the run is free, and one thread
    is reporting the outcome or the release. When the notifier has returned, that thread removes the record.
    """

    QUEUED = auto()
    RUNNING = auto()
    ABANDONED = auto()
    DONE = auto()


# Global names are found faster than the members of an enumeration.
QUEUED: Final = RunState.QUEUED
RUNNING: Final = RunState.RUNNING
ABANDONED: Final = RunState.ABANDONED
DONE: Final = RunState.DONE


class RunConsumer(Protocol):
    """Function that accepts the runs of every task."""

    def __call__(self, run: TaskRun[ResultT], /) -> object: ...


def for_all_runs(accept: Callable[[TaskRun[object]], object]) -> RunConsumer:
    """Return a function that keeps or passes on runs, as one that accepts the runs of every task.

    Unverified: that the function does not use the result type. `TaskRun` is invariant in it, so a checker accepts only
    runs of `object`, although a queue treats all runs alike.
    """
    return cast("RunConsumer", accept)


class RunRecord(Generic[ResultT_co]):
    """One run of an executor.

    Covariant: the run is private, and `hand_to` passes it only to a function that accepts runs of every type.

    Attributes:
        task_id: The id of the task.
        state: The state; only the registry changes it, under its lock.
        timer: The timer of its timeout or of its cleanup; for the loop's thread.
        interruption: The outcome that is reported instead of that of the function, as the run was interrupted.
        is_reporting: True while a thread reports that the run is abandoned.
    """

    __slots__ = ("_run", "interruption", "is_reporting", "state", "task_id", "timer")

    def __init__(self, run: TaskRun[ResultT_co], state: RunState) -> None:
        self._run = run
        self.task_id: str = run.task_id
        self.state: RunState = state
        self.timer: RunTimer | None = None
        self.interruption: MakeOutcome | None = None
        self.is_reporting: bool = False

    @property
    def run_id(self) -> int:
        """Id of the attempt."""
        return self._run.id

    def hand_to(self, consumer: RunConsumer) -> None:
        """Call a function with the run."""
        consumer(self._run)


class RunCounts:
    """Consistent counts of a registry: runs per task, queued runs, abandoned runs."""

    __slots__ = ("abandoned", "instances", "queued")

    def __init__(self, instances: dict[str, int], queued: int, abandoned: int) -> None:
        self.instances: dict[str, int] = instances
        self.queued: int = queued
        self.abandoned: int = abandoned


class RunRegistry:
    """Records of the runs that an executor accepted and that are not over.

    The methods may be called from any thread, except `add`, which is for the loop's thread. No method calls anything
    foreign while it holds the lock, so the lock is held for about a microsecond and never together with another one.

    Attributes:
        get: Return the record of a run, or None if the run is over or was never added.
    """

    def __init__(self) -> None:
        # Reentrant, as a method that finishes a run under a condition calls `finish` under the lock.
        self._lock = threading.RLock()
        self._records: dict[int, RunRecord[object]] = {}
        # The method of the dictionary itself: each run needs it, and a method around it would take twice as long.
        self.get: Callable[[int], RunRecord[object] | None] = self._records.get
        self._instances: dict[str, int] = {}
        self._queued = 0
        self._abandoned = 0
        self._reporting = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def queued(self) -> int:
        """Number of queued runs."""
        return self._queued

    def instances(self, task_id: str) -> int:
        """Return the number of runs of a task that occupy a slot."""
        # Without the lock: one look into a dictionary is atomic. Only the loop's thread, which asks this, adds runs, so
        # the true number can only be smaller a moment later.
        return self._instances.get(task_id, 0)

    def add(self, run: TaskRun[ResultT], state: RunState) -> None:
        """Add a run as queued or running. For the loop's thread."""
        record, task_id, instances = RunRecord(run, state), run.task_id, self._instances
        with self._lock:
            self._records[run.id] = record
            instances[task_id] = instances.get(task_id, 0) + 1
            if state is QUEUED:
                self._queued += 1

    def claim(self, run_id: int) -> bool:
        """Change a queued run to running.

        Returns:
            True if the caller should go on with the run. False if the run is over.
        """
        with self._lock:
            record = self._records.get(run_id)
            if record is None:
                return False
            if record.state is QUEUED:
                record.state = RUNNING
                self._queued -= 1
                return True
            return record.state is not DONE

    def cancel_queued(self, run_id: int) -> bool:
        """Finish a run if it is still queued: of a claim and a cancellation, exactly one succeeds."""
        with self._lock:
            record = self._records.get(run_id)
            if record is None or record.state is not QUEUED:
                return False
            self.finish(record)
            return True

    def abandon(self, run_id: int) -> RunState | None:
        """Change a running run to abandoned, and a queued one to done: no work of it could go on.

        The caller then reports the outcome. Of a run that was running it calls `reported` afterwards, of one that was
        queued `remove`.

        Returns:
            The state before; None if the run already has an outcome, so that the caller has nothing to report.
        """
        with self._lock:
            record = self._records.get(run_id)
            if record is None or record.state is DONE or record.state is ABANDONED:
                return None
            previous = record.state
            if previous is QUEUED:
                self.finish(record)
            else:
                record.state = ABANDONED
                record.is_reporting = True
                self._abandoned += 1
                self._reporting += 1
            return previous

    def reported(self, run_id: int) -> bool:
        """Note that the outcome of an abandoned run was reported.

        Returns:
            True if the work of the run has ended meanwhile. Then the caller reports the release, and calls `remove`.
        """
        with self._lock:
            self._reporting -= 1
            record = self._records.get(run_id)
            if record is None:
                return False
            record.is_reporting = False
            return record.state is DONE

    def is_abandoned(self, run_id: int) -> bool:
        """Return True if a run was abandoned and its work goes on."""
        record = self._records.get(run_id)
        return record is not None and record.state is ABANDONED

    def is_over(self, run_id: int) -> bool:
        """Return True if the work of a run has ended."""
        record = self._records.get(run_id)
        return record is None or record.state is DONE

    def finish(self, record: RunRecord[object]) -> RunState | None:
        """Change a run to done, which frees its slot.

        The caller then reports: of a run that was queued or running its outcome and release, of an abandoned one its
        release; then it calls `remove`.

        Returns:
            The state before; None if the run was done already, so that this is a second outcome. `DONE` if another
            thread is just reporting that the run was abandoned: it will report the release as well, in this order.
        """
        with self._lock:
            previous = record.state
            if previous is DONE:
                return None
            if previous is QUEUED:
                self._queued -= 1
            elif previous is ABANDONED:
                self._abandoned -= 1
            record.state = DONE
            task_id, instances = record.task_id, self._instances
            remaining = instances[task_id] - 1
            if remaining:
                instances[task_id] = remaining
            else:
                # A program may create tasks without end: nothing is kept of one that has no runs.
                del instances[task_id]
            return DONE if record.is_reporting else previous

    def interrupt(self, run_id: int, interruption: MakeOutcome) -> bool:
        """Set the outcome that a running run will have, whatever its function returns or raises from now on.

        Returns:
            True if this is the first interruption of the run.
        """
        with self._lock:
            record = self._records.get(run_id)
            if record is None or record.state is not RUNNING or record.interruption is not None:
                return False
            record.interruption = interruption
            return True

    def continue_run(self, run_id: int) -> bool:
        """Take back `interrupt`, as the run could not be interrupted.

        Returns:
            False if the run has an outcome already, or is just getting it.
        """
        with self._lock:
            record = self._records.get(run_id)
            if record is None or record.state is not RUNNING:
                return False
            record.interruption = None
            return True

    def remove(self, run_id: int) -> None:
        """Remove the record of a run that is done and reported."""
        # Without the lock: to remove one item of a dictionary is atomic. Whoever waits until the registry has drained
        # looks again after each report; see `BaseExecutor.finish`.
        self._records.pop(run_id, None)

    def withdraw(self, run_id: int) -> None:
        """Remove a run that was added and then rejected: nothing is reported."""
        record = self._records.get(run_id)
        if record is not None and self.finish(record) is not None:
            self.remove(run_id)

    def all(self, state: RunState | None = None) -> tuple[RunRecord[object], ...]:
        """Return the records, or those in one state."""
        with self._lock:
            return tuple(record for record in self._records.values() if state is None or record.state is state)

    def counts(self) -> RunCounts:
        """Return the counts, all as of the same moment."""
        with self._lock:
            return RunCounts(self._instances.copy(), self._queued, self._abandoned)

    @property
    def is_drained(self) -> bool:
        """True if every run is over or abandoned, and every outcome was reported."""
        with self._lock:
            return len(self._records) <= self._abandoned and not self._reporting
