"""Mistakes with executors: custom ones that would lie or break, and built-in ones used wrongly.

Why some checkers miss some of them:

- generic method: ty takes a method for one type where a protocol asks for a method that is generic.
- parameter name: mypy lets a parameter that has a position have another name than the protocol's.
"""

from __future__ import annotations

import concurrent.futures

from typing_extensions import TypeVar, override

from asyncz import (
    AsyncIOExecutor,
    BaseExecutor,
    DaskExecutor,
    DebugExecutor,
    DelegatingExecutor,
    RestrictedDelegatingExecutor,
    Executor,
    ExecutorState,
    FuturesExecutor,
    Notifier,
    ProcessPoolExecutor,
    SupportsCancel,
    TaskExecuted,
    TaskRun,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from typecheck.accept.executors import BytesExecutor

ResultT = TypeVar("ResultT")
OtherT = TypeVar("OtherT")


class Inventing(BaseExecutor):
    """Ends a run with a result that its task did not give."""

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self.finish(run, TaskExecuted(run.task.id, "junk"))  # E
        self.finish(run, TaskExecuted(run.task.id, None))  # E
        self.finish(run, run.executed("junk"))  # E
        self.finish(run, "junk")  # E
        self.finish(run)  # E
        self.finish(run.task, run.cancelled())  # E
        self.finish(run, run.execute_async())  # E
        self.finish(run, run)  # E
        self.abandon(run, TaskExecuted(run.task.id, "junk"))  # E


class Swapping(DebugExecutor):
    """Ends a run with what another one gave."""

    def swap(self, first: TaskRun[ResultT], second: TaskRun[OtherT]) -> None:
        self.finish(first, second.execute())  # E
        self.finish(second, first.execute())  # E
        self.abandon(first, second.execute())  # E
        self.notifier.notify(first, second.execute())  # E


class KeepingRuns(BaseExecutor):
    """Keeps runs of all types in one list, from which none can come out with its type."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[TaskRun[object]] = []

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self.runs.append(run)  # E


class Extending(BaseExecutor):
    """Extends methods in a way that breaks who calls them."""

    @override
    async def start(self, scheduler: Notifier) -> None:  # E
        await super().start(scheduler, "alias")

    @override
    def submit_run(self, run: TaskRun[bytes], /) -> None:  # E[-ty]: generic method
        self.finish(run, run.execute())

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> str:  # E
        return "yes"

    @override
    async def release(self) -> None: ...  # E

    @override
    def shutdown(self, wait: bool = True) -> None: ...  # E

    @override
    def submit_all(self) -> None: ...  # E


class SubmittingAsynchronously(BaseExecutor):
    @override
    async def submit_run(self, run: TaskRun[ResultT], /) -> None: ...  # E


class NoState:
    async def start(self, scheduler: Notifier, alias: str, /) -> None: ...

    async def shutdown(self, wait: bool = True) -> None: ...

    def submit(self, run: TaskRun[ResultT], /) -> None: ...


class StateOfText(NoState):
    def __init__(self) -> None:
        self.state: str = "running"


class StateMethod(NoState):
    def state(self) -> ExecutorState:
        raise NotImplementedError


class Stateful:
    """What the following ones have in common; none of them is whole."""

    @property
    def state(self) -> ExecutorState:
        raise NotImplementedError


class NoStart(Stateful):
    async def shutdown(self, wait: bool = True) -> None: ...

    def submit(self, run: TaskRun[ResultT], /) -> None: ...


class NoShutdown(Stateful):
    async def start(self, scheduler: Notifier, alias: str, /) -> None: ...

    def submit(self, run: TaskRun[ResultT], /) -> None: ...


class NoSubmit(Stateful):
    async def start(self, scheduler: Notifier, alias: str, /) -> None: ...

    async def shutdown(self, wait: bool = True) -> None: ...


class StartsWithoutAlias(NoStart):
    async def start(self, scheduler: Notifier, /) -> None: ...


class StartsSynchronously(NoStart):
    def start(self, scheduler: Notifier, alias: str, /) -> None: ...


class StartsWithANumber(NoStart):
    async def start(self, scheduler: Notifier, alias: int, /) -> None: ...


class StartsWithMore(NoStart):
    async def start(self, scheduler: Notifier, alias: str, workers: int, /) -> None: ...


class StartsWithItself(NoStart):
    async def start(self, scheduler: BytesExecutor, alias: str, /) -> None: ...


class ShutsDownWithoutWait(NoShutdown):
    async def shutdown(self) -> None: ...


class ShutsDownSynchronously(NoShutdown):
    def shutdown(self, wait: bool = True) -> None: ...


class AlwaysNeedsWait(NoShutdown):
    async def shutdown(self, wait: bool) -> None: ...


class WaitsForASecond(NoShutdown):
    async def shutdown(self, wait: str = "1 s") -> None: ...


class ShutsDownWithAnotherName(NoShutdown):
    async def shutdown(self, block: bool = True) -> None: ...


class SubmitsAsynchronously(NoSubmit):
    async def submit(self, run: TaskRun[ResultT], /) -> None: ...


class SubmitsNothing(NoSubmit):
    def submit(self) -> None: ...


class SubmitsTexts(NoSubmit):
    def submit(self, run: TaskRun[str], /) -> None: ...


class SubmitsObjects(NoSubmit):
    def submit(self, run: TaskRun[object], /) -> None: ...


class SubmitsWithMore(NoSubmit):
    def submit(self, run: TaskRun[ResultT], priority: int, /) -> None: ...


no_state: UniversalExecutor = NoState()  # E
state_of_text: UniversalExecutor = StateOfText()  # E
state_method: UniversalExecutor = StateMethod()  # E
no_start: UniversalExecutor = NoStart()  # E
no_shutdown: UniversalExecutor = NoShutdown()  # E
no_submit: UniversalExecutor = NoSubmit()  # E
starts_without_alias: UniversalExecutor = StartsWithoutAlias()  # E
starts_synchronously: UniversalExecutor = StartsSynchronously()  # E
starts_with_a_number: UniversalExecutor = StartsWithANumber()  # E
starts_with_more: UniversalExecutor = StartsWithMore()  # E
starts_with_itself: UniversalExecutor = StartsWithItself()  # E
shuts_down_without_wait: UniversalExecutor = ShutsDownWithoutWait()  # E
shuts_down_synchronously: UniversalExecutor = ShutsDownSynchronously()  # E
always_needs_wait: UniversalExecutor = AlwaysNeedsWait()  # E
waits_for_a_second: UniversalExecutor = WaitsForASecond()  # E
shuts_down_with_another_name: UniversalExecutor = ShutsDownWithAnotherName()  # E[-mypy]: parameter name
submits_asynchronously: UniversalExecutor = SubmitsAsynchronously()  # E
submits_nothing: UniversalExecutor = SubmitsNothing()  # E
submits_texts: UniversalExecutor = SubmitsTexts()  # E[-ty]: generic method
submits_objects: UniversalExecutor = SubmitsObjects()  # E[-ty]: generic method
submits_with_more: UniversalExecutor = SubmitsWithMore()  # E
restricted: UniversalExecutor = BytesExecutor()  # E[-ty]: generic method
the_class_itself: UniversalExecutor = ThreadPoolExecutor  # E

no_state_of_int: Executor[int] = NoState()  # E
no_start_of_int: Executor[int] = NoStart()  # E
no_shutdown_of_int: Executor[int] = NoShutdown()  # E
no_submit_of_int: Executor[int] = NoSubmit()  # E
state_of_text_of_int: Executor[int] = StateOfText()  # E
starts_without_alias_of_int: Executor[int] = StartsWithoutAlias()  # E
starts_synchronously_of_int: Executor[int] = StartsSynchronously()  # E
shuts_down_synchronously_of_int: Executor[int] = ShutsDownSynchronously()  # E
shuts_down_without_wait_of_int: Executor[int] = ShutsDownWithoutWait()  # E
submits_asynchronously_of_int: Executor[int] = SubmitsAsynchronously()  # E
texts_of_int: Executor[int] = SubmitsTexts()  # E
objects_of_int: Executor[int] = SubmitsObjects()  # E
bytes_of_int: Executor[int] = BytesExecutor()  # E
bytes_of_object: Executor[object] = BytesExecutor()  # E
cannot_cancel: SupportsCancel = BytesExecutor()  # E


def narrowing(of_bytes: Executor[bytes], of_object: Executor[object], of_bool: Executor[bool]) -> None:
    universal: UniversalExecutor = of_bytes  # E[-ty]: generic method
    universal_too: UniversalExecutor = of_object  # E[-ty]: generic method
    narrowed: Executor[bytes] = of_object  # E
    widened: Executor[int] = of_bool  # E
    print(universal, universal_too, narrowed, widened)


def parameters() -> None:
    ThreadPoolExecutor("3")  # E
    ThreadPoolExecutor(max_workers=None)  # E
    ThreadPoolExecutor(max_wrkers=3)  # E
    ThreadPoolExecutor(pool_kwargs={"max_tasks_per_child": 3})  # E
    ThreadPoolExecutor(cancel_futures="yes")  # E
    ThreadPoolExecutor(overwrite_wait="yes")  # E
    ThreadPoolExecutor(max_queue="all")  # E
    ProcessPoolExecutor(max_workers="3")  # E
    ProcessPoolExecutor(pool_kwargs={"thread_name_prefix": "io"})  # E
    ProcessPoolExecutor(cancel_futures="yes")  # E
    ProcessPoolExecutor(overwrite_wait="yes")  # E
    ProcessPoolExecutor(max_queue="all")  # E
    AsyncIOExecutor(max_workers=3)  # E
    DebugExecutor(max_workers=3)  # E
    BaseExecutor()  # E
    BaseExecutor(max_queue="all")  # E
    BaseExecutor(3)  # E


async def calls(threads: ThreadPoolExecutor, notifier: Notifier, run: TaskRun[bytes]) -> None:
    threads.submit(run.task)  # E
    threads.submit(run.task.call)  # E
    threads.cancel(3)  # E
    threads.state = ExecutorState(alias="io")  # E
    threads.state.running = 3  # E
    await threads.start(notifier)  # E
    await threads.start(BytesExecutor(), "io")  # E
    await threads.submit(run)  # E
    threads.shutdown()  # E
    await threads.shutdown(wait="yes")  # E


async def each_built_in(
    loop: AsyncIOExecutor, processes: ProcessPoolExecutor, debug: DebugExecutor, run: TaskRun[bytes]
) -> None:
    loop.submit(run.task)  # E
    await loop.submit(run)  # E
    len(loop.cancel(run))  # E
    loop.state.running = 3  # E
    processes.submit(run.task)  # E
    await processes.submit(run)  # E
    len(processes.cancel(run))  # E
    processes.state.running = 3  # E
    debug.submit(run.task)  # E
    await debug.submit(run)  # E
    len(debug.cancel(run))  # E
    debug.state.running = 3  # E


def pools_and_clusters(pool: concurrent.futures.Executor) -> None:
    FuturesExecutor()  # E
    FuturesExecutor("threads")  # E
    FuturesExecutor(DebugExecutor())  # E
    FuturesExecutor(DebugExecutor)  # E
    FuturesExecutor(pool, True)  # E
    FuturesExecutor(pool, dumps="pickle")  # E
    FuturesExecutor(pool, dumps=str)  # E
    FuturesExecutor(pool, shutdown_pool="yes")  # E
    FuturesExecutor(pool, max_queue="all")  # E
    futures_of_bytes: ThreadPoolExecutor = FuturesExecutor(pool)  # E
    DaskExecutor(8786)  # E
    DaskExecutor(client="tcp://10.0.0.5:8786")  # E
    DaskExecutor(client=pool)  # E
    DaskExecutor(resources={"GPU": "1"})  # E
    DaskExecutor(resources=["GPU"])  # E
    DaskExecutor(retries="3")  # E
    DaskExecutor(cluster_kwargs={"workers": 3})  # E
    DaskExecutor(cluster_kwargs={"n_workers": "3"})  # E
    DaskExecutor(overwrite_wait="yes")  # E
    DaskExecutor(cancel_futures="yes")  # E


class WithoutSubmitRun(BaseExecutor):  # E[basedpyright,pyrefly]: their rule implicit-abstract-class
    """Cannot be made: the abstract method is missing."""


class WrapperOfTexts(DelegatingExecutor):
    @override
    def submit(self, run: TaskRun[str], /) -> None:  # E[-ty]: generic method
        super().submit(run)


class WrapperOfOutcomes(DelegatingExecutor):
    @override
    def on_outcome(self, run: str) -> None: ...  # E


def wrappers(of_bytes: Executor[bytes]) -> None:
    WithoutSubmitRun()  # E
    DelegatingExecutor()  # E
    DelegatingExecutor("threads")  # E
    DelegatingExecutor(ThreadPoolExecutor)  # E
    DelegatingExecutor(of_bytes)  # E[-ty]: generic method
    DelegatingExecutor(ThreadPoolExecutor()).cancel("run")  # E
    RestrictedDelegatingExecutor[int](of_bytes)  # E
    wrapped: Executor[int] = RestrictedDelegatingExecutor[bytes](of_bytes)  # E
    DelegatingExecutor(ThreadPoolExecutor()).submit(3)  # E
