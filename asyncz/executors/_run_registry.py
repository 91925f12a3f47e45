"""Registry of the runs of one executor: one record per run, with a state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeAlias, cast

from typing_extensions import TypeVar

from asyncz.exceptions import MaximumInstancesError, QueueFullError

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

    Every transition is made under the lock of the registry, except for `claim`, see there. `DONE` means: the slot of
    the run is free, and one thread is reporting the outcome or the release. When the notifier has returned, that thread
    removes the record.
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
        state: The state, except that a queued run is `RUNNING` here; only the registry changes it, under its lock.
        was_queued: False if the run is known to have left the queue, which then need not be searched.
        timer: The timer of its timeout or of its cleanup; for the loop's thread.
        interruption: The outcome that is reported instead of that of the function, as the run was interrupted.
        is_reporting: True while a thread reports that the run is abandoned.
    """

    __slots__ = ("_run", "interruption", "is_reporting", "state", "task_id", "timer", "was_queued")

    def __init__(self, run: TaskRun[ResultT_co], queued: bool) -> None:
        self._run = run
        self.task_id: str = run.task_id
        self.state: RunState = RUNNING
        self.was_queued: bool = queued
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


class RunCounts(NamedTuple):
    """Counts of a registry, all as of the same moment.

    Attributes:
        instances: Number of runs that occupy a slot, by the id of their task.
        queued: Number of queued runs.
        abandoned: Number of abandoned runs.
    """

    instances: dict[str, int]
    queued: int
    abandoned: int


class RunRegistry:
    """Records of the runs that an executor accepted and that are not over.

    The methods may be called from any thread, except for those that add runs, which are for the loop's thread. No
    method calls user code while it holds the lock, so the lock is held for about a microsecond and never
    together with another one.

    Attributes:
        get: Return the record of a run, or None if the run is over or was never added.
        instances: Return the number of runs of a task that occupy a slot, by the id of the task and a default.
        pop: Remove the record of a run that is done and reported; with None as a default.
    """

    def __init__(self) -> None:
        # Reentrant, as a method that finishes a run under a condition calls `finish` under the lock.
        self._lock = threading.RLock()
        self._records: dict[int, RunRecord[object]] = {}
        self._queued: dict[int, RunRecord[object]] = {}
        self._instances: dict[str, int] = {}
        # The methods of the dictionaries themselves: each run needs them, and a method around one would take twice as
        # long. Each is atomic, and needs no lock:
        # - `instances`: only the loop's thread, which asks this, adds runs, so the true number can only be smaller a
        #   moment later.
        # - `pop`: a shutdown that waits until the registry has drained looks again after each report; see
        #   `BaseExecutor.finish`.
        self.get: Callable[[int], RunRecord[object] | None] = self._records.get
        self.instances: Callable[[str, int], int] = self._instances.get
        self.pop: Callable[[int, None], RunRecord[object] | None] = self._records.pop
        self._abandoned = 0
        self._reporting = 0

    def __len__(self) -> int:
        return len(self._records)

    def admit(self, run: TaskRun[ResultT], queued: bool, alias: str, max_queue: int | None) -> None:
        """Add a run as queued or running, if its task and the queue have room. For the loop's thread.

        Raises:
            MaximumInstancesError: The task has its maximum of running instances.
            QueueFullError: The queue holds `max_queue` runs.
        """
        run_id, task_id, instances = run.id, run.task_id, self._instances
        record = RunRecord(run, queued)
        with self._lock:
            running = instances.get(task_id, 0)
            if running >= run.limits.max_instances:
                raise MaximumInstancesError(task_id, run.limits.max_instances)
            if queued:
                if max_queue is not None and len(self._queued) >= max_queue:
                    raise QueueFullError(alias, max_queue)
                self._queued[run_id] = record
            instances[task_id] = running + 1
            self._records[run_id] = record

    def add_running(self, run: TaskRun[ResultT]) -> None:
        """Add a run that was admitted before, as running. For the loop's thread."""
        record, task_id, instances = RunRecord(run, queued=False), run.task_id, self._instances
        with self._lock:
            self._records[run.id] = record
            instances[task_id] = instances.get(task_id, 0) + 1

    def claim(self, run_id: int) -> bool:
        """Change a queued run to running.

        To take a run out of the queue needs no lock: it is one operation of a dictionary, which is atomic. Others take
        runs out under the lock, before they change the state: so exactly one of a claim and a cancellation finds the
        run in the queue, and a claim that does not find it looks at the state under the lock, when that is final. The
        claim itself changes no state: that of a queued run is `RUNNING` already.

        Returns:
            True if the caller should continue with the run. False if the run is over.
        """
        record = self._queued.pop(run_id, None)
        if record is not None:
            record.was_queued = False
            return True
        with self._lock:
            record = self._records.get(run_id)
            return record is not None and record.state is not DONE

    def cancel_queued(self, run_id: int) -> bool:
        """Finish a run if it is still queued: of a claim and a cancellation, exactly one succeeds."""
        with self._lock:
            record = self._queued.pop(run_id, None)
            if record is None:
                return False
            self.finish(record)
            return True

    def abandon(self, run_id: int) -> RunState | None:
        """Change a running run to abandoned, and a queued one, whose function is not running, to done.

        The caller then reports the outcome. Of a run that was running it calls `reported` afterwards, of one that was
        queued `pop`.

        Returns:
            The state before; None if the run already has an outcome, so that the caller has nothing to report.
        """
        with self._lock:
            record = self._records.get(run_id)
            if record is None or record.state is not RUNNING:
                return None
            if self._queued.pop(run_id, None) is not None:
                self.finish(record)
                return QUEUED
            record.state = ABANDONED
            record.is_reporting = True
            self._abandoned += 1
            self._reporting += 1
            return RUNNING

    def reported(self, run_id: int) -> bool:
        """Note that the outcome of an abandoned run was reported.

        Returns:
            True if the work of the run has ended meanwhile. Then the caller reports the release, and calls `pop`.
        """
        with self._lock:
            self._reporting -= 1
            record = self._records.get(run_id)
            if record is None:
                return False
            record.is_reporting = False
            return record.state is DONE

    def is_abandoned(self, run_id: int) -> bool:
        """Return True if a run was abandoned and its function has not returned."""
        record = self._records.get(run_id)
        return record is not None and record.state is ABANDONED

    def is_over(self, run_id: int) -> bool:
        """Return True if the work of a run has ended."""
        record = self._records.get(run_id)
        return record is None or record.state is DONE

    def finish(self, record: RunRecord[object]) -> RunState | None:
        """Change a run to done, which frees its slot.

        The caller then reports: of a run that was queued or running its outcome and release, of an abandoned one its
        release; then it calls `pop`.

        Returns:
            The state before; None if the run was done already, so that this is a second outcome. `DONE` if another
            thread is just reporting that the run was abandoned: it will report the release as well, in this order.
        """
        task_id, instances = record.task_id, self._instances
        with self._lock:
            previous = record.state
            if previous is DONE:
                return None
            if record.was_queued and self._queued.pop(record.run_id, None) is not None:
                previous = QUEUED
            record.state = DONE
            remaining = instances[task_id] - 1
            if remaining:
                instances[task_id] = remaining
            else:
                # A program may create tasks without end: nothing is kept of one that has no runs.
                del instances[task_id]
            if previous is not ABANDONED:
                return previous
            self._abandoned -= 1
            return DONE if record.is_reporting else ABANDONED

    def finish_usual(self, run_id: int) -> RunRecord[object] | None:
        """Do the same as `finish` for a run that is running and was not interrupted, and return its record.

        Returns:
            None if the run is not one of these: then nothing has changed.
        """
        record = self._records.get(run_id)
        if record is None or record.was_queued:
            return None
        task_id, instances = record.task_id, self._instances
        with self._lock:
            if record.state is not RUNNING or record.interruption is not None:
                return None
            record.state = DONE
            remaining = instances[task_id] - 1
            if remaining:
                instances[task_id] = remaining
            else:
                del instances[task_id]
        return record

    def interrupt(self, run_id: int, interruption: MakeOutcome) -> bool:
        """Set the outcome of a running run, in place of the result or exception of its function.

        Returns:
            True if this is the first interruption of the run.
        """
        with self._lock:
            record = self._records.get(run_id)
            if record is None or record.state is not RUNNING or record.interruption is not None:
                return False
            if run_id in self._queued:
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

    def withdraw(self, run_id: int) -> None:
        """Remove a run that was added and then rejected: nothing is reported."""
        record = self.get(run_id)
        if record is not None and self.finish(record) is not None:
            self.pop(run_id, None)

    def all(self, state: RunState | None = None) -> tuple[RunRecord[object], ...]:
        """Return the records, or those in one state."""
        with self._lock:
            # Copies: other threads take runs out without the lock.
            records, queued = self._records.copy(), self._queued.copy()
        if state is QUEUED:
            return tuple(queued.values())
        return tuple(
            record
            for run_id, record in records.items()
            if state is None or (record.state is state and run_id not in queued)
        )

    def counts(self) -> RunCounts:
        """Return the counts, all as of the same moment."""
        with self._lock:
            return RunCounts(self._instances.copy(), len(self._queued), self._abandoned)

    @property
    def is_drained(self) -> bool:
        """True if every run is over or abandoned, and every outcome was reported."""
        with self._lock:
            return len(self._records) <= self._abandoned and not self._reporting
