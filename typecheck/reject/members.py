"""Mistakes with members of public classes that most programs do not use."""

from __future__ import annotations

from concurrent import futures

from typing_extensions import TypeVar, override

from asyncz import (
    AppWithScheduler,
    AsyncIOScheduler,
    BaseExecutor,
    DaskExecutor,
    FuturesExecutor,
    Retry,
    SchedulerThread,
    SupportsCheckCall,
    Task,
    TaskError,
    TaskExecuted,
    TaskMissed,
    TaskProgress,
    TaskRun,
    ThreadPoolExecutor,
    Worker,
    create_executor,
    create_trigger,
    install_log_fields,
)
from asyncz.executors import dask
from typecheck.accept.calls import scheduler

ResultT = TypeVar("ResultT")


class Queueing(BaseExecutor):
    """An executor whose runs wait in a queue."""

    def __init__(self) -> None:
        super().__init__(max_queue="3")  # E

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self.claim(3)  # E
        self.start_timeout(3)  # E
        self.waits_in_queue(3)  # E
        self.finish(run, 3)  # E


def of_executors(executor: ThreadPoolExecutor, checks: SupportsCheckCall) -> None:
    FuturesExecutor(ThreadPoolExecutor)  # E
    FuturesExecutor(futures.ThreadPoolExecutor(), cancel_futures="yes")  # E
    FuturesExecutor(futures.ThreadPoolExecutor(), overwrite_wait="yes")  # E
    DaskExecutor("tls://host:8786", max_queue="3")  # E
    executor.submit_run(3)  # E
    executor.release(wait="no")  # E
    checks.check_call(3)  # E
    DaskExecutor("tls://host:8786", security=3)  # E
    DaskExecutor(client=3)  # E


def of_dask(client: dask.DaskClient, security: dask.DaskSecurity) -> None:
    security.get_connection_args(3)  # E
    security.get_connection_args("client").size  # E
    client.asynchronous.size  # E


def of_runs(run: TaskRun[bytes], retry: Retry) -> None:
    run.context = 3  # E
    run.report_progress("1", None, "half")  # E
    run.report_progress(1, "2", "half")  # E
    run.report_progress(1, None, 3)  # E
    run.begin("1")  # E
    run.begin(1, "worker")  # E
    run.failed(ValueError(), traceback_text=3)  # E
    retry.follows("1", ValueError())  # E
    retry.follows(1, 3)  # E
    Worker(host=3)  # E


def of_creation() -> None:
    create_executor("processpool", max_workers="3")  # E
    create_executor("dask", max_workers=3)  # E[-ty]: unpacked TypedDict
    create_executor("debug", max_workers=3)  # E
    create_trigger("calendar", hour="3")  # E
    create_trigger("cron", expression=3)  # E
    create_trigger("date", run_at=3)  # E
    create_trigger("date", expression="* * * * *")  # E[-ty]: unpacked TypedDict
    create_trigger("date", triggers=[])  # E[-ty]: unpacked TypedDict
    create_trigger("and", triggers=3)  # E
    create_trigger("or", triggers=3)  # E
    install_log_fields("root")  # E


def of_listeners() -> None:
    scheduler.on(3, TaskError)  # E
    scheduler.on(TaskError, 3, TaskMissed)  # E
    scheduler.on(TaskError, TaskMissed, 3)  # E
    scheduler.on(TaskExecuted[object], 3, TaskError)  # E
    scheduler.on(TaskExecuted[object], TaskError, 3)  # E
    scheduler.on(TaskExecuted[object], TaskError, TaskMissed, 3)  # E
    scheduler.on(TaskExecuted[object], TaskError, 3, TaskMissed)  # E
    scheduler.on(TaskExecuted[object], 3, TaskError, TaskMissed)  # E
    scheduler.on(3, TaskError, TaskMissed, TaskProgress)  # E


def of_threads(thread: SchedulerThread[AsyncIOScheduler], task: Task[bytes]) -> None:
    thread.stop(wait="no")  # E
    thread.stop(timeout="3")  # E
    thread.shutdown("no")  # E
    thread.shutdown(timeout="3")  # E
    thread.run(task, timeout="3")  # E
    thread.cancel("id")  # E
    thread.cancel(task, timeout="3")  # E


async def of_schedulers(made: AsyncIOScheduler) -> None:
    await made.start(paused="no")  # E
    await made.wait_closed(drain_timeout="3")  # E
    made.run_forever(drain_timeout="3")  # E
    await made.remove_executor("io", wait="no")  # E
    AppWithScheduler(3, made)  # E
