"""Results and arguments whose own code exits, raises, recurses or hangs wherever Python or asyncz calls it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Never, NoReturn, SupportsIndex

from typing_extensions import override

HANG_SECONDS = 20.0
"""Longer than the time limit of a run, and short enough for threads that cannot be stopped."""


def exit_now() -> NoReturn:
    raise SystemExit(3)


def interrupt() -> NoReturn:
    raise KeyboardInterrupt


def cancel() -> NoReturn:
    raise asyncio.CancelledError


def recurse() -> NoReturn:
    recurse()


def raise_group() -> NoReturn:
    raise BaseExceptionGroup("several", [SystemExit(3), KeyboardInterrupt()])


BLOWS: tuple[Callable[[], Never], ...] = (exit_now, interrupt, cancel, recurse, raise_group)


class BlowsWhilePickled:
    """Object that can be pickled as long as it is not armed."""

    def __init__(self, blow: int) -> None:
        self._blow = blow
        self.armed = False

    @override
    def __reduce__(self) -> tuple[object, ...]:
        if self.armed:
            BLOWS[self._blow]()
        return BlowsWhilePickled, (self._blow,)


class BlowingList(list[int]):
    """List whose methods, which are written in C, are pickled with the list."""

    def __init__(self, blow: int) -> None:
        super().__init__()
        self._blow = blow
        self.armed = False

    @override
    def __reduce__(self) -> tuple[object, ...]:
        if self.armed:
            BLOWS[self._blow]()
        return BlowingList, (self._blow,)

    @override
    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[object, ...]:
        return self.__reduce__()


class BlowsWhileLoaded:
    def __init__(self, blow: int) -> None:
        self._blow = blow

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return BLOWS[self._blow], ()


class BlowsInSetstate:
    def __init__(self, blow: int) -> None:
        self._blow = blow

    @override
    def __getstate__(self) -> int:
        return self._blow

    def __setstate__(self, state: int) -> None:
        BLOWS[state]()


class Blows:
    """Object whose text, comparison and hash blow; a base class."""

    blow: int

    @override
    def __repr__(self) -> str:
        BLOWS[self.blow]()

    @override
    def __str__(self) -> str:
        BLOWS[self.blow]()

    @override
    def __eq__(self, other: object) -> bool:
        BLOWS[self.blow]()

    @override
    def __hash__(self) -> int:
        BLOWS[self.blow]()


class BlowsInEverything(Blows):
    """Object whose truth and length blow too."""

    def __init__(self, blow: int) -> None:
        self.blow = blow

    def __bool__(self) -> bool:
        BLOWS[self.blow]()

    def __len__(self) -> int:
        BLOWS[self.blow]()


class HangsWhileLoaded:
    @override
    def __reduce__(self) -> tuple[object, ...]:
        return time.sleep, (HANG_SECONDS,)


GO_ON = threading.Event()
"""Lets objects be pickled that hang meanwhile."""


class HangsWhilePickled:
    """Object that can be pickled as long as it is not armed; a base class."""

    armed = False


class HangsInReduce(HangsWhilePickled):
    @override
    def __reduce__(self) -> tuple[object, ...]:
        if self.armed:
            GO_ON.wait(HANG_SECONDS)
        return HangsInReduce, ()


class HangsInGetstate(HangsWhilePickled):
    @override
    def __getstate__(self) -> dict[str, object]:
        if self.armed:
            GO_ON.wait(HANG_SECONDS)
        return {}


class HangsInItems(HangsWhilePickled):
    @override
    def __reduce__(self) -> tuple[object, ...]:
        return HangsInItems, (), None, self._items()

    def append(self, _: object) -> None: ...

    def _items(self) -> Iterator[object]:
        if self.armed:
            GO_ON.wait(HANG_SECONDS)
        yield 1


class HangsInside(HangsWhilePickled):
    """Object whose part hangs."""

    @override
    def __reduce__(self) -> tuple[object, ...]:
        part = HangsInGetstate()
        part.armed = self.armed
        return HangsInside, (), None, iter([[part]])

    def append(self, _: object) -> None: ...


HANG_WHILE_PICKLED: tuple[type[HangsWhilePickled], ...] = (HangsInReduce, HangsInGetstate, HangsInItems, HangsInside)


class ArgumentsError(Exception):
    def __init__(self, first: str, *, second: int) -> None:
        super().__init__()
        self.first, self.second = first, second


class HostileError(Blows, Exception):
    """Exception whose methods and pickled form blow."""

    def __init__(self, blow: int) -> None:
        super().__init__()
        self.blow = blow

    @override
    def add_note(self, note: str, /) -> None:
        BLOWS[self.blow]()

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return BLOWS[self.blow], ()


def return_blowing_when_pickled(blow: int) -> object:
    value = BlowsWhilePickled(blow)
    value.armed = True
    return value


def return_blowing_when_loaded(blow: int) -> object:
    return BlowsWhileLoaded(blow)


def return_blowing_in_setstate(blow: int) -> object:
    return BlowsInSetstate(blow)


def return_blowing_in_everything(blow: int) -> object:
    return BlowsInEverything(blow)


def blow(blow: int) -> object:
    return BLOWS[blow]()


def raise_hostile_error(blow: int) -> object:
    raise HostileError(blow)


async def raise_hostile_error_async(blow: int) -> object:
    raise HostileError(blow)


def raise_group_of_hostile(blow: int) -> object:
    raise ExceptionGroup("several", [HostileError(blow), ArgumentsError("a", second=blow)])


def raise_with_arguments(blow: int) -> object:
    raise ArgumentsError("a", second=blow)


def raise_loop_of_causes(_: int) -> object:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    first.__context__, second.__context__ = second, first
    raise first


def raise_long_chain(_: int) -> object:
    error: Exception = ValueError("innermost")
    for _number in range(5000):
        outer = ValueError("outer")
        outer.__cause__ = error
        error = outer
    raise error


def raise_deep_group(_: int) -> object:
    errors: list[Exception] = [ValueError("innermost")]
    for _number in range(5000):
        errors = [ExceptionGroup("outer", errors)]
    raise errors[0]


def accept(*_: object) -> int:
    return 1


def return_hanging() -> object:
    return HangsWhileLoaded()


FUNCTIONS: tuple[Callable[[int], object], ...] = (
    return_blowing_when_pickled,
    return_blowing_when_loaded,
    return_blowing_in_setstate,
    return_blowing_in_everything,
    blow,
    raise_hostile_error,
    raise_hostile_error_async,
    raise_group_of_hostile,
    raise_with_arguments,
    raise_loop_of_causes,
    raise_long_chain,
    raise_deep_group,
)
