"""Functions of every kind that Python has, each scheduled with its exact type."""

from __future__ import annotations

import asyncio
import functools
from asyncio import Future
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import (
    Annotated,
    Any,
    ClassVar,
    Concatenate,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    ParamSpec,
    Protocol,
    Self,
    TypeAlias,
    TypedDict,
    TypeVar,
    TypeVarTuple,
    Unpack,
    assert_type,
    overload,
)

from typing_extensions import TypeIs, override

from asyncz import AsyncIOScheduler, Task

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Ts = TypeVarTuple("Ts")
UserId = NewType("UserId", int)
Running: TypeAlias = Coroutine[Any, Any, R]  # E[mypy,basedpyright,pyrefly]: every explicit Any


def traced(fn: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    @functools.wraps(fn)
    async def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        return await fn(*args, **kwargs)

    return inner


def explicit(fn: Callable[P, Running[R]]) -> Callable[P, Running[R]]:
    @functools.wraps(fn)
    async def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        return await fn(*args, **kwargs)

    return inner


def timed(fn: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(fn)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        return fn(*args, **kwargs)

    return inner


def retrying(times: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    def deco(fn: Callable[P, R]) -> Callable[P, R]:
        return fn

    return deco


def with_session(fn: Callable[Concatenate[str, P], R]) -> Callable[P, R]:
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        return fn("s", *args, **kwargs)

    return inner


def in_thread(fn: Callable[P, R]) -> Callable[P, Running[R]]:
    async def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(fn, *args, **kwargs)

    return inner


@traced
async def traced_fetch(url: str, n: int = 0) -> bytes:
    raise NotImplementedError


@explicit
async def explicit_fetch(url: str, *, n: int = 0) -> bytes:
    raise NotImplementedError


@timed
def sizes(url: str, *, n: int) -> list[int]:
    raise NotImplementedError


@timed
async def sizes_later(url: str, *, n: int) -> list[int]:
    raise NotImplementedError


@retrying(3)
async def find(x: int) -> str | None:
    raise NotImplementedError


@with_session
def in_session(session: str, x: int) -> dict[str, int]:
    raise NotImplementedError


@with_session
async def in_session_later(session: str, x: int) -> dict[str, int]:
    raise NotImplementedError


@in_thread
def threaded(x: int) -> tuple[int, str]:
    raise NotImplementedError


@functools.cache
def cached(x: int) -> str:
    raise NotImplementedError


@functools.lru_cache(maxsize=3)
def cached_pair(x: int, y: str = "") -> str:
    raise NotImplementedError


bits = partial(int.bit_count, 3)


async def mix(a: int, b: str, *, c: float = 0) -> complex:
    raise NotImplementedError


mix_of_one = partial(mix, 1)
mix_of_text = partial(mix, b="x")
mix_of_all = partial(mix, 1, "b", c=2.0)


class Adder:
    def __init__(self, base: int) -> None:
        self.base = base

    def __call__(self, x: int) -> int:
        raise NotImplementedError


class AsyncAdder:
    async def __call__(self, x: int, *, y: int = 0) -> int:
        raise NotImplementedError


class GenericCaller(Generic[T]):
    def __init__(self, v: T) -> None:
        self.v = v

    def __call__(self) -> T:
        raise NotImplementedError

    async def later(self) -> T:
        raise NotImplementedError

    @classmethod
    def make(cls, v: T) -> GenericCaller[T]:
        raise NotImplementedError


class Service:
    name: ClassVar[str] = ""

    def sync(self, x: int) -> str:
        raise NotImplementedError

    async def fetch(self, x: int, *, flag: bool = False) -> str:
        raise NotImplementedError

    @classmethod
    def cm(cls, x: int) -> Self:
        raise NotImplementedError

    @classmethod
    async def acm(cls, x: int) -> Self:
        raise NotImplementedError

    @staticmethod
    def sm(x: int) -> bytes:
        raise NotImplementedError

    @staticmethod
    async def asm(x: int) -> bytes:
        raise NotImplementedError

    def me(self) -> Self:
        raise NotImplementedError

    async def ame(self) -> Self:
        raise NotImplementedError

    @property
    def prop(self) -> Callable[[int], str]:
        raise NotImplementedError

    @traced
    async def tr(self, x: int) -> bytes:
        raise NotImplementedError


class Sub(Service): ...


add = Adder(1)
aadd = AsyncAdder()
gen = GenericCaller("x")
svc = Service()
sub = Sub()


class Handler(Protocol):
    async def __call__(self, event: str, /, *, retries: int = 0) -> int: ...


class SyncHandler(Protocol):
    def __call__(self, event: str) -> int: ...


class MaybeHandler(Protocol[T_co]):
    def __call__(self, event: str) -> T_co: ...


@overload
def ov(x: int) -> int: ...


@overload
def ov(x: str) -> str: ...


def ov(x: int | str) -> int | str:
    raise NotImplementedError


@overload
async def aov(x: int) -> int: ...


@overload
async def aov(x: str) -> str: ...


async def aov(x: int | str) -> int | str:
    raise NotImplementedError


class Aw(Awaitable[int]):
    @override
    def __await__(self) -> Generator[object, None, int]:
        raise NotImplementedError


class Structural(Generic[T]):
    def __init__(self, value: T) -> None:
        self.value = value

    def __await__(self) -> Generator[object, None, T]:
        raise NotImplementedError


class AwFuture(Future[int]): ...


def own_awaitable() -> Aw:
    raise NotImplementedError


def structural(x: T) -> Structural[T]:
    raise NotImplementedError


def own_future() -> AwFuture:
    raise NotImplementedError


def own_task(x: int) -> asyncio.Task[int]:
    raise NotImplementedError


async def new_user() -> UserId:
    raise NotImplementedError


def same_user(u: UserId) -> UserId:
    raise NotImplementedError


async def annotated(x: Annotated[int, "meta"]) -> Annotated[str, "m"]:
    raise NotImplementedError


def keywords(*, a: int, b: str) -> int:
    raise NotImplementedError


async def keywords_later(*, a: int, b: str = "") -> int:
    raise NotImplementedError


def defaults(a: int = 1, b: str = "") -> int:
    raise NotImplementedError


async def same_later(x: T) -> T:
    raise NotImplementedError


def same(x: T) -> T:
    raise NotImplementedError


async def first(x: Sequence[T]) -> T | None:
    raise NotImplementedError


def copied(x: Sequence[T]) -> list[T]:
    raise NotImplementedError


async def paired(x: T, y: T) -> dict[str, T]:
    raise NotImplementedError


def numbers(*xs: int) -> int:
    raise NotImplementedError


async def numbers_later(*xs: int, sep: str = "") -> int:
    raise NotImplementedError


async def named(**kw: int) -> int:
    raise NotImplementedError


def unpacked(*args: Unpack[tuple[int, str]]) -> int:
    raise NotImplementedError


def variadic(*args: Unpack[Ts]) -> tuple[Unpack[Ts]]:
    raise NotImplementedError


async def variadic_later(*args: Unpack[Ts]) -> tuple[Unpack[Ts]]:
    raise NotImplementedError


class Opt(TypedDict, total=False):
    a: int
    b: str


def with_options(x: int, **kw: Unpack[Opt]) -> int:
    raise NotImplementedError


async def with_options_later(x: int, **kw: Unpack[Opt]) -> int:
    raise NotImplementedError


def is_number(x: object) -> TypeIs[int]:
    raise NotImplementedError


def create(x: type[T]) -> T:
    raise NotImplementedError


async def create_later(x: type[T]) -> T:
    raise NotImplementedError


def apply(cb: Callable[[T], R], x: T) -> R:
    raise NotImplementedError


async def apply_later(cb: Callable[[T], Awaitable[R]], x: T) -> R:
    raise NotImplementedError


def pass_on(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    raise NotImplementedError


async def pass_later(fn: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
    raise NotImplementedError


async def function_later() -> Callable[[int], str]:
    raise NotImplementedError


async def class_later() -> type[Service]:
    raise NotImplementedError


async def nested(x: int) -> Awaitable[int]:
    raise NotImplementedError


async def literal_later() -> Literal[1, 2]:
    raise NotImplementedError


def literal_or_none() -> Literal["a"] | None:
    raise NotImplementedError


async def yes_later() -> bool:
    raise NotImplementedError


class Pt(NamedTuple):
    x: int
    y: str


@dataclass
class DC:
    x: int
    y: str = ""


def positional(x: int, /, y: str, *, z: bytes = b"") -> bytes:
    raise NotImplementedError


async def positional_later(x: int, /, y: str, *, z: bytes = b"") -> bytes:
    raise NotImplementedError


async def nothing_later() -> None: ...


def nothing() -> None: ...


async def iterator_later(x: list[int] | None = None) -> Iterator[int]:
    raise NotImplementedError


def by_call(
    scheduler: AsyncIOScheduler,
    handler: Handler,
    plain: SyncHandler,
    of_bytes: MaybeHandler[bytes],
    later: MaybeHandler[Awaitable[bytes]],
) -> None:
    assert_type(scheduler.call(traced_fetch, "u", n=1).add(), Task[bytes])
    assert_type(scheduler.call(explicit_fetch, "u", n=1).add(), Task[bytes])
    assert_type(scheduler.call(sizes, "u", n=1).add(), Task[list[int]])
    assert_type(scheduler.call(sizes_later, "u", n=1).add(), Task[list[int]])
    assert_type(scheduler.call(find, 1).add(), Task[str | None])
    assert_type(scheduler.call(in_session, 1).add(), Task[dict[str, int]])
    assert_type(scheduler.call(in_session_later, 1).add(), Task[dict[str, int]])
    assert_type(scheduler.call(threaded, 1).add(), Task[tuple[int, str]])
    assert_type(scheduler.call(cached, 1).add(), Task[str])
    assert_type(scheduler.call(cached_pair, 1, y="s").add(), Task[str])
    assert_type(scheduler.call(bits).add(), Task[int])
    assert_type(scheduler.call(mix_of_one, "b", c=1.0).add(), Task[complex])
    assert_type(scheduler.call(mix_of_text, 1).add(), Task[complex])
    assert_type(scheduler.call(mix_of_all).add(), Task[complex])
    assert_type(scheduler.call(add, 1).add(), Task[int])
    assert_type(scheduler.call(aadd, 1, y=2).add(), Task[int])
    assert_type(scheduler.call(gen).add(), Task[str])
    assert_type(scheduler.call(gen.later).add(), Task[str])
    assert_type(scheduler.call(svc.sync, 1).add(), Task[str])
    assert_type(scheduler.call(svc.fetch, 1, flag=True).add(), Task[str])
    assert_type(scheduler.call(Service.cm, 1).add(), Task[Service])
    assert_type(scheduler.call(Sub.cm, 1).add(), Task[Sub])
    assert_type(scheduler.call(Sub.acm, 1).add(), Task[Sub])
    assert_type(scheduler.call(Service.sm, 1).add(), Task[bytes])
    assert_type(scheduler.call(svc.asm, 1).add(), Task[bytes])
    assert_type(scheduler.call(sub.me).add(), Task[Sub])
    assert_type(scheduler.call(sub.ame).add(), Task[Sub])
    assert_type(scheduler.call(svc.prop, 1).add(), Task[str])
    assert_type(scheduler.call(svc.tr, 1).add(), Task[bytes])
    assert_type(scheduler.call(Service.fetch, svc, 1).add(), Task[str])
    assert_type(scheduler.call(handler, "e", retries=1).add(), Task[int])
    assert_type(scheduler.call(plain, event="e").add(), Task[int])
    assert_type(scheduler.call(of_bytes, "e").add(), Task[bytes])
    assert_type(scheduler.call(later, "e").add(), Task[bytes])
    assert_type(scheduler.call(ov, 1).add(), Task[int])  # E[ty]: overloaded functions
    assert_type(scheduler.call(ov, "x").add(), Task[str])  # E[ty]: overloaded functions
    assert_type(scheduler.call(aov, 1).add(), Task[int])  # E[ty]: overloaded functions
    assert_type(scheduler.call(aov, "x").add(), Task[str])  # E[ty]: overloaded functions
    assert_type(scheduler.call(own_awaitable).add(), Task[int])
    assert_type(scheduler.call(structural, "x").add(), Task[str])  # E[ty]: generic functions
    assert_type(scheduler.call(own_future).add(), Task[int])
    assert_type(scheduler.call(own_task, 1).add(), Task[int])
    assert_type(scheduler.call(new_user).add(), Task[UserId])
    assert_type(scheduler.call(same_user, UserId(1)).add(), Task[UserId])
    assert_type(scheduler.call(annotated, 1).add(), Task[str])
    assert_type(scheduler.call(keywords, a=1, b="").add(), Task[int])
    assert_type(scheduler.call(keywords_later, a=1).add(), Task[int])
    assert_type(scheduler.call(defaults).add(), Task[int])
    assert_type(scheduler.call(same_later, "x").add(), Task[str])  # E[ty]: generic functions
    assert_type(scheduler.call(same, b"").add(), Task[bytes])  # E[ty]: generic functions
    assert_type(scheduler.call(first, [1]).add(), Task[int | None])  # E[ty]: generic functions
    assert_type(scheduler.call(copied, [1]).add(), Task[list[int]])  # E[ty]: generic functions
    assert_type(scheduler.call(paired, "a", "b").add(), Task[dict[str, str]])  # E[ty]: generic functions
    assert_type(scheduler.call(numbers, 1, 2).add(), Task[int])
    assert_type(scheduler.call(numbers_later, 1, 2, sep="x").add(), Task[int])
    assert_type(scheduler.call(named, a=1, b=2).add(), Task[int])
    assert_type(scheduler.call(unpacked, 1, "x").add(), Task[int])
    assert_type(scheduler.call(variadic, 1, "x").add(), Task[tuple[int, str]])  # E[ty]: generic functions
    assert_type(scheduler.call(variadic_later, 1, "x").add(), Task[tuple[int, str]])  # E[ty]: generic functions
    assert_type(scheduler.call(with_options, 1, a=1).add(), Task[int])
    assert_type(scheduler.call(with_options_later, 1, b="x").add(), Task[int])
    assert_type(scheduler.call(create, Service).add(), Task[Service])  # E[ty]: generic functions
    assert_type(scheduler.call(create_later, Service).add(), Task[Service])  # E[ty]: generic functions
    assert_type(scheduler.call(apply, find, 1).add(), Task[str | None])  # E[ty]: generic functions
    assert_type(scheduler.call(apply_later, find, 1).add(), Task[str | None])  # E[ty]: generic functions
    assert_type(scheduler.call(pass_on, sizes, "u", n=1).add(), Task[list[int]])  # E[ty]: generic functions
    assert_type(scheduler.call(pass_later, sizes_later, "u", n=1).add(), Task[list[int]])  # E[ty]: generic functions
    assert_type(scheduler.call(function_later).add(), Task[Callable[[int], str]])
    assert_type(scheduler.call(class_later).add(), Task[type[Service]])
    assert_type(scheduler.call(nested, 1).add(), Task[Awaitable[int]])
    assert_type(scheduler.call(literal_later).add(), Task[Literal[1, 2]])
    assert_type(scheduler.call(literal_or_none).add(), Task[Literal["a"] | None])
    assert_type(scheduler.call(yes_later).add(), Task[bool])
    assert_type(scheduler.call(Pt, 1, y="x").add(), Task[Pt])
    assert_type(scheduler.call(DC, 1, y="x").add(), Task[DC])
    assert_type(scheduler.call(GenericCaller, "x").add(), Task[GenericCaller[str]])  # E[ty]: generic functions
    assert_type(scheduler.call(positional, 1, "x", z=b"").add(), Task[bytes])
    assert_type(scheduler.call(positional_later, 1, y="x").add(), Task[bytes])
    assert_type(scheduler.call(nothing_later).add(), Task[None])
    assert_type(scheduler.call(nothing).add(), Task[None])
    assert_type(scheduler.call(iterator_later, [1]).add(), Task[Iterator[int]])
    assert_type(scheduler.call(lambda: 3).add(), Task[int])  # E[ty]: literal results of lambdas
    assert_type(scheduler.call(lambda: new_user()).add(), Task[UserId])
    assert_type(scheduler.call(asyncio.sleep, 1).add(), Task[None])  # E[ty]: generic functions
    assert_type(scheduler.call(asyncio.to_thread, sizes, "u", n=1).add(), Task[list[int]])  # E[ty]: generic functions
    assert_type(scheduler.call(len, "x").add(), Task[int])
    assert_type(scheduler.call(str.upper, "x").add(), Task[str])
