"""A short storm: no run is lost, doubled or told out of order, and nothing stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from logging import NOTSET, getLogger

import pytest

from tests.chaos.storm import Storm


@pytest.fixture(autouse=True)
def levels_restored() -> Iterator[None]:
    yield
    getLogger("asyncz").setLevel(NOTSET)


# Without descriptors, asyncio leaves event loops behind that are half made.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seed", [1, 2])
def test_every_run_ends_once_while_workers_are_killed(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    storm = Storm(runs=400, seconds=20, seed=seed, kill_every=0.15)
    assert asyncio.run(storm.run()), capsys.readouterr().out
    assert storm.killed
    assert sum(len(account.submitted) for account in storm.ledger.accounts.values()) > 1000
    of_processes = storm.ledger.accounts["processpool"].kinds
    assert of_processes.keys() >= {"executed", "error"}
