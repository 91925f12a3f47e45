"""Thread that renews the lease of a node."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from asyncz._run_owners import LeaseTerm
from asyncz.schedulers._safe_logging import logger
from asyncz.stores.exceptions import StoreClosedError, StoreError
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import Lease

# Part of a lease that the node does not use, for the time between the clocks of node and store.
_MARGIN = 0.1
# Seconds until the next attempt if a renewal has failed.
_RETRY_DELAY = 0.5

# The monotonic clock of Linux stands still while the machine sleeps, and the store does not wait for it.
lease_clock: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Return the seconds since some moment, of a clock that cannot be set and that runs while the process is stopped."""


class LeaseKeeper:
    """Daemon thread that renews a lease each third of its duration: a blocked event loop does not lose it.

    The thread alone assigns `term` and its attributes, and other threads read them; see `LeaseTerm`. A new term begins
    with a renewal that follows the end of the lease. The former term is marked as over before the new one is assigned,
    so that no thread can take the new term for that of a run from before.

    Args:
        session: Session with the store.
        duration: Duration of the lease in seconds.
        sent: Time of `lease_clock` before the first lease was requested.
        now: Returns the time of the scheduler, in seconds since the epoch.
        on_renewed: Function that is called in the thread after each renewal, with the lease, whether the former one
            had ended, and the times of the scheduler before and after the call.

    Attributes:
        term: Present term. Runs belong to the one that was present before the store was asked for them.
    """

    def __init__(
        self,
        session: StoreSession,
        duration: float,
        sent: float,
        now: Callable[[], float],
        on_renewed: Callable[[Lease, bool, float, float], object],
    ) -> None:
        self._session = session
        self._duration = duration
        self._now = now
        self._on_renewed = on_renewed
        self._sent = sent
        self.term: LeaseTerm = LeaseTerm(self._end_of(sent), lease_clock)
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
        return self.term.is_valid

    @property
    def remaining(self) -> float:
        """Seconds until the lease ends; negative if it has ended."""
        return self.term.remaining

    @property
    def seconds_left(self) -> float:
        """Seconds until other nodes may take over the runs of this one. Thread-safe."""
        return max(0.0, self.term.remaining)

    def _end_of(self, sent: float) -> float:
        return sent + self._duration * (1 - _MARGIN)

    def _run(self) -> None:
        # The connection may have taken a part of the first lease.
        delay = max(0.0, self._sent + self._duration / 3 - lease_clock())
        failed = False
        while not self._stopped.wait(delay):
            # Read before the call: the store cannot have granted the lease any earlier.
            sent, asked = lease_clock(), self._now()
            try:
                lease = self._session.renew()
            except StoreClosedError:
                return
            except StoreError:
                delay, failed = _RETRY_DELAY, True
                continue
            except BaseException:
                # A store is user code. This thread must survive all exceptions that it raises.
                logger.exception("The lease could not be renewed")
                delay, failed = _RETRY_DELAY, True
                continue
            # A renewal whose answer was lost may have been the one that would have reported the loss.
            lost = lease.lost or (failed and lease_clock() - self._sent >= self._duration)
            failed = False
            self._renewed(sent, lost=lost)
            delay = self._duration / 3
            self._on_renewed(lease, lost, asked, self._now())

    def _renewed(self, sent: float, *, lost: bool) -> None:
        self._sent, until = sent, self._end_of(sent)
        if lost:
            self.term.over = True
            self.term = LeaseTerm(until, lease_clock)
        else:
            self.term.until = until


def clock_offset(known: float, asked: float, lease: Lease, answered: float) -> float:
    """Return the seconds by which a clock is ahead of that of the store; 0 if the two may be equal.

    The call only shows limits of the offset, whose distance is its duration. A known offset between them is kept:
    otherwise each slow call would change it.

    Args:
        known: Present offset.
        asked: Time of the clock before the call that returned the lease.
        lease: The lease, with the time of the store during the call.
        answered: Time of the clock after the call.
    """
    stored = lease.now.timestamp()
    for offset in (known, 0.0):
        if asked - stored <= offset <= answered - stored:
            return offset
    # If it is too large, runs are late by the duration of the call; if it were too small, they would be early.
    return answered - stored
