"""Casts that no type checker can verify, each with its reason.

A function that tests `callable()` and promises a signature is a cast as well; such functions are here, and named so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, NamedTuple, Never, Protocol, TypeAlias, cast

from typing_extensions import TypeVar

from asyncz._aliases import OtherAlias, Redact
from asyncz.protocols import (
    Clock,
    SupportsAttach,
    SupportsCancel,
    SupportsCancelAll,
    SupportsCatchUp,
    SupportsCheckCall,
    SupportsStart,
)

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

ExecutorT = TypeVar("ExecutorT")
ResultT = TypeVar("ResultT")

Message: TypeAlias = MutableMapping[str, object]


class AnyFunction(Protocol):
    """Function with unknown parameters."""

    def __call__(self, *args: object, **kwargs: object) -> object: ...


class AsgiApp(Protocol):
    """ASGI app, whatever the types of its framework."""

    def __call__(self, scope: object, receive: object, send: object, /) -> Awaitable[None]: ...


class StarletteCall(NamedTuple):
    """Arguments of an ASGI app, with the types of Starlette.

    Attributes:
        scope: Scope of the request.
        receive: Receives messages.
        send: Sends messages.
    """

    scope: Scope
    receive: Receive
    send: Send


def alias_text(alias: OtherAlias) -> str:
    """Return an alias as a text.

    Unverified: only a `str` has the member of `OtherAlias`.
    """
    return cast("str", alias)


def executor_object(executor: ExecutorT | OtherAlias) -> ExecutorT:
    """Return an executor that is not an alias.

    Unverified: the caller has excluded `str`, and only a `str` has the member of `OtherAlias`.
    """
    return cast("ExecutorT", executor)


def as_call_like(call: object, _wrapper: Callable[[], ResultT]) -> Callable[[], ResultT]:
    """Return the call inside a wrapper, which has the result type of its wrapper.

    Unverified: the result type, which `isinstance` cannot test.
    """
    return cast("Callable[[], ResultT]", call)


def as_redact(function: object) -> Redact:
    """Return a function of a configuration as one that hides texts.

    Unverified: the signature. The function is called with a kind, a name and a text; if it raises, the text is hidden.
    """
    return cast("Redact", function)


def as_asgi_app(app: object) -> AsgiApp:
    """Return an app as an ASGI app.

    Unverified: the signature. The app was typed by its framework; an ASGI app accepts the scope and two coroutine
    functions.
    """
    return cast("AsgiApp", app)


def as_asgi_send(send: object) -> Callable[[Message], Awaitable[None]]:
    """Return the `send` of a server as a function of messages.

    Unverified: each framework has its own type of messages; the ASGI specification says that they are dicts.
    """
    return cast("Callable[[Message], Awaitable[None]]", send)


def as_starlette_call(
    scope: Mapping[str, object],
    receive: Callable[[], Awaitable[Mapping[str, object]]],
    send: Callable[[Never], Awaitable[None]],
) -> StarletteCall:
    """Return the arguments of an ASGI app with the types of Starlette.

    Unverified: each framework has its own types for the three; the ASGI specification says that all are dicts.
    """
    return StarletteCall(cast("Scope", scope), cast("Receive", receive), cast("Send", send))


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
