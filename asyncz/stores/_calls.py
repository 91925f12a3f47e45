"""Functions of stored tasks by name, and their arguments and results as JSON by their signature."""

from __future__ import annotations

import functools
import inspect
import json
import operator
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from types import MethodType
from typing import NotRequired

import attrs
from pydantic import JsonValue, TypeAdapter
from typing_extensions import TypedDict

from asyncz._callables import function_reference, is_same_function
from asyncz._references import is_below, load
from asyncz._safe_logging import is_interrupt
from asyncz._text import exception_text, value_text
from asyncz._unsafe import as_function
from asyncz.exceptions import AsynczError
from asyncz.stores._checks import ADD_IT_EARLY
from asyncz.stores._json_types import is_never_plain_json, reason_against_json, shown_type
from asyncz.stores.codecs import Codec, codec_of_result
from asyncz.stores.exceptions import UnreadableTaskError, UnstorableTaskError
from asyncz.stores.names import name_of, named_function, without_proxies

MAX_RESULT = 65_536
"""Maximum length of a stored result; a longer one is not stored."""
MAX_HANDED_OVER = 1_048_576
"""Maximum length of the arguments with a result that is handed over; a downstream run with longer ones fails."""

_ANYTHING: TypeAdapter[object] = TypeAdapter(JsonValue)
_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


@attrs.frozen
class StoredCall:
    """A function with its arguments.

    Attributes:
        function: Function.
        args: Positional arguments.
        kwargs: Keyword arguments.
    """

    function: object
    args: tuple[object, ...]
    kwargs: Mapping[str, object]

    @classmethod
    def of(cls, call: object) -> StoredCall:
        """Return the function and the arguments of a call without arguments, such as a `partial`."""
        args: tuple[object, ...] = ()
        kwargs: dict[str, object] = {}
        while isinstance(call, functools.partial):
            args, kwargs = (*call.args, *args), {**call.keywords, **kwargs}
            call = call.func
        return cls(call, args, kwargs)

    def with_result(self, result: object) -> StoredCall:
        """Return the call of a downstream task with a result of its upstream task."""
        return StoredCall(self.function, (*self.args, result), self.kwargs)

    def bound(self) -> functools.partial[object]:
        """Return the call without arguments."""
        function = as_function(self.function)
        assert function is not None
        return functools.partial(function, *self.args, **self.kwargs)


class FunctionNames:
    """Functions by the names under which stored tasks refer to them.

    Args:
        names: Functions by stable name.
        formerly: Functions by a name that they had before.
        importable: Packages and modules with functions that may be imported.
    """

    def __init__(self, names: Mapping[str, object], formerly: Mapping[str, object], importable: Sequence[str]) -> None:
        self._names = names
        self._importable = tuple(importable)
        self._known: dict[str, object] = {**formerly, **names}

    def declare(self, task_id: str, function: object) -> str:
        """Return the name of a function, under which `find` returns it from now on. Thread-safe.

        Raises:
            UnstorableTaskError: Another process could not find the function by a name.
        """
        for name, named in self._names.items():
            if is_same_function(named, function):
                return name
        stable = name_of(function)
        if stable is not None:
            return stable
        name = function_reference(function)
        reason = _reason_against(function, name)
        if reason:
            raise UnstorableTaskError(task_id, "function", reason)
        self._known[name] = function
        return name

    def find(self, task_id: str, name: str) -> object:
        """Return a function by its name; may import its module.

        Raises:
            UnreadableTaskError: The program has no such function, or must not import it.
        """
        known = self._known.get(name)
        if known is None:
            known = named_function(name)
        if known is not None:
            return known
        if not is_below(name, self._importable):
            reason = f"no task of this program calls {name}, and its module is not below `importable`"
            raise UnreadableTaskError(task_id, f"{reason}; {ADD_IT_EARLY}")
        try:
            found = load(name)
        except AsynczError as error:
            raise UnreadableTaskError(task_id, f"{name} cannot be imported: {error}") from error
        if not callable(found):
            raise UnreadableTaskError(task_id, f"{name} is not a function")
        origin = function_reference(found)
        if not is_below(origin, self._importable):
            # `myapp:os.system` is importable by its name only: the module imports `os`.
            raise UnreadableTaskError(task_id, f"{name} is {origin}, which is not below `importable`")
        return found


def _reason_against(function: object, name: str) -> str:
    """Return the reason why a function cannot be found by its name; empty if it can."""
    advice = "; use a function of a module, or give it a name with `stable_name`"
    if "<" in name:
        return f"{name} is a lambda or a function inside of a function, which has no name for other processes{advice}"
    inner = without_proxies(function)
    if isinstance(inner, MethodType) and not inspect.isclass(inner.__self__):
        return f"{name} is a method of one object, which other processes do not have{advice}"
    module, _, path = name.partition(":")
    try:
        found: object = operator.attrgetter(path)(sys.modules.get(module))
    except AttributeError:
        found = None
    if not is_same_function(found, function) and found != inner:
        return f"the module {module} has no such function as {path}{advice}"
    return ""


def encode_arguments(task_id: str, call: StoredCall, codec: Codec | None = None) -> str:
    """Return the arguments of a call as JSON.

    Args:
        task_id: Id of the task.
        call: The call.
        codec: Codec that encodes each argument as a text; None for JSON by the signature.

    Raises:
        UnstorableTaskError: An argument is not JSON by the annotation of its parameter, or the codec has raised.
    """
    if codec is not None:
        return _encode_by_codec(task_id, call, codec)
    adapters = _adapters_of(call.function)
    args = [_encode(task_id, *adapters.positional(number), value) for number, value in enumerate(call.args)]
    kwargs = [
        f"{json.dumps(name)}: {_encode(task_id, name, adapters.named(name), value)}"
        for name, value in call.kwargs.items()
    ]
    return f'{{"args": [{", ".join(args)}], "kwargs": {{{", ".join(kwargs)}}}}}'


def _encode_by_codec(task_id: str, call: StoredCall, codec: Codec) -> str:
    try:
        args = [codec.encode(value) for value in call.args]
        kwargs = {name: codec.encode(value) for name, value in call.kwargs.items()}
    except Exception as error:
        reason = f"the codec {codec.name!r} cannot encode them: {exception_text(error)}"
        raise UnstorableTaskError(task_id, "arguments", reason) from error
    return json.dumps({"codec": codec.name, "args": args, "kwargs": kwargs})


def encode_with_result(task_id: str, arguments: str, upstream: object, result: object, codec: Codec | None) -> str:
    """Return stored arguments with a result as the last positional one, for a function that this program does not know.

    Args:
        task_id: Id of the downstream task.
        arguments: Stored arguments.
        upstream: Function that has returned the result.
        result: The result.
        codec: Codec that encodes the result; None for JSON by the return annotation of `upstream`.

    Raises:
        UnstorableTaskError: The result cannot be encoded.
    """
    try:
        stored = STORED_ARGUMENTS.validate_json(arguments)
        if (stored["args"] or stored["kwargs"]) and stored.get("codec") != (codec and codec.name):
            message = "its other arguments were encoded by another codec, which this scheduler does not use"
            raise ValueError(message)
        if codec is not None:
            return json.dumps({**stored, "codec": codec.name, "args": [*stored["args"], codec.encode(result)]})
        text = _adapters_of(upstream).result.dump_json(result, warnings="error").decode()
        return json.dumps({**stored, "args": [*stored["args"], _JSON.validate_json(text)]})
    except Exception as error:
        raise UnstorableTaskError(task_id, "result of its upstream task", exception_text(error)) from error


def encode_problem(problem: str) -> str:
    """Return stored arguments that no function accepts, with the reason for it."""
    return json.dumps({"problem": problem, "args": [], "kwargs": {}})


def decode_arguments(
    task_id: str, function: object, text: str, codec: Codec | None = None, *, results: int = 0
) -> StoredCall:
    """Return the call of a function with stored arguments.

    Args:
        task_id: Id of the task.
        function: The function.
        text: Stored arguments.
        codec: Codec for arguments that it has encoded; others are JSON.
        results: Number of further positional arguments: 1 for a downstream task, whose runs bring a result each.

    Raises:
        UnreadableTaskError: The function does not accept the arguments, or another codec has encoded them.
    """
    try:
        adapters = _adapters_of(function)
        stored = STORED_ARGUMENTS.validate_json(text)
        if "problem" in stored:
            raise UnreadableTaskError(task_id, stored["problem"])
        if "codec" in stored:
            codec = _codec_named(stored["codec"], codec)
            args: tuple[object, ...] = tuple(codec.decode(_TEXT.validate_python(each)) for each in stored["args"])
            kwargs: dict[str, object] = {
                name: codec.decode(_TEXT.validate_python(each)) for name, each in stored["kwargs"].items()
            }
        else:
            args = tuple(_decode(adapters.positional(number)[1], value) for number, value in enumerate(stored["args"]))
            kwargs = {name: _decode(adapters.named(name), value) for name, value in stored["kwargs"].items()}
        if adapters.signature is not None:
            _ = adapters.signature.bind(*args, *[None] * results, **kwargs)
    except BaseException as error:
        if is_interrupt(error) or isinstance(error, UnreadableTaskError):
            raise
        reason = f"{function_reference(function)} does not accept the stored arguments: {exception_text(error)}"
        raise UnreadableTaskError(task_id, reason) from error
    return StoredCall(function, args, kwargs)


def _codec_named(name: str, codec: Codec | None) -> Codec:
    if codec is None or codec.name != name:
        message = f"they were encoded by the codec {name!r}; pass it as StoreOptions(codec=...)"
        raise ValueError(message)
    return codec


def encode_result(function: object, result: object, codec: Codec | None = None) -> str | None:
    """Return a result as JSON by the return annotation, or by a codec; None if it cannot, or if it is too long."""
    try:
        if codec is not None:
            # JSON never begins with a name and a colon.
            text = f"{codec.name}:{codec.encode(result)}"
        else:
            text = _adapters_of(function).result.dump_json(result, warnings="error").decode()
    except BaseException as error:
        if is_interrupt(error):
            raise
        return None
    return text if len(text) <= MAX_RESULT else None


def decode_result(function: object, text: str, codec: Codec | None = None) -> object:
    """Return a stored result by the return annotation, or by the codec that has encoded it.

    Raises:
        ValueError: The text does not fit the annotation, or another codec has encoded it.
    """
    return _decode_result(text, lambda: _adapters_of(function).result, codec)


def _decode_result(text: str, adapter: Callable[[], TypeAdapter[object]], codec: Codec | None) -> object:
    name = codec_of_result(text)
    if name is None:
        return adapter().validate_json(text)
    codec = _codec_named(name, codec)
    try:
        return codec.decode(text[len(name) + 1 :])
    except Exception as error:
        message = f"the codec {codec.name!r} cannot decode the result: {exception_text(error)}"
        raise ValueError(message) from error


def call_with_result(task_id: str, call: StoredCall, text: str, codec: Codec | None = None) -> StoredCall:
    """Return the call of a downstream task with a stored result of its upstream task.

    Raises:
        UnreadableTaskError: The function does not accept the result, or another codec has encoded it.
    """
    try:
        result = _decode_result(text, lambda: _adapters_of(call.function).positional(len(call.args))[1], codec)
    except BaseException as error:
        if is_interrupt(error):
            raise
        reason = f"{function_reference(call.function)} does not accept the stored result: {exception_text(error)}"
        raise UnreadableTaskError(task_id, reason) from error
    return call.with_result(result)


def check_hand_over(task_id: str, call: StoredCall, upstream: object, codec: Codec | None = None) -> None:
    """Check by the annotations that results of a task can be stored as arguments of its downstream task.

    Args:
        task_id: Id of the downstream task.
        call: Call of the downstream task, without the result.
        upstream: Function of the upstream task.
        codec: Codec of arguments; None for JSON.

    Raises:
        UnstorableTaskError: The parameter accepts, or the upstream task returns, values that are not JSON.
    """
    if codec is not None:
        # A codec decides for each value.
        return
    name, annotation = _parameter_of(call)
    if annotation is not None:
        reason = reason_against_json(annotation)
        if reason:
            raise UnstorableTaskError(task_id, f"argument {name}", reason)
        return
    returned = _hints_of(without_proxies(upstream)).get("return")
    if returned is not None and is_never_plain_json(returned):
        reason = (
            f"{function_reference(upstream)} returns {shown_type(returned)}, which is not JSON, and the parameter has"
            " no annotation by which it could be stored; annotate the parameter"
        )
        raise UnstorableTaskError(task_id, f"argument {name}", reason)


def _parameter_of(call: StoredCall) -> tuple[str, type[object] | None]:
    """Return the name and the annotation of the parameter that receives a result."""
    inner = without_proxies(call.function)
    signature, number = _signature_of(inner), len(call.args)
    parameters = () if signature is None else tuple(signature.parameters.values())
    positional = [each for each in parameters if each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD}]
    rest = [each for each in parameters if each.kind is each.VAR_POSITIONAL]
    found = positional[number : number + 1] or rest
    name = found[0].name if found else f"number {number + 1}"
    return name, _hints_of(inner).get(name)


class _StoredArguments(TypedDict):
    codec: NotRequired[str]
    problem: NotRequired[str]
    args: list[JsonValue]
    kwargs: dict[str, JsonValue]


_TEXT: TypeAdapter[str] = TypeAdapter(str)
STORED_ARGUMENTS: TypeAdapter[_StoredArguments] = TypeAdapter(_StoredArguments)
"""Arguments of a stored task as JSON."""


class _SignatureAdapters:
    """Adapters for the parameters and the result of a function."""

    def __init__(self, function: object) -> None:
        inner = without_proxies(function)
        hints = _hints_of(inner)
        self.result: TypeAdapter[object] = _adapter(hints.get("return"))
        self.signature: inspect.Signature | None = _signature_of(inner)
        parameters = () if self.signature is None else tuple(self.signature.parameters.values())
        self._positional: list[tuple[str, TypeAdapter[object]]] = []
        self._named: dict[str, TypeAdapter[object]] = {}
        self._rest: TypeAdapter[object] = _ANYTHING
        self._other: TypeAdapter[object] = _ANYTHING
        for each in parameters:
            adapter = _adapter(hints.get(each.name))
            if each.kind is each.VAR_POSITIONAL:
                self._rest = adapter
            elif each.kind is each.VAR_KEYWORD:
                self._other = adapter
            else:
                self._named[each.name] = adapter
                if each.kind is not each.KEYWORD_ONLY:
                    self._positional.append((each.name, adapter))

    def positional(self, number: int) -> tuple[str, TypeAdapter[object]]:
        """Return the name and the adapter of a positional argument."""
        return self._positional[number] if number < len(self._positional) else (f"number {number + 1}", self._rest)

    def named(self, name: str) -> TypeAdapter[object]:
        """Return the adapter of a keyword argument."""
        return self._named.get(name, self._other)


@functools.lru_cache(maxsize=4096)
def _cached_adapters(function: object) -> _SignatureAdapters:
    return _SignatureAdapters(function)


def _adapters_of(function: object) -> _SignatureAdapters:
    try:
        return _cached_adapters(function)
    except TypeError:
        # Not hashable.
        return _SignatureAdapters(function)


def _hints_of(function: object) -> Mapping[str, type[object]]:
    try:
        # Unverified: a hint may be any form of a type, such as a union; pydantic decides.
        hints: dict[str, type[object]] = typing.get_type_hints(function, include_extras=True)
    except Exception:
        # An annotation names something that only type checkers import: such parameters take plain JSON.
        return {}
    return hints


def _signature_of(function: object) -> inspect.Signature | None:
    called = as_function(function)
    if called is None:
        return None
    try:
        return inspect.signature(called)
    except (TypeError, ValueError):
        return None


def _adapter(annotation: type[object] | None) -> TypeAdapter[object]:
    if annotation is None:
        return _ANYTHING
    try:
        adapter: TypeAdapter[object] = TypeAdapter(annotation)
    except Exception:
        # Not a type that pydantic knows.
        return _ANYTHING
    return adapter


def _encode(task_id: str, name: str, adapter: TypeAdapter[object], value: object) -> str:
    """Return an argument as JSON that gives an equal argument again.

    Raises:
        UnstorableTaskError: It cannot.
    """
    try:
        text = adapter.dump_json(adapter.validate_python(value), warnings="error").decode()
        _ = adapter.validate_json(text)
    except BaseException as error:
        if is_interrupt(error):
            raise
        shown = value_text(value)
        reason = f"{shown} cannot be stored as JSON by the annotation of its parameter: {exception_text(error)}"
        raise UnstorableTaskError(task_id, f"argument {name}", reason) from error
    return text


def _decode(adapter: TypeAdapter[object], value: JsonValue) -> object:
    return adapter.validate_json(json.dumps(value))
