"""Runs a test in an event loop of its own, from which it can walk away."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable, Coroutine
from typing import Never

from asyncz.testing.rules import LOOP_GOES_ON, SHUTDOWN_RETURNS, RuleBrokenError


def run_in_own_loop(main: Callable[[], Coroutine[object, Never, None]], hang_timeout: float) -> None:
    """Run a coroutine function in a new event loop, and raise what it raises.

    The loop runs in a daemon thread. What blocks it for longer than `hang_timeout` is left behind there: a
    test that hangs fails, and neither hangs the tests after it nor the end of the program.

    Args:
        main: What is run.
        hang_timeout: How many seconds the loop may be blocked.

    Raises:
        RuleBrokenError: The loop was blocked, or could not be closed afterwards.
    """
    attempt = _Attempt(main, hang_timeout)
    attempt.thread.start()
    attempt.wait()
    if attempt.error is not None:
        raise attempt.error


class _Attempt:
    def __init__(self, main: Callable[[], Coroutine[object, Never, None]], hang_timeout: float) -> None:
        self._main = main
        self._hang_timeout = hang_timeout
        self._last_beat = time.monotonic()
        self._done = threading.Event()
        self.error: BaseException | None = None
        self.thread: threading.Thread = threading.Thread(target=self._run, name="asyncz-conformance", daemon=True)

    def wait(self) -> None:
        while not self._done.wait(self._hang_timeout / 20):
            if time.monotonic() - self._last_beat > self._hang_timeout:
                raise RuleBrokenError(
                    LOOP_GOES_ON, f"the loop has been blocked for {self._hang_timeout:g} s, at\n{self._where()}"
                )
        self.thread.join(self._hang_timeout)
        if self.thread.is_alive() and self.error is None:
            raise RuleBrokenError(
                SHUTDOWN_RETURNS,
                f"{self._hang_timeout:g} s after the shutdown something still keeps the event loop from being closed",
            )

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            try:
                runner.run(self._watched())
            except BaseException as error:
                self.error = error
            finally:
                self._done.set()

    async def _watched(self) -> None:
        beating = asyncio.ensure_future(self._beat())
        try:
            await self._main()
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            self._last_beat = time.monotonic()
            await asyncio.sleep(self._hang_timeout / 20)

    def _where(self) -> str:
        frame = sys._current_frames().get(self.thread.ident or 0)
        return "".join(traceback.format_stack(frame)[-6:]) if frame is not None else ""
