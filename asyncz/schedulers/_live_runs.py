"""Live and waiting runs of one task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from typing_extensions import TypeVar

from asyncz._run_ids import RunKey, WantedRun
from asyncz.schedulers._backlog import Backlog
from asyncz.schedulers._counters import TaskHistory
from asyncz.schedulers._live_run import LiveRun
from asyncz.schedulers._retrying import Retrying

ResultT = TypeVar("ResultT")


class LiveRuns(TaskHistory, Generic[ResultT]):
    """Live runs of a task, from their submission until their executor releases them; its waiting runs and its history.

    For the loop's thread, except for the methods that say otherwise.
    """

    # The one live run; with several, all of them are in `_live`: most tasks never have two, and need no dict.
    _only_run: LiveRun[ResultT] | None
    _live: dict[RunKey, LiveRun[ResultT]] | None

    # Each of the two is None while it is empty, as most tasks are idle.
    _backlog: Backlog[ResultT] | None
    _retrying: Retrying[ResultT] | None

    __slots__ = ("_backlog", "_live", "_only_run", "_retrying")

    def __init__(self) -> None:
        super().__init__()
        self._only_run = self._live = None
        self._backlog = self._retrying = None

    @property
    def backlog_size(self) -> int:
        """Number of due runs that wait for a slot. Thread-safe."""
        backlog = self._backlog
        return 0 if backlog is None else len(backlog)

    @property
    def first_due(self) -> float | None:
        """Return the due time of the run that waits longest for a slot. Thread-safe."""
        backlog = self._backlog
        return None if backlog is None else backlog.first_due

    @property
    def clock_offset(self) -> float:
        """Seconds by which the clock of the scheduler is ahead of that of the due times."""
        return 0.0

    @property
    def retrying(self) -> int:
        """Number of runs that wait for their next attempt. Thread-safe."""
        retrying = self._retrying
        return 0 if retrying is None else len(retrying)

    @property
    def is_idle(self) -> bool:
        """True if no run is live and no due run or attempt waits."""
        return not self.live_count and self._backlog is None and self._retrying is None

    @property
    def live_count(self) -> int:
        """Number of live runs. Thread-safe."""
        # In this order, see `keep`.
        only, live = self._only_run, self._live
        return 1 if only is not None else 0 if live is None else len(live)

    def live_runs(self) -> tuple[LiveRun[ResultT], ...]:
        """Return the live runs, oldest first. Thread-safe."""
        only, live = self._only_run, self._live
        if only is not None:
            return (only,)
        return () if live is None else tuple(live.values())

    def find_live(self, key: RunKey) -> LiveRun[ResultT] | None:
        """Return a live run by its key; None if it is not live. Thread-safe."""
        only, live = self._only_run, self._live
        if only is not None:
            return only if only._key == key else None
        return None if live is None else live.get(key)

    def find_wanted(self, wanted: WantedRun) -> Sequence[LiveRun[ResultT]]:
        """Return the live runs with an id, of which a task in memory has at most one. Thread-safe."""
        run = None if wanted.number is None else self.find_live(wanted.number)
        return () if run is None else (run,)

    def keep(self, run: LiveRun[ResultT]) -> None:
        """Add a live run, or an attempt in the place of the one before."""
        only, live = self._only_run, self._live
        if live is not None:
            live[run._key] = run
        elif only is None or only._key == run._key:
            self._only_run = run
        else:
            # In this order: another thread that reads `_only_run` first finds the run in one of both places.
            self._live = {only._key: only, run._key: run}
            self._only_run = None

    def drop(self, run: LiveRun[ResultT]) -> None:
        """Remove a live run. The slot of an attempt that another one follows belongs to that one."""
        live = self._live
        if self._only_run is run:
            self._only_run = None
        elif live is not None and live.get(run._key) is run:
            if len(live) > 1:
                del live[run._key]
            else:
                self._live = None

    @property
    def any_incomplete(self) -> bool:
        """Return True if a run has no outcome yet."""
        return any(not run.done for run in self.live_runs())
