"""Mistakes with schedulers: adding tasks, decorating, executors by alias, subscriptions.

Why some checkers miss some of them:

- TypeVarTuple: ty does not check arguments that go to one; pyrefly does not where there are too few.
- partial: mypy does not know what arguments a `functools.partial` leaves open.
- generic method: ty takes a method for one type where a protocol asks for a method that is generic.
- unpacked TypedDict: ty does not see keys that it has not.
"""

from __future__ import annotations

from functools import partial

from asyncz import (
    AsyncIOScheduler,
    DateTrigger,
    Executor,
    Notifier,
    SchedulerStarted,
    SchedulerThread,
    Subscription,
    Task,
    TaskCancelled,
    TaskDecorator,
    TaskError,
    TaskExecuted,
    TaskFunction,
    TaskMissed,
    TaskRun,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from typecheck.accept.executors import BytesExecutor
from typecheck.accept.functions import Pinger, clean, fetch, fetch_pages, future_of, same, size, total, words
from typecheck.accept.schedulers import (
    Page,
    count,
    count_later,
    no_parameters,
    on_error,
    on_missed,
    on_result,
    pinger,
    scheduler,
)


def wrong_arguments() -> None:
    scheduler.add_task(fetch, 3)  # E[-ty]: TypeVarTuple
    scheduler.add_task(size, 3)  # E[-ty]: TypeVarTuple
    scheduler.add_task(size, "path", "deep")  # E[-ty]: TypeVarTuple
    scheduler.add_task(total, 1.5, "2.5")  # E[-ty]: TypeVarTuple
    scheduler.add_task(future_of, "1")  # E[-ty]: TypeVarTuple
    scheduler.add_task(pinger.once, "soon")  # E[-ty]: TypeVarTuple
    scheduler.add_task(pinger.later, "soon")  # E[-ty]: TypeVarTuple
    scheduler.add_task(pinger, "often")  # E[-ty]: TypeVarTuple
    scheduler.add_task(Pinger.localhost, "80")  # E[-ty]: TypeVarTuple
    scheduler.add_task(Pinger.parse, 80)  # E[-ty]: TypeVarTuple
    scheduler.add_task(Page, 3)  # E[-ty]: TypeVarTuple
    scheduler.add_task(partial(fetch, 3))  # E
    scheduler.add_task(partial(clean, "folder", older_than="long"))  # E
    scheduler.add_task(partial(clean, older_than=60), 3)  # E[-mypy,ty]: partial, TypeVarTuple


def missing_arguments() -> None:
    scheduler.add_task(fetch)  # E[-pyrefly,ty]: TypeVarTuple
    scheduler.add_task(size)  # E[-pyrefly,ty]: TypeVarTuple
    scheduler.add_task(future_of)  # E[-pyrefly,ty]: TypeVarTuple
    scheduler.add_task(pinger)  # E[-pyrefly,ty]: TypeVarTuple
    scheduler.add_task(pinger.once)  # E[-pyrefly,ty]: TypeVarTuple
    scheduler.add_task(pinger.later)  # E[-pyrefly,ty]: TypeVarTuple
    scheduler.add_task(Pinger.localhost)  # E[-pyrefly,ty]: TypeVarTuple
    scheduler.add_task(Page)  # E[-pyrefly,ty]: TypeVarTuple
    scheduler.add_task(same)  # E[-pyrefly,ty]: TypeVarTuple
    scheduler.add_task(partial(clean, older_than=60))  # E[-mypy,pyrefly,ty]: partial, TypeVarTuple
    scheduler.add_task(lambda path: size(path))  # E[-ty]: TypeVarTuple


def surplus_arguments() -> None:
    scheduler.add_task(fetch, "url", "another")  # E[-ty]: TypeVarTuple
    scheduler.add_task(size, "path", 1, 2)  # E[-ty]: TypeVarTuple
    scheduler.add_task(fetch_pages, "url", 1, 2)  # E[-ty]: TypeVarTuple
    scheduler.add_task(pinger, 3, 4)  # E[-ty]: TypeVarTuple
    scheduler.add_task(pinger.once, 1.5, 2.5)  # E[-ty]: TypeVarTuple
    scheduler.add_task(Page, "url", 1, 2)  # E[-ty]: TypeVarTuple
    scheduler.add_task(lambda: size("path"), "path")  # E[-ty]: TypeVarTuple
    scheduler.add_task(partial(fetch, "url"), "another")  # E[-mypy,ty]: partial, TypeVarTuple


def not_callable() -> None:
    scheduler.add_task(fetch("url"))  # E
    scheduler.add_task("module:function")  # E
    scheduler.add_task()  # E


def wrong_options() -> None:
    scheduler.add_task(clean, "folder", older_than=60)  # E
    scheduler.add_task(fetch, "url", trigger="interval")  # E
    scheduler.add_task(fetch, "url", trigger=DateTrigger)  # E
    scheduler.add_task(fetch, "url", executor=3)  # E
    scheduler.add_task(fetch, "url", executor=ThreadPoolExecutor)  # E
    scheduler.add_task(fetch, "url", id=3)  # E
    scheduler.add_task(fetch, "url", max_instances="3")  # E
    scheduler.add_task(fetch, "url", max_instances=None)  # E
    scheduler.add_task(fetch, "url", misfire_grace_time="1 s")  # E
    scheduler.add_task(fetch, "url", coalesce=None)  # E
    scheduler.add_task(fetch, "url", timeout="1 s")  # E
    scheduler.add_task(fetch, "url", retry=3)  # E
    scheduler.add_task(fetch, "url", overlap="queue")  # E
    scheduler.add_task(fetch, "url", overlap=True)  # E
    scheduler.add_task(fetch, "url", paused="yes")  # E
    scheduler.add_task(fetch, "url", replace_existing="yes")  # E
    scheduler.add_task(size, "path", executor=ThreadPoolExecutor(), overlap="queue")  # E
    scheduler.add_task(size, "path", executor=ThreadPoolExecutor(), replace_existing="yes")  # E
    scheduler.task(overlap="queue")  # E
    scheduler.task(max_instances="3")  # E
    scheduler.add_task(fetch, "url", name="fetching")  # E


def restricted_executors(of_bytes: Executor[bytes], of_objects: Executor[object]) -> None:
    scheduler.add_task(size, "path", executor=BytesExecutor())  # E[-ty]: generic method
    scheduler.add_task(size, "path", executor=of_bytes)  # E[-ty]: generic method
    scheduler.add_task(words, "text", executor=of_bytes)  # E[-ty]: generic method
    scheduler.add_task(future_of, 1, executor=of_bytes)  # E[-ty]: generic method
    scheduler.add_executor(BytesExecutor(), alias="bytes")  # E[-ty]: generic method
    scheduler.add_executor(of_bytes, alias="bytes")  # E[-ty]: generic method
    scheduler.add_executor(of_objects, alias="objects")  # E[-ty]: generic method
    AsyncIOScheduler(executors={"bytes": BytesExecutor()})  # E[-ty]: generic method


def changing_tasks(task: Task[bytes], of_bytes: Executor[bytes], universal: UniversalExecutor) -> None:
    scheduler.modify_task(task, max_instances="3")  # E
    scheduler.modify_task(task, max_instances=None)  # E
    scheduler.modify_task(task, misfire_grace_time="1 s")  # E
    scheduler.modify_task(task, coalesce=None)  # E
    scheduler.modify_task(task, timeout="1 s")  # E
    scheduler.modify_task(task, retry=3)  # E
    scheduler.modify_task(task, overlap="queue")  # E
    scheduler.modify_task(task, executor=of_bytes)  # E
    scheduler.modify_task(task, executor=universal)  # E
    scheduler.modify_task(task, trigger=None)  # E
    scheduler.modify_task(task, 3)  # E
    scheduler.modify_task(3, timeout=1)  # E
    scheduler.modify_task(timeout=1)  # E
    scheduler.reschedule_task(task)  # E
    scheduler.reschedule_task(task, "hourly")  # E
    scheduler.reschedule_task(task, DateTrigger)  # E
    scheduler.reschedule_task(3, None)  # E
    scheduler.submit_task(3)  # E
    scheduler.submit_task()  # E


def wrong_defaults() -> None:
    AsyncIOScheduler(defaults=3)  # E
    AsyncIOScheduler(defaults=None)  # E
    AsyncIOScheduler(defaults={"timeout": 60})  # E


wrong_replacement: Task[bytes] = scheduler.add_task(size, "path", id="sizes", replace_existing=True)  # E
wrong_result: Task[str] = scheduler.add_task(size, "path")  # E
wrong_item: Task[list[int]] = scheduler.add_task(words, "text")  # E
not_awaited_result: Task[int] = scheduler.add_task(fetch, "url")  # E
wrong_decorated_result: Task[str] = count.schedule("path")  # E
wrong_call: TaskFunction[[], int] = no_parameters  # E
wrong_parameters: TaskFunction[[int], list[str]] = no_parameters  # E
wrong_parameter_types: TaskFunction[[int], int] = count  # E
not_a_decorator: TaskDecorator = no_parameters  # E
wrong_alias: Task[object] = scheduler.get_task(3)  # E


def adding_executors() -> None:
    scheduler.add_executor("threadpool", alias="io", max_wrkers=3)  # E[-ty]: unpacked TypedDict
    scheduler.add_executor("threadpool", alias="io", max_workers="3")  # E
    scheduler.add_executor("threadpool", alias="io", pool_kwargs={"prefix": "io"})  # E
    scheduler.add_executor("processpool", alias="cpu", pool_kwargs={"max_tasks_per_child": "5"})  # E
    scheduler.add_executor("debug", alias="debug", max_workers=3)  # E
    scheduler.add_executor("dask", alias="cluster", address=8786)  # E
    scheduler.add_executor("dask", alias="cluster", max_workers=3)  # E[-ty]: unpacked TypedDict
    scheduler.add_executor("asyncio", alias="loop", max_workers=3)  # E
    scheduler.add_executor("kubernetes", alias="jobs", namespace="jobs")  # E
    scheduler.add_executor(ThreadPoolExecutor(), alias="io", max_workers=3)  # E
    scheduler.add_executor(ThreadPoolExecutor, alias="io")  # E
    scheduler.add_executor(ThreadPoolExecutor())  # E
    scheduler.add_executor(ThreadPoolExecutor(), alias=3)  # E
    AsyncIOScheduler(executors={"io": ThreadPoolExecutor})  # E
    AsyncIOScheduler(executors={"io": 3})  # E
    AsyncIOScheduler({"io": "threadpool"})  # E
    AsyncIOScheduler(clock=1.5)  # E
    AsyncIOScheduler(recent_runs="5")  # E


async def decorated_functions() -> None:
    count.schedule(3)  # E
    count.schedule()  # E
    count.schedule("path", 3)  # E
    count.schedule("path", limit="a")  # E
    count.schedule("path", depth=3)  # E
    count_later.schedule("path", limit="a")  # E
    no_parameters.schedule("path")  # E
    count(3)  # E
    await count_later("path", limit="a")  # E
    wrong: str = await count_later("path")  # E
    len(count("path"))  # E
    scheduler.task()(3)  # E
    scheduler.task(executor=ThreadPoolExecutor)  # E
    scheduler.task(executor=BytesExecutor())  # E[-ty]: generic method
    scheduler.task(trigger="interval")  # E
    scheduler.task(max_instances="3")  # E
    scheduler.task(id=3)  # E
    scheduler.task(replace_existing="yes")  # E
    scheduler.task(name="fetching")  # E
    scheduler.task(size)  # E


async def its_life() -> None:
    await scheduler.shutdown(timeout="1 s")  # E
    await scheduler.shutdown(wait=None)  # E
    await scheduler.remove_executor(ThreadPoolExecutor())  # E
    scheduler.running = True  # E
    scheduler.state = scheduler.state  # E
    scheduler.remove_task(3)  # E
    scheduler.pause_task(None)  # E
    scheduler.resume_task(size)  # E
    async with scheduler as running:
        len(running)  # E


def in_a_thread(thread: SchedulerThread[AsyncIOScheduler], task: Task[bytes]) -> tuple[str, int]:
    scheduler.in_thread(25)  # E
    scheduler.in_thread(drain_timeout="25 s")  # E
    scheduler.in_thread(loop_factory=3)  # E
    thread.add_task(fetch, "url")  # E
    thread.run(task, 30)  # E
    thread.run(fetch)  # E
    thread.run("id")  # E
    thread.result(task, timeout="30 s")  # E
    thread.result(task).decode().hex()  # E
    thread.scheduler = scheduler  # E
    with scheduler.in_thread() as entered:
        entered.shutdown(False, 3.5)  # E
    return thread.run(task), thread.result(task)  # E


def of_bytes_only(event: TaskExecuted[bytes]) -> None: ...


def of_two(event: TaskError, number: int) -> None: ...


def of_any(event: TaskExecuted[object]) -> None: ...


def of_error(event: TaskError) -> None: ...


def subscriptions() -> None:
    scheduler.subscribe(TaskError, on_result)  # E
    scheduler.subscribe(TaskExecuted, on_error)  # E
    scheduler.subscribe(TaskExecuted, of_any, scope="nodes")  # E
    scheduler.subscribe(TaskError, of_error, scope="nodes")  # E
    scheduler.subscribe(TaskCancelled, on_missed)  # E
    scheduler.subscribe(SchedulerStarted, on_error)  # E
    scheduler.subscribe(TaskExecuted, of_bytes_only)  # E
    scheduler.subscribe(TaskError, of_two)  # E
    scheduler.subscribe(TaskError, lambda: None)  # E
    scheduler.subscribe(TaskError, lambda event: event.result)  # E
    scheduler.subscribe(TaskExecuted, lambda event: event.exception)  # E
    scheduler.subscribe(TaskExecuted, lambda event: event.result.upper())  # E
    scheduler.subscribe(ValueError, on_error)  # E
    scheduler.subscribe(TaskRun, print)  # E
    scheduler.subscribe(int, print)  # E
    scheduler.subscribe(TaskExecuted[bytes], of_bytes_only)  # E
    scheduler.subscribe(TaskExecuted[str], on_result)  # E
    scheduler.subscribe(TaskExecuted[str], lambda event: event.result)  # E
    scheduler.subscribe(on_result, on_result)  # E
    scheduler.subscribe(TaskExecuted("id", 3), on_result)  # E
    scheduler.on(TaskExecuted[str])  # E
    scheduler.on(TaskExecuted[str], TaskError)  # E
    scheduler.subscribe("TaskError", on_error)  # E
    scheduler.subscribe(TaskError("id", ValueError()), on_error)  # E
    scheduler.subscribe(on_error)  # E
    scheduler.subscribe(TaskError, None)  # E


wrong_subscription: Subscription = scheduler.subscribe(TaskMissed, on_missed).unsubscribe()  # E


def as_notifier(run: TaskRun[bytes], of_int: TaskRun[int]) -> None:
    scheduler.notify(run, of_int.execute())  # E
    scheduler.notify(run, TaskExecuted("id", 3))  # E
    scheduler.notify(run, "done")  # E
    scheduler.notify(run)  # E
    scheduler.released(run.task)  # E


not_an_executor: UniversalExecutor = scheduler  # E
not_a_notifier: Notifier = ThreadPoolExecutor()  # E


def entered_without_async(scheduler: AsyncIOScheduler) -> None:
    with scheduler:  # E
        pass
