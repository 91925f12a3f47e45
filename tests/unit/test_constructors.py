"""Constructors that are called with arguments that they do not have."""

from __future__ import annotations

import inspect
from typing import get_type_hints

import pytest

import asyncz
from asyncz import ArgumentMismatchError, AsynczError, InvalidInputError, ThreadPoolExecutor, UnknownOptionError
from tests.helpers.untyped import call_untyped

CLASSES = [
    *("IntervalTrigger", "CalendarIntervalTrigger", "CronTrigger", "DateTrigger", "AndTrigger", "OrTrigger"),
    *("AsyncIOExecutor", "DebugExecutor", "ThreadPoolExecutor", "ProcessPoolExecutor", "DaskExecutor"),
    *("FuturesExecutor", "DelegatingExecutor", "TaskLimits", "Retry"),
]


@pytest.mark.parametrize("name", CLASSES)
def test_unknown_option_lists_known_ones(name: str) -> None:
    cls = getattr(asyncz, name)
    with pytest.raises(UnknownOptionError) as caught:
        call_untyped(cls, no_such_option=3)
    parameters = inspect.signature(cls).parameters.values()
    assert caught.value.name == "no_such_option"
    assert caught.value.options == tuple(each.name for each in parameters if each.kind is not each.POSITIONAL_ONLY)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    ("name", "given", "meant"),
    [
        ("IntervalTrigger", "minute", "minutes"),
        ("CalendarIntervalTrigger", "hours", "hour"),
        ("DateTrigger", "run_date", "run_at"),
        ("ThreadPoolExecutor", "max_wrkers", "max_workers"),
        ("DaskExecutor", "adress", "address"),
        ("TaskLimits", "max_instance", "max_instances"),
        ("Retry", "attempt", "attempts"),
    ],
)
def test_similar_option_is_suggested(name: str, given: str, meant: str) -> None:
    with pytest.raises(UnknownOptionError, match=f"unknown option '{given}'; did you mean '{meant}'"):
        call_untyped(getattr(asyncz, name), **{given: 3})


@pytest.mark.parametrize(
    ("name", "args", "problem"),
    [
        ("IntervalTrigger", (5,), r"IntervalTrigger\(5\) does not fit .*weeks.*too many positional arguments"),
        ("CronTrigger", (), r"CronTrigger\(\) does not fit .*expression.*missing a required argument: 'expression'"),
        ("Retry", (), "missing a required .*argument: 'attempts'"),
        ("OrTrigger", (), "missing a required argument: 'triggers'"),
        ("FuturesExecutor", (), "missing a required argument: 'pool'"),
        ("AsyncIOExecutor", (3,), "too many positional arguments"),
    ],
)
def test_wrong_arguments_show_signature(name: str, args: tuple[object, ...], problem: str) -> None:
    with pytest.raises(ArgumentMismatchError, match=problem) as caught:
        call_untyped(getattr(asyncz, name), *args)
    assert isinstance(caught.value, AsynczError)
    assert isinstance(caught.value, TypeError)


class Named(ThreadPoolExecutor):
    """An executor of a user, with options of its own."""

    def __init__(self, name: str, **options: int) -> None:
        call_untyped(super().__init__, **options)
        self.name = name
        if not name.isidentifier():
            message = "not a name"
            raise TypeError(message)


def test_subclass_has_own_options() -> None:
    assert Named("io", max_workers=3).name == "io"
    with pytest.raises(UnknownOptionError, match="max_worker"):
        Named("io", max_worker=3)
    with pytest.raises(TypeError, match="not a name") as caught:
        Named("3", max_workers=3)
    assert not isinstance(caught.value, AsynczError)


def test_other_errors_are_kept() -> None:
    with pytest.raises(InvalidInputError, match="minutes cannot be 'x'"):
        call_untyped(asyncz.IntervalTrigger, minutes="x")


@pytest.mark.parametrize("name", CLASSES)
def test_constructor_keeps_annotations(name: str) -> None:
    construct = getattr(asyncz, name).__init__
    assert get_type_hints(construct)["return"] is type(None)
    assert construct.__name__ == "__init__"
