"""An app with four workers of uvicorn and one store: each due time once, also if a worker is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from asyncz.stores import NodeRecord
from tests.helpers.paths import PROJECT
from tests.stores.processes import TASKS
from tests.stores.test_processes import TTL, check_each_due_time_once, history, lines, store_of, url, wait_for

__all__ = ["url"]

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.xdist_group("postgres_nodes")]


@contextmanager
def served(url: str, folder: Path) -> Iterator[str]:
    """Serve the app with four workers, and return its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening, (folder / "log").open("w") as log:
        number = listening.fileno()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "tests.stores.web_app:make_app", "--factory"),
                *("--workers", "4", "--fd", f"{number}"),
            ],
            stdout=log,
            stderr=log,
            pass_fds=[number],
            cwd=PROJECT,
            env={**os.environ, "ASYNCZ_TEST_STORE": url, "ASYNCZ_TEST_FOLDER": str(folder)},
        )
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    text = (folder / "log").read_text()
    assert "Traceback" not in text, text


def process_ids(folder: Path) -> set[int]:
    """Return the ids of the workers that have run a task."""
    return {int(line.split()[1]) for line in lines(folder)}


async def nodes(url: str) -> set[int]:
    """Return the process ids of the workers whose schedulers use the store now."""
    session = await store_of(url).connect(NodeRecord(id=uuid4().hex), TTL)
    found = await session.nodes()
    await session.close()
    return {int(node.name.rpartition(":")[2]) for node in found if node.name}


async def wait_for_nodes(url: str, reached: Callable[[set[int]], bool]) -> set[int]:
    async with asyncio.timeout(60):
        while not reached(found := await nodes(url)):
            await asyncio.sleep(0.1)
    return found


async def test_four_workers_fire_each_due_time_once(url: str, tmp_path: Path) -> None:
    with served(url, tmp_path) as address:
        first = await wait_for_nodes(url, lambda found: len(found) == 4)
        wait_for(lambda: len(lines(tmp_path)) >= TASKS * 2)
        async with httpx.AsyncClient() as client:
            assert int((await client.get(address, timeout=60)).text) in first
        victim = min(process_ids(tmp_path))
        os.kill(victim, signal.SIGKILL)
        # The server starts another one.
        _ = await wait_for_nodes(url, lambda found: len(found) == 4 and victim not in found)
        count = len(lines(tmp_path))
        wait_for(lambda: len(lines(tmp_path)) >= count + TASKS * 3)
        assert f"{victim}" not in {line.split()[1] for line in lines(tmp_path)[count:]}
        assert len(process_ids(tmp_path)) > 1
    runs = await history(url)
    check_each_due_time_once(runs)
    assert not [run for run in runs if run.state in {"running", "error"}]
