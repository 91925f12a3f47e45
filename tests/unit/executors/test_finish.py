"""`BaseExecutor.finish` agrees with `_finish_any`, which finishes all runs, also the unusual ones."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given, strategies as st
from typing_extensions import override

from asyncz import ExecutorState, TaskLimits, TaskNotification, TaskRun, TaskSpec
from asyncz.executors.base import BaseExecutor, _finish_any
from tests.helpers.generics import ResultT
from tests.helpers.payloads import do_nothing

_STEPS = ("claim", "start timeout", "cancel", "abandon", "finish")


class _Notifications:
    """Notifier that records its calls with the state of the executor, and then may raise."""

    def __init__(self, executor: BaseExecutor, *, raises: bool) -> None:
        self.calls: list[tuple[str, str, ExecutorState]] = []
        self._executor = executor
        self._raises = raises

    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        self._record("finished", type(notification).__name__)

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        self._record("notify", type(notification).__name__)

    def released(self, run: TaskRun[ResultT], /) -> None:
        self._record("released", "")

    def _record(self, method: str, outcome: str) -> None:
        self.calls.append((method, outcome, self._executor.state))
        if self._raises:
            raise KeyError


class _Executor(BaseExecutor):
    """Executor whose runs end when the test says so, in one of both ways."""

    def __init__(self, *, has_queue: bool, can_cancel: bool, is_fused: bool) -> None:
        super().__init__()
        self._has_queue = has_queue
        self._can_cancel = can_cancel
        self._is_fused = is_fused

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None: ...

    @override
    def waits_in_queue(self, run: TaskRun[ResultT], /) -> bool:
        return self._has_queue

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        return self._can_cancel

    def step(self, name: str, run: TaskRun[None]) -> object:
        """Make one step of a run, and return its result or the class of its error."""
        try:
            match name:
                case "claim":
                    return self.claim(run)
                case "cancel":
                    return self.cancel(run)
                case "abandon":
                    return self.abandon(run, run.failed(TimeoutError()))
                case "start timeout":
                    self.start_timeout(run)
                case _ if self._is_fused:
                    self.finish(run, run.executed(None))
                case _:
                    _finish_any(self, run, run.executed(None))
        except KeyError as error:
            return type(error)
        return None


def _waiting_timers() -> int:
    """Return the number of timers that are not cancelled."""
    timers: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled")  # noqa: B009
    return sum(not timer.cancelled() for timer in timers)


async def _history(executor: _Executor, steps: Sequence[tuple[int, str]], *, raises: bool) -> list[object]:
    """Return everything that can be seen while runs go through some steps and the executor shuts down."""
    notifier = _Notifications(executor, raises=raises)
    await executor.start(notifier, "executor")
    spec = TaskSpec[None]("task", do_nothing, limits=TaskLimits(max_instances=2, timeout=1000.0))
    runs = [TaskRun(spec), TaskRun(spec)]
    for run in runs:
        executor.submit(run)
    seen: list[object] = []
    for number, name in steps:
        seen.extend((executor.step(name, runs[number]), executor.state))
    shutdown = asyncio.create_task(executor.shutdown())
    await asyncio.sleep(0)
    for run in runs:
        seen.extend((shutdown.done(), executor.step("finish", run), executor.state))
    for _ in range(10):
        await asyncio.sleep(0)
    seen.append(shutdown.done())
    shutdown.cancel()
    await asyncio.wait([shutdown])
    return [*seen, executor.state, _waiting_timers(), notifier.calls]


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(_STEPS)), max_size=8),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_finish_agrees_with_finish_any(
    steps: list[tuple[int, str]], has_queue: bool, can_cancel: bool, raises: bool
) -> None:
    """The path of the most frequent run finishes a run like the one of all runs."""
    fused, reference = [
        asyncio.run(
            _history(_Executor(has_queue=has_queue, can_cancel=can_cancel, is_fused=is_fused), steps, raises=raises)
        )
        for is_fused in (True, False)
    ]
    assert fused == reference
