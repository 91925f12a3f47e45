"""Public types under beartype, typeguard and pydantic, which check them at run time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeAlias

import beartype
import pydantic
import pytest
import typeguard
from beartype.roar import BeartypeCallHintViolation
from typing_extensions import TypeVar

from asyncz import (
    AsyncIOScheduler,
    BoundCall,
    Clock,
    DebugExecutor,
    Event,
    Executor,
    IntervalTrigger,
    Notifier,
    OverlapPolicy,
    ProcessPoolExecutor,
    Retry,
    SchedulerState,
    SupportsCancel,
    SupportsCancelAll,
    SupportsCatchUp,
    SupportsCheckCall,
    SupportsStart,
    SystemClock,
    Task,
    TaskExecuted,
    TaskFunction,
    TaskLimits,
    TaskMissed,
    TaskNotification,
    TaskRun,
    TaskSpec,
    ThreadPoolExecutor,
    Timer,
    Trigger,
    UniversalExecutor,
)

P = ParamSpec("P")
ResultT = TypeVar("ResultT")
Check: TypeAlias = Callable[..., str]  # type: ignore[explicit-any]  # functions with different parameters


def with_executors(universal: UniversalExecutor, of_bytes: Executor[bytes], cancels: SupportsCancel) -> str:
    return f"{type(universal).__name__}, {type(of_bytes).__name__}, {type(cancels).__name__}"


def with_abilities(
    all_at_once: SupportsCancelAll, checks: SupportsCheckCall, starts: SupportsStart, catches_up: SupportsCatchUp
) -> str:
    return f"{all_at_once}, {checks}, {starts}, {catches_up}"


def with_parts(trigger: Trigger, clock: Clock, notifier: Notifier | None, timer: Timer | None) -> str:
    return f"{trigger}, {clock}, {notifier}, {timer}"


def with_tasks(task: Task[int], spec: TaskSpec[int], run: TaskRun[int], function: TaskFunction[[int], int]) -> str:
    return f"{task}, {spec}, {run}, {function}"


def with_values(limits: TaskLimits, retry: Retry | None, overlap: OverlapPolicy | None, state: SchedulerState) -> str:
    return f"{limits}, {retry}, {overlap}, {state}"


def with_events(event: Event, executed: TaskExecuted[int], outcome: TaskNotification[int]) -> str:
    return f"{event}, {executed}, {outcome}"


def with_call(call: BoundCall[int], scheduler: AsyncIOScheduler) -> str:
    return f"{call}, {scheduler}"


def double(number: int) -> int:
    return 2 * number


def accepted_arguments() -> list[tuple[Check, tuple[object, ...]]]:
    scheduler = AsyncIOScheduler()
    threads, trigger = ThreadPoolExecutor(), IntervalTrigger(minutes=1)
    spec = TaskSpec("double", partial(double, 3))
    return [
        (with_executors, (threads, DebugExecutor(), threads)),
        (with_abilities, (threads, ProcessPoolExecutor(), trigger, trigger)),
        (with_parts, (trigger, SystemClock(), None, None)),
        (
            with_tasks,
            (scheduler.add_task(double, 3, trigger=None), spec, TaskRun(spec), scheduler.task()(double)),
        ),
        (with_values, (TaskLimits(), Retry(attempts=3), "skip", scheduler.state)),
        (with_events, (TaskMissed("double"), TaskExecuted("double", 6), TaskExecuted("double", 6))),
        (with_call, (scheduler.call(double, 3), scheduler)),
    ]


CHECKERS: dict[str, tuple[Callable[[Check], Check], type[Exception]]] = {
    "beartype": (beartype.beartype, BeartypeCallHintViolation),
    "typeguard": (typeguard.typechecked, typeguard.TypeCheckError),
}


@pytest.mark.parametrize("name", CHECKERS)
@pytest.mark.parametrize("position", range(7))
def test_checked_function_accepts_public_types(name: str, position: int) -> None:
    decorate, rejection = CHECKERS[name]
    function, arguments = accepted_arguments()[position]
    checked = decorate(function)
    assert checked(*arguments)
    for wrong in range(len(arguments)):
        with pytest.raises(rejection):
            checked(*arguments[:wrong], object(), *arguments[wrong + 1 :])


@pytest.mark.anyio
@pytest.mark.parametrize("name", CHECKERS)
async def test_checked_function_runs_as_task(name: str) -> None:
    decorate, rejection = CHECKERS[name]
    checked = decorate(with_parts)
    async with AsyncIOScheduler() as scheduler:
        right = scheduler.call(checked, IntervalTrigger(minutes=1), SystemClock(), None, None).add(trigger=None)
        assert "SystemClock" in await right.run()
        wrong = scheduler.task(trigger=None)(checked).schedule("interval", SystemClock(), None, None)
        with pytest.raises(rejection):
            await wrong.run()


class Settings(pydantic.BaseModel, arbitrary_types_allowed=True):
    """Settings of an application, with protocols as types of fields."""

    executor: UniversalExecutor
    of_bytes: Executor[bytes]
    trigger: Trigger
    clock: Clock
    limits: TaskLimits


def test_pydantic_validates_protocol_fields() -> None:
    right: dict[str, object] = {
        "executor": ThreadPoolExecutor(),
        "of_bytes": DebugExecutor(),
        "trigger": IntervalTrigger(minutes=1),
        "clock": SystemClock(),
        "limits": TaskLimits(timeout=3),
    }
    assert dict(Settings.model_validate(right)) == right
    for field in right:
        with pytest.raises(pydantic.ValidationError, match=field):
            Settings.model_validate({**right, field: 3})
