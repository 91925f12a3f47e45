"""Deletion of old runs and of tasks that are not needed any more, in small steps."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Generator, Sequence

from asyncz._safe_logging import is_interrupt
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers._store_history import HistoryLimit
from asyncz.stores.exceptions import StoreClosedError, StoreError
from asyncz.stores.options import StoreOptions
from asyncz.stores.protocol import StoreSession

# Seconds until the next attempt to delete old runs if one has failed.
_PRUNE_RETRY_DELAY = 60.0
# Seconds between two sweeps of tasks that are not needed any more; each node makes them.
_SWEEP_INTERVAL = 300.0
_SWEPT = 500


class StoreCleanup:
    """Cleanup of a store. A failure only delays it: runs are fired with a long history too.

    Args:
        options: Options for the store.
        history: Limit of the history.
    """

    def __init__(self, options: StoreOptions, history: HistoryLimit) -> None:
        self._options = options
        self._history = history
        self.next_prune: float = 0.0
        self.next_sweep: float = 0.0

    def open(self) -> None:
        """Prune at once, and sweep later: nodes that were started together sweep at different times."""
        self.next_prune = 0.0
        self.next_sweep = time.monotonic() + _SWEEP_INTERVAL * random.uniform(0.1, 1)  # noqa: S311  # not a secret

    @property
    def delay(self) -> float:
        """Seconds until the next step."""
        return max(0.0, min(self.next_prune, self.next_sweep) - time.monotonic())

    async def step(self, session: StoreSession) -> bool:
        """Clean up what is due, and return True if tasks have changed."""
        now = time.monotonic()
        if now >= self.next_prune:
            await self._prune(session)
        return now >= self.next_sweep and await self._sweep(session)

    async def _prune(self, session: StoreSession) -> None:
        delay = _PRUNE_RETRY_DELAY
        with _logged("Old runs could not be deleted"):
            delay = await self._history.prune(session)
        self.next_prune = time.monotonic() + delay

    async def _sweep(self, session: StoreSession) -> bool:
        self.next_sweep = time.monotonic() + _SWEEP_INTERVAL * random.uniform(0.5, 1)  # noqa: S311  # not a secret
        options = self._options
        changed: Sequence[str] = ()
        with _logged("Old tasks could not be removed"):
            changed = await session.sweep(options.keep_undeclared, options.keep_finished, _SWEPT)
        if changed:
            logger.info("%d stored task(s) are undeclared or removed now, such as %r", len(changed), changed[0])
        return bool(changed)


@contextlib.contextmanager
def _logged(failure: str) -> Generator[None, None, None]:
    """Log an error of the store, unless it ends the caller or the session was closed."""
    try:
        yield
    except StoreClosedError:
        raise
    except BaseException as error:
        if ends_caller(error):
            raise
        log_failure(failure, error)


def ends_caller(error: BaseException) -> bool:
    """Return True for an interrupt, and for a cancellation that was requested: a store may raise these classes too."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return is_interrupt(error)


def log_failure(failure: str, error: BaseException) -> None:
    """Log an error of the store; one of a class that it may not raise is a fault, whose traceback is worth having."""
    if isinstance(error, StoreError | TimeoutError):
        logger.warning("%s: %s", failure, error)
    else:
        logger.error("%s", failure, exc_info=error)
