"""Mistakes with functions of unusual kinds and signatures."""

from __future__ import annotations

from functools import partial

from asyncz import DateTrigger, Retry, Task
from typecheck.accept.executors import BytesExecutor
from typecheck.accept.unusual import (
    Chooses,
    Model,
    Multiplier,
    TextModel,
    UserId,
    duck,
    keep,
    later,
    named,
    only_keywords,
    percent,
    read,
    scheduler,
    search,
    twice_logged,
    user,
)


def bound(chooses: Chooses, numbers: Model[int], texts: TextModel) -> None:
    scheduler.call(percent, part=3)  # E
    scheduler.call(percent, "3")  # E
    scheduler.call(search, "words", limit="3")  # E
    scheduler.call(search, "words", language="fr")  # E
    scheduler.call(search, "words", size=3)  # E[-ty]: unknown keys of a TypedDict
    scheduler.call(user, "3")  # E
    scheduler.call(only_keywords, "a")  # E
    scheduler.call(only_keywords)  # E
    scheduler.call(twice_logged, "a", width="80")  # E
    scheduler.call(named, "name", UserId(3))  # E
    scheduler.call(named, 3)  # E
    scheduler.call(later, 3)  # E
    scheduler.call(duck, 3)  # E
    scheduler.call(chooses, 3, second=4)  # E
    scheduler.call(Multiplier(3), "4")  # E
    scheduler.call(Multiplier(3), 4, time=5)  # E
    scheduler.call(Multiplier, "3")  # E
    scheduler.call(numbers.first, "3")  # E
    scheduler.call(numbers.saved, "path")  # E
    scheduler.call(TextModel.loaded, [3])  # E
    scheduler.call(TextModel.loaded, ["a"], strictly=True)  # E
    scheduler.call(Model.parsed, 3)  # E
    scheduler.call(numbers.parsed)  # E
    scheduler.call(read, 3)  # E[-pyrefly]: overloaded functions
    scheduler.call(read, "path", binary=3)  # E[-pyrefly]: overloaded functions
    scheduler.call(partial(user, "3"))  # E
    scheduler.call(keep, search, "words", limit="3")  # E[-pyrefly]: ParamSpec of an argument
    keep(search, "words", limit="3")  # E
    keep(search)  # E


def results(numbers: Model[int], texts: TextModel) -> None:
    of_user: Task[str] = scheduler.call(user, UserId(3)).add()  # E
    of_later: Task[int] = scheduler.call(later, "text").add()  # E
    of_duck: Task[str] = scheduler.call(duck).add()  # E
    of_model: Task[TextModel] = scheduler.call(numbers.saved).add()  # E
    of_method: Task[str] = numbers.scheduled.schedule(3)  # E
    of_own: Task[str] = texts.own.schedule()  # E
    scheduler.call(later, "text").add(executor=BytesExecutor())  # E
    scheduler.call(duck).add().then_call(str.upper)  # E
    scheduler.tasks_of(texts.own).get("id").then_call(str.upper)  # E
    print(of_user, of_later, of_duck, of_model, of_method, of_own)


async def decorated(numbers: Model[int], texts: TextModel) -> None:
    numbers.scheduled.schedule("3")  # E
    numbers.scheduled.schedule(3, 4)  # E
    numbers.scheduled.schedule(3, depth=True)  # E
    numbers.scheduled.schedule()  # E
    await numbers.scheduled("3")  # E
    await numbers.scheduled(3, depth=True)  # E
    numbers.plain(text="text")  # E
    numbers.plain.schedule(text="text")  # E
    texts.wrapped.schedule("1")  # E
    texts.wrapped.schedule(1, scale="3")  # E
    texts.own(3)  # E
    texts.own.schedule(3)  # E
    texts.own.shedule()  # E
    Model.scheduled.schedule(3)  # E
    TextModel.own.schedule()  # E[-pyrefly]: a method without arguments
    TextModel.own.schedule(numbers)  # E
    scheduler.call(numbers.scheduled, "3")  # E
    scheduler.task()(percent).schedule("3")  # E
    scheduler.task()(search).schedule("words", limit="3")  # E
    scheduler.task()(named).schedule("name", UserId(3))  # E
    scheduler.task()(Multiplier(3)).schedule("4")  # E
    scheduler.task()(3)  # E


async def options() -> None:
    call = scheduler.call(user, UserId(3))
    scheduled = scheduler.task()
    print(scheduled)
    call.add(trigger=3)  # E
    call.add(trigger=DateTrigger)  # E
    call.add(executor=3)  # E
    call.add(id=3)  # E
    call.add(max_instances="3")  # E
    call.add(max_instances=None)  # E
    call.add(misfire_grace_time="3")  # E
    call.add(coalesce="yes")  # E
    call.add(coalesce=None)  # E
    call.add(timeout="3")  # E
    call.add(retry=Retry)  # E
    call.add(overlap="queue")  # E
    call.add(paused="no")  # E
    call.add(paused=None)  # E
    call.add(replace_existing="no")  # E
    call.add(replace_existing=None)  # E
    call.add(priority=3)  # E
    await call  # E
    await call.add()  # E
