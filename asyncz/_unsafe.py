"""Casts that no type checker can verify, each with its reason.

A function that tests `callable()` and promises a signature is a cast as well; such functions are here, and named so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

from asyncz.protocols import (
    Clock,
    SupportsAttach,
    SupportsCancel,
    SupportsCancelAll,
    SupportsCatchUp,
    SupportsCheckCall,
    SupportsStart,
)


class AnyFunction(Protocol):
    """Function with unknown parameters."""

    def __call__(self, *args: object, **kwargs: object) -> object: ...


def as_cancelling(executor: object) -> SupportsCancel | None:
    """Return the executor as one that can cancel runs, or None.

    Unverified: the signature of `cancel`. An executor of users that lacks type annotations is accepted as well, and a
    wrong signature raises `TypeError` at the first cancellation.
    """
    return cast("SupportsCancel", executor) if _has_method(executor, "cancel") else None


def as_cancelling_all(executor: object) -> SupportsCancelAll | None:
    """Return the executor as one that can cancel all its runs at once, or None.

    Unverified: the signature of `cancel_all`, which has no parameters.
    """
    return cast("SupportsCancelAll", executor) if _has_method(executor, "cancel_all") else None


def as_checking_calls(executor: object) -> SupportsCheckCall | None:
    """Return the executor as one that rejects calls that it cannot run, or None.

    Unverified: the signature of `check_call`.
    """
    return cast("SupportsCheckCall", executor) if _has_method(executor, "check_call") else None


def as_catching_up(trigger: object) -> SupportsCatchUp | None:
    """Return the trigger as one that returns the last of many missed due times directly, or None.

    Unverified: the signature of `latest_due_time`.
    """
    return cast("SupportsCatchUp", trigger) if _has_method(trigger, "latest_due_time") else None


def as_starting(trigger: object) -> SupportsStart | None:
    """Return the trigger if its due times depend on the start of its task, else None.

    Unverified: the signature of `started`.
    """
    return cast("SupportsStart", trigger) if _has_method(trigger, "started") else None


def as_function(value: object) -> AnyFunction | None:
    """Return the value as a function of any arguments, or None.

    Unverified: the parameters; a call with others raises `TypeError`.
    """
    return cast("AnyFunction", value) if callable(value) else None


def as_driving_clock(clock: object) -> SupportsAttach | None:
    """Return the clock as one that drives its schedulers, or None.

    Unverified: the signatures of `attach` and `detach`.
    """
    return cast("SupportsAttach", clock) if _has_method(clock, "attach") and _has_method(clock, "detach") else None


def monotonic_time(clock: Clock) -> Callable[[], float]:
    """Return the method of a clock that returns a time which is never set: `monotonic` if there is one, else `now`.

    Unverified: the signature of `monotonic`.
    """
    monotonic: object = getattr(clock, "monotonic", None)
    return cast("Callable[[], float]", monotonic) if callable(monotonic) else clock.now


def _has_method(value: object, name: str) -> bool:
    return callable(getattr(value, name, None))
