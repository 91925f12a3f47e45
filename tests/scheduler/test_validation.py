"""Invalid input of the public API: rejected with a message before anything changes."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias

import pytest

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    AsynczError,
    DebugExecutor,
    DuplicateExecutorError,
    DuplicateTaskError,
    IntervalTrigger,
    InvalidInputError,
    ProcessPoolExecutor,
    Retry,
    SerializationError,
    Task,
    TaskError,
    TaskExecuted,
    TaskLimits,
    TaskLookupError,
    ThreadPoolExecutor,
    UnknownAliasError,
)
from tests.helpers import payloads

AnyCall: TypeAlias = Callable[..., object]  # type: ignore[explicit-any]  # whatever it takes is given something else


def wrongly(call: AnyCall, *args: object, **options: object) -> object:
    """Make a call whose arguments no type checker would let pass."""
    return call(*args, **options)


def of_new_scheduler(*args: object, **options: object) -> Callable[[], object]:
    return lambda: wrongly(AsyncIOScheduler, *args, **options)


def of_scheduler(method: str, *args: object, **options: object) -> Callable[[], object]:
    def call() -> object:
        scheduler = AsyncIOScheduler()
        scheduler.add_task(payloads.add, 1, 2, trigger=None, id="job")
        before = scheduler.state
        try:
            return wrongly(getattr(scheduler, method), *args, **options)
        finally:
            assert scheduler.state == before, "something was changed before the input was rejected"

    return call


def of_running_scheduler(method: str, *args: object) -> Callable[[], object]:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            ending = wrongly(getattr(scheduler, method), *args)
            assert inspect.isawaitable(ending)
            await ending

    return lambda: asyncio.run(main())


def adding(**options: object) -> Callable[[], object]:
    return of_scheduler("add_task", payloads.add, 1, 2, **options)


def modifying(**options: object) -> Callable[[], object]:
    return of_scheduler("modify_task", "job", **options)


def of_task(method: str, *args: object, **options: object) -> Callable[[], object]:
    def call() -> object:
        task: Task[int] = AsyncIOScheduler().add_task(payloads.add, 1, 2, trigger=None)
        return wrongly(getattr(task, method), *args, **options)

    return call


def of(call: AnyCall, *args: object, **options: object) -> Callable[[], object]:
    return lambda: wrongly(call, *args, **options)


BAD: list[tuple[str, Callable[[], object], str]] = [
    # A scheduler
    ("executors as a list", of_new_scheduler(executors=["asyncio"]), "executors cannot be ['asyncio']: "),
    (
        "an executor that is none",
        of_new_scheduler(executors={"io": 3}),
        "executor cannot be 3: missing",
    ),
    (
        "the class of an executor",
        of_new_scheduler(executors={"io": ThreadPoolExecutor}),
        "an instance is needed",
    ),
    (
        "an unknown alias",
        of_new_scheduler(executors={"io": "treadpool"}),
        "'treadpool'; did you mean 'threadpool'? ",
    ),
    ("an empty alias", of_new_scheduler(executors={"": "asyncio"}), "alias cannot be '': "),
    ("an alias that is a number", of_new_scheduler(executors={3: "asyncio"}), "alias cannot be 3: it must be a text"),
    (
        "a clock that is none",
        of_new_scheduler(clock=3),
        "clock cannot be 3: pass an object with the methods now",
    ),
    ("defaults that are none", of_new_scheduler(defaults=3), "defaults cannot be 3: it must be a TaskLimits"),
    ("defaults as a dict", of_new_scheduler(defaults={"timeout": 3}), "defaults cannot be {'timeout': 3}"),
    ("no defaults", of_new_scheduler(defaults=None), "defaults cannot be None"),
    (
        "a negative timeout",
        of_running_scheduler("shutdown", True, -1),
        "timeout cannot be -1: it must be at least 0",
    ),
    ("a timeout as text", of_running_scheduler("shutdown", True, "soon"), "timeout cannot be 'soon'"),
    ("a timeout that is no number", of_running_scheduler("shutdown", True, float("nan")), "timeout cannot be nan"),
    ("a negative drain", of_running_scheduler("wait_closed", -1), "drain_timeout cannot be -1: "),
    ("a drain that is true", of_running_scheduler("wait_closed", True), "drain_timeout cannot be True: "),
    # Its executors
    (
        "to add no executor",
        of_scheduler("add_executor", None, alias="io"),
        "cannot be None: missing executor",
    ),
    (
        "to add the class of one",
        of_scheduler("add_executor", DebugExecutor, alias="io"),
        "an instance is needed",
    ),
    ("to add it under no alias", of_scheduler("add_executor", "debug", alias=""), "alias cannot be ''"),
    ("no workers", of_scheduler("add_executor", "pool", alias="io", max_workers=0), "max_workers cannot be 0"),
    ("a misspelt option", of_scheduler("add_executor", "pool", alias="io", max_wrkers=1), "'max_wrkers'"),
    ("an option of none", of_scheduler("add_executor", "debug", alias="io", max_workers=1), "'max_workers'"),
    ("to remove an unknown one", of_running_scheduler("remove_executor", "io"), "no executor with the alias 'io'"),
    # Executors
    ("workers as text", of(ThreadPoolExecutor, "3"), "max_workers cannot be '3': it must be a whole number"),
    ("workers that are true", of(ProcessPoolExecutor, True), "max_workers cannot be True"),
    ("half a worker", of(ProcessPoolExecutor, 0.5), "max_workers cannot be 0.5"),
    ("a negative queue", of(ThreadPoolExecutor, max_queue=-1), "max_queue cannot be -1: it must be a whole number"),
    ("cancel_futures as text", of(ThreadPoolExecutor, cancel_futures="no"), "cancel_futures cannot be 'no'"),
    ("overwrite_wait as text", of(ProcessPoolExecutor, overwrite_wait="no"), "overwrite_wait cannot be 'no'"),
    ("pool_kwargs that are none", of(ThreadPoolExecutor, 1, 3), "pool_kwargs cannot be 3: "),
    (
        "pool_kwargs of threads",
        of(ThreadPoolExecutor, 1, {"prefix": "io"}),
        "the pool accepts: thread_name_prefix",
    ),
    ("pool_kwargs of processes", of(ProcessPoolExecutor, 1, {"prefix": "io"}), "the pool accepts: mp_context, init"),
    ("a start method by name", of(ProcessPoolExecutor, 1, {"mp_context": "fork"}), "mp_context cannot be 'fork': "),
    ("workers for no runs", of(ProcessPoolExecutor, 1, {"max_tasks_per_child": 0}), "max_tasks_per_child cannot be 0"),
    # A new task
    ("a function by name", of_scheduler("add_task", "module:function"), "fn cannot be 'module:function': "),
    (
        "a trigger by name",
        adding(trigger="hourly"),
        "trigger cannot be 'hourly': a trigger is needed; use IntervalTrigger",
    ),
    ("the class of a trigger", adding(trigger=IntervalTrigger), "call the class, such as IntervalTrigger(minutes=5)"),
    ("an executor as a number", adding(executor=3), "executor cannot be 3: missing"),
    ("an executor nobody knows", adding(executor="threads"), "'threads'; did you mean 'threadpool'? "),
    ("an id as a number", adding(id=3), "id cannot be 3: it must be a text that is not empty"),
    ("an empty id", adding(id=""), "id cannot be ''"),
    ("a taken id", adding(id="job"), "a task with the id 'job' exists already"),
    ("no instances", adding(max_instances=0), "max_instances cannot be 0: it must be a whole number, at least 1"),
    ("half an instance", adding(max_instances=1.5), "max_instances cannot be 1.5"),
    ("any number of instances", adding(max_instances=None), "max_instances cannot be None"),
    ("a negative grace", adding(misfire_grace_time=-1), "misfire_grace_time cannot be -1: it must be more than 0 sec"),
    (
        "a grace as timedelta",
        adding(misfire_grace_time=timedelta(1)),
        "misfire_grace_time cannot be datetime.timede",
    ),
    ("coalesce as text", adding(coalesce="no"), "coalesce cannot be 'no': it must be True or False"),
    ("no time", adding(timeout=0), "timeout cannot be 0: it must be more than 0 seconds, or None"),
    ("a class as timeout", adding(timeout=int), "timeout cannot be <class 'int'>"),
    ("a number of retries", adding(retry=3), "retry cannot be 3: it must be a Retry, or None"),
    (
        "an unknown policy",
        adding(overlap="queue"),
        "overlap cannot be 'queue': it must be one of: skip, queue_one",
    ),
    ("a list of policies", adding(overlap=["skip"]), "overlap cannot be ['skip']"),
    ("paused as text", adding(paused="no"), "paused cannot be 'no': it must be True or False"),
    ("replacing as text", adding(id="job", replace_existing="no"), "replace_existing cannot be 'no'"),
    ("to replace whatever", adding(replace_existing=True), "pass the id of the task to replace"),
    (
        "what no process can take",
        of_scheduler("add_task", lambda: 3, executor="processpool"),
        "cannot be sent to another process",
    ),
    ("a decorator with bad limits", of_scheduler("task", max_instances=0), "max_instances cannot be 0"),
    ("a decorator with a bad trigger", of_scheduler("task", trigger="hourly"), "trigger cannot be 'hourly'"),
    ("a decorated number", of(AsyncIOScheduler().task(), 3), "fn cannot be 3: it must be a function"),
    # A known task
    ("a task as a number", of_scheduler("remove_task", 3), "task cannot be 3: it must be a Task"),
    ("no task", of_scheduler("get_task", None), "task cannot be None"),
    ("an unknown task", of_scheduler("pause_task", "other"), "no task with the id 'other'"),
    ("a change of no task", of_scheduler("modify_task", None, timeout=3), "task cannot be None"),
    ("no instances from now on", modifying(max_instances=0), "max_instances cannot be 0"),
    ("no time from now on", modifying(timeout=-1.5), "timeout cannot be -1.5"),
    ("an unknown policy from now on", modifying(overlap="last"), "overlap cannot be 'last': it must be one of: skip"),
    ("an executor itself", modifying(executor=AsyncIOExecutor()), "it must be a text that is not empty"),
    ("nowhere", modifying(executor="nowhere"), "no executor with the alias 'nowhere'; known aliases: asyncio"),
    ("a schedule by name", of_scheduler("reschedule_task", "job", "hourly"), "trigger cannot be 'hourly'"),
    ("to submit before the start", of_scheduler("submit_task", "job"), "submitting the task 'job' needs a running"),
    ("to change its own limits badly", of_task("modify", retry="always"), "retry cannot be 'always'"),
    ("its own schedule by name", of_task("reschedule", "daily"), "trigger cannot be 'daily'"),
    # Listeners
    ("an event by name", of_scheduler("subscribe", "TaskError", print), "pass one of the event classes: Exec"),
    ("a subscripted event", of_scheduler("subscribe", TaskExecuted[int], print), "pass TaskExecuted"),
    ("nobody who listens", of_scheduler("subscribe", TaskError, None), "listener cannot be None"),
    ("nobody who listens to ends", of_task("on_done", None), "listener cannot be None"),
    ("a text that listens", of_task("on_executed", "print"), "listener cannot be 'print'"),
    ("a number that listens", of_task("on_error", 3), "listener cannot be 3: it must be a function or another"),
    # Limits and retries
    ("limits with no instances", of(TaskLimits, max_instances=0), "max_instances cannot be 0"),
    ("limits with a bad policy", of(TaskLimits, overlap="all"), "overlap cannot be 'all'"),
    ("limits that change badly", of(TaskLimits().evolve, coalesce=1), "coalesce cannot be 1"),
    ("no attempts", of(Retry, attempts=0), "attempts cannot be 0"),
    ("a negative delay", of(Retry, attempts=2, delay=-1), "delay cannot be -1"),
    ("a backoff that shrinks", of(Retry, attempts=2, backoff=0.5), "backoff cannot be 0.5: it must be a number, at le"),
    ("an exception by name", of(Retry, attempts=2, on="OSError"), "a tuple of exception classes is needed"),
]


@pytest.mark.parametrize(("call", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_invalid_argument_rejected_with_reason(call: Callable[[], object], message: str) -> None:
    """Name the argument, its value and the allowed values, before anything changes."""
    with pytest.raises(AsynczError) as caught:
        call()
    assert message in str(caught.value)


def test_invalid_argument_cases_have_unique_names() -> None:
    assert len({name for name, _, _ in BAD}) == len(BAD)


def test_invalid_tasks_and_executors_rejected() -> None:
    scheduler = AsyncIOScheduler()
    task = scheduler.add_task(payloads.add, 1, 2, id="taken")
    with pytest.raises(DuplicateTaskError, match="taken"):
        scheduler.add_task(payloads.add, 1, 2, id="taken")
    executor = AsyncIOExecutor()
    scheduler.add_executor(executor, alias="one")
    with pytest.raises(DuplicateExecutorError, match="one"):
        scheduler.add_executor("debug", alias="one")
    with pytest.raises(DuplicateExecutorError, match="one"):
        scheduler.add_executor(executor, alias="two")
    with pytest.raises(UnknownAliasError, match="no executor with the alias 'treadpool'"):
        scheduler.add_executor("treadpool", alias="three")
    with pytest.raises(InvalidInputError, match="alias"):
        scheduler.add_executor("debug", alias="")
    with pytest.raises(InvalidInputError, match="unknown option 'max_workers'"):
        scheduler.add_executor("debug", alias="four", max_workers=3)  # type: ignore[call-overload]  # wrong on purpose
    with pytest.raises(InvalidInputError, match="function or another callable"):
        scheduler.add_task(5)  # type: ignore[call-overload]  # wrong on purpose
    with pytest.raises(InvalidInputError, match="no result type at run time: pass TaskExecuted"):
        scheduler.subscribe(TaskExecuted[int], print)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(TaskLookupError):
        scheduler.get_task("missing")
    with pytest.raises(TaskLookupError):
        scheduler.remove_task("missing")
    assert scheduler.get_task("taken") is task
    assert len(scheduler.state.executors) == 2


def test_scheduler_pickling_rejected() -> None:
    with pytest.raises(TypeError, match="a scheduler cannot be pickled, and so cannot be an argument of a function"):
        pickle.dumps(AsyncIOScheduler())
    with pytest.raises(SerializationError, match="a scheduler cannot be pickled"):
        AsyncIOScheduler().add_task(repr, AsyncIOScheduler(), executor="processpool")
