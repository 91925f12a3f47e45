"""Options of a command that describe a new trigger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import typer

from asyncz._text import printable
from asyncz.cli._durations import duration_of
from asyncz.triggers._timezones import utc_time, zone_of

_HINT = "--every, --cron, --at or --on-demand"


def trigger_body(
    every: str | None, cron: str | None, at: str | None, timezone: str, *, on_demand: bool
) -> Mapping[str, object]:
    """Return a trigger as the body of a request describes it.

    Args:
        every: Interval, such as `15m`.
        cron: Cron expression.
        at: The only due time, in ISO format.
        timezone: Time zone of `cron` and `at`.
        on_demand: True for a task without due times.

    Raises:
        BadParameter: Not exactly one trigger is given, or it is not valid.
        InvalidInputError: The time zone is not known.
    """
    if sum((every is not None, cron is not None, at is not None, on_demand)) != 1:
        raise typer.BadParameter("pass exactly one trigger", param_hint=_HINT)
    if every is not None:
        return {"type": "interval", "seconds": duration_of(every, "--every").total_seconds()}
    if cron is not None:
        return {"type": "cron", "expression": cron, "timezone": timezone}
    return {"type": "on_demand"} if at is None else {"type": "date", "run_at": _time(at, timezone)}


def _time(text: str, timezone: str) -> str:
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        message = printable(f"{text!r} is not a time; write it like 2030-01-31T12:00")
        raise typer.BadParameter(message, param_hint="--at") from None
    return utc_time("--at", given, zone_of(timezone)).isoformat()
