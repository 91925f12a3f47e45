"""Texts of the reports of runs: progress, and failed attempts with log records."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, FiniteFloat, NonNegativeInt, PositiveInt

from asyncz.stores.records import UtcTime


class ReportedProgress(BaseModel, frozen=True, defer_build=True):
    """Last progress of a run on one node.

    Attributes:
        done: Amount of work that is done.
        total: Total amount of work; None if unknown.
        message: Text for people, redacted.
    """

    done: FiniteFloat
    total: FiniteFloat | None = None
    message: str = ""


class ReportedAttempt(BaseModel, frozen=True, defer_build=True):
    """Failed attempt of a run that another one follows.

    Attributes:
        attempt: Number of the attempt.
        started_at: Time at which the function was called.
        finished_at: Time of the failure.
        delay: Seconds until the next attempt is due.
        error: Class and text of the exception, redacted.
        traceback: Traceback as text, redacted.
    """

    attempt: PositiveInt
    started_at: UtcTime | None = None
    finished_at: UtcTime | None = None
    delay: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    error: str = ""
    traceback: str = ""

    @property
    def size(self) -> int:
        """Number of characters of the texts."""
        return len(self.error) + len(self.traceback)


class ReportedLog(BaseModel, frozen=True, defer_build=True):
    """Log record of a run.

    Attributes:
        at: Time of the record.
        level: Name of the level.
        logger: Name of the logger.
        message: Message, redacted.
    """

    at: UtcTime
    level: str
    logger: str
    message: str

    @property
    def size(self) -> int:
        """Number of characters of the texts."""
        return len(self.logger) + len(self.message)


class ReportDetails(BaseModel, frozen=True, defer_build=True):
    """Failed attempts and log records of a run on one node, the oldest first.

    Attributes:
        attempts: Last failed attempts.
        attempts_dropped: Number of older attempts that were dropped.
        logs: Last log records.
        logs_dropped: Number of older log records that were dropped.
    """

    attempts: tuple[ReportedAttempt, ...] = ()
    attempts_dropped: NonNegativeInt = 0
    logs: tuple[ReportedLog, ...] = ()
    logs_dropped: NonNegativeInt = 0


def progress_of_text(text: str | None) -> ReportedProgress | None:
    """Return a stored progress; None without one, or if another version has written it."""
    try:
        return None if text is None else ReportedProgress.model_validate_json(text)
    except ValueError:
        return None


def details_of_text(text: str | None) -> ReportDetails:
    """Return stored details; empty ones without any, or if another version has written them."""
    try:
        return ReportDetails() if text is None else ReportDetails.model_validate_json(text)
    except ValueError:
        return ReportDetails()
