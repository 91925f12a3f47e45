"""Log records of functions on a Dask cluster arrive in the process of the scheduler."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Protocol

import pytest
from typing_extensions import override

from asyncz import AsyncIOScheduler, DaskExecutor, current_run
from asyncz.executors.dask import _client_protocol, _worker_logging
from tests.helpers import payloads
from tests.helpers.executors import start_run

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("cluster"), pytest.mark.slow]


class LocalCluster(_client_protocol.Cluster, Protocol):
    scheduler_address: str


class LocalClusterFactory(Protocol):
    def __call__(self, *, asynchronous: bool, **options: object) -> LocalCluster: ...


@pytest.fixture
async def scheduler(cluster: str) -> AsyncIterator[AsyncIOScheduler]:
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)}) as scheduler:
        yield scheduler


def log_many(number: int) -> None:
    for each in range(number):
        logging.getLogger("under_test").warning("%d", each)


async def log_in_coroutine() -> None:
    await asyncio.sleep(0)
    logging.getLogger("under_test").warning("from %s", current_run().task_id, extra={"asyncz_test": 3, "bad": object()})


def log_error(length: int) -> None:
    try:
        raise ValueError("x" * length)
    except ValueError:
        logging.getLogger("under_test").exception("é" * length)


def records_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "under_test"]


async def test_dask_records_name_run(scheduler: AsyncIOScheduler, caplog: pytest.LogCaptureFixture) -> None:
    ended = (
        await scheduler.add_task(log_in_coroutine, id="logging", executor="under_test", trigger=None)
        .run()
        .notification()
    )
    [record] = records_of(caplog)
    assert record.getMessage() == "from logging"
    fields = {name: value for name, value in vars(record).items() if name.startswith("asyncz_")}
    assert fields == {
        "asyncz_task": "logging",
        "asyncz_run": f"{ended.details.run_id}",
        "asyncz_attempt": 1,
        "asyncz_test": 3,
    }
    assert ended.details.worker is not None
    assert record.process == ended.details.worker.pid


async def test_dask_records_precede_outcome(scheduler: AsyncIOScheduler, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        caplog.clear()
        await start_run(scheduler, log_many, 100)
        assert [record.getMessage() for record in records_of(caplog)] == [f"{each}" for each in range(100)]


async def test_dask_records_of_attempt_are_limited(
    scheduler: AsyncIOScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    await start_run(scheduler, log_many, 3_000)
    assert len(records_of(caplog)) == _worker_logging.MAX_RECORDS
    [last] = [record for record in caplog.records if record.name == "asyncz.executors"]
    assert "after the first 1000" in last.getMessage()
    assert hasattr(last, "asyncz_run")


async def test_dask_long_record_is_shortened(scheduler: AsyncIOScheduler, caplog: pytest.LogCaptureFixture) -> None:
    await start_run(scheduler, log_error, 200_000)
    [record] = records_of(caplog)
    assert (record.getMessage(), record.levelname) == ("é" * 2_000 + "…", "ERROR")
    assert record.exc_text is not None
    assert len(record.exc_text) == 2_001
    assert hasattr(record, "asyncz_run")


async def test_dask_records_in_own_process_come_once(caplog: pytest.LogCaptureFixture) -> None:
    make_cluster: LocalClusterFactory = import_module("distributed").LocalCluster
    cluster = make_cluster(asynchronous=True, processes=False, n_workers=1, dashboard_address=None)
    await cluster
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster.scheduler_address)}) as scheduler:
        await start_run(scheduler, log_many, 1)
    assert len(records_of(caplog)) == 1
    await cluster.close()


class HangingHandler(logging.Handler):
    """Handler that waits at each record."""

    def __init__(self) -> None:
        super().__init__()
        self.is_over = threading.Event()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.is_over.wait(30)


@contextmanager
def hanging_handler() -> Iterator[None]:
    handler, logger = HangingHandler(), logging.getLogger("under_test")
    logger.addHandler(handler)
    try:
        yield
    finally:
        handler.is_over.set()
        logger.removeHandler(handler)


async def test_dask_hanging_handler_delays_its_run_only(scheduler: AsyncIOScheduler) -> None:
    with hanging_handler():
        hanging = scheduler.add_task(log_many, 1, executor="under_test", trigger=None, timeout=0.5).run()
        assert await start_run(scheduler, payloads.add, 1, 2) == 3
    _ = await hanging.notification()
