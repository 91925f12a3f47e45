"""Types whose values can be stored as JSON, as far as annotations say."""

from __future__ import annotations

import types
import typing
from collections.abc import Awaitable, Coroutine

from pydantic import PydanticInvalidForJsonSchema, TypeAdapter
from pydantic.errors import PydanticUserError

_PLAIN: tuple[type[object], ...] = (str, int, float, bool, list, dict, type(None))


def reason_against_json(annotation: type[object]) -> str:
    """Return the reason for which no value of a type is stored as JSON; empty if values may be."""
    try:
        adapter: TypeAdapter[object] = TypeAdapter(annotation)
    except Exception:
        return (
            f"{shown_type(annotation)} is not a type that pydantic knows; use another one, or StoreOptions(codec=...)"
        )
    try:
        _ = adapter.json_schema(mode="serialization")
    except PydanticInvalidForJsonSchema:
        return f"values of the type {shown_type(annotation)} are not JSON; use another one, or StoreOptions(codec=...)"
    except PydanticUserError:
        # The schema is not known, which says nothing about values.
        return ""
    return ""


def is_never_plain_json(annotation: object) -> bool:
    """Return True if no value of a type is JSON that gives the same value without the type, such as that of a date."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in {typing.Union, types.UnionType}:
        return all(is_never_plain_json(each) for each in arguments)
    if origin is typing.Annotated:
        return is_never_plain_json(arguments[0])
    cls = annotation if origin is None else origin
    if not isinstance(cls, type) or typing.is_typeddict(cls) or cls in {Awaitable, Coroutine}:
        return False
    try:
        return not any(issubclass(each, cls) or issubclass(cls, each) for each in _PLAIN)
    except TypeError:
        # A protocol with attributes.
        return False


def shown_type(annotation: object) -> str:
    """Return the text of a type for messages."""
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
