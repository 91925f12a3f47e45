"""The application `tests.examples.ingest`: a strictly typed user of the library."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import create_autospec

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    DebugExecutor,
    Executor,
    FunctionMismatchError,
    ThreadPoolExecutor,
    Trigger,
    UniversalExecutor,
)
from asyncz.testing import ExecutorConformance, FakeClock, RestrictedExecutorConformance, TriggerConformance
from tests.examples.ingest.__main__ import SITE, Site, ingest_once
from tests.examples.ingest.executors import ChecksumExecutor, MeasuringExecutor, SerialExecutor
from tests.examples.ingest.fetching import announce, calls, fetch
from tests.examples.ingest.models import Feed, Page, Stored
from tests.examples.ingest.parsing import parse
from tests.examples.ingest.service import Ingest, Service
from tests.examples.ingest.storage import Repository
from tests.examples.ingest.triggers import OfficeHours

pytestmark = pytest.mark.anyio

START = datetime(2030, 1, 1, 9, tzinfo=UTC)
WEATHER = Feed("weather", "https://example.org/weather", "high")


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    made = Repository(tmp_path / "documents.db")
    yield made
    made.close()


def make_ingest(repository: Repository, clock: FakeClock | None = None) -> Ingest:
    measured = MeasuringExecutor(DebugExecutor())
    scheduler = AsyncIOScheduler(executors={"cpu": measured, "disk": DebugExecutor()}, clock=clock)
    return Ingest(scheduler, Site(SITE), repository)


async def test_feed_is_fetched_parsed_and_stored_on_schedule(repository: Repository) -> None:
    clock = FakeClock(START)
    ingest = make_ingest(repository, clock)
    async with ingest.scheduler:
        ingest.add_feed(WEATHER)
        await clock.advance(minutes=2)
    assert [stored.new for stored in ingest.stored] == [2, 0]
    assert repository.count("weather") == 2
    assert ingest.status() == {"weather.fetch": "ok", "weather.parse": "ok", "weather.store": "ok"}
    assert len(calls["fetch"]) >= 2


async def test_failed_feed_is_reported(repository: Repository) -> None:
    ingest = make_ingest(repository)
    async with ingest.scheduler:
        ingest.add_feed(Feed("broken", "https://example.org/broken"))
        with pytest.raises(OSError, match="does not answer"):
            await ingest.scheduler.tasks_of(fetch).get("broken-fetch").run()
        with pytest.raises(FunctionMismatchError, match="parse"):
            ingest.scheduler.tasks_of(parse).get("broken-fetch")
    assert ingest.problems == ["broken-fetch: https://example.org/broken does not answer"]


async def test_restricted_executor_computes_checksums(repository: Repository) -> None:
    ingest = make_ingest(repository)
    async with ingest.scheduler:
        assert await ingest.add_checksum(Page("weather", b"\1\2")).result() == b"\0\0\0\3"


async def test_function_with_any_keeps_its_result_type() -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.call(announce, {"kind": "new"}, retries=2).add(trigger=None)
        text: str = await task.run()
    assert text == "new:2"


async def test_repository_can_be_replaced_by_a_mock() -> None:
    repository = create_autospec(Repository, instance=True)
    repository.store.return_value = Stored("weather", 7, START)
    ingest = make_ingest(repository)
    async with ingest.scheduler:
        ingest.add_feed(WEATHER)
        await ingest.scheduler.tasks_of(fetch).get("weather-fetch").run()
    assert [stored.new for stored in ingest.stored] == [7]


def test_web_application_fetches_now(repository: Repository) -> None:
    # Here, as FastAPI takes half a second.
    from tests.examples.ingest.web import make_app

    with warnings.catch_warnings():
        # Starlette prefers another client than the one that the test dependencies bring.
        warnings.simplefilter("ignore")
        from fastapi.testclient import TestClient

    ingest = make_ingest(repository)
    service: Service = ingest
    ingest.add_feed(WEATHER)
    with TestClient(make_app(ingest)) as client:
        assert client.post("/feeds/weather/fetch").json() == len(SITE[WEATHER.url])
        assert client.post("/feeds/other/fetch").status_code == 404
        assert client.get("/state").json()["status"] == "running"
        assert client.get("/status").json() == service.status()


@pytest.mark.slow
async def test_program_uses_its_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = await ingest_once(tmp_path)
    assert sorted((each.feed, each.new) for each in stored) == [("tides", 1), ("weather", 2)]
    assert "does not answer" in capsys.readouterr().out


class TestSerialExecutor(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return SerialExecutor()


class TestMeasuringExecutor(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return MeasuringExecutor(ThreadPoolExecutor(max_workers=2))


class TestChecksumExecutor(RestrictedExecutorConformance[bytes]):
    @override
    def make_executor(self) -> Executor[bytes]:
        return ChecksumExecutor()

    @override
    def make_result(self, number: int, /) -> bytes:
        return number.to_bytes(4, "big")


class TestOfficeHours(TriggerConformance):
    @override
    def make_trigger(self) -> Trigger:
        return OfficeHours(timedelta(minutes=30))
