"""`asyncz preview`: the due times of a trigger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo

import attrs
import typer

from asyncz._text import exception_text, printable
from asyncz.cli._import_target import bad_target, import_target
from asyncz.cli._output import print_json
from asyncz.clock import SystemClock, utc
from asyncz.exceptions import AsynczError
from asyncz.plugins import is_trigger, load_trigger, trigger_aliases
from asyncz.protocols import Trigger
from asyncz.triggers._timezones import utc_time, zone_name, zone_of
from asyncz.triggers.base import start_trigger

MAX_COUNT = 10_000
"""The largest number of due times that is shown."""

# The triggers with a `timezone` option.
_WITH_TIMEZONE = ("calendar", "cron", "date", "interval")


@attrs.frozen
class DueTime:
    """A due time as it is shown.

    Attributes:
        local: The local time in the time zone.
        utc: The same time in UTC.
        distance: Time since the due time before, or since the start.
        clocks_set: The change of the UTC offset since then.
    """

    local: datetime
    utc: datetime
    distance: timedelta
    clocks_set: timedelta


def preview(given: str, options: list[str], timezone: str, count: int, start: str | None, *, json_report: bool) -> None:
    """Print the first due times of a trigger.

    Args:
        given: A cron expression, the alias of a trigger, or a trigger as `module:name`.
        options: The options of an alias, each as `name=value`.
        timezone: An IANA name, or `local`.
        count: Number of due times.
        start: The time at which the task is added, in ISO format; None means now.
        json_report: Print JSON.

    Raises:
        BadParameter: The trigger, the zone or an option is invalid.
    """
    try:
        zone = zone_of(timezone)
        begin = utc(SystemClock().now()) if start is None else utc_time("--from", _parse_time(start), zone)
        trigger = _trigger_of(given, options, timezone)
    except AsynczError as error:
        raise typer.BadParameter(printable(str(error))) from error
    except (OverflowError, ValueError) as error:
        raise typer.BadParameter(exception_text(error)) from error
    due_times = _guarded(_due_times(trigger, zone, begin, count))
    if json_report:
        print_json(_as_json(trigger, zone, begin, list(due_times)))
    else:
        _print_due_times(printable(f"{trigger}"), _local_text(begin.astimezone(zone)), list(due_times), count)


def _print_due_times(trigger: str, begin: str, due_times: list[DueTime], count: int) -> None:
    print(f"{trigger}, for a task that is added at {begin}:\n")
    width = max((len(_local_text(due.local)) for due in due_times), default=0)
    if due_times:
        print(f"{'':4}  {'due':{width}}   {'in UTC':23}   after")
    for number, due in enumerate(due_times, 1):
        note = f", clocks set {_signed(due.clocks_set)}" if due.clocks_set else ""
        in_utc = f"{due.utc:%Y-%m-%d %H:%M:%S} UTC"
        print(f"{number:>4}  {_local_text(due.local):{width}}   {in_utc}   {_signed(due.distance)}{note}")
    if len(due_times) < count:
        print("      and no more" if due_times else "      never")


def _trigger_of(given: str, options: list[str], timezone: str) -> Trigger:
    if given in trigger_aliases():
        default = {"timezone": timezone} if given in _WITH_TIMEZONE else {}
        return load_trigger(given, **{**default, **dict(_parse_option(option, of=given) for option in options)})
    if options:
        known = ", ".join(trigger_aliases())
        advice = 'quote a cron expression, as in asyncz preview "30 2 * * *"'
        raise bad_target(given, f"accepts no options; only these aliases of triggers do: {known}; {advice}")
    if ":" not in given:
        return load_trigger("cron", expression=given, timezone=timezone)
    value = import_target(given)
    try:
        created = value() if callable(value) else value
    except Exception as error:
        raise bad_target(given, f"raised {exception_text(error)}") from error
    if not is_trigger(created):
        raise bad_target(given, f"is of the type {type(created).__name__}; a trigger is needed")
    return created


def _parse_option(option: str, *, of: str) -> tuple[str, object]:
    name, equals, text = option.partition("=")
    if not name or not equals:
        raise typer.BadParameter(printable(f"{option!r} is not of the form name=value"), param_hint="OPTIONS")
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


def _parse_time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            printable(f"{text!r} is not a time; write it like 2030-01-31 or 2030-01-31T12:00"), param_hint="--from"
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


def _guarded(due_times: Iterator[DueTime]) -> Iterator[DueTime]:
    """Report an exception of a trigger, or a time that a datetime cannot represent, as an invalid argument."""
    try:
        yield from due_times
    except Exception as error:
        raise typer.BadParameter(f"the trigger raised {exception_text(error)}", param_hint="TRIGGER") from error


def _offset(local: datetime) -> timedelta:
    return local.utcoffset() or timedelta(0)


def _local_text(local: datetime) -> str:
    return printable(f"{local:%a %Y-%m-%d %H:%M:%S} {local.tzname()}")


def _signed(distance: timedelta) -> str:
    seconds = timedelta(seconds=round(distance.total_seconds()))
    return f"-{-seconds}" if seconds < timedelta(0) else f"+{seconds}"


def _as_json(trigger: Trigger, zone: tzinfo, begin: datetime, due_times: list[DueTime]) -> dict[str, object]:
    return {
        "trigger": f"{trigger}",
        "timezone": zone_name(zone),
        "from": begin.isoformat(),
        "due": [
            {"local": due.local.isoformat(), "utc": due.utc.isoformat(), "seconds": due.distance.total_seconds()}
            for due in due_times
        ],
    }
