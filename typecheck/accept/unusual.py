"""Functions of unusual kinds and signatures, bound, decorated and retrieved with their exact types."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from dataclasses import dataclass
from functools import partial
from typing import (
    Annotated,
    Concatenate,
    Generic,
    Literal,
    Never,
    NewType,
    Protocol,
    Self,
    TypeAlias,
    assert_type,
    overload,
)

from typing_extensions import ParamSpec, TypedDict, TypeVar, TypeVarTuple, Unpack, override

from asyncz import AsyncIOScheduler, BoundCall, DebugExecutor, IntervalTrigger, Task, TaskFunction, TaskOptions

P = ParamSpec("P")
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)
Ts = TypeVarTuple("Ts")

UserId = NewType("UserId", int)
Percent = Annotated[float, "0 to 100"]
Pages: TypeAlias = dict[UserId, list[bytes]]

scheduler: AsyncIOScheduler = AsyncIOScheduler()


class Filters(TypedDict, total=False):
    """Options of a search."""

    limit: int
    language: Literal["de", "en"]


def percent(part: Percent, /, whole: Percent = 100.0) -> Percent:
    return part / whole


async def search(words: str, **filters: Unpack[Filters]) -> Pages:
    return {UserId(len(words)): [str(filters).encode()]}


async def user(number: int) -> UserId:
    return UserId(number)


def never() -> Never:
    raise SystemExit


def never_with(number: UserId) -> Never:
    raise SystemExit(number)


async def never_later() -> Never:
    raise SystemExit


def same_things(*things: Unpack[Ts]) -> tuple[Unpack[Ts]]:
    return things


async def same_things_later(*things: Unpack[Ts]) -> tuple[Unpack[Ts]]:
    return things


def only_keywords(*, name: str, times: int = 1) -> list[str]:
    return [name] * times


async def callback(function: Callable[[int], Coroutine[object, None, ItemT]], number: int) -> ItemT:
    return await function(number)


@overload
def read(path: str, *, binary: Literal[True]) -> bytes: ...
@overload
def read(path: str, *, binary: Literal[False] = False) -> str: ...
def read(path: str, *, binary: bool = False) -> str | bytes:
    return path.encode() if binary else path


def logged(function: Callable[P, ResultT]) -> Callable[P, ResultT]:
    @functools.wraps(function)
    def log(*args: P.args, **kwargs: P.kwargs) -> ResultT:
        return function(*args, **kwargs)

    return log


def with_name(function: Callable[Concatenate[str, P], Awaitable[ResultT]]) -> Callable[P, Awaitable[ResultT]]:
    async def call(*args: P.args, **kwargs: P.kwargs) -> ResultT:
        return await function("name", *args, **kwargs)

    return call


@logged
@logged
def twice_logged(text: str, *, width: int = 80) -> list[str]:
    return [text[:width]]


@with_name
async def named(name: str, number: UserId, *, deep: bool = False) -> tuple[str, UserId]:
    return name * deep, number


class Later(Awaitable[ResultT_co], Generic[ResultT_co]):
    """An awaitable of the user's own."""

    def __init__(self, value: ResultT_co) -> None:
        self._value: ResultT_co = value

    @override
    def __await__(self) -> Generator[None, None, ResultT_co]:
        yield
        return self._value


class Duck:
    """An awaitable that is no subclass of `Awaitable`."""

    def __await__(self) -> Generator[None, None, int]:
        yield
        return 3


def later(text: str) -> Later[list[str]]:
    return Later([text])


def duck() -> Duck:
    return Duck()


class Chooses(Protocol):
    """A callback protocol with keyword arguments."""

    def __call__(self, first: int, *, second: str = "") -> complex: ...


@dataclass
class Multiplier:
    """A callable dataclass."""

    factor: int

    def __call__(self, number: int, *, times: int = 1) -> int:
        return self.factor * number * times


class Model(Generic[ItemT]):
    """Methods of every kind."""

    def __init__(self, items: Iterable[ItemT]) -> None:
        self.items: list[ItemT] = list(items)

    def first(self, default: ItemT) -> ItemT:
        return self.items[0] if self.items else default

    async def saved(self, *, path: str = "") -> Self:
        return self

    @classmethod
    async def loaded(cls, items: Iterable[ItemT], *, strict: bool = False) -> Self:
        return cls(items)

    @staticmethod
    def parsed(text: str, separator: str = ",") -> list[str]:
        return text.split(separator)

    @scheduler.task(trigger=None)
    async def scheduled(self, number: int, *, deep: bool = False) -> list[str]:
        return [str(number)] * deep

    @scheduler.task(executor="threadpool")
    def plain(self, text: str, /) -> bytes:
        return text.encode()

    @scheduler.task()
    @logged
    def wrapped(self, *numbers: float, scale: float = 1) -> float:
        return sum(numbers) * scale

    @scheduler.task()
    def of_items(self, default: list[str]) -> Later[int]:
        return Later(len(default) + len(self.items))


class TextModel(Model[str]):
    """A subclass inherits the decorated methods."""

    @scheduler.task()
    def own(self) -> int:
        return len(self.items)


def bound(chooses: Chooses, numbers: Model[int], texts: TextModel) -> None:
    assert_type(scheduler.call(percent, 3, whole=4).add(), Task[float])
    assert_type(scheduler.call(search, "words", limit=3, language="de").add(), Task[Pages])
    assert_type(scheduler.call(user, UserId(3)).add(), Task[UserId])
    assert_type(scheduler.call(only_keywords, name="a", times=3).add(), Task[list[str]])
    assert_type(scheduler.call(twice_logged, "a", width=3).add(), Task[list[str]])
    assert_type(scheduler.call(named, UserId(3), deep=True).add(), Task[tuple[str, UserId]])
    assert_type(scheduler.call(later, "text").add(), Task[list[str]])
    assert_type(scheduler.call(duck).add(), Task[int])
    assert_type(scheduler.call(chooses, 3, second="4").add(), Task[complex])
    assert_type(scheduler.call(Multiplier(3), 4, times=5).add(), Task[int])
    assert_type(scheduler.call(Multiplier, 3).add(), Task[Multiplier])
    assert_type(scheduler.call(Multiplier(3).__call__, 4).add(), Task[int])
    assert_type(scheduler.call(numbers.first, 3).add(), Task[int])
    assert_type(scheduler.call(numbers.saved, path="x").add(), Task[Model[int]])
    assert_type(scheduler.call(texts.saved).add(), Task[TextModel])
    assert_type(scheduler.call(TextModel.loaded, ["a"], strict=True).add(), Task[TextModel])
    assert_type(scheduler.call(Model.parsed, "a,b", separator=",").add(), Task[list[str]])
    assert_type(scheduler.call(numbers.parsed, "a,b").add(), Task[list[str]])
    assert_type(scheduler.call(partial(only_keywords, name="a"), times=3).add(), Task[list[str]])
    assert_type(scheduler.call(partial(user, 3)).add(), Task[UserId])
    assert_type(scheduler.call(partial(percent, 3.0)).add(), Task[float])
    assert_type(scheduler.call(read, "path", binary=True).add(), Task[bytes])  # E[ty]: overloaded functions
    assert_type(scheduler.call(read, "path").add(), Task[str])  # E[ty]: overloaded functions
    assert_type(scheduler.call(same_things, 3, "a").add(), Task[tuple[int, str]])  # E[ty]: generic functions
    assert_type(scheduler.call(same_things_later, 3, "a").add(), Task[tuple[int, str]])  # E[ty]: generic functions
    assert_type(scheduler.call(callback, user, 3).add(), Task[UserId])  # E[ty]: generic functions
    assert_type(scheduler.call(lambda: 3 + 4).add(), Task[int])  # E[ty]: literal results of lambdas
    assert_type(scheduler.call(str.upper, "a").add(), Task[str])
    assert_type(scheduler.call(never).add(), Task[Never])  # E[-mypy]: Never is also an Awaitable
    assert_type(scheduler.call(never_later).add(), Task[Never])
    assert_type(scheduler.add_task(never), Task[Never])  # E[pyright,basedpyright]: Never is also an Awaitable
    assert_type(scheduler.add_task(never_later), Task[Never])
    assert_type(scheduler.task()(never).schedule(), Task[Never])  # E[-mypy]: Never is also an Awaitable
    assert_type(scheduler.tasks_of(never).get("id"), Task[Never])  # E[pyright,basedpyright]: Never is also an Awaitable
    number = scheduler.call(user, 3).add()
    assert_type(number.then(never_with), Task[Never])  # E[pyright,basedpyright]: Never is also an Awaitable
    assert_type(number.then_call(never_with).add(), Task[Never])  # E[pyright,basedpyright]: Never is also an Awaitable


async def decorated(numbers: Model[int], texts: TextModel) -> None:
    task = scheduler.task()
    assert_type(task(search).schedule("words", limit=3), Task[Pages])
    assert_type(await task(search)("words", language="en"), Pages)
    assert_type(task(named).schedule(UserId(3), deep=True), Task[tuple[str, UserId]])
    assert_type(task(later).schedule("text"), Task[list[str]])
    assert_type(task(duck).schedule(), Task[int])
    assert_type(task(Multiplier(3)).schedule(4, times=5), Task[int])
    assert_type(task(percent)(3, whole=4), float)
    assert_type(await numbers.scheduled(3, deep=True), list[str])
    assert_type(numbers.scheduled.schedule(3, deep=True), Task[list[str]])
    assert_type(texts.scheduled.schedule(3), Task[list[str]])
    assert_type(texts.plain("text"), bytes)
    assert_type(texts.plain.schedule("text"), Task[bytes])
    assert_type(texts.wrapped.schedule(1, 2.5, scale=3), Task[float])
    assert_type(texts.of_items.schedule(["a"]), Task[int])
    assert_type(texts.own.schedule(), Task[int])
    assert_type(texts.own(), int)
    assert_type(TextModel.own.schedule(texts), Task[int])
    assert_type(scheduler.call(numbers.scheduled, 3).add(), Task[list[str]])
    assert_type(scheduler.tasks_of(numbers.scheduled).get("id"), Task[list[str]])
    assert_type(scheduler.tasks_of(later).get("id"), Task[list[str]])


def keep(function: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> BoundCall[ResultT]:
    return scheduler.call(logged(function), *args, **kwargs)


def hourly(call: BoundCall[ResultT], **options: Unpack[TaskOptions]) -> BoundCall[ResultT]:
    print(options)
    return call


def helpers(function: TaskFunction[[str], Later[int]]) -> None:
    assert_type(keep(search, "words", limit=3).add(trigger=IntervalTrigger(hours=1)), Task[Pages])
    assert_type(hourly(keep(later, "text"), timeout=3).add(executor=DebugExecutor()), Task[list[str]])
    assert_type(function.schedule("text"), Task[int])
    print(assert_type(function("text"), Later[int]))
