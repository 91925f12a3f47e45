"""Mistakes in the arguments and options of functions of every kind."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator, Iterator

from asyncz import AsyncIOScheduler, Executor, IntervalTrigger, Task, ThreadPoolExecutor
from typecheck.accept.signatures import (
    DC,
    Handler,
    MaybeHandler,
    Pt,
    Service,
    SyncHandler,
    aadd,
    add,
    annotated,
    explicit_fetch,
    find,
    first,
    gen,
    in_session,
    keywords,
    keywords_later,
    mix_of_one,
    mix_of_text,
    named,
    new_user,
    nothing_later,
    numbers,
    numbers_later,
    own_awaitable,
    paired,
    pass_on,
    positional,
    positional_later,
    same_user,
    sizes,
    sizes_later,
    svc,
    threaded,
    traced_fetch,
    unpacked,
    with_options,
)


async def agen(x: int) -> AsyncIterator[int]:
    yield 1


async def agen2() -> AsyncGenerator[int, None]:
    yield 1


def gen1() -> Iterator[int]:
    yield 1


def gen2() -> Generator[int, None, str]:
    yield 1
    return ""


class Stream:
    async def items(self) -> AsyncIterator[int]:
        yield 1

    def lines(self) -> Generator[int]:
        yield 1


class Nope:
    pass


only_bytes: Executor[bytes] = ThreadPoolExecutor()


def mistakes(
    scheduler: AsyncIOScheduler, h: Handler, sh: SyncHandler, mh: MaybeHandler[bytes], tb: Task[bytes]
) -> None:
    scheduler.call(traced_fetch)  # E
    scheduler.call(traced_fetch, 3)  # E
    scheduler.call(traced_fetch, "u", 1, 2)  # E
    scheduler.call(traced_fetch, url="u", m=2)  # E
    scheduler.call(explicit_fetch, "u", 3)  # E
    scheduler.call(sizes, "u")  # E
    scheduler.call(sizes, "u", n="x")  # E
    scheduler.call(sizes_later, "u", m=3)  # E
    scheduler.call(in_session, "session", 1)  # E
    scheduler.call(threaded, "x")  # E
    scheduler.call(mix_of_text, 1, 2)  # E[-mypy]: arguments of a partial
    scheduler.call(mix_of_one, 3)  # E[-mypy]: arguments of a partial
    scheduler.call(add, "x")  # E
    scheduler.call(aadd, 1, 2)  # E
    scheduler.call(gen, 1)  # E
    scheduler.call(svc.sync)  # E
    scheduler.call(svc.fetch, 1, True)  # E
    scheduler.call(Service.cm, "x")  # E
    scheduler.call(Service.asm)  # E
    scheduler.call(Service.fetch, 1)  # E
    scheduler.call(h, 3)  # E
    scheduler.call(h, event="x")  # E
    scheduler.call(sh, "x", 3)  # E
    scheduler.call(mh)  # E
    scheduler.call(same_user, 3)  # E
    scheduler.call(annotated, "x")  # E
    scheduler.call(keywords, 1, "x")  # E
    scheduler.call(keywords, a=1)  # E
    scheduler.call(keywords_later, b="x")  # E
    scheduler.call(first, 3)  # E
    scheduler.call(paired, "x")  # E
    scheduler.call(numbers, "x")  # E
    scheduler.call(numbers_later, 1, sep=2)  # E
    scheduler.call(named, a="x")  # E
    scheduler.call(unpacked, "x", 1)  # E
    scheduler.call(with_options, 1, c=3)  # E[-ty]: unknown keys of a TypedDict
    scheduler.call(with_options, 1, a="x")  # E
    scheduler.call(pass_on, sizes, "u", n="x")  # E[-pyrefly]: ParamSpec of an argument
    scheduler.call(pass_on, sizes, "u")  # E[-pyrefly]: ParamSpec of an argument
    scheduler.call(positional, x=1, y="")  # E
    scheduler.call(positional_later, 1, 2)  # E
    scheduler.call(Pt, 1)  # E
    scheduler.call(DC, "x")  # E
    scheduler.call(Nope())  # E
    scheduler.call(3)  # E
    scheduler.call(find(3))  # E
    scheduler.call(gen2).add()  # E
    scheduler.call(agen2).add()  # E
    scheduler.call(Stream().items).add()  # E
    scheduler.call(Stream().lines).add()  # E
    scheduler.call(agen, 1).add()  # E
    scheduler.task()(agen).schedule(1)  # E
    scheduler.task()(gen2).schedule()  # E
    tb.then(agen)  # E
    tb.then_call(agen)  # E
    scheduler.call(nothing_later).add(trigger="interval")  # E
    scheduler.call(nothing_later).add(executor=3)  # E
    scheduler.call(nothing_later).add(executor=only_bytes)  # E
    scheduler.call(new_user).add(executor=only_bytes)  # E
    scheduler.call(nothing_later).add(retry=3)  # E
    scheduler.call(nothing_later).add(timeout="30s")  # E
    scheduler.call(nothing_later).add(max_instance=3)  # E
    scheduler.call(nothing_later).add(overlap="skp")  # E
    scheduler.call(nothing_later).add(id=3)  # E
    scheduler.call(nothing_later).add(paused="yes")  # E
    scheduler.call(nothing_later).add("x")  # E
    scheduler.call(nothing_later).add(IntervalTrigger(minutes=1))  # E
    x1: Task[str] = scheduler.call(new_user).add()  # E
    x2: str = scheduler.call(new_user).add()  # E
    x3: Task[Awaitable[int]] = scheduler.call(own_awaitable).add()  # E
    scheduler.call(new_user).add().then(str.upper)  # E
    scheduler.call(new_user).add().then_call(str.upper)  # E
    scheduler.task()(sizes).schedule("u")  # E
    scheduler.task()(sizes).schedule("u", n="x")  # E
    scheduler.task()(explicit_fetch).schedule("u", 3)  # E
    scheduler.task()(sizes_later).schedule("u", m=3)  # E
    scheduler.task()(aadd).schedule(1, 2)  # E
    scheduler.task()(keywords).schedule(1, "x")  # E
    scheduler.task()(named).schedule(a="x")  # E
    scheduler.task()(with_options).schedule(1, c=3)  # E[-ty]: unknown keys of a TypedDict
    scheduler.task(sizes)  # E
    scheduler.task("interval")  # E
    scheduler.task(trigger="interval")  # E
    scheduler.task(executor=3)  # E
    scheduler.task(executor=only_bytes)(nothing_later)  # E[-ty]: generic method
    scheduler.task(max_instance=3)  # E
    scheduler.task()(nothing_later)(1)  # E
    scheduler.task()(nothing_later).add()  # E
    tb.then(find)  # E
    tb.then(svc.fetch)  # E
    tb.then_call(find)  # E
    tb.then(keywords)  # E
    tb.then(nothing_later)  # E
    tb.then(positional)  # E
    tb.then_call(nothing_later)  # E
    tb.then_call(len).add(executor=only_bytes)  # E
    tb.then(len, executor=only_bytes)  # E
    tb.then(len, coalesce="x")  # E
    tb.then(len, trigger=None)  # E
    scheduler.tasks_of(find).get(3)  # E
    y1: Task[bytes] = scheduler.tasks_of(find).get("x")  # E
    y2: Task[bytes] = scheduler.get_task("x")  # E
    y3: Task[bytes] = scheduler.tasks_of(find).get("x")  # E
    scheduler.add_task(find, "x")  # E[-ty]: arguments by TypeVarTuple
    scheduler.add_task(find)  # E[-pyrefly,ty]: arguments by TypeVarTuple
    scheduler.add_task(traced_fetch, 3)  # E[-ty]: arguments by TypeVarTuple
    scheduler.add_task(in_session, "s", 1)  # E[-ty]: arguments by TypeVarTuple
    scheduler.add_task(find(3))  # E
    scheduler.add_task(svc.fetch, "x")  # E[-ty]: arguments by TypeVarTuple
    scheduler.add_task(same_user, 3)  # E[-ty]: arguments by TypeVarTuple
    scheduler.add_task(numbers, "x")  # E[-ty]: arguments by TypeVarTuple
    scheduler.add_task(unpacked, "x", 1)  # E[-ty]: arguments by TypeVarTuple
