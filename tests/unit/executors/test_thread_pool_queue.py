"""The queue of the thread pool, while a thread of the pool ends."""

from __future__ import annotations

import concurrent.futures

from typing_extensions import override

from asyncz import TaskRun, TaskSpec, ThreadPoolExecutor
from asyncz.executors._exit_hooks import ThreadedFunctions
from asyncz.executors.thread_pool import _PoolThread, _Workers
from tests.helpers.generics import ResultT


class _EndsDuringSubmission(_Workers):
    """Workers whose only thread counts itself out just before a run is appended."""

    late: TaskRun[int] | None = TaskRun(TaskSpec("late", int))

    @override
    def count_out(self) -> int:
        others = super().count_out()
        if self.late is not None:
            self.put(self.late)
            self.late = None
        return others


def test_run_appended_at_end_of_thread_is_executed() -> None:
    executed: list[str] = []

    def execute(run: TaskRun[ResultT], _: _PoolThread, /) -> None:
        executed.append(run.task_id)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        workers = _EndsDuringSubmission(pool, 1, execute, ThreadedFunctions(ThreadPoolExecutor(1)))
        workers.put(TaskRun(TaskSpec("early", int)))
        assert workers.count_in()
        workers.work()
    assert executed == ["early", "late"]
    assert workers.busy == 0
