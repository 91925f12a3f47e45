"""What a worker process was sent in advance runs elsewhere when it would have to wait, and never twice."""

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
from tests import functions
from tests.test_worker_faults import process_id_in, run


class Blocked:
    """A run that holds its worker until it is told to go on, with many others submitted right behind it."""

    def __init__(self, scheduler: AsyncIOScheduler, folder: Path, name: str, behind: int) -> None:
        self._mark, self._go_on = folder / f"{name}-mark", folder / f"{name}-go-on"
        self.notes = folder / f"{name}-notes"
        self.handle = run(scheduler, functions.mark_and_wait, str(self._mark), str(self._go_on))
        self.behind = [run(scheduler, functions.note_once, str(self.notes), number) for number in range(behind)]

    async def started(self) -> int:
        return await process_id_in(self._mark)

    def go_on(self) -> None:
        self._go_on.touch()


@pytest.fixture(autouse=True)
def much_is_sent_in_advance(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, and so its runs."""
    monkeypatch.setattr(_prefetch, "SECONDS_IN_FLIGHT", 60.0)


@asynccontextmanager
async def pool_of_short_runs(
    workers: int, pool_kwargs: ProcessPoolKwargs | None = None
) -> AsyncGenerator[AsyncIOScheduler]:
    """A pool that knows its runs to be short."""
    executor = ProcessPoolExecutor(workers, pool_kwargs)
    async with asyncio.timeout(60), AsyncIOScheduler(executors={"tried": executor}) as scheduler:
        await asyncio.gather(*[run(scheduler, functions.add, 1, 1) for _ in range(20)])
        yield scheduler


def noted(path: Path) -> list[int]:
    return sorted(int(line) for line in path.read_text().split())


def test_what_was_sent_behind_a_long_run_runs_on_the_worker_that_gets_free(tmp_path: Path) -> None:
    async def main() -> None:
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

    asyncio.run(main())


def test_what_was_taken_back_may_be_sent_to_the_same_worker_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_prefetch, "SECONDS_UNTIL_RECALL", 60.0)

    async def main() -> None:
        async with pool_of_short_runs(1) as scheduler:
            for name in ("first", "second"):
                blocked = Blocked(scheduler, tmp_path, name, behind=100)
                victim = blocked.behind.pop()
                await blocked.started()
                # To be cancelled it has to be taken back, and so have the others.
                assert victim.cancel()
                with pytest.raises(TaskCancelledError):
                    await victim
                blocked.go_on()
                assert [await handle for handle in blocked.behind] == list(range(99))
                assert noted(blocked.notes) == list(range(99))
            state = scheduler.state.executors[0]
            assert (state.lost_workers, state.replaced_workers) == (0, 0)

    asyncio.run(main())


def test_a_worker_that_dies_takes_nothing_along_that_was_taken_back_from_it(tmp_path: Path) -> None:
    async def main() -> None:
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

    asyncio.run(main())


@pytest.mark.parametrize("max_tasks_per_child", [None, 150])
def test_every_run_of_a_mixture_runs_exactly_once(max_tasks_per_child: int | None, tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    async def main() -> None:
        kwargs: ProcessPoolKwargs = {} if max_tasks_per_child is None else {"max_tasks_per_child": max_tasks_per_child}
        async with pool_of_short_runs(2, kwargs) as scheduler:
            handles: list[RunHandle[int]] = []
            for number in range(400):
                if number % 20 == 10:
                    handles.append(run(scheduler, functions.note_after, str(notes), number, 0.01))
                else:
                    handles.append(run(scheduler, functions.note_once, str(notes), number))
            assert [await handle for handle in handles] == list(range(400))

    asyncio.run(main())
    assert noted(notes) == list(range(400))
