"""Wrapped executors keep every rule, and observe each outcome once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from typing_extensions import TypeVar, override

from asyncz import (
    AsyncIOScheduler,
    BaseExecutor,
    DelegatingExecutor,
    Executor,
    ExecutorState,
    Notifier,
    ProcessPoolExecutor,
    RestrictedDelegatingExecutor,
    SerializationError,
    TaskNotification,
    TaskRun,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from asyncz.testing import ExecutorConformance, RestrictedExecutorConformance
from tests.helpers.payloads import add

pytestmark = pytest.mark.anyio

ResultT = TypeVar("ResultT")


class Metered(DelegatingExecutor):
    def __init__(self, executor: UniversalExecutor) -> None:
        super().__init__(executor)
        self.submitted = Counter[str]()
        self.outcomes = Counter[str]()

    @override
    def submit(self, run: TaskRun[ResultT], /) -> None:
        super().submit(run)
        self.submitted[run.task_id] += 1

    @override
    def on_outcome(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        self.outcomes[type(notification).__name__] += 1


class Minimal:
    """An executor without any optional ability."""

    def __init__(self) -> None:
        self.inner = ThreadPoolExecutor(2)

    @property
    def state(self) -> ExecutorState:
        return self.inner.state

    async def start(self, notifier: Notifier, alias: str, /) -> None:
        await self.inner.start(notifier, alias)

    async def shutdown(self, wait: bool = True) -> None:
        await self.inner.shutdown(wait)

    def submit(self, run: TaskRun[ResultT], /) -> None:
        self.inner.submit(run)


class TestMeteredThreads(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return Metered(ThreadPoolExecutor(4))


class TestMeteredMinimal(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return Metered(Minimal())


class TestRestricted(RestrictedExecutorConformance[bytes]):
    @override
    def make_executor(self) -> Executor[bytes]:
        return RestrictedDelegatingExecutor[bytes](ThreadPoolExecutor(4))

    @override
    def make_result(self, number: int, /) -> bytes:
        return str(number).encode()


async def test_delegating_executor_observes_each_run_once() -> None:
    executor = Metered(ThreadPoolExecutor(2))
    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        task = scheduler.add_task(add, 1, 2, id="t", executor="under_test", trigger=None)
        assert [await task.run() for _ in range(5)] == [3] * 5
    assert executor.submitted == {"t": 5}
    assert executor.outcomes == {"TaskExecuted": 5}


async def test_raising_observer_does_not_affect_runs(caplog: pytest.LogCaptureFixture) -> None:
    class Raising(DelegatingExecutor):
        @override
        def on_outcome(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
            raise ValueError("observer")

    executors = {"under_test": Raising(ThreadPoolExecutor(2))}
    async with asyncio.timeout(30), AsyncIOScheduler(executors=executors) as scheduler:
        assert await scheduler.add_task(add, 1, 2, executor="under_test").result() == 3
    assert "on_outcome" in caplog.text


def test_optional_methods_come_from_wrapped_executor() -> None:
    assert callable(Metered(ThreadPoolExecutor(1)).cancel_all)
    assert not hasattr(Metered(Minimal()), "cancel_all")
    call: Callable[[], object] = lambda: 1  # noqa: E731
    Metered(Minimal()).check_call(call)
    with pytest.raises(SerializationError):
        Metered(ProcessPoolExecutor(1)).check_call(call)
    assert isinstance(ThreadPoolExecutor(1), BaseExecutor)
