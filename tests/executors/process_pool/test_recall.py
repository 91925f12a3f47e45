"""Runs that were sent to a worker in advance and are recalled."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from asyncz import AsyncIOScheduler, ProcessPoolExecutor, RunHandle, TaskCancelledError, WorkerLostError
from asyncz.config import ProcessPoolKwargs
from asyncz.executors.process_pool import _prefetch
from tests.helpers import payloads
from tests.helpers.executors import start_run
from tests.helpers.waiting import process_id_in

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(autouse=True)
def long_prefetch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send many runs in advance, however slow the machine is."""
    monkeypatch.setattr(_prefetch, "SECONDS_IN_FLIGHT", 60.0)


class Blocked:
    """A run that holds its worker until `go_on` is called, with many others submitted right behind it."""

    def __init__(self, scheduler: AsyncIOScheduler, folder: Path, name: str, behind: int) -> None:
        self._mark, self._go_on = folder / f"{name}-mark", folder / f"{name}-go-on"
        self.notes = folder / f"{name}-notes"
        self.handle = start_run(scheduler, payloads.mark_and_wait, str(self._mark), str(self._go_on))
        self.behind = [start_run(scheduler, payloads.note_once, str(self.notes), number) for number in range(behind)]

    async def started(self) -> int:
        return await process_id_in(self._mark)

    def go_on(self) -> None:
        self._go_on.touch()


@asynccontextmanager
async def pool_of_short_runs(
    workers: int, pool_kwargs: ProcessPoolKwargs | None = None
) -> AsyncGenerator[AsyncIOScheduler]:
    """Start a pool that has measured short runs."""
    executor = ProcessPoolExecutor(workers, pool_kwargs)
    async with asyncio.timeout(60), AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        await asyncio.gather(*[start_run(scheduler, payloads.add, 1, 1) for _ in range(20)])
        yield scheduler


def noted(path: Path) -> list[int]:
    return sorted(int(line) for line in path.read_text().split())


async def test_prefetched_runs_move_to_free_worker(tmp_path: Path) -> None:
    """Recall the runs that were sent behind a long run."""
    async with pool_of_short_runs(2) as scheduler:
        other = Blocked(scheduler, tmp_path, "other", behind=0)
        await other.started()
        blocked = Blocked(scheduler, tmp_path, "blocked", behind=100)
        await blocked.started()
        other.go_on()
        assert [await handle for handle in blocked.behind] == list(range(100))
        assert not blocked.handle.done()
        blocked.go_on()
        assert await blocked.handle != await other.handle
    assert noted(blocked.notes) == list(range(100))


async def test_recalled_runs_may_return_to_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_prefetch, "SECONDS_UNTIL_RECALL", 60.0)

    async with pool_of_short_runs(1) as scheduler:
        for name in ("first", "second"):
            blocked = Blocked(scheduler, tmp_path, name, behind=100)
            victim = blocked.behind.pop()
            await blocked.started()
            # A cancellation recalls the run, together with the others.
            assert victim.cancel()
            with pytest.raises(TaskCancelledError):
                await victim
            blocked.go_on()
            assert [await handle for handle in blocked.behind] == list(range(99))
            assert noted(blocked.notes) == list(range(99))
        state = scheduler.state.executors[0]
        assert (state.lost_workers, state.replaced_workers) == (0, 0)


async def test_dead_worker_keeps_no_recalled_runs(tmp_path: Path) -> None:
    async with pool_of_short_runs(2) as scheduler:
        other = Blocked(scheduler, tmp_path, "other", behind=0)
        await other.started()
        blocked = Blocked(scheduler, tmp_path, "blocked", behind=100)
        process_id = await blocked.started()
        other.go_on()
        await blocked.behind[0]
        os.kill(process_id, signal.SIGKILL)
        with pytest.raises(WorkerLostError):
            await blocked.handle
        assert [await handle for handle in blocked.behind] == list(range(100))
        assert noted(blocked.notes) == list(range(100))


@pytest.mark.parametrize("max_tasks_per_child", [None, 150])
async def test_mixed_runs_execute_once(max_tasks_per_child: int | None, tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    kwargs: ProcessPoolKwargs = {} if max_tasks_per_child is None else {"max_tasks_per_child": max_tasks_per_child}
    async with pool_of_short_runs(2, kwargs) as scheduler:
        handles: list[RunHandle[int]] = []
        for number in range(400):
            if number % 20 == 10:
                handles.append(start_run(scheduler, payloads.note_after, str(notes), number, 0.01))
            else:
                handles.append(start_run(scheduler, payloads.note_once, str(notes), number))
        assert [await handle for handle in handles] == list(range(400))
    assert noted(notes) == list(range(400))
