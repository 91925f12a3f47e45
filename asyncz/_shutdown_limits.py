"""Time limits of a shutdown that has no more time for its runs.

Their sum is the documented margin: `shutdown(timeout=T)` returns within T + 5 seconds.
"""

from __future__ import annotations

CLEANUP_SECONDS: float = 3.0
"""Time for the cleanup of cancelled runs; less than `EXECUTORS_SECONDS`, so that executors can end their workers."""

EXECUTORS_SECONDS: float = 4.0
"""Time for the shutdown of all executors, from the moment when the remaining runs are cancelled."""

LISTENERS_SECONDS: float = 0.5
"""Time for the awaitables of listeners, and again after they were cancelled."""

LEAST_SECONDS: float = 0.5
"""Time for one step, if code that has blocked the event loop has used up the time of the others."""
