"""A process that is killed around the commit of a transaction that finishes a run."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asyncz.stores._admin_urls import opened_admin
from tests.helpers.connections import connect
from tests.helpers.forked import Program
from tests.helpers.paths import PROJECT
from tests.helpers.postgres import new_schema
from tests.stores.test_processes import history, lines, wait_for

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.xdist_group("postgres")]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store in a database with a table of the user."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/store.db"
    else:
        url = new_schema(request.getfixturevalue("postgres_server"))
    with opened_admin(url, "create") as admin:
        admin.migrate()
    with contextlib.closing(connect(url)) as connection:
        connection.execute("CREATE TABLE orders (id integer)")
        connection.commit()
    return url


@contextmanager
def node(url: str, folder: Path, *options: str) -> Iterator[Program]:
    with Program(["-m", "tests.stores.finish_processes", url, str(folder), *options], cwd=PROJECT, stdout=2) as process:
        try:
            yield process
        finally:
            process.terminate()
            _ = process.communicate(timeout=60)


def count(folder: Path, name: str) -> int:
    return sum(line.startswith(f"{name} ") for line in lines(folder))


def orders(url: str) -> int:
    with contextlib.closing(connect(url)) as connection:
        return len(connection.execute("SELECT id FROM orders").fetchall())


@pytest.mark.parametrize(("moment", "calls"), [("before", 2), ("after", 1)])
async def test_killed_run_has_its_effects_once(url: str, tmp_path: Path, moment: str, calls: int) -> None:
    (tmp_path / f"kill-{moment}").touch()
    with node(url, tmp_path, "submit") as victim:
        assert victim.wait(60) == -signal.SIGKILL
    assert orders(url) == (1 if moment == "after" else 0)
    with node(url, tmp_path):
        # The downstream run is stored by the transaction: a node runs it, whichever has finished the first run.
        wait_for(lambda: count(tmp_path, "noted") == 1)
        # By now the lease of the killed node is over.
        (tmp_path / "kill-before").touch()
        with node(url, tmp_path, "submit") as second:
            assert second.wait(60) == -signal.SIGKILL
        wait_for(lambda: count(tmp_path, "noted") == 2)
    assert (count(tmp_path, "called"), orders(url)) == (calls + 2, 2)
    runs = [run for run in await history(url) if run.task_id == "book"]
    assert [(run.state, run.result) for run in runs] == [("executed", json.dumps(str(tmp_path)))] * 2
