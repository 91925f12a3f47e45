"""Mistakes of a first program: each is reported when it is made, with advice."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor as Pool
from datetime import UTC, datetime, time, timedelta
from functools import partial
from unittest.mock import Mock

import pytest
from typing_extensions import override

from asyncz import (
    ArgumentMismatchError,
    AsyncIOScheduler,
    AsynczError,
    DebugExecutor,
    EventLoopRunningError,
    IntervalTrigger,
    InvalidInputError,
    SchedulerNotRunningError,
    SyncContextError,
    TaskLookupError,
    ThreadPoolExecutor,
    UnknownAliasError,
    UnknownOptionError,
    WrongThreadError,
)
from asyncz.schedulers import _lifecycle
from tests.helpers import payloads
from tests.scheduler.test_validation import wrongly

pytestmark = pytest.mark.anyio


def two(first: int, second: int = 0) -> int:
    return first + second


def named(*, needed: int) -> int:
    return needed


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


def wrapper(function: Callable[..., int]) -> Callable[..., int]:  # type: ignore[explicit-any]  # any arguments
    @functools.wraps(function)
    def call(*args: int) -> int:
        return function(*args, 0)

    return call


class Multiplier:
    def __call__(self, number: int) -> int:
        return number

    def times(self, number: int) -> int:
        return number

    @classmethod
    def make(cls, number: int) -> int:
        return number


MISMATCHES = {
    "missing": ((two,), "two() does not fit two(first: 'int', second: 'int' = 0) -> 'int': missing a required"),
    "too many": ((two, 1, 2, 3), "two(1, 2, 3) does not fit"),
    "trigger as argument": ((two, 1, 2, "interval"), "pass the trigger by its keyword"),
    "keyword only": ((named,), "missing a required"),
    "partial": ((functools.partial(two, 1, second=2), 3), "multiple values for argument 'second'"),
    "unknown keyword": ((functools.partial(two, third=3), 1), "'third'"),  # type: ignore[call-arg]  # wrong on purpose
    "method": ((Multiplier().times,), "times("),
    "class method": ((Multiplier.make, 1, 2), "too many positional"),
    "callable object": ((Multiplier(), 1, 2), "too many positional"),
    "class": ((Multiplier, 1), "too many positional"),
    "builtin": ((pow, 1), "missing a required"),
    "cached": ((functools.cache(two),), "missing a required"),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_arguments_not_fitting_rejected(name: str) -> None:
    scheduler = AsyncIOScheduler()
    call, message = MISMATCHES[name]
    with pytest.raises(ArgumentMismatchError) as caught:
        wrongly(scheduler.add_task, *call)
    assert message in str(caught.value)
    assert not scheduler.tasks


@pytest.mark.parametrize(
    "call",
    [
        (two, 1),
        (two, 1, 2),
        (functools.partial(two, 1), 2),
        (functools.partial(named, needed=1),),
        (wrapper(two), 1),
        (max, 1, 2),
        (print,),
        (Multiplier().times, 1),
        (Multiplier, ),
        (Mock(), 1, 2, 3),
        (payloads.AsyncAdder(), 1, 2),
        (functools.partial(functools.partial(two), 1), 2),
        (lambda *args: args, 1, 2),
    ],
)  # fmt: skip
def test_fitting_arguments_accepted(call: tuple[object, ...]) -> None:
    wrongly(AsyncIOScheduler().add_task, *call)


def test_schedule_checks_keyword_arguments() -> None:
    scheduler = AsyncIOScheduler()
    decorated = scheduler.task()(two)
    with pytest.raises(ArgumentMismatchError, match="third"):
        wrongly(decorated.schedule, 1, third=3)
    with pytest.raises(ArgumentMismatchError, match="named"):
        wrongly(scheduler.add_task(two, 1).then, named)


@pytest.mark.parametrize("function", [generator, async_generator, functools.partial(generator)])
def test_generator_function_rejected(function: object) -> None:
    scheduler = AsyncIOScheduler()
    with pytest.raises(InvalidInputError, match="generator function"):
        wrongly(scheduler.add_task, function)
    with pytest.raises(InvalidInputError, match="generator function"):
        wrongly(scheduler.task(), function)


def test_coroutine_object_rejected_with_advice() -> None:
    coroutine = payloads.add_async(1, 2)
    with pytest.raises(InvalidInputError, match=r"without calling it: add_task\(add_async"):
        wrongly(AsyncIOScheduler().add_task, coroutine)
    coroutine.close()


def test_result_of_call_rejected_with_advice() -> None:
    with pytest.raises(InvalidInputError, match="result of a call"):
        wrongly(AsyncIOScheduler().add_task, two(1))


@pytest.mark.parametrize("called", ["add_task", "call", "map", "then"])
def test_advice_names_the_method_that_was_called(called: str) -> None:
    scheduler = AsyncIOScheduler()
    methods: dict[str, Callable[[object], object]] = {
        "add_task": partial(wrongly, scheduler.add_task),
        "call": partial(wrongly, scheduler.call),
        "map": lambda fn: wrongly(scheduler.map, fn, [1]),
        "then": partial(wrongly, scheduler.add_task(two, 1, trigger=None).then),
    }
    coroutine = payloads.add_async(1, 2)
    with pytest.raises(InvalidInputError, match=rf"without calling it: {called}\(add_async, \.\.\.\)"):
        methods[called](coroutine)
    coroutine.close()
    with pytest.raises(InvalidInputError, match=rf"pass the function and its arguments: {called}\(function"):
        methods[called](two(1))


def test_decorator_of_result_advises_function() -> None:
    with pytest.raises(InvalidInputError, match="if this is the result of a call, pass the function itself"):
        wrongly(AsyncIOScheduler().task(trigger=None), two(1))


@pytest.mark.parametrize(
    ("trigger", "advice"),
    [
        ("hourly", "use IntervalTrigger(minutes=5) or CronTrigger("),
        ("@daily", "use CronTrigger('@daily')"),
        (time(3, 15), "use CronTrigger('15 3 * * *')"),
        ("interval", "use IntervalTrigger(minutes=5)"),
        ("30 2 * * *", "use CronTrigger('30 2 * * *')"),
        (timedelta(minutes=5), "use IntervalTrigger(seconds=300)"),
        (300, "use IntervalTrigger(seconds=300)"),
        (IntervalTrigger, "call the class, such as IntervalTrigger(minutes=5)"),
        (datetime(2030, 1, 1, tzinfo=UTC), "use DateTrigger("),
        ("hourly", "create_trigger() accepts the aliases"),
    ],
)
def test_wrong_trigger_rejected_with_advice(trigger: object, advice: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        wrongly(AsyncIOScheduler().add_task, payloads.add, 1, 2, trigger=trigger)
    assert advice in str(caught.value)


def test_stdlib_pool_rejected_with_advice() -> None:
    with Pool(1) as pool, pytest.raises(InvalidInputError, match=r"FuturesExecutor\(pool\)"):
        wrongly(AsyncIOScheduler, executors={"io": pool})


def test_decorator_without_parentheses_rejected() -> None:
    with pytest.raises(InvalidInputError, match="with parentheses"):
        wrongly(AsyncIOScheduler().task, two)


@pytest.mark.parametrize("timeout", ["30", timedelta(seconds=30)])
def test_timeout_of_wrong_type_names_seconds(timeout: object) -> None:
    with pytest.raises(InvalidInputError, match="a number of seconds"):
        wrongly(AsyncIOScheduler().add_task, two, 1, timeout=timeout)


def test_unknown_names_get_suggestions() -> None:
    scheduler = AsyncIOScheduler()
    scheduler.add_task(two, 1, id="backup")
    with pytest.raises(TaskLookupError, match="did you mean 'backup'"):
        scheduler.get_task("bakcup")
    with pytest.raises(UnknownAliasError, match="did you mean 'threadpool'"):
        scheduler.add_executor("treadpool", alias="io")
    with pytest.raises(InvalidInputError, match="did you mean 'max_workers'"):
        wrongly(scheduler.add_executor, "threadpool", alias="io", workers=4)


async def test_default_alias_used_by_tasks_naming_none() -> None:
    async with AsyncIOScheduler(executors={"default": ThreadPoolExecutor(1)}) as scheduler:
        task = scheduler.add_task(two, 1)
        following = task.then(two)
        decorated = scheduler.task(trigger=None)(two).schedule(2)
        assert [each.executor for each in (task, following, decorated)] == ["default"] * 3
        assert scheduler.add_task(two, 1, executor="asyncio").executor == "asyncio"
        assert await decorated.run() == 2
    assert AsyncIOScheduler(executors={"io": DebugExecutor()}).add_task(two, 1).executor == "asyncio"


async def test_result_before_start_rejected() -> None:
    task = AsyncIOScheduler().add_task(two, 1)
    with pytest.raises(SchedulerNotRunningError, match="this one is created"):
        await task.result()


async def test_submit_waits_while_scheduler_is_paused() -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(two, 1, trigger=None)
        scheduler.pause()
        task.submit()
        for _ in range(10):
            await asyncio.sleep(0)
        assert (task.state.submitted, task.state.backlog) == (0, 1)
        scheduler.resume()
        assert await task.result() == 1


async def test_run_forever_in_running_loop_rejected() -> None:
    with pytest.raises(EventLoopRunningError, match="one is running already"):
        AsyncIOScheduler().run_forever()


async def test_sync_with_names_alternatives() -> None:
    scheduler = AsyncIOScheduler()
    with pytest.raises(SyncContextError, match=r"use `async with scheduler:`.*SchedulerThread"), scheduler:  # type: ignore[attr-defined]  # the mistake
        pass
    assert scheduler.state.status == "created"


async def test_run_in_other_thread_names_alternatives() -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(two, 1, trigger=None)
        with pytest.raises(WrongThreadError, match=r"use task\.submit\(\)"):
            await asyncio.to_thread(task.run)


def discard_scheduler_with_task() -> None:
    AsyncIOScheduler().add_task(two, 1)
    gc.collect()


@pytest.mark.filterwarnings("default::ResourceWarning")
def test_scheduler_never_started_warns() -> None:
    with pytest.warns(ResourceWarning, match=r"a scheduler with 1 task\(s\) was never started"):
        discard_scheduler_with_task()


async def test_unscheduled_function_logged_after_start(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lifecycle, "_UNSCHEDULED_DELAY", 0)
    scheduler = AsyncIOScheduler()
    scheduler.task(trigger=IntervalTrigger(hours=1))(two)
    scheduler.task(trigger=IntervalTrigger(hours=1))(named).schedule(needed=1)
    with caplog.at_level(logging.WARNING):
        async with scheduler:
            await asyncio.sleep(0.01)
    assert [record.getMessage() for record in caplog.records] == [
        "The function 'two' has a trigger but no task; add one with two.schedule()"
    ]


@pytest.mark.parametrize("override_signature", [Exception("no"), 3])
def test_broken_signature_is_accepted(override_signature: object) -> None:
    class Strange:
        @override
        def __getattribute__(self, name: str) -> object:
            if name == "__signature__" and isinstance(override_signature, Exception):
                raise override_signature
            return override_signature if name == "__signature__" else super().__getattribute__(name)

        def __call__(self) -> None: ...

    AsyncIOScheduler().add_task(Strange())
    assert issubclass(ArgumentMismatchError, AsynczError)


def _double(text: str) -> str:
    return text * 2


@pytest.mark.parametrize("argument", ["interval", "cron", IntervalTrigger(hours=1)])
def test_trigger_passed_as_argument_warns(argument: str | IntervalTrigger) -> None:
    scheduler = AsyncIOScheduler()
    with pytest.warns(UserWarning, match="pass the trigger by its keyword"):
        scheduler.add_task(str, argument)
    scheduler.add_task(_double, "interval", trigger=None)
    scheduler.add_task(_double, "every hour")


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("minutes", "trigger=IntervalTrigger"),
        ("day_of_week", "trigger=IntervalTrigger"),
        ("kwargs", "scheduler.call"),
        ("args", "follow the function"),
        ("text", "scheduler.call"),
        ("max_retries", r"retry=Retry\(attempts=3\)"),
        ("max_instance", "did you mean 'max_instances'"),
    ],
)
def test_unknown_option_gets_its_own_advice(option: str, advice: str) -> None:
    with pytest.raises(UnknownOptionError, match=advice):
        wrongly(AsyncIOScheduler().add_task, _double, "text", **{option: 5})


def test_modify_of_trigger_advises_reschedule() -> None:
    task = AsyncIOScheduler().add_task(_double, "text", trigger=None)
    with pytest.raises(UnknownOptionError, match=r"task\.reschedule\(trigger\)"):
        wrongly(task.modify, trigger=IntervalTrigger(minutes=1))


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("timezone", "triggers have time zones"),
        ("jobstores", "store='sqlite:///jobs.db'"),
        ("job_defaults", "defaults=TaskLimits"),
        ("timeout", "defaults=TaskLimits"),
        ("excutors", "did you mean 'executors'"),
    ],
)
def test_unknown_option_of_scheduler_gets_advice(option: str, advice: str) -> None:
    with pytest.raises(UnknownOptionError, match=advice):
        wrongly(AsyncIOScheduler, **{option: {}})


async def test_failed_listener_is_named_in_log(caplog: pytest.LogCaptureFixture) -> None:
    def announce(event: object) -> None:
        raise ValueError("no speaker")

    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(_double, "text", trigger=None, id="double")
        task.on_executed(announce)
        await task.run()
    assert "announce on TaskExecuted of the task 'double'" in caplog.text
    assert "only_executed on" not in caplog.text
