"""One mistake a line, each marked # E: every checker must report each, and nothing else."""

from __future__ import annotations

from typing_extensions import TypeVar, override

from asyncz import (
    BaseExecutor,
    Executor,
    ExecutorState,
    Notifier,
    TaskError,
    TaskExecuted,
    TaskRun,
    UniversalExecutor,
)
from typecheck.accept.core import BytesOnly, anything, count, fetch, of_bytes_only, scheduler, size, task

A = TypeVar("A")
B = TypeVar("B")

scheduler.add_task(fetch, 3)  # E
scheduler.add_task(fetch)  # E
scheduler.add_task(size, "p", 2, executor=BytesOnly())  # E
scheduler.add_task(fetch, "u", max_instances="3")  # E
scheduler.add_executor(BytesOnly(), alias="b")  # E
scheduler.add_executor("threadpool", alias="io", max_wrkers=3)  # E
scheduler.subscribe(TaskError, anything)  # E
scheduler.subscribe(TaskExecuted, of_bytes_only)  # E
count.schedule(3)  # E
count.schedule("x", limit="a")  # E
bad_int: Executor[int] = BytesOnly()  # E
bad_universal: UniversalExecutor = BytesOnly()  # E


def on_text(event: TaskExecuted[str]) -> None: ...


task.on_executed(on_text)  # E


class NoShutdown:
    @property
    def state(self) -> ExecutorState:
        return ExecutorState(alias="", running=0)

    async def start(self, scheduler: Notifier, alias: str, /) -> None: ...
    def submit(self, run: TaskRun[A], /) -> None: ...


no_shutdown: UniversalExecutor = NoShutdown()  # E


class Liar(BaseExecutor):
    @override
    def submit_run(self, run: TaskRun[A], /) -> None:
        self.finish(run, TaskExecuted(run.task.id, "junk"))  # E


class Swapper(BaseExecutor):
    def swap(self, first: TaskRun[A], second: TaskRun[B]) -> None:
        self.finish(first, second.execute())  # E


def overwrite(event: TaskExecuted[object]) -> None:
    event.result = "junk"  # E
