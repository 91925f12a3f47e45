"""Limits of tasks as JSON: the form of `LimitsConfig`."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Sequence

from asyncz._references import is_below
from asyncz._safe_logging import is_interrupt
from asyncz._text import exception_text
from asyncz.config.models.tasks import LimitsConfig
from asyncz.limits import TaskLimits
from asyncz.retries import Retry
from asyncz.stores.exceptions import UnreadableTaskError


def encode_limits(limits: TaskLimits) -> str:
    """Return limits as JSON."""
    if limits.retry is not None:
        return _encoded(limits)
    # Equal numbers of other types, such as 5 and 5.0, have other texts.
    types = (type(each).__name__ for each in (limits.misfire_grace_time, limits.timeout, limits.max_instances))
    return _encoded_once(limits, *types)


@functools.lru_cache(maxsize=256)
def _encoded_once(limits: TaskLimits, *_types: str) -> str:
    """Return limits as JSON: many tasks have the same ones, and a start needs those of each task several times."""
    return _encoded(limits)


def _encoded(limits: TaskLimits) -> str:
    values: dict[str, object] = {
        "max_instances": limits.max_instances,
        "coalesce": limits.coalesce,
        "overlap": limits.overlap,
    }
    if limits.misfire_grace_time is not None:
        values["misfire_grace_time"] = limits.misfire_grace_time
    if limits.timeout is not None:
        values["timeout"] = limits.timeout
    if limits.retry is not None:
        values["retry"] = _retry_values(limits.retry)
    return json.dumps(values, sort_keys=True)


def _retry_values(retry: Retry) -> dict[str, object]:
    values: dict[str, object] = {
        "attempts": retry.attempts,
        "delay": retry.delay,
        "backoff": retry.backoff,
        "jitter": retry.jitter,
        "on": [f"{each.__module__}:{each.__qualname__}" for each in retry.on],
    }
    if retry.max_delay is not None:
        values["max_delay"] = retry.max_delay
    return values


def decode_limits(task_id: str, text: str, importable: Sequence[str]) -> TaskLimits:
    """Return stored limits.

    Raises:
        UnreadableTaskError: This version does not know such limits, or must not import the class of an exception.
    """
    try:
        config = LimitsConfig.model_validate_json(text)
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise UnreadableTaskError(task_id, f"the limits {text} are not known: {exception_text(error)}") from error
    for name in () if config.retry is None else config.retry.on:
        if name.partition(":")[0] not in sys.modules and not is_below(name, importable):
            raise UnreadableTaskError(task_id, f"the exception {name} is not in a module below `importable`")
    try:
        return config.limits()
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise UnreadableTaskError(task_id, f"the limits {text} cannot be used: {exception_text(error)}") from error
