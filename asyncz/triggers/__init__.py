"""When tasks are due."""

from asyncz.triggers.base import BaseTrigger
from asyncz.triggers.calendar import CalendarIntervalTrigger
from asyncz.triggers.combination import AndTrigger, OrTrigger
from asyncz.triggers.cron import CronTrigger
from asyncz.triggers.date import DateTrigger
from asyncz.triggers.interval import IntervalTrigger

__all__ = [
    "AndTrigger",
    "BaseTrigger",
    "CalendarIntervalTrigger",
    "CronTrigger",
    "DateTrigger",
    "IntervalTrigger",
    "OrTrigger",
]
