"""Limits of tasks as JSON."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Never

import pytest

from asyncz import Retry
from asyncz.limits import TaskLimits
from asyncz.stores import UnreadableTaskError
from asyncz.stores._limits import decode_limits, encode_limits

LIMITS = [
    TaskLimits(),
    TaskLimits(max_instances=3, coalesce=False, overlap="queue_all", misfire_grace_time=2.5, timeout=4),
    TaskLimits(misfire_grace_time=None, retry=Retry(attempts=4)),
    TaskLimits(retry=Retry(attempts=2, delay=3, backoff=1.5, max_delay=60, jitter=0.5, on=(OSError, KeyError))),
]


@pytest.mark.parametrize("limits", LIMITS)
def test_limits_survive_a_round_trip(limits: TaskLimits) -> None:
    text = encode_limits(limits)
    assert decode_limits("job", text, ()) == limits
    values = json.loads(text)
    assert list(values) == sorted(values)
    assert ("timeout" in values, "retry" in values) == (limits.timeout is not None, limits.retry is not None)


def test_limits_have_one_text_in_each_process() -> None:
    """The text is part of the hash of a declaration: it does not depend on limits that were encoded before."""
    texts = {encode_limits(TaskLimits(timeout=timeout)).partition('"timeout": ')[2] for timeout in (5, 5.0)}
    assert texts == {"5}", "5.0}"}


def test_unknown_limits_are_unreadable() -> None:
    with pytest.raises(UnreadableTaskError, match=r"'job'.*are not known"):
        decode_limits("job", '{"speed": 3}', ())


def test_exception_is_imported_if_allowed_only() -> None:
    text = encode_limits(TaskLimits(retry=Retry(attempts=2)))
    foreign = text.replace("builtins:Exception", "no_such_module_here:Oops")
    assert foreign != text
    with pytest.raises(UnreadableTaskError, match=r"'job'.*no_such_module_here:Oops is not in a module below"):
        decode_limits("job", foreign, ())
    with pytest.raises(UnreadableTaskError, match=r"'job'.*cannot be used"):
        decode_limits("job", foreign, ("no_such_module_here",))


def interrupt(*_: object) -> Never:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "config",
    [
        SimpleNamespace(model_validate_json=interrupt),
        SimpleNamespace(model_validate_json=lambda _: SimpleNamespace(retry=None, limits=interrupt)),
    ],
)
def test_interrupt_is_not_unreadable(config: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncz.stores._limits.LimitsConfig", config)
    with pytest.raises(KeyboardInterrupt):
        decode_limits("job", "{}", ())
