"""Programs that end without a shutdown."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import pytest

pytestmark = pytest.mark.slow

STATUS = {"return": 0, "raise": 1, "exit": 3, "shutdown": 0}


PROGRAM = """
import asyncio, functools, sys, threading, time
from pathlib import Path
from asyncz import AsyncIOScheduler
from asyncz.executors import ProcessPoolExecutor, ThreadPoolExecutor, AsyncIOExecutor, DebugExecutor

MAKERS = {
    "asyncio": AsyncIOExecutor,
    "threadpool": functools.partial(ThreadPoolExecutor, 1),
    "processpool": functools.partial(ProcessPoolExecutor, 1),
    "debug": DebugExecutor,
}
forgotten = None

def mark(path):
    Path(path).touch()

def until_exists(path):
    deadline = time.monotonic() + 60
    while not Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.01)

async def endless():
    await asyncio.Event().wait()

async def main(kind, work, end, go_on):
    global forgotten
    scheduler = forgotten = AsyncIOScheduler(executors={"under_test": MAKERS[kind]()})
    await scheduler.start()
    print(await scheduler.add_task(abs, -1, executor="under_test").result(), flush=True)
    if work == "coroutine":
        scheduler.add_task(endless, executor="under_test", id="endless")
    elif work == "process":
        scheduler.add_task(time.sleep, 600, executor="under_test", id="endless")
    elif work == "function":
        asyncio.get_running_loop().set_default_executor(__import__("concurrent.futures").futures.ThreadPoolExecutor(1))
        scheduler.add_task(until_exists, go_on, executor="under_test", id="obstinate")
        # It would take for ever, and has not begun.
        scheduler.add_task(time.sleep, 600, executor="under_test", id="behind")
    while work != "idle" and not any(task.state.submitted for task in scheduler.tasks):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    if end == "raise":
        raise RuntimeError("the end of main")
    if end == "exit":
        sys.exit(3)
    if end == "shutdown":
        await scheduler.shutdown(wait=False)

if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
"""


class Program:
    """The program, running."""

    def __init__(self, folder: Path, kind: str, work: str, end: str) -> None:
        self.folder = folder
        path = folder / "program.py"
        path.write_text(PROGRAM)
        command = [sys.executable, str(path), kind, work, end, str(folder / "go-on")]
        with (folder / "output").open("w") as output, (folder / "errors").open("w") as errors:
            self.process = subprocess.Popen(command, stdout=output, stderr=errors)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    @property
    def errors(self) -> str:
        return (self.folder / "errors").read_text()

    def status(self) -> int:
        """Its exit status; one that hangs fails the test."""
        return self.process.wait(timeout=60)

    def line_with(self, text: str) -> str:
        """The line of its errors with that text, which is to come while it runs."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in self.errors.splitlines():
                if text in line:
                    return line
            time.sleep(0.01)
        raise AssertionError(self.errors)


@pytest.mark.parametrize("end", ["return", "raise", "exit"])
@pytest.mark.parametrize(
    ("kind", "work"),
    [
        ("asyncio", "idle"),
        ("asyncio", "coroutine"),
        ("threadpool", "idle"),
        ("processpool", "idle"),
        ("processpool", "coroutine"),
        ("processpool", "process"),
        ("debug", "idle"),
    ],
)
def test_forgotten_scheduler_does_not_block_exit(kind: str, work: str, end: str, tmp_path: Path) -> None:
    with Program(tmp_path, kind, work, end) as program:
        assert program.status() == STATUS[end], program.errors
        assert program.output == "1\n"
        assert ("the end of main" in program.errors) == (end == "raise")
        assert "Exception ignored" not in program.errors
        assert "leaked" not in program.errors


@pytest.mark.parametrize("end", ["return", "raise", "shutdown"])
@pytest.mark.parametrize("kind", ["asyncio", "threadpool"])
def test_exit_names_task_it_waits_for(kind: str, end: str, tmp_path: Path) -> None:
    with Program(tmp_path, kind, "function", end) as program:
        line = program.line_with("have returned")
        assert "'obstinate'" in line
        assert "'behind'" not in line
        # It was said while the function ran: that ends only now.
        (tmp_path / "go-on").touch()
        assert program.status() == STATUS[end]


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool", "debug"])
def test_exit_after_shutdown_is_silent(kind: str, tmp_path: Path) -> None:
    with Program(tmp_path, kind, "idle", "shutdown") as program:
        assert program.status() == 0
        assert (program.output, program.errors) == ("1\n", "")


def test_missing_main_guard_reported(tmp_path: Path) -> None:
    program = tmp_path / "unguarded.py"
    program.write_text(
        "import asyncio\nfrom asyncz import AsyncIOScheduler\n"
        "async def main():\n"
        "    async with AsyncIOScheduler(executors={'cpu': 'processpool'}) as scheduler:\n"
        "        await scheduler.add_task(abs, -1, executor='cpu').result()\n"
        "asyncio.run(main())\n"
    )
    result = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 1
    assert "WorkerStartError" in result.stderr
    assert "__main__" in result.stderr


def test_forgotten_busy_pool_does_not_block_exit(tmp_path: Path) -> None:
    program = tmp_path / "forgotten.py"
    program.write_text(
        "import asyncio, time\nfrom asyncz import AsyncIOScheduler\n"
        "async def main():\n"
        "    scheduler = AsyncIOScheduler(executors={'cpu': 'processpool'})\n"
        "    await scheduler.start()\n"
        "    scheduler.add_task(time.sleep, 600, executor='cpu')\n"
        "    await scheduler.add_task(abs, -1, executor='cpu').result()\n"
        "if __name__ == '__main__':\n    asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, program], capture_output=True, text=True, check=True, timeout=60)
