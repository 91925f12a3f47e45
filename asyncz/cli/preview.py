"""Shows when a trigger is due."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo

import attrs
import typer

from asyncz.cli._import_target import bad_target, imported
from asyncz.clock import SystemClock, utc
from asyncz.exceptions import AsynczError
from asyncz.plugins import create_trigger, is_trigger, trigger_aliases
from asyncz.protocols import Trigger
from asyncz.triggers._timezones import utc_time, zone_name, zone_of
from asyncz.triggers.base import start_trigger

# Those that take a time zone for what is not given one.
_LOCAL = ("calendar", "cron", "date", "interval")


@attrs.frozen
class DueTime:
    """A due time, as it is shown.

    Attributes:
        local: What the clocks of the time zone show.
        utc: The same in UTC.
        distance: How long after the one before it comes, or after the start.
        clocks_set: By how much the clocks were set since the one before.
    """

    local: datetime
    utc: datetime
    distance: timedelta
    clocks_set: timedelta


def preview(given: str, options: list[str], timezone: str, count: int, start: str | None, *, as_json: bool) -> None:
    """Print the first due times of a trigger.

    Args:
        given: A cron expression, the alias of a trigger, or a trigger as `module:name`.
        options: Of an alias, each as `name=value`.
        timezone: Whose clocks, by an IANA name, or `local`.
        count: How many due times.
        start: When the task would be added, in ISO format; None is now.
        as_json: Print JSON.

    Raises:
        BadParameter: There is no such trigger or zone, or one of the options is wrong.
    """
    try:
        zone = zone_of(timezone)
        begin = utc(SystemClock().now()) if start is None else utc_time("--from", _time_of(start), zone)
        trigger = _trigger_of(given, options, timezone)
        shown = list(_due_times(trigger, zone, begin, count))
    except AsynczError as error:
        raise typer.BadParameter(f"{error}") from error
    if as_json:
        print(json.dumps(_as_json(trigger, zone, begin, shown), indent=2))
        return
    print(f"{trigger}, for a task that is added at {_text(begin.astimezone(zone))}:\n")
    width = max((len(_text(due.local)) for due in shown), default=0)
    for number, due in enumerate(shown, 1):
        note = f", clocks set {_signed(due.clocks_set)}" if due.clocks_set else ""
        in_utc = f"{due.utc:%Y-%m-%d %H:%M:%S} UTC"
        print(f"{number:>4}  {_text(due.local):{width}}   {in_utc}   {_signed(due.distance)}{note}")
    if len(shown) < count:
        print("      and no more" if shown else "      never")


def _trigger_of(given: str, options: list[str], timezone: str) -> Trigger:
    if given in trigger_aliases():
        default = {"timezone": timezone} if given in _LOCAL else {}
        return create_trigger(given, **{**default, **dict(_parsed(option, of=given) for option in options)})
    if options:
        known = ", ".join(trigger_aliases())
        raise bad_target(given, f"takes no options: these are for the alias of a trigger, which are {known}")
    if ":" not in given:
        return create_trigger("cron", expression=given, timezone=timezone)
    value = imported(given)
    made = value() if callable(value) else value
    if not is_trigger(made):
        raise bad_target(given, f"is a {type(made).__name__}, a trigger is needed")
    return made


def _parsed(option: str, *, of: str) -> tuple[str, object]:
    name, equals, text = option.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{option!r} is not of the form name=value", param_hint="OPTIONS")
    kinds: tuple[Callable[[str], object], ...] = (
        int,
        float,
        date.fromisoformat if of == "calendar" else datetime.fromisoformat,
    )
    for kind in kinds:
        try:
            return name, kind(text)
        except ValueError:
            continue
    return name, text


def _time_of(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; write it like 2030-01-31 or 2030-01-31T12:00", param_hint="--from"
        ) from None


def _due_times(trigger: Trigger, zone: tzinfo, begin: datetime, count: int) -> Iterator[DueTime]:
    started = start_trigger(trigger, begin)
    before, due = begin, started.next_due_time(None, begin)
    for _ in range(count):
        if due is None:
            return
        local = due.astimezone(zone)
        yield DueTime(local, due.astimezone(UTC), due - before, _offset(local) - _offset(before.astimezone(zone)))
        before, due = due, started.next_due_time(due, due)


def _offset(local: datetime) -> timedelta:
    return local.utcoffset() or timedelta(0)


def _text(local: datetime) -> str:
    return f"{local:%a %Y-%m-%d %H:%M:%S} {local.tzname()}"


def _signed(distance: timedelta) -> str:
    seconds = timedelta(seconds=round(distance.total_seconds()))
    return f"-{-seconds}" if seconds < timedelta(0) else f"+{seconds}"


def _as_json(trigger: Trigger, zone: tzinfo, begin: datetime, shown: list[DueTime]) -> dict[str, object]:
    return {
        "trigger": f"{trigger}",
        "timezone": zone_name(zone),
        "from": begin.isoformat(),
        "due": [
            {"local": due.local.isoformat(), "utc": due.utc.isoformat(), "seconds": due.distance.total_seconds()}
            for due in shown
        ],
    }
