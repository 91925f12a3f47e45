"""Thread that renews the lease of a node."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from asyncz.schedulers._safe_logging import logger
from asyncz.stores.exceptions import StoreClosedError, StoreError
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import Lease

# Part of a lease that the node does not use, for the time between the clocks of node and store.
_MARGIN = 0.1
# Seconds until the next attempt if a renewal has failed.
_RETRY_DELAY = 0.5


class LeaseKeeper:
    """Daemon thread that renews a lease each third of its duration: a blocked event loop does not lose it.

    The thread alone writes `_until`, and the loop's thread reads it: assigning an attribute is atomic under the GIL. A
    loop that reads the old value trusts its lease for a shorter time than it could, which does no harm.

    Args:
        session: Session with the store.
        duration: Duration of the lease in seconds.
        now: Returns the time of the scheduler, in seconds since the epoch.
        on_renewed: Function that is called in the thread after each renewal, with the lease and the seconds by which
            the clock of the scheduler is ahead of that of the store.
    """

    def __init__(
        self,
        session: StoreSession,
        duration: float,
        now: Callable[[], float],
        on_renewed: Callable[[Lease, float], object],
    ) -> None:
        self._session = session
        self._duration = duration
        self._now = now
        self._on_renewed = on_renewed
        self._until = time.monotonic() + duration * (1 - _MARGIN)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="asyncz-lease", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, without waiting for a renewal that is in progress."""
        self._stopped.set()

    @property
    def is_valid(self) -> bool:
        """True if no other node can have taken over the runs of this one."""
        return self.remaining > 0

    @property
    def remaining(self) -> float:
        """Seconds until the lease ends; negative if it has ended."""
        return self._until - time.monotonic()

    @property
    def seconds_left(self) -> float:
        """Seconds until other nodes may take over the runs of this one. Thread-safe."""
        return max(0.0, self._until - time.monotonic())

    def _run(self) -> None:
        delay = self._duration / 3
        while not self._stopped.wait(delay):
            # Read before the call: the store cannot have granted the lease any earlier.
            sent, asked = time.monotonic(), self._now()
            try:
                lease = self._session.renew()
            except StoreClosedError:
                return
            except StoreError:
                delay = _RETRY_DELAY
                continue
            except Exception:
                logger.exception("The lease could not be renewed")
                delay = _RETRY_DELAY
                continue
            self._until = sent + self._duration * (1 - _MARGIN)
            delay = self._duration / 3
            self._on_renewed(lease, clock_offset(asked, lease, self._now()))


def clock_offset(asked: float, lease: Lease, answered: float) -> float:
    """Return the seconds by which a clock is ahead of that of the store; 0 if the two may be equal.

    Args:
        asked: Time of the clock before the call that returned the lease.
        lease: The lease, with the time of the store during the call.
        answered: Time of the clock after the call.
    """
    stored = lease.now.timestamp()
    # If it is too large, runs are late by the duration of the call; if it were too small, they would be early.
    return 0.0 if asked <= stored <= answered else answered - stored
