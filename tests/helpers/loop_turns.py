"""Times of the turns of an event loop: from the end of a wait for events to the next one."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Never

from typing_extensions import TypeVar, override

ResultT = TypeVar("ResultT")

# Of the current thread: nanoseconds on a processor, nanoseconds of waiting for one, and number of time slices.
_SCHEDULER_STATISTICS = Path("/proc/thread-self/schedstat")


def _waited_for_processor() -> float:
    """Return the seconds that the current thread has waited for a processor, if the system counts them."""
    try:
        return int(_SCHEDULER_STATISTICS.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


class TurnSelector(selectors.DefaultSelector):
    """Selector that measures the turns of its loop, without the time that other processes had the processor.

    Attributes:
        turns: Seconds of each turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[float] = []
        self._began: tuple[float, float] | None = None

    @override
    def select(  # type: ignore[explicit-any]  # the data of a key is any object
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if self._began is not None:
            began, waited = self._began
            self.turns.append(time.perf_counter() - began - (_waited_for_processor() - waited))
        events = super().select(timeout)
        self._began = time.perf_counter(), _waited_for_processor()
        return events


def run_measured(main: Callable[[], Coroutine[object, Never, ResultT]]) -> tuple[ResultT, list[float]]:
    """Run a coroutine in a loop of its own, and return its result and the seconds of each turn."""
    selector = TurnSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        return runner.run(main()), selector.turns
