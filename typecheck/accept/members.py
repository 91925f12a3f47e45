"""Members of public classes that most programs do not use, with their exact types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Context
from typing import assert_type

from typing_extensions import TypeVar, override

from asyncz import (
    ArgumentMismatchError,
    AsyncIOScheduler,
    BaseExecutor,
    DaskExecutor,
    DebugExecutor,
    DelegatingExecutor,
    FunctionMismatchError,
    FuturesExecutor,
    ListenerDecorator,
    RemoteError,
    RestrictedDelegatingExecutor,
    RunDetails,
    RunSummary,
    SchedulerNotRunningError,
    SchedulerShutdown,
    SchedulerThread,
    Task,
    TaskError,
    TaskExecuted,
    TaskLookupError,
    TaskMaxInstances,
    TaskMissed,
    TaskProgress,
    TaskQueueFull,
    TaskRun,
    UnknownOptionError,
    Worker,
    create_executor,
    create_trigger,
    executors,
    schedulers,
)
from asyncz.executors import dask
from asyncz.triggers.base import AndTrigger, OrTrigger
from asyncz.triggers.calendar import CalendarIntervalTrigger
from asyncz.triggers.date import DateTrigger
from typecheck.accept.calls import scheduler
from typecheck.accept.functions import fetch, size

ResultT = TypeVar("ResultT")


class Queueing(BaseExecutor):
    """An executor whose runs wait in a queue."""

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        assert_type(self.claim(run), bool)
        self.start_timeout(run)
        assert_type(self.waits_in_queue(run), bool)


def of_events(error: TaskError, busy: TaskMaxInstances, full: TaskQueueFull, end: SchedulerShutdown) -> None:
    assert_type(error.details, RunDetails)
    assert_type(busy.details, RunDetails)
    assert_type(full.details, RunDetails)
    assert_type(end.cancelled, int)
    assert_type(end.abandoned, int)


def of_progress(progress: TaskProgress, worker: Worker) -> None:
    assert_type(progress.task_id, str)
    assert_type(progress.details, RunDetails)
    assert_type(worker.host, str)
    assert_type(worker.thread, str)


def of_errors(
    option: UnknownOptionError,
    arguments: ArgumentMismatchError,
    lookup: TaskLookupError,
    mismatch: FunctionMismatchError,
) -> None:
    assert_type(option.name, str)
    assert_type(option.suggestion, str)
    assert_type(option.options, tuple[str, ...])
    assert_type(option.advice, str)
    assert_type(arguments.arguments, str)
    assert_type(arguments.signature, str)
    assert_type(arguments.reason, str)
    assert_type(arguments.advice, str)
    assert_type(lookup.suggestion, str)
    assert_type(mismatch.function, str)
    assert_type(mismatch.given, str)


def of_other_errors(stopped: SchedulerNotRunningError, remote: RemoteError) -> None:
    assert_type(stopped.status, str)
    assert_type(stopped.parent, int)
    assert_type(remote.class_names, tuple[str, ...])


def of_runs(run: TaskRun[bytes], context: Context) -> None:
    assert_type(run.context, Context | None)
    run.context = context
    assert_type(run.details(), RunDetails)
    run.report_progress(1, None, "half")
    run.begin(1.5, Worker())
    run.failed(ValueError(), traceback_text="text")


def of_summaries(summary: RunSummary) -> None:
    assert_type(summary.redacted(len_of), RunSummary)


def len_of(text: str) -> str:
    return str(len(text))


def of_modules(
    futures: executors.FuturesExecutor,
    delegating: executors.DelegatingExecutor,
    restricted: executors.RestrictedDelegatingExecutor[int],
    cluster: executors.DaskExecutor,
    made: schedulers.AsyncIOScheduler,
) -> None:
    assert_type(futures, FuturesExecutor)
    assert_type(delegating, DelegatingExecutor)
    assert_type(delegating.cancel_all, Callable[[], None])
    assert_type(restricted, RestrictedDelegatingExecutor[int])
    assert_type(cluster, DaskExecutor)
    assert_type(made, AsyncIOScheduler)


def of_dask(client: dask.DaskClient, security: dask.DaskSecurity) -> None:
    assert_type(client.asynchronous, bool)
    assert_type(security.get_connection_args("client"), Mapping[str, object])
    DaskExecutor(client=client)
    DaskExecutor("tls://host:8786", security=security)


def of_creation() -> None:
    assert_type(create_executor("dask", address="tcp://host:8786"), DaskExecutor)
    assert_type(create_executor("debug"), DebugExecutor)
    assert_type(create_trigger("calendar", days=1, hour=3), CalendarIntervalTrigger)
    assert_type(create_trigger("date", run_at=None), DateTrigger)
    assert_type(create_trigger("and", triggers=[]), AndTrigger)
    assert_type(create_trigger("or", triggers=[]), OrTrigger)


def of_functions() -> None:
    assert_type(scheduler.tasks_of(size).all(), tuple[Task[int], ...])
    assert_type(scheduler.tasks_of(fetch).all(), tuple[Task[bytes], ...])
    assert_type(scheduler.task()(size).__qualname__, str)


def of_listeners() -> None:
    executed = TaskExecuted[object]
    assert_type(scheduler.on(executed), ListenerDecorator[TaskExecuted[object]])
    assert_type(
        scheduler.on(executed, TaskError, TaskMissed), ListenerDecorator[TaskExecuted[object] | TaskError | TaskMissed]
    )
    assert_type(
        scheduler.on(TaskError, TaskMissed, TaskProgress), ListenerDecorator[TaskError | TaskMissed | TaskProgress]
    )
    assert_type(
        scheduler.on(executed, TaskError, TaskMissed, TaskProgress),
        ListenerDecorator[TaskExecuted[object] | TaskError | TaskMissed | TaskProgress],
    )


def of_threads(thread: SchedulerThread[AsyncIOScheduler], task: Task[bytes]) -> None:
    thread.stop(False, timeout=3)
    thread.shutdown(wait=False, timeout=None)
    assert_type(thread.run(task, timeout=3), bytes)
    assert_type(thread.cancel(task, timeout=3), int)


async def of_schedulers(made: AsyncIOScheduler) -> None:
    await made.start(paused=True)
    await made.wait_closed(drain_timeout=3)
    made.run_forever(drain_timeout=None)
    await made.remove_executor("io", wait=False)
