"""Triggers: the due times of tasks."""

from typing import TYPE_CHECKING

__all__ = [
    "AndTrigger",
    "BaseTrigger",
    "CalendarIntervalTrigger",
    "CronTrigger",
    "DateTrigger",
    "IntervalTrigger",
    "OrTrigger",
]

if TYPE_CHECKING:
    from asyncz.triggers.base import AndTrigger as AndTrigger, BaseTrigger as BaseTrigger, OrTrigger as OrTrigger
    from asyncz.triggers.calendar import CalendarIntervalTrigger as CalendarIntervalTrigger
    from asyncz.triggers.cron import CronTrigger as CronTrigger
    from asyncz.triggers.date import DateTrigger as DateTrigger
    from asyncz.triggers.interval import IntervalTrigger as IntervalTrigger
else:
    from asyncz._lazy import lazy_exports

    # Imported on first use, because a program with interval triggers does not need time zones.
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "asyncz.triggers.base": ("AndTrigger", "BaseTrigger", "OrTrigger"),
            "asyncz.triggers.calendar": ("CalendarIntervalTrigger",),
            "asyncz.triggers.cron": ("CronTrigger",),
            "asyncz.triggers.date": ("DateTrigger",),
            "asyncz.triggers.interval": ("IntervalTrigger",),
        },
    )
