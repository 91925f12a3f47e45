"""When tasks are due."""

from asyncz.triggers.date import DateTrigger
from asyncz.triggers.interval import IntervalTrigger

__all__ = ["DateTrigger", "IntervalTrigger"]
