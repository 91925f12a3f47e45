"""Executors and triggers by their aliases."""

from __future__ import annotations

from typing import assert_type

from asyncz import (
    AsyncIOScheduler,
    Executor,
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
    assert_type(create_executor("threadpool", max_workers=3), UniversalExecutor)
    assert_type(create_trigger("interval", minutes=5), Trigger)
    scheduler.add_executor(create_executor("kubernetes", namespace="jobs"), alias="kubernetes")


def asked(value: object) -> None:
    if is_executor(value):
        assert_type(value, UniversalExecutor)
    if is_trigger(value):
        assert_type(value, Trigger)
