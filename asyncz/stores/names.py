"""Names of functions that stay valid if the code is renamed or moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from typing_extensions import TypeVar

from asyncz._callables import CallableProxy, function_reference, identity_of
from asyncz._checks import check_callable, check_text
from asyncz.exceptions import InvalidInputError

FunctionT = TypeVar("FunctionT")

# Functions by name and by former name, and names by the identity of a function. The functions are never forgotten, so
# that no other one gets the identity of one of them. Each change is one operation of a dict, which is atomic under the
# GIL: threads may import modules at the same time.
_functions: dict[str, object] = {}
_names: dict[object, str] = {}


def stable_name(name: str, *, formerly: Sequence[str] = ()) -> Callable[[FunctionT], FunctionT]:
    """Decorate a function so that stores keep it by a name, instead of by its module and its qualified name.

    If the function is renamed or moved later, its stored tasks still find it. The function is returned as it is.
    `StoreOptions` can give names to functions of other packages. Thread-safe.

    Args:
        name: Name, which no other function of the program has.
        formerly: Names that stored tasks may still have, such as `package.module:function`.

    Raises:
        InvalidInputError: Another function has one of the names.

    Example:
        >>> @stable_name("report", formerly=("old.jobs:report",))
        ... def monthly_report(month: int) -> str: ...
    """
    check_text("name", name)
    if isinstance(formerly, str):
        raise InvalidInputError("formerly", repr(formerly), 'pass a tuple of names: ("old.jobs:report",)')
    for each in formerly:
        check_text("a name in formerly", each)

    def decorate(function: FunctionT) -> FunctionT:
        check_callable("function", function)
        reference = function_reference(function)
        for each in (name, *formerly):
            known = _functions.get(each)
            # A module may be imported again.
            if known is not None and function_reference(known) != reference:
                raise InvalidInputError("name", repr(each), f"{function_reference(known)} has this name")
        for each in (name, *formerly):
            _functions[each] = function
        _names[identity_of(without_proxies(function))] = name
        return function

    return decorate


def name_of(function: object) -> str | None:
    """Return the stable name of a function; None if it has none."""
    return _names.get(identity_of(without_proxies(function)))


def named_function(name: str) -> object | None:
    """Return the function that has a name, or had it before; None if there is none."""
    return _functions.get(name)


def without_proxies(function: object) -> object:
    """Return the function for which a decorated one stands."""
    while isinstance(function, CallableProxy):
        function = getattr(function, "__wrapped__", None)
    return function
