"""Checks of executors that interrupt runs: by a cancellation, and by a time limit."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import ClassVar, Generic
from unittest import SkipTest

from typing_extensions import TypeVar

from asyncz._unsafe import as_cancelling
from asyncz.events import TaskCancelled
from asyncz.exceptions import TaskTimeoutError
from asyncz.limits import TaskLimits
from asyncz.testing import _payloads, rules
from asyncz.testing._harness import Submitted, Trial
from asyncz.testing.rules import RULES, RuleBrokenError
from asyncz.testing.suite import RuleSuite, checks

ResultT = TypeVar("ResultT")

# Parts of `hang_timeout`: the longer timeout is for a busy machine, on which a function is not called within the first.
_TIMEOUT_SHARES = 0.02, 0.1
_STEPS, _STEP_SHARE = 100, 0.001


class InterruptionChecks(RuleSuite, Generic[ResultT]):
    """Test methods for the rules of cancellation and time limits; skipped if the executor declares that it has none."""

    __test__: ClassVar[bool] = False
    _rules = RULES
    _maker = "make_result"

    runs_inline: bool
    runs_in_another_process: bool
    limits_time: bool
    signals_cancellation: bool
    hang_timeout: float

    def make_result(self, number: int, /) -> ResultT:
        """Make a result that equals another one only if the number is the same."""
        raise NotImplementedError

    def _trial(self, *, start: bool = True) -> AbstractAsyncContextManager[Trial[ResultT]]:
        raise NotImplementedError

    # Tests

    @checks(rules.CANCELLED_COROUTINES)
    async def test_accepted_cancellation_reaches_coroutine(self) -> None:
        self._unless_inline("a run has ended when submit returns")
        async with self._trial() as trial:
            submitted, gate = self._hold_coroutine(trial)
            if not await self._cancel(trial, submitted):
                raise SkipTest("it cancels no running coroutine")
            _ = await trial.expect_outcome(submitted, TaskCancelled, rules.CANCELLED_COROUTINES)
            if not await trial.comes_true(lambda: gate.count("cancelled") > 0):
                raise RuleBrokenError(
                    rules.CANCELLED_COROUTINES, "cancel returned True, but the coroutine was not cancelled"
                )

    @checks(rules.ASKING_FUNCTIONS)
    async def test_function_can_ask_for_its_cancellation(self) -> None:
        self._unless_inline("a run has ended when submit returns")
        if not self.signals_cancellation:
            raise SkipTest("`signals_cancellation` is False: its functions cannot ask")
        async with self._trial() as trial:
            if as_cancelling(trial.executor) is not None:
                submitted, gate = self._ask(trial)
                _ = await trial.comes_true(lambda: gate.count("asks") > 0)
                _ = await self._cancel(trial, submitted)
                await self._expect_asked(trial, submitted, gate, "was cancelled")
                _ = await trial.expect_outcome(submitted, TaskCancelled, rules.ASKING_FUNCTIONS)
            for limits in self._limits:
                submitted, gate = self._ask(trial, limits)
                _ = await trial.expect_error(submitted, TaskTimeoutError, rules.TIME_LIMITS)
                if gate.count("started"):
                    await self._expect_asked(trial, submitted, gate, "is over its timeout")
                    break
                gate.open()

    @checks(rules.FINALLY_BLOCKS)
    async def test_finally_blocks_run_to_their_end(self) -> None:
        self._unless_inline("a run has ended when submit returns")
        async with self._trial() as trial:
            if as_cancelling(trial.executor) is not None:
                submitted, gate = self._hold_coroutine(trial)
                _ = await self._cancel(trial, submitted)
                await self._expect_cleaned_up(trial, submitted, gate, "was cancelled")
            for limits in self._limits:
                submitted, gate = self._hold_coroutine(trial, limits)
                _ = await trial.expect_error(submitted, TaskTimeoutError, rules.TIME_LIMITS)
                if gate.count("started"):
                    await self._expect_cleaned_up(trial, submitted, gate, "was over its timeout")
                    break
                gate.open()

    # Helpers

    @property
    def _limits(self) -> list[TaskLimits]:
        """Return the timeouts to try, the shortest first; none if the executor enforces none."""
        shares = _TIMEOUT_SHARES if self.limits_time else ()
        return [TaskLimits(timeout=share * self.hang_timeout) for share in shares]

    def _hold_coroutine(
        self, trial: Trial[ResultT], limits: TaskLimits | None = None
    ) -> tuple[Submitted[ResultT], _payloads.Gate]:
        """Submit a coroutine that cleans up when it ends, also if it is cancelled."""
        gate = trial.gate()
        call = partial(_payloads.hold_and_clean_up_async, gate, self.make_result(0))
        submitted = trial.submit(trial.task(call, limits), gate=gate, description="is a coroutine with a cleanup")
        # If the cleanup is cut short, only the rule for `finally` blocks is broken.
        trial.may_be_killed(submitted)
        return submitted, gate

    def _ask(
        self, trial: Trial[ResultT], limits: TaskLimits | None = None
    ) -> tuple[Submitted[ResultT], _payloads.Gate]:
        """Submit a function that returns if its run is cancelled."""
        gate = trial.gate()
        call = partial(_payloads.ask, gate, self.make_result(0))
        return trial.submit(trial.task(call, limits), gate=gate, description="asks for its cancellation"), gate

    async def _cancel(self, trial: Trial[ResultT], submitted: Submitted[ResultT]) -> bool:
        """Cancel a run once it has started, as a scheduler does; return True if the executor accepts that."""
        executor = as_cancelling(trial.executor)
        if executor is None:
            raise SkipTest("it has no `cancel`")
        await trial.started(submitted)
        submitted.run.cancel_requested = True
        return executor.cancel(submitted.run)

    async def _expect_asked(
        self, trial: Trial[ResultT], submitted: Submitted[ResultT], gate: _payloads.Gate, description: str
    ) -> None:
        """Raise an error if the function does not see its cancellation."""
        if not await trial.comes_true(lambda: gate.count("asked") > 0):
            raise RuleBrokenError(
                rules.ASKING_FUNCTIONS, f"current_run().is_cancelled() was False although the run {description}"
            )
        await trial.expect_release(submitted)

    async def _expect_cleaned_up(
        self, trial: Trial[ResultT], submitted: Submitted[ResultT], gate: _payloads.Gate, description: str
    ) -> None:
        """Raise an error if a coroutine is released when its cleanup has not ended."""
        for _ in range(_STEPS):
            if gate.count("cancelled") or trial.notifier.record_of(submitted.run).released:
                break
            await asyncio.sleep(_STEP_SHARE * self.hang_timeout)
        # If the executor cannot interrupt a coroutine, that continues.
        gate.open()
        await trial.expect_release(submitted)
        if not gate.count("cleaned up"):
            raise RuleBrokenError(
                rules.FINALLY_BLOCKS,
                f"a coroutine that {description} was released before its `finally` block had ended",
            )

    def _unless_inline(self, reason: str) -> None:
        if self.runs_inline:
            raise SkipTest(f"`runs_inline` is True: {reason}")
