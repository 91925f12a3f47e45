"""Faults of worker processes and of the programs that start them, each with the smallest input."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncz import AsyncIOScheduler, DaskExecutor, ProcessPoolExecutor, TaskCancelled, UniversalExecutor
from tests.helpers.waiting import until
from tests.regressions.nested import NESTED, double

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WATCHDOG_SECONDS = 100
HEAD = """
import asyncio, os, sys, time
from asyncz import AsyncIOScheduler, ProcessPoolExecutor, current_run
"""
RUN_ONE = """
async def run_one(function, *arguments):
    async with AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(1)}) as scheduler:
        return await scheduler.add_task(function, *arguments, executor="cpu").result()
"""


def run_program(
    text: str, folder: Path, *arguments: str, status: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as a main module of its own."""
    path = folder / "program.py"
    path.write_text(HEAD + RUN_ONE + text)
    result = subprocess.run(
        [sys.executable, str(path), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=WATCHDOG_SECONDS,
        env={**os.environ, **environment},
    )
    assert result.returncode == status, result.stderr
    return result


def is_alive(pid: int) -> bool:
    """Return True if a process has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def wait_for_end(pid: int) -> None:
    """Wait for the end of a process that is not a child."""
    deadline = time.monotonic() + WATCHDOG_SECONDS
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_large_payload_is_released_and_copied_once() -> None:
    """An idle worker keeps nothing, and the parent needs no more than the pool of the standard library."""
    size = 100_000_000
    measured: dict[str, dict[str, int]] = {}
    for pool in ("asyncz", "concurrent.futures"):
        command = [sys.executable, "-m", "tests.regressions.memory", pool, f"{size}"]
        output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=WATCHDOG_SECONDS)
        measured[pool] = json.loads(output.stdout)
    ours, theirs = measured["asyncz"], measured["concurrent.futures"]
    assert ours["kept"] < size // 4
    for kind in ("argument", "result"):
        assert ours[kind] < theirs[kind] + size // 4


def test_asking_function_sees_the_death_of_its_parent(tmp_path: Path) -> None:
    """No orphan, and the function may clean up."""
    program = """
def work(begun, ended):
    with open(begun, "w") as file:
        file.write(str(os.getpid()))
    while not current_run().is_cancelled():
        pass
    open(ended, "w").close()

async def main(begun, ended):
    scheduler = AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(1)})
    await scheduler.start()
    scheduler.add_task(work, begun, ended, executor="cpu")
    while not os.path.exists(begun) or not open(begun).read():
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    os.kill(os.getpid(), 9)

if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
"""
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    result = run_program(program, tmp_path, str(begun), str(ended), status=-signal.SIGKILL)
    wait_for_end(int(begun.read_text()))
    assert ended.exists()
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("work", ["nothing", "a run", "a queue"])
def test_thread_without_block_ends_with_the_program(work: str, tmp_path: Path) -> None:
    """The exit of the interpreter is clean, and runs in progress are cancelled."""
    program = """
if __name__ == "__main__":
    thread = AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(1)}).in_thread().start()
    scheduler = thread.scheduler
    scheduler.on()(lambda event: print(type(event).__name__, flush=True))
    print(thread.run(scheduler.add_task(abs, -1, executor="cpu", trigger=None)))
    for _ in range({"nothing": 0, "a run": 1, "a queue": 9}[sys.argv[1]]):
        scheduler.add_task(time.sleep, 600, executor="cpu")
"""
    result = run_program(program, tmp_path, work)
    assert "Traceback" not in result.stderr
    lines = result.stdout.splitlines()
    assert "1" in lines
    assert lines.count("TaskCancelled") == {"nothing": 0, "a run": 1, "a queue": 9}[work]
    assert "TaskError" not in lines


async def test_runs_are_cancelled_from_any_thread() -> None:
    """`cancel_runs` in another thread requests what it requests on the loop."""
    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(asyncio.Event().wait, trigger=None, max_instances=2)
        assert await asyncio.to_thread(task.cancel_runs) == 0
        handles = [task.run(), task.run()]
        await until(lambda: task.state.running == 2)
        assert await asyncio.to_thread(task.cancel_runs) == 2
        for handle in handles:
            assert isinstance(await handle.notification(), TaskCancelled)


def test_long_temporary_folder_works(tmp_path: Path) -> None:
    """The path of a socket has a maximum length."""
    folder = tmp_path / ("x" * (112 - len(f"{tmp_path}")))
    folder.mkdir(exist_ok=True)
    program = "if __name__ == '__main__':\n    print(asyncio.run(run_one(abs, -1)))\n"
    assert run_program(program, tmp_path, TMPDIR=f"{folder}").stdout == "1\n"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("os.mkdir('gone'); os.chdir('gone'); os.rmdir(os.getcwd())", "the working directory does not exist"),
        ("del sys.modules['__main__']", "sys.modules has no '__main__'"),
    ],
)
def test_missing_part_of_a_program_is_named(change: str, expected: str, tmp_path: Path) -> None:
    """The error of the start names the missing part and the remedy."""
    program = f"os.chdir({f'{tmp_path}'!r})\n{change}\nasyncio.run(run_one(abs, -1))\n"
    result = run_program(program, tmp_path, status=1)
    assert "WorkerStartError" in result.stderr.splitlines()[-1]
    assert expected in result.stderr.splitlines()[-1]


INTERACTIVE = HEAD + RUN_ONE + "\ndef own(number):\n    return number\n\n"


def run_interpreter(arguments: list[str], function: str) -> subprocess.CompletedProcess[str]:
    """Run a program that has no file, from the standard input: it calls a function in a worker process."""
    return subprocess.run(
        [sys.executable, *arguments],
        input=f"{INTERACTIVE}print(asyncio.run(run_one({function}, -1)))\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=WATCHDOG_SECONDS,
    )


@pytest.mark.parametrize("arguments", [["-"], ["-i"], ["-c", INTERACTIVE + "print(asyncio.run(run_one(abs, -1)))"]])
def test_program_without_a_file_uses_other_modules(arguments: list[str]) -> None:
    """`python -`, `python -c` and the interactive interpreter."""
    result = run_interpreter(arguments, "abs")
    assert result.stdout == "1\n", result.stderr


@pytest.mark.parametrize("arguments", [["-"], ["-i"]])
def test_function_of_interactive_program_is_explained(arguments: list[str]) -> None:
    """A function of the main module, which workers cannot import."""
    result = run_interpreter(arguments, "own")
    assert result.stdout == ""
    # The log shows the error, too.
    lines = [line for line in result.stderr.splitlines() if line.startswith("asyncz.exceptions.SerializationError")]
    line = lines[-1]
    assert "__main__:own" in line
    assert "the main module is not a file" in line
    assert "top level of a module" in line


def test_forked_program_has_pools_of_its_own(tmp_path: Path) -> None:
    """`os.fork()` after a pool was used; pools of both processes work afterwards."""
    program = """
if __name__ == "__main__":
    print(asyncio.run(run_one(abs, -1)), flush=True)
    child = os.fork()
    print(asyncio.run(run_one(abs, -2 if child else -3)), flush=True)
    if child:
        assert os.waitpid(child, 0)[1] == 0
        print(asyncio.run(run_one(abs, -4)), flush=True)
"""
    result = run_program(program, tmp_path)
    assert sorted(result.stdout.split()) == ["1", "2", "3", "4"]


def test_fork_while_a_pool_is_used_disturbs_neither(tmp_path: Path) -> None:
    """`os.fork()` while runs are in progress."""
    program = """
async def main():
    async with AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(1)}) as scheduler:
        await scheduler.add_task(abs, -1, executor="cpu").result()
        handle = scheduler.add_task(time.sleep, 1, executor="cpu", trigger=None).run()
        child = os.fork()
        if not child:
            asyncio._set_running_loop(None)
            print(asyncio.run(run_one(abs, -2)), flush=True)
            os._exit(0)
        await handle
        print(await scheduler.add_task(abs, -3, executor="cpu").result(), flush=True)
        assert (await asyncio.to_thread(os.waitpid, child, 0))[1] == 0

if __name__ == "__main__":
    asyncio.run(main())
"""
    assert sorted(run_program(program, tmp_path).stdout.split()) == ["2", "3"]


async def double_on(executor: UniversalExecutor, function: Callable[[int], int]) -> int:
    """Return the result of a function for 4."""
    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        return await scheduler.add_task(function, 4, executor="under_test").result()


@pytest.mark.parametrize("function", NESTED, ids=lambda function: function.__name__)
async def test_run_in_a_worker_process_starts_processes(function: Callable[[int], int]) -> None:
    """Workers may have processes of their own."""
    assert await double_on(ProcessPoolExecutor(1), function) == double(4)


@pytest.mark.xdist_group("cluster")
@pytest.mark.parametrize("function", NESTED, ids=lambda function: function.__name__)
async def test_run_on_a_started_cluster_starts_processes(function: Callable[[int], int]) -> None:
    """The workers of a cluster are daemons by default, which may not have processes."""
    executor = DaskExecutor(cluster_kwargs={"n_workers": 1, "threads_per_worker": 1})
    assert await double_on(executor, function) == double(4)
