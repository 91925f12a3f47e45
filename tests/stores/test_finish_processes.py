"""A process that is killed around the commit of a transaction that finishes a run."""

from __future__ import annotations

import json
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.connections import orders, with_orders
from tests.helpers.postgres import new_schema
from tests.stores.test_processes import count, history, node_of, wait_for

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.xdist_group("postgres")]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store in a database with a table of the user."""
    if request.param == "sqlite":
        return with_orders(f"sqlite:///{tmp_path}/store.db")
    return with_orders(new_schema(request.getfixturevalue("postgres_server")))


node = partial(node_of, "tests.stores.finish_processes")


@pytest.mark.parametrize(("moment", "calls"), [("before", 2), ("after", 1)])
async def test_killed_run_has_its_effects_once(url: str, tmp_path: Path, moment: str, calls: int) -> None:
    (tmp_path / f"kill-{moment}").touch()
    with node(url, tmp_path, "submit") as victim:
        assert victim.wait(60) == -signal.SIGKILL
    assert orders(url) == (1 if moment == "after" else 0)
    with node(url, tmp_path) as first:
        # The downstream run is stored by the transaction: a node runs it, whichever has finished the first run.
        wait_for(lambda: count(tmp_path, "noted") == 1)
        # By now the lease of the killed node is over.
        (tmp_path / "kill-before").touch()
        # Either node may claim the run.
        with node(url, tmp_path, "submit") as second:
            wait_for(lambda: {first.poll(), second.poll()} == {None, -signal.SIGKILL})
            wait_for(lambda: count(tmp_path, "noted") == 2)
    assert (count(tmp_path, "called"), orders(url)) == (calls + 2, 2)
    runs = [run for run in await history(url) if run.task_id == "book"]
    assert [(run.state, run.result) for run in runs] == [("executed", json.dumps(str(tmp_path)))] * 2
