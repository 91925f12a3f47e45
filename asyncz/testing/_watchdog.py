"""Watchdog of the conformance suites: checks run in daemon threads, which are abandoned if they hang."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from typing import Never

from asyncz.testing.rules import LOOP_NOT_BLOCKED, SHUTDOWN_RETURNS, Rule, RuleBrokenError

_BEATS = 20


def run_in_own_thread(check: Callable[[], None], hang_timeout: float, hang_breaks: Rule) -> None:
    """Run a check in a daemon thread, and raise its exception.

    Args:
        check: The check.
        hang_timeout: Seconds after which the thread is abandoned.
        hang_breaks: The rule that is broken if the check does not return in time.

    Raises:
        RuleBrokenError: The check hangs.
    """
    errors: list[BaseException] = []

    def run() -> None:
        try:
            check()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="asyncz-conformance", daemon=True)
    thread.start()
    thread.join(hang_timeout)
    if thread.is_alive():
        raise RuleBrokenError(hang_breaks, f"a check has been blocked for {hang_timeout:g} s, at\n{_stack_of(thread)}")
    if errors:
        raise errors[0]


def run_in_own_loop(
    main: Callable[[], Coroutine[object, Never, None]], hang_timeout: float, blocked_breaks: Rule = LOOP_NOT_BLOCKED
) -> None:
    """Run a coroutine function in a new event loop in a daemon thread, and raise its exception.

    The thread is abandoned if the loop is blocked for longer than `hang_timeout`. So a check that hangs fails, and
    neither the following checks nor the exit of the interpreter wait for it.

    Args:
        main: The coroutine function.
        hang_timeout: Seconds for which the loop may be blocked.
        blocked_breaks: The rule that a blocked loop breaks.

    Raises:
        RuleBrokenError: The loop was blocked, or could not be closed afterwards.
    """
    attempt = _LoopThread(main, hang_timeout, blocked_breaks)
    attempt.thread.start()
    attempt.wait()
    if attempt.error is not None:
        raise attempt.error


class _LoopThread:
    def __init__(
        self, main: Callable[[], Coroutine[object, Never, None]], hang_timeout: float, blocked_breaks: Rule
    ) -> None:
        self._main = main
        self._hang_timeout = hang_timeout
        self._blocked_breaks = blocked_breaks
        self._beats = 0
        self._done = threading.Event()
        self.error: BaseException | None = None
        self.thread: threading.Thread = threading.Thread(target=self._run, name="asyncz-conformance", daemon=True)

    def wait(self) -> None:
        # Counted in waits of this thread: on a busy machine they last longer too, and the loop gets the same share.
        beats, missed = self._beats, 0
        while not self._done.wait(self._hang_timeout / _BEATS):
            beats, missed = self._beats, missed + 1 if self._beats == beats else 0
            if missed > _BEATS:
                raise RuleBrokenError(
                    self._blocked_breaks,
                    f"the loop has been blocked for {self._hang_timeout:g} s, at\n{_stack_of(self.thread)}",
                )
        self.thread.join(self._hang_timeout)
        if self.thread.is_alive() and self.error is None:
            raise RuleBrokenError(
                SHUTDOWN_RETURNS, f"{self._hang_timeout:g} s after the shutdown, the event loop cannot be closed"
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
            self._beats += 1
            await asyncio.sleep(self._hang_timeout / _BEATS)


def _stack_of(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)[-6:]) if frame is not None else ""
