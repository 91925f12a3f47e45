"""Calls that a type checker would reject, to test the errors at run time."""

from __future__ import annotations


def call_untyped(function: object, *args: object, **kwargs: object) -> object:
    """Call a function with arguments of any types."""
    assert callable(function)
    return function(*args, **kwargs)
