"""Fast forms on the path of each run, against the readable forms that they replace."""

from __future__ import annotations

import io
import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from asyncz import TaskExecuted, TaskRun, TaskSpec
from asyncz.executors._remote_call import RESULT
from asyncz.executors._serialization import _PlainUnpickler, plain_outcome_of
from asyncz.executors.process_pool._prefetch import (
    MAX_RUNS,
    SECONDS_IN_FLIGHT,
    SECONDS_UNTIL_RECALL,
    PrefetchWindow,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda children: st.lists(children) | st.tuples(children, children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


@given(st.lists(st.floats(min_value=-1.0, max_value=1.0) | st.floats(min_value=0.0, max_value=2e-5), max_size=300))
def test_prefetch_window_agrees_with_formula(durations: list[float]) -> None:
    window, mean = PrefetchWindow(), SECONDS_UNTIL_RECALL
    for seconds in durations:
        window.record(seconds)
        mean += 0.1 * (max(0.0, min(seconds, SECONDS_UNTIL_RECALL)) - mean)
        assert window.size == max(1, min(MAX_RUNS, int(SECONDS_IN_FLIGHT / max(mean, 1e-6))))


@given(VALUES, st.integers(min_value=0, max_value=pickle.HIGHEST_PROTOCOL))
def test_plain_outcome_agrees_with_unpickler(value: object, protocol: int) -> None:
    content = pickle.dumps(value, protocol)
    try:
        expected: object = _PlainUnpickler(io.BytesIO(content)).load()
    except Exception:
        assert plain_outcome_of(TaskRun(TaskSpec("task", object)), RESULT, content) is None
        return
    outcome = plain_outcome_of(TaskRun(TaskSpec("task", object)), RESULT, content)
    assert isinstance(outcome, TaskExecuted)
    assert outcome.result == expected


@pytest.mark.parametrize("value", [datetime(2026, 1, 1, tzinfo=UTC), len, ValueError, {1, 2}, frozenset({"a"})])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_outcome_of_class_is_none(value: object, protocol: int) -> None:
    content = pickle.dumps(value, protocol)
    outcome = plain_outcome_of(TaskRun(TaskSpec("task", object)), RESULT, content)
    # From protocol 4 on, a set is a value of its own.
    assert (outcome is None) == (protocol < 4 or not isinstance(value, (set, frozenset)))


@given(st.binary(max_size=64))
def test_plain_outcome_of_any_bytes_calls_nothing(content: bytes) -> None:
    """A damaged or hostile report is rejected, or read as a built-in value."""
    outcome = plain_outcome_of(TaskRun(TaskSpec("task", object)), RESULT, content)
    assert outcome is None or isinstance(outcome, TaskExecuted)
