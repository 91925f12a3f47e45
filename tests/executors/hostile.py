"""Exceptions whose own code raises wherever Python calls it."""

# ruff: noqa: N818, RSE102  # named after their behaviour

from __future__ import annotations

from dataclasses import dataclass
from typing import Never

from typing_extensions import override


class Unwanted(Exception):
    """Raised by the code of the other classes; never the outcome of a run."""


class RaisingStr(Exception):
    @override
    def __str__(self) -> str:
        raise Unwanted


class RaisingRepr(Exception):
    @override
    def __repr__(self) -> str:
        raise Unwanted


class RaisingStrAndRepr(RaisingStr, RaisingRepr):
    pass


class ExitingStr(Exception):
    @override
    def __str__(self) -> str:
        raise SystemExit(3)


class RaisingAddNote(Exception):
    @override
    def add_note(self, note: str, /) -> None:
        raise Unwanted


class RaisingSetattr(Exception):
    @override
    def __setattr__(self, name: str, value: object) -> None:
        raise Unwanted


def raising_property(name: str) -> type[Exception]:
    """Create an exception class with a property that raises; a class statement would not pass the type checkers."""

    def get(_: object) -> Never:
        raise Unwanted

    return type(f"Raising_{name}", (Exception,), {name: property(get)})


def exiting_property(name: str) -> type[Exception]:
    """Create an exception class with a property that exits, which ends an event loop that does not expect it."""

    def get(_: object) -> Never:
        raise SystemExit(3)

    return type(f"Exiting_{name}", (Exception,), {name: property(get)})


class TextOfOwnClass(str):
    """Text that exits when it is measured or formatted."""

    __slots__ = ()

    @override
    def __str__(self) -> str:
        return self

    @override
    def __len__(self) -> int:
        raise SystemExit(3)

    @override
    def __format__(self, format_spec: str, /) -> str:
        raise SystemExit(3)


class ExitingText(Exception):
    @override
    def __str__(self) -> str:
        return TextOfOwnClass("text")


class RaisingGetattribute(Exception):
    @override
    def __getattribute__(self, name: str) -> Never:
        raise Unwanted


@dataclass(frozen=True)
class Frozen(Exception):
    code: int = 3


class RaisingReprOfExit(BaseException):
    @override
    def __repr__(self) -> str:
        raise Unwanted


class RaisingMeta(type):
    @override
    def __getattribute__(cls, name: str) -> object:
        if name in {"__name__", "__qualname__", "__module__"}:
            raise Unwanted
        return super().__getattribute__(name)


class WithRaisingMeta(Exception, metaclass=RaisingMeta):
    pass


class ExitingMeta(type):
    @override
    def __getattribute__(cls, name: str) -> object:
        if name in {"__name__", "__qualname__", "__module__", "__mro__"}:
            raise SystemExit(3)
        return super().__getattribute__(name)


class WithExitingMeta(Exception, metaclass=ExitingMeta):
    pass


HOSTILE: tuple[type[BaseException], ...] = (
    RaisingStr,
    RaisingRepr,
    RaisingStrAndRepr,
    ExitingStr,
    RaisingAddNote,
    RaisingSetattr,
    *map(raising_property, ("__traceback__", "__cause__", "__context__", "__notes__", "__class__", "args")),
    *map(exiting_property, ("__traceback__", "__cause__", "__context__", "__notes__", "__class__", "args")),
    ExitingText,
    RaisingGetattribute,
    Frozen,
    RaisingReprOfExit,
    WithRaisingMeta,
    WithExitingMeta,
)


def raise_hostile(kind: int) -> Never:
    raise HOSTILE[kind]()


async def raise_hostile_async(kind: int) -> Never:
    raise HOSTILE[kind]()
