"""Any value of a numeric option is accepted or raises InvalidInputError."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st

from asyncz import DaskExecutor, InvalidInputError, ProcessPoolExecutor, Retry, TaskLimits, ThreadPoolExecutor

NUMBERS: st.SearchStrategy[object] = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -1, True, None, "3", float("nan"), float("inf"), 3.5, b"", [], {}])
    | st.integers(300, 5000).map(lambda digits: 10**digits)
)
OPTIONS: list[tuple[Callable[..., object], str]] = [  # type: ignore[explicit-any]  # constructors of many classes
    *((ThreadPoolExecutor, name) for name in ("max_workers", "max_queue")),
    *((ProcessPoolExecutor, name) for name in ("max_workers", "max_queue")),
    *((DaskExecutor, name) for name in ("retries", "max_queue", "resources")),
    *((TaskLimits, name) for name in ("max_instances", "misfire_grace_time", "timeout")),
    *((lambda **options: Retry(attempts=3, **options), name) for name in ("delay", "backoff", "max_delay", "jitter")),
    (Retry, "attempts"),
]


@pytest.mark.parametrize(("make", "name"), OPTIONS)
@given(value=NUMBERS)
@settings(max_examples=40, deadline=None)
def test_numeric_option_is_checked(make: Callable[..., object], name: str, value: object) -> None:  # type: ignore[explicit-any]  # constructors of many classes
    try:
        make(**{name: value})
    except InvalidInputError as error:
        rejection = error
    else:
        return
    assert name in str(rejection)
    assert len(str(rejection)) < 1000


@pytest.mark.parametrize("resources", [3.5, {"GPU": "1"}, {"GPU": float("nan")}, {"GPU": -1}, {1: 2}, {"GPU": 10**400}])
def test_dask_resources_must_be_amounts(resources: object) -> None:
    with pytest.raises(InvalidInputError, match="resources cannot be"):
        DaskExecutor(resources=resources)  # type: ignore[arg-type]  # wrong on purpose
