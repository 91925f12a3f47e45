"""Exceptions whose truth or length is user code that raises."""

from __future__ import annotations

import logging
from typing import Never

import pytest
from typing_extensions import override

from asyncz import AsyncIOScheduler, TaskError

pytestmark = pytest.mark.anyio


class NoTruthError(Exception):
    def __bool__(self) -> Never:
        raise SystemExit(3)

    def __len__(self) -> Never:
        raise SystemExit(3)


def fail() -> None:
    raise NoTruthError("as intended")


class Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[logging.LogRecord] = []

    @override
    def handle(self, record: logging.LogRecord) -> bool:
        self.kept.append(record)
        return True


async def test_exception_without_truth_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of a failed run is not lost because `logging` asks its exception for its truth."""
    keeper = Keeper()
    logger = logging.getLogger("asyncz.scheduler")
    monkeypatch.setattr(logger, "handlers", [keeper])
    monkeypatch.setattr(logger, "propagate", False)
    async with AsyncIOScheduler() as scheduler:
        outcome = await scheduler.add_task(fail, trigger=None, id="failing").run().notification()
    assert isinstance(outcome, TaskError)
    assert [record.exc_info[0] for record in keeper.kept if record.exc_info] == [NoTruthError]
