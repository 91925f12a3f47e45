"""Executors: the built-in ones, and custom ones in every style."""

from __future__ import annotations

import concurrent.futures
import logging
import pickle
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_type
from uuid import UUID

import attrs
from distributed import Client
from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeVar, override

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    BaseExecutor,
    DaskExecutor,
    DebugExecutor,
    DelegatingExecutor,
    Executor,
    ExecutorState,
    FuturesExecutor,
    Notifier,
    ProcessPoolExecutor,
    RestrictedDelegatingExecutor,
    SupportsCancel,
    Task,
    TaskNotification,
    TaskRun,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from asyncz.executors import ThreadPoolExecutor as ThreadPoolOfTheSubpackage
from asyncz.executors.base import BaseExecutor as BaseOfTheModule
from typecheck.accept.functions import fetch, size, words

ResultT = TypeVar("ResultT")


asyncio_of_int: Executor[int] = AsyncIOExecutor()
asyncio_of_lists: Executor[list[str]] = AsyncIOExecutor()
asyncio_universal: UniversalExecutor = AsyncIOExecutor()
threads_of_int: Executor[int] = ThreadPoolExecutor()
threads_of_lists: Executor[list[str]] = ThreadPoolExecutor()
threads_universal: UniversalExecutor = ThreadPoolExecutor()
processes_of_int: Executor[int] = ProcessPoolExecutor()
processes_of_lists: Executor[list[str]] = ProcessPoolExecutor()
processes_universal: UniversalExecutor = ProcessPoolExecutor()
debug_of_int: Executor[int] = DebugExecutor()
debug_of_lists: Executor[list[str]] = DebugExecutor()
debug_universal: UniversalExecutor = DebugExecutor()
futures_of_int: Executor[int] = FuturesExecutor(concurrent.futures.ThreadPoolExecutor())
futures_of_lists: Executor[list[str]] = FuturesExecutor(concurrent.futures.ProcessPoolExecutor)
futures_universal: UniversalExecutor = FuturesExecutor(lambda: concurrent.futures.ThreadPoolExecutor(3))
dask_of_int: Executor[int] = DaskExecutor()
dask_of_lists: Executor[list[str]] = DaskExecutor("tcp://10.0.0.5:8786")
dask_universal: UniversalExecutor = DaskExecutor()
same_class: ThreadPoolExecutor = ThreadPoolOfTheSubpackage()


def same_base(executor: BaseOfTheModule) -> BaseExecutor:
    return executor


def parameters() -> None:
    assert_type(ThreadPoolExecutor(20, {"thread_name_prefix": "io"}, True, False, 100), ThreadPoolExecutor)
    assert_type(
        ThreadPoolExecutor(max_workers=20, cancel_futures=True, overwrite_wait=None, max_queue=None), ThreadPoolExecutor
    )
    assert_type(ProcessPoolExecutor(4, {"max_tasks_per_child": 5}, True, None, 100), ProcessPoolExecutor)
    assert_type(ProcessPoolExecutor(max_workers=4, pool_kwargs=None, overwrite_wait=True), ProcessPoolExecutor)


def pools_and_clusters(pool: concurrent.futures.Executor, client: Client) -> None:
    assert_type(
        FuturesExecutor(
            pool, dumps=pickle.dumps, shutdown_pool=True, cancel_futures=True, overwrite_wait=None, max_queue=9
        ),
        FuturesExecutor,
    )
    assert_type(DaskExecutor(client=client, resources={"GPU": 1, "memory": 1.5e9}, retries=3), DaskExecutor)
    assert_type(DaskExecutor(cluster_kwargs={"n_workers": 2, "memory_limit": "2GiB"}, max_queue=9), DaskExecutor)
    assert_type(DaskExecutor(cancel_futures=True, overwrite_wait=False).state, ExecutorState)


async def calls(executor: ThreadPoolExecutor, run: TaskRun[bytes], notifier: Notifier) -> None:
    await executor.start(notifier, "alias")
    executor.submit(run)
    assert_type(run.run_id, UUID)
    assert_type(executor.cancel(run), bool)
    assert_type(executor.state, ExecutorState)
    await executor.shutdown(wait=False)
    await executor.shutdown()


class ThreadPerRunExecutor(BaseExecutor):
    """With the base class: all that is needed, and each thing that may be extended."""

    def __init__(self, name: str) -> None:
        super().__init__(max_queue=10)
        self.name: str = name
        self.started: bool = False

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        await super().start(scheduler, alias)
        self.started = True
        assert_type(self.logger, logging.Logger)
        assert_type(self.notifier, Notifier)

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        def execute() -> None:
            if not self.claim(run):
                self.finish(run, run.cancelled())
            elif run.is_too_late():
                self.finish(run, run.missed())
            else:
                self.start_timeout(run)
                notification = run.execute()
                assert_type(notification, TaskNotification[ResultT])
                self.finish(run, notification)

        threading.Thread(target=execute, name=self.name).start()

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        return self.abandon(run, run.cancelled())

    @override
    async def release(self, *, wait: bool) -> None:
        self.cancel_queued()
        self.cancel_all()
        self.mark_broken()


class QueuedExecutor:
    """Without a base class: a queue of closures, as runs of different result types share no type."""

    def __init__(self, alias: str = "") -> None:
        self.state: ExecutorState = ExecutorState(alias=alias)
        self._queue: deque[Callable[[Notifier], None]] = deque()

    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        self.state = self.state.evolve("starting").evolve("running")
        while self._queue:
            self._queue.popleft()(scheduler)

    async def shutdown(self, wait: bool = True) -> None:
        self.state = self.state.evolve("stopped")

    def submit(self, run: TaskRun[ResultT], /) -> None:
        self._queue.append(lambda scheduler: self._execute(run, scheduler))

    def _execute(self, run: TaskRun[ResultT], scheduler: Notifier) -> None:
        scheduler.notify(run, run.execute())
        scheduler.released(run)


class BytesExecutor:
    """Restricted to one result type: it may make results of its own."""

    def __init__(self) -> None:
        self._scheduler: Notifier | None = None

    @property
    def state(self) -> ExecutorState:
        return ExecutorState(alias="bytes")

    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        self._scheduler = scheduler

    async def shutdown(self, wait: bool = True) -> None:
        self._scheduler = None

    def submit(self, run: TaskRun[bytes], /) -> None:
        if self._scheduler is not None:
            self._scheduler.notify(run, run.executed(b"from the wire"))
            self._scheduler.released(run)


@attrs.define
class AttrsExecutor:
    state: ExecutorState

    async def start(self, scheduler: Notifier, alias: str, /) -> None: ...

    async def shutdown(self, wait: bool = True) -> None: ...

    def submit(self, run: TaskRun[ResultT], /) -> None: ...


@attrs.frozen
class FrozenAttrsExecutor:
    state: ExecutorState

    async def start(self, scheduler: Notifier, alias: str, /) -> None: ...

    async def shutdown(self, wait: bool = True) -> None: ...

    def submit(self, run: TaskRun[ResultT], /) -> None: ...


@dataclass
class DataclassExecutor:
    state: ExecutorState

    async def start(self, scheduler: Notifier, alias: str, /) -> None: ...

    async def shutdown(self, wait: bool = True) -> None: ...

    def submit(self, run: TaskRun[ResultT], /) -> None: ...


@dataclass(frozen=True)
class FrozenDataclassExecutor:
    state: ExecutorState

    async def start(self, scheduler: Notifier, alias: str, /) -> None: ...

    async def shutdown(self, wait: bool = True) -> None: ...

    def submit(self, run: TaskRun[ResultT], /) -> None: ...


class PydanticExecutor(BaseModel):
    model_config = ConfigDict(frozen=True)

    state: ExecutorState

    async def start(self, scheduler: Notifier, alias: str, /) -> None: ...

    async def shutdown(self, wait: bool = True) -> None: ...

    def submit(self, run: TaskRun[ResultT], /) -> None: ...


idle = ExecutorState(alias="")
subclass: UniversalExecutor = ThreadPerRunExecutor("name")
no_base: UniversalExecutor = QueuedExecutor()
attrs_class: UniversalExecutor = AttrsExecutor(idle)
frozen_attrs_class: UniversalExecutor = FrozenAttrsExecutor(idle)
data_class: UniversalExecutor = DataclassExecutor(idle)
frozen_data_class: UniversalExecutor = FrozenDataclassExecutor(idle)
pydantic_class: UniversalExecutor = PydanticExecutor(state=idle)
of_int: Executor[int] = QueuedExecutor()
of_bytes: Executor[bytes] = BytesExecutor()


def custom(scheduler: AsyncIOScheduler) -> None:
    assert_type(scheduler.add_task(words, "text", executor=QueuedExecutor()), Task[list[str]])
    assert_type(scheduler.add_task(size, "path", executor=ThreadPerRunExecutor("name")), Task[int])
    assert_type(scheduler.add_task(fetch, "url", executor=BytesExecutor()), Task[bytes])
    assert_type(scheduler.add_task("text".encode, executor=of_bytes), Task[bytes])
    scheduler.add_executor(QueuedExecutor(), alias="queued")
    scheduler.add_executor(PydanticExecutor(state=idle), alias="pydantic")


class MeteredExecutor(DelegatingExecutor):
    """A metrics wrapper around any executor."""

    def __init__(self, executor: UniversalExecutor) -> None:
        super().__init__(executor)
        self.submitted: dict[str, int] = {}
        self.outcomes: list[str] = []

    @override
    def submit(self, run: TaskRun[ResultT], /) -> None:
        super().submit(run)
        self.submitted[run.task_id] = self.submitted.get(run.task_id, 0) + 1

    @override
    def on_outcome(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        self.outcomes.append(type(notification).__name__)


class MeteredBytesExecutor(RestrictedDelegatingExecutor[bytes]):
    @override
    def submit(self, run: TaskRun[bytes], /) -> None:
        super().submit(run)


metered: UniversalExecutor = MeteredExecutor(ThreadPoolExecutor())
metered_twice: UniversalExecutor = MeteredExecutor(metered)
metered_of_int: Executor[int] = MeteredExecutor(QueuedExecutor())
metered_cancels: SupportsCancel = MeteredExecutor(QueuedExecutor())
metered_bytes: Executor[bytes] = MeteredBytesExecutor(BytesExecutor())
metered_bytes_of_universal: Executor[bytes] = MeteredBytesExecutor(ThreadPoolExecutor())


def wrapping(scheduler: AsyncIOScheduler) -> None:
    assert_type(scheduler.add_task(words, "text", executor=MeteredExecutor(ThreadPoolExecutor())), Task[list[str]])
    assert_type(MeteredExecutor(ThreadPoolExecutor()).executor, UniversalExecutor)
    scheduler.add_executor(MeteredExecutor(QueuedExecutor()), alias="metered")
