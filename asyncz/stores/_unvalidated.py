"""Records of values that are valid already, without their validation: most of the time of a stored run would go there.

For values that the code of this package has computed, or read from a record. Values from outside, such as rows, texts
and the details of executors, are validated once, by the usual constructor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ParamSpec, cast

from pydantic import BaseModel
from typing_extensions import TypeVar

ParamsT = ParamSpec("ParamsT")
RecordT = TypeVar("RecordT", bound=BaseModel)

# The records are frozen: `setattr` would raise.
_set = object.__setattr__


def unvalidated(record: Callable[ParamsT, RecordT]) -> Callable[ParamsT, RecordT]:
    """Return a constructor of a record that does not validate its values; type checkers see the same parameters.

    All fields of such a record count as given, also those with a default value.

    Args:
        record: Class of the record. Its default values are immutable.
    """
    # Unverified: type checkers see the constructor of the class only, so that they know its parameters.
    cls = cast("type[RecordT]", record)
    defaults = {name: field.default for name, field in cls.model_fields.items()}
    given = {*defaults}

    def construct(*args: ParamsT.args, **values: ParamsT.kwargs) -> RecordT:
        assert not args
        return _record_of(cls, {**defaults, **values}, given)

    return construct


def evolved(record: RecordT, changes: Mapping[str, object]) -> RecordT:
    """Return a copy of a record with other values, which are valid: a `model_copy` that copies no sets."""
    return _record_of(type(record), {**record.__dict__, **changes}, record.model_fields_set)


def _record_of(cls: type[RecordT], values: dict[str, object], given: set[str]) -> RecordT:
    """Return a record with its attributes, as `BaseModel.model_construct` does after it has looked at each field."""
    made = cls.__new__(cls)
    _set(made, "__dict__", values)
    # Shared, as nothing changes the set of a frozen record.
    _set(made, "__pydantic_fields_set__", given)
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made
