"""When tasks are due."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __all__: list[str]

    from asyncz.triggers.base import BaseTrigger as BaseTrigger
    from asyncz.triggers.calendar import CalendarIntervalTrigger as CalendarIntervalTrigger
    from asyncz.triggers.combination import AndTrigger as AndTrigger, OrTrigger as OrTrigger
    from asyncz.triggers.cron import CronTrigger as CronTrigger
    from asyncz.triggers.date import DateTrigger as DateTrigger
    from asyncz.triggers.interval import IntervalTrigger as IntervalTrigger
else:
    from asyncz._lazy import lazy_exports

    # Imported on first use: who has interval tasks need not load time zones.
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "asyncz.triggers.base": ("BaseTrigger",),
            "asyncz.triggers.calendar": ("CalendarIntervalTrigger",),
            "asyncz.triggers.combination": ("AndTrigger", "OrTrigger"),
            "asyncz.triggers.cron": ("CronTrigger",),
            "asyncz.triggers.date": ("DateTrigger",),
            "asyncz.triggers.interval": ("IntervalTrigger",),
        },
    )
