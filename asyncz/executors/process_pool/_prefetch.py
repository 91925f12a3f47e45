"""Number of runs that may be sent to a worker ahead of time."""

from __future__ import annotations

SECONDS_IN_FLIGHT = 0.002
"""Total duration of the runs that may be on their way to a busy worker."""

MAX_RUNS = 256
"""Maximum number of runs on their way to one worker: their start tokens must fit into a pipe."""

SECONDS_UNTIL_RECALL = 0.005
"""A run that takes longer than this lets the runs behind it go to other workers."""


_MEAN_OF_MAX_RUNS = SECONDS_IN_FLIGHT / MAX_RUNS


class PrefetchWindow:
    """Maximum number of runs on their way to one worker, derived from the mean duration of recent runs.

    Short runs are sent ahead, so that a worker does not wait for each. Long runs never are.
    """

    __slots__ = ("_mean", "size")

    def __init__(self) -> None:
        self._mean = SECONDS_UNTIL_RECALL
        self.size = 1

    def record(self, seconds: float) -> None:
        """Include the duration of a run in the mean."""
        # Comparisons, as each run comes here: `min` and `max` take ten times as long.
        if seconds > SECONDS_UNTIL_RECALL:
            # A longer run delays the runs behind it by no more than this.
            seconds = SECONDS_UNTIL_RECALL
        elif seconds < 0.0:
            seconds = 0.0
        mean = self._mean = self._mean + 0.1 * (seconds - self._mean)
        if mean <= _MEAN_OF_MAX_RUNS:
            self.size = MAX_RUNS
        else:
            self.size = int(SECONDS_IN_FLIGHT / mean) or 1
