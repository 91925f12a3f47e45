"""Jobs of APScheduler 3 as tasks of a store."""

from __future__ import annotations

import json
import math
import zoneinfo
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import TypeAlias

import attrs
from pydantic import JsonValue, TypeAdapter

from asyncz._references import is_below
from asyncz._text import exception_text, printable
from asyncz.clock import in_utc
from asyncz.config.models.triggers import TriggerConfig
from asyncz.exceptions import AsynczError
from asyncz.limits import TaskLimits
from asyncz.protocols import Trigger
from asyncz.stores._calls import FunctionNames, decode_arguments
from asyncz.stores._limits import encode_limits
from asyncz.stores._triggers import encode_trigger
from asyncz.stores.apscheduler_3._cron import (
    RANGES,
    CronParts,
    Expression,
    UntranslatableError,
    cron_parts,
    expression_of,
)
from asyncz.stores.apscheduler_3._reading import ReadJob
from asyncz.stores.records import TaskRecord
from asyncz.triggers.base import start_trigger

_Table: TypeAlias = Mapping[str, JsonValue]
_Options: TypeAlias = dict[str, object]

_TRIGGERS = "apscheduler.triggers."
_CONFIG: TypeAdapter[TriggerConfig] = TypeAdapter(TriggerConfig)
_NO_SECONDS = timedelta(0)
_LAST_SHORT_DAY = 28


@attrs.frozen
class Translation:
    """Result for one job.

    Attributes:
        id: Id of the job.
        task: Task for the store; None if the job has no counterpart.
        reason: Reason why it has none; empty otherwise.
        notes: Differences that remain.
        trigger: Description of the trigger.
    """

    id: str
    task: TaskRecord | None
    reason: str = ""
    notes: tuple[str, ...] = ()
    trigger: str = ""


class Translator:
    """Translation of jobs.

    Args:
        executors: Names of executors by the ones of APScheduler; others keep theirs, and `default` becomes `asyncio`.
        importable: Modules with functions that are imported to check the arguments.
        now: Present time.
    """

    def __init__(self, executors: Mapping[str, str], importable: Sequence[str], now: datetime) -> None:
        self._executors = {"default": "asyncio", **executors}
        self._importable = tuple(importable)
        self._functions = FunctionNames({}, {}, importable)
        self._now = now

    def translate(self, job: ReadJob) -> Translation:
        """Return the task for a job, or the reason why there is none."""
        if job.error:
            return Translation(job.id, None, f"it cannot be read: {printable(job.error)}")
        try:
            return self._translated(job)
        except UntranslatableError as error:
            return Translation(job.id, None, printable(str(error)))
        except (AsynczError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
            # A pickle may hold anything in any place. One job must not end the report of the others.
            return Translation(job.id, None, exception_text(error))

    def _translated(self, job: ReadJob) -> Translation:
        notes: list[str] = [job.note] if job.note else []
        state = _dictionary(job.state, "the pickle")
        if job.id == "" or "\0" in job.id:
            raise UntranslatableError("it has no id that can be stored")
        function = _function_of(state)
        arguments = _arguments_of(state, notes)
        trigger = _Triggers(job.next_run_time, notes).of(state.get("trigger"))
        self._check(job.id, function, arguments, notes)
        paused = job.next_run_time is None
        due = job.next_run_time or start_trigger(trigger, self._now).next_due_time(None, self._now)
        if due is None:
            raise UntranslatableError("it is not due any more")
        record = TaskRecord(
            id=job.id,
            function=function,
            arguments=arguments,
            trigger=encode_trigger(job.id, trigger),
            executor=self._executor_of(state, notes),
            options=encode_limits(_limits_of(state)),
            paused=paused,
            next_due=due,
            started_at=self._now,
        )
        return Translation(job.id, record, notes=tuple(dict.fromkeys(notes)), trigger=printable(f"{trigger}"))

    def _executor_of(self, state: _Table, notes: list[str]) -> str:
        alias = state.get("executor")
        if not isinstance(alias, str) or not alias:
            raise UntranslatableError("it has no executor")
        name = self._executors.get(alias, alias)
        if alias not in self._executors:
            notes.append(f"the scheduler needs an executor with the alias {name!r}")
        return name

    def _check(self, task_id: str, function: str, arguments: str, notes: list[str]) -> None:
        """Check that an importable function accepts the arguments."""
        if is_below(function, self._importable):
            _ = decode_arguments(task_id, self._functions.find(task_id, function), arguments)
        else:
            notes.append("the function was not imported to check its arguments; pass --importable for that")


def _function_of(state: _Table) -> str:
    name = state.get("func")
    if (
        not isinstance(name, str)
        or not name.count(":") == 1
        or "<" in name
        or any(not part for part in name.split(":"))
    ):
        raise UntranslatableError(f"the function {name!r} has no name of the form module:function")
    return name


def _limits_of(state: _Table) -> TaskLimits:
    grace, instances = state.get("misfire_grace_time"), state.get("max_instances")
    if isinstance(grace, bool) or not isinstance(grace, int | float | None):
        raise UntranslatableError(f"misfire_grace_time is {grace!r}")
    if isinstance(instances, bool) or not isinstance(instances, int):
        raise UntranslatableError(f"max_instances is {instances!r}")
    # There, a run that is due at `max_instances` is skipped, whatever `coalesce` says.
    return TaskLimits(
        max_instances=instances, misfire_grace_time=grace, coalesce=bool(state.get("coalesce")), overlap="skip"
    )


# Arguments


def _arguments_of(state: _Table, notes: list[str]) -> str:
    args = [_plain(each, f"argument {number}", notes) for number, each in enumerate(_items(state.get("args")), 1)]
    kwargs = {
        name: _plain(value, f"argument {name}", notes)
        for name, value in _dictionary(state.get("kwargs"), "kwargs").items()
    }
    return json.dumps({"args": args, "kwargs": kwargs})


def _plain(value: JsonValue, place: str, notes: list[str]) -> JsonValue:
    """Return an argument as JSON.

    Raises:
        UntranslatableError: It is not JSON.
    """
    if isinstance(value, list):
        return [_plain(each, place, notes) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise UntranslatableError(f"the {place} has the value {value}, which is not JSON")
    if not isinstance(value, dict):
        return value
    match value.get("$"):
        case "tuple":
            notes.append(f"the tuple in the {place} becomes a list, if the annotation of the parameter is not a tuple")
            return [_plain(each, place, notes) for each in _items(value)]
        case "dict":
            return {name: _plain(each, place, notes) for name, each in _dictionary(value, f"the {place}").items()}
        case "date" | "time" | "datetime":
            notes.append(
                f"the {value['$']} in the {place} becomes a text, if the annotation of the parameter is not one"
            )
            return value["text"]
        case "moment":
            notes.append(f"the datetime in the {place} becomes a text, if the annotation of the parameter is not one")
            return _moment(value).isoformat()
        case kind:
            name = value.get("name") if kind == "object" else kind
            raise UntranslatableError(f"the {place} has a value of the class {name}, which is not JSON")


def _items(value: JsonValue) -> Sequence[JsonValue]:
    if isinstance(value, list):
        return value
    items = value.get("items") if isinstance(value, dict) and value.get("$") == "tuple" else None
    if not isinstance(items, list):
        raise UntranslatableError("it has no list where one is needed")
    return items


def _dictionary(value: JsonValue, place: str) -> _Table:
    pairs = value.get("items") if isinstance(value, dict) and value.get("$") == "dict" else None
    if not isinstance(pairs, list):
        raise UntranslatableError(f"{place} is not a dictionary")
    found: dict[str, JsonValue] = {}
    for pair in pairs:
        assert isinstance(pair, list)
        name, each = pair
        if not isinstance(name, str):
            raise UntranslatableError(f"{place} has a key that is not a text")
        found[name] = each
    return found


# Times and zones


def _moment(value: JsonValue) -> datetime:
    """Return a time with its time zone."""
    if not isinstance(value, dict) or value.get("$") not in {"moment", "datetime"}:
        raise UntranslatableError("a time is missing")
    if value["$"] == "datetime":
        raise UntranslatableError(f"the time {value['text']} has no time zone")
    zone = _zone(value.get("zone"))
    local = datetime.fromisoformat(f"{value['local']}").replace(fold=1 if value.get("fold") == 1 else 0)
    offset = value["zone"].get("offset") if isinstance(value["zone"], dict) else None
    if isinstance(offset, int | float):
        # A localized time of pytz: its offset is exact, also in the hour that is repeated.
        return local.replace(tzinfo=timezone(timedelta(seconds=offset)))
    return local.replace(tzinfo=zone)


def _optional_moment(value: JsonValue) -> datetime | None:
    return None if value is None else _moment(value)


def _zone(value: JsonValue) -> tzinfo:
    if isinstance(value, dict) and value.get("$") == "zone":
        name, offset = value.get("name"), value.get("offset")
        if isinstance(name, str) and name:
            try:
                return zoneinfo.ZoneInfo(name)
            except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError):
                raise UntranslatableError(f"this machine has no time zone {name!r}") from None
        if isinstance(offset, int | float):
            return timezone(timedelta(seconds=offset))
    name = value.get("name") if isinstance(value, dict) else value
    raise UntranslatableError(f"its time zone is a {name}, which has no name")


def _zone_name(value: JsonValue) -> str:
    """Return the name of a time zone: constant offsets of whole hours have one, too."""
    zone = _zone(value)
    if isinstance(zone, zoneinfo.ZoneInfo) and zone.key:
        return zone.key
    seconds = (zone.utcoffset(None) or _NO_SECONDS).total_seconds()
    hours, rest = divmod(seconds, 3600)
    if rest or not -12 <= hours <= 14:
        raise UntranslatableError(f"its time zone is {zone}, which has no name")
    return "UTC" if hours == 0 else f"Etc/GMT{-int(hours):+d}"


# Triggers


class _Triggers:
    """Translation of the trigger of one job."""

    def __init__(self, next_run_time: datetime | None, notes: list[str]) -> None:
        self._next_run_time = next_run_time
        self._notes = notes

    def of(self, value: JsonValue) -> Trigger:
        if not isinstance(value, dict) or value.get("$") != "object":
            raise UntranslatableError("it has no trigger")
        options = self._options(f"{value.get('name')}", value.get("state"))
        trigger = _CONFIG.validate_python(options).create()
        if trigger is None:
            raise UntranslatableError("it has no trigger")
        return trigger

    def _options(self, name: str, pickled: JsonValue) -> _Options:
        if isinstance(pickled, dict) and pickled.get("$") == "tuple":
            # As version 3.0 wrote it.
            parts = _items(pickled)
            if len(parts) != 2:
                raise UntranslatableError(f"the state of its trigger is a tuple of {len(parts)} and not of 2")
            pickled = parts[1]
        if not name.startswith(_TRIGGERS):
            raise UntranslatableError(f"its trigger is a {name}, which is not a trigger of APScheduler")
        state = _dictionary(pickled, "the trigger")
        match name.rpartition(".")[2]:
            case "DateTrigger":
                return {"type": "date", "run_at": _moment(state.get("run_date"))}
            case "IntervalTrigger":
                return self._interval(state)
            case "CronTrigger":
                return self._cron(state)
            case "CalendarIntervalTrigger":
                return self._calendar(state)
            case "AndTrigger":
                return self._combination("and", state)
            case "OrTrigger":
                return self._combination("or", state)
            case other:
                raise UntranslatableError(f"there is no counterpart of {other}")

    def _interval(self, state: _Table) -> _Options:
        interval = state.get("interval")
        seconds = interval.get("seconds") if isinstance(interval, dict) and interval.get("$") == "timedelta" else None
        if not isinstance(seconds, int | float):
            raise UntranslatableError("its interval is not a duration")
        # There, each due time is counted from the previous one.
        start = self._next_run_time if _jitter(state) == 0 else None
        return {
            "type": "interval",
            "seconds": seconds,
            "start_at": start or in_utc(_moment(state.get("start_date"))),
            **_given(end_at=_optional_moment(state.get("end_date")), jitter=_jitter(state)),
        }

    def _cron(self, state: _Table) -> _Options:
        zone = _zone_name(state.get("timezone"))
        parts = cron_parts(_fields(state.get("fields")))
        start, end = _optional_moment(state.get("start_date")), _optional_moment(state.get("end_date"))
        limits = _given(start_at=_later(start, parts, zone), end_at=_earlier(end, parts, zone))
        jitter = _given(jitter=_jitter(state))
        crons: list[_Options] = [
            {"type": "cron", "expression": each, "timezone": zone, **limits} for each in parts.expressions
        ]
        return {**crons[0], **jitter} if len(crons) == 1 else {"type": "and", "triggers": crons, **jitter}

    def _calendar(self, state: _Table) -> _Options:
        years, months, weeks, days = (_whole(each) for each in _items(state.get("interval")))
        hour, minute, second = (_whole(each) for each in _items(state.get("time")))
        start = _day(state.get("start_date"))
        zone = _zone_name(state.get("timezone"))
        if self._next_run_time is not None and _jitter(state) == 0:
            # There, each due time is counted from the previous one.
            start = self._next_run_time.astimezone(zoneinfo.ZoneInfo(zone)).date()
        if (years or months) and start.day > _LAST_SHORT_DAY:
            self._notes.append("months without the day are skipped by APScheduler; here their last day is due")
        end = state.get("end_date")
        return {
            "type": "calendar",
            "years": years,
            "months": months,
            "weeks": weeks,
            "days": days,
            "hour": hour,
            "minute": minute,
            "second": second,
            "timezone": zone,
            "start_date": start,
            **_given(end_date=None if end is None else _day(end), jitter=_jitter(state)),
        }

    def _combination(self, kind: str, state: _Table) -> _Options:
        # The due time may come from any of the parts.
        self._next_run_time = None
        parts: list[_Options] = []
        for part in _items(state.get("triggers")):
            name, pickled = _items(part)
            parts.append(self._options(f"{name}".replace(":", "."), pickled))
        return {"type": kind, "triggers": parts, **_given(jitter=_jitter(state))}


def _fields(value: JsonValue) -> Mapping[str, Sequence[Expression]]:
    found: dict[str, list[Expression]] = {}
    for field in _items(value):
        state = _attributes(field)
        name = f"{state.get('name')}"
        if name not in RANGES:
            raise UntranslatableError(f"there is no cron field {name!r}")
        found[name] = []
        for each in _items(state.get("expressions")):
            kind = f"{each.get('name')}".rpartition(".")[2] if isinstance(each, dict) else ""
            found[name].append(expression_of(name, kind, _attributes(each)))
    missing = [name for name in RANGES if not found.get(name)]
    if missing:
        raise UntranslatableError(f"the cron field {missing[0]} is missing")
    return found


def _attributes(value: JsonValue) -> _Table:
    """Return the attributes of a pickled object: a dictionary, or a pair with one for `__slots__`."""
    state = value.get("state") if isinstance(value, dict) else None
    if isinstance(state, dict) and state.get("$") == "tuple":
        parts = [_dictionary(each, "an object") for each in _items(state) if each is not None]
        return {name: each for part in parts for name, each in part.items()}
    return _dictionary(state, "an object")


def _given(**options: object) -> _Options:
    """Return the options that are set."""
    return {name: value for name, value in options.items() if value is not None and value != 0}


def _jitter(state: _Table) -> float:
    jitter = state.get("jitter") or 0
    if isinstance(jitter, bool) or not isinstance(jitter, int | float):
        raise UntranslatableError(f"its jitter is {jitter!r}")
    return float(jitter)


def _whole(value: JsonValue) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UntranslatableError(f"a part of its interval is {value!r}")
    return value


def _day(value: JsonValue) -> date:
    if not isinstance(value, dict) or value.get("$") != "date":
        raise UntranslatableError("its first or last day is not a date")
    return date.fromisoformat(f"{value['text']}")


def _later(start: datetime | None, parts: CronParts, zone: str) -> datetime | None:
    if parts.first_year is None:
        return start
    first = datetime(parts.first_year, 1, 1, tzinfo=zoneinfo.ZoneInfo(zone))
    return first if start is None else max(start, first, key=in_utc)


def _earlier(end: datetime | None, parts: CronParts, zone: str) -> datetime | None:
    if parts.last_year is None:
        return end
    last = datetime(parts.last_year, 12, 31, 23, 59, 59, tzinfo=zoneinfo.ZoneInfo(zone))
    return last if end is None else min(end, last, key=in_utc)
