"""Executors and triggers by their aliases."""

from __future__ import annotations

from typing import assert_type

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    Executor,
    IntervalTrigger,
    OrTrigger,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    Trigger,
    UniversalExecutor,
    create_executor,
    create_trigger,
    executor_aliases,
    trigger_aliases,
)
from asyncz.plugins import is_executor, is_trigger

of_int: Executor[int] = create_executor("kubernetes")


def made(scheduler: AsyncIOScheduler) -> None:
    assert_type(executor_aliases(), tuple[str, ...])
    assert_type(trigger_aliases(), tuple[str, ...])
    assert_type(create_executor("threadpool", max_workers=3), ThreadPoolExecutor)
    assert_type(create_executor("processpool", pool_kwargs={"max_tasks_per_child": 5}), ProcessPoolExecutor)
    assert_type(create_executor("default"), AsyncIOExecutor)
    assert_type(create_executor("kubernetes"), UniversalExecutor)
    assert_type(create_trigger("interval", minutes=5), IntervalTrigger)
    assert_type(create_trigger("or", triggers=[IntervalTrigger(hours=1)]), OrTrigger)
    assert_type(create_trigger("their_package:Lunar"), Trigger)
    scheduler.add_executor(create_executor("kubernetes"), alias="kubernetes")


def asked(value: object) -> None:
    if is_executor(value):
        assert_type(value, UniversalExecutor)
    if is_trigger(value):
        assert_type(value, Trigger)
