"""SIGINT and SIGTERM while a program waits for the end of its scheduler."""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from asyncz.schedulers._safe_logging import logger


@contextmanager
def handle_signals(stop: Callable[[bool], object]) -> Generator[None]:
    """Handle SIGINT and SIGTERM within a block, and restore the handlers after it.

    Only the main thread can handle signals; in any other thread the block runs without.

    Args:
        stop: Called in a signal handler: with True for the first signal, to let the runs finish, with False for
            later ones, to cancel them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received = itertools.count()

    def on_signal(number: int, _: FrameType | None) -> None:
        wait = next(received) == 0
        logger.info("Received %s; %s", signal.Signals(number).name, "draining" if wait else "cancelling all runs")
        stop(wait)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
