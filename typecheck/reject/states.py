"""Mistakes with states: changing them, making them wrongly, wrong words for a status.

Why some checkers let some of them pass:

- conversion: pyrefly and ty know that pydantic tries to convert what it is given.
"""

from __future__ import annotations

from uuid import UUID
from typing import assert_never

from asyncz import (
    ClusterState,
    AsyncIOScheduler,
    RunLookupError,
    RunProgress,
    RunSummary,
    RunOutcome,
    ExecutorState,
    ExecutorStatus,
    InstanceCount,
    SchedulerState,
    SchedulerStatus,
    TaskState,
)


def changed(state: ExecutorState, count: InstanceCount, task: TaskState, scheduler: SchedulerState) -> None:
    state.running = 3  # E
    state.status = "running"  # E
    state.instances = ()  # E
    state.instances[0] = count  # E
    state.instances.append(count)  # E
    count.running = 3  # E
    task.paused = True  # E
    task.submitted += 1  # E
    scheduler.status = "running"  # E
    scheduler.next_run_at = None  # E


def made() -> None:
    ExecutorState()  # E
    ExecutorState(alias=3)  # E
    ExecutorState(alias="io", status="runing")  # E
    ExecutorState(alias="io", status="paused")  # E
    ExecutorState(alias="io", running="3")  # E[-pyrefly,ty]: conversion
    ExecutorState(alias="io", instances=[InstanceCount(task_id="task", running=1)])  # E[-pyrefly,ty]: conversion
    ExecutorState(alias="io", instances={"task": 1})  # E
    ExecutorState("io")  # E
    ExecutorState(alias="io", rnning=3)  # E
    ExecutorState(alias="io", cluster="tcp://10.0.0.5:8786")  # E
    ClusterState(address="tcp://10.0.0.5:8786")  # E
    ClusterState(address="tcp://10.0.0.5:8786", connected=None)  # E
    InstanceCount(task_id="task")  # E
    TaskState(task_id="task", executor="io")  # E
    TaskState(task_id="task", function="f", executor="io", next_run_at="today")  # E[-pyrefly,ty]: conversion
    SchedulerState(status="broken")  # E
    SchedulerState(tasks=[])  # E[-pyrefly,ty]: conversion


def statuses(state: ExecutorState, scheduler: SchedulerState) -> None:
    state.evolve("runing")  # E
    state.evolve("paused")  # E
    state.evolve()  # E
    scheduler.evolve("running")  # E
    state.unknown  # E


wrong_status: ExecutorStatus = "paused"  # E
wrong_scheduler_status: SchedulerStatus = "broken"  # E
a_word: str = "running"
any_word: ExecutorStatus = a_word.lower()  # E
any_scheduler_word: SchedulerStatus = a_word.lower()  # E


def of_another(state: SchedulerState) -> ExecutorState:
    return state  # E


def forgets_the_broken(status: ExecutorStatus) -> bool:
    match status:
        case "created" | "starting" | "running" | "draining" | "stopped":
            return True
        case _:
            assert_never(status)  # E


def forgets_the_paused(status: SchedulerStatus) -> bool:
    match status:
        case "created" | "running" | "draining" | "stopped":
            return True
        case _:
            assert_never(status)  # E


def progress(state: TaskState, report: RunProgress) -> None:
    state.progress.done  # E
    assert report.done.items()  # E
    report.done = 1  # E
    RunProgress(run_id=UUID(int=1))  # E
    RunProgress(run_id=UUID(int=1), done="1")  # E[-pyrefly,ty]: conversion
    report.fraction + 1  # E


def ended_runs(state: TaskState, run: RunSummary, outcome: RunOutcome) -> str:
    state.recent_runs[0].outcome = "executed"  # E
    run.result  # E
    RunSummary(run_id=UUID(int=1), task_id="task", outcome="failed")  # E
    RunSummary(run_id=UUID(int=1))  # E
    if outcome == "cancelled":
        return run.run_id  # E
    return run.error


def runs_by_number(scheduler: AsyncIOScheduler, error: RunLookupError) -> None:
    scheduler.get_run("3")  # E
    scheduler.history = ()  # E
    scheduler.history.append(1)  # E
    AsyncIOScheduler(history="many")  # E
    timeout: TimeoutError = error  # E
    print(timeout)


def parts_of_state(scheduler: AsyncIOScheduler) -> None:
    scheduler.executors = ()  # E
    scheduler.status = "paused"  # E
    scheduler.due_times(3)  # E
    scheduler.due_times("nightly", "3")  # E
    scheduler.cancel_run("3")  # E


def redacted(run: RunSummary, task: TaskState, scheduler: SchedulerState) -> None:
    run.redacted("***")  # E
    task.redacted("***")  # E
    scheduler.redacted("***")  # E
