"""Synchronous programs, signals and interrupts."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, faulthandler, os, signal, threading, time
from asyncz import AsyncIOScheduler, TaskCancelled, TaskExecuted

faulthandler.dump_traceback_later(30, exit=True)
# A shell may have started the tests with it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
scheduler = AsyncIOScheduler()
scheduler.subscribe(TaskExecuted, lambda event: print("executed", event.result, flush=True))
scheduler.subscribe(TaskCancelled, lambda event: print("cancelled", flush=True))
go_on = threading.Event()

async def wait(signals_handled=False):
    while signals_handled and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        await asyncio.sleep(0.005)
    print("waiting", flush=True)
    while not go_on.is_set():
        await asyncio.sleep(0.01)
    return "to its end"

{main}
print("ended", threading.active_count(), signal.getsignal(signal.SIGINT) is signal.default_int_handler, flush=True)
"""


@contextlib.contextmanager
def program(main: str, tmp_path: Path) -> Generator[Callable[[signal.Signals | None], tuple[int, list[str], str]]]:
    """Return a function that runs a program, sends a signal while it waits, and returns its exit status and output."""
    file = tmp_path / "program.py"
    file.write_text(PROGRAM.replace("{main}", textwrap.dedent(main)))
    process = subprocess.Popen([sys.executable, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ended(number: signal.Signals | None) -> tuple[int, list[str], str]:
        assert process.stdout is not None
        if number is not None:
            assert process.stdout.readline() == "waiting\n"
            process.send_signal(number)
        out, err = process.communicate(timeout=60)
        return process.returncode, out.splitlines(), err

    try:
        yield ended
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_program_signal_drains(number: signal.Signals, tmp_path: Path) -> None:
    main = """
    def release():
        while scheduler.state.status != "draining":
            time.sleep(0.005)
        go_on.set()
        return "released"

    with scheduler.in_thread() as thread:
        scheduler.add_task(release, executor="threadpool")
        scheduler.add_task(wait, True)
        thread.wait_closed()
    """
    with program(main, tmp_path) as ended:
        status, out, err = ended(number)
    assert status == 0, err
    assert sorted(out[:2]) == ["executed released", "executed to its end"]
    assert out[2:] == ["ended 1 True"]


def test_program_second_signal_cancels(tmp_path: Path) -> None:
    main = """
    def interrupt():
        while scheduler.state.status != "draining":
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    with scheduler.in_thread() as thread:
        interrupting.start()
        scheduler.add_task(wait, True)
        thread.wait_closed()
    interrupting.join()
    """
    with program(main, tmp_path) as ended:
        status, out, err = ended(signal.SIGINT)
    assert status == 0, err
    assert out == ["cancelled", "ended 1 True"]


def test_program_interrupt_while_waiting_ends_it(tmp_path: Path) -> None:
    main = """
    with scheduler.in_thread() as thread:
        thread.run(scheduler.add_task(wait, trigger=None))
    """
    with program(main, tmp_path) as ended:
        status, out, err = ended(signal.SIGINT)
    assert "KeyboardInterrupt" in err
    assert status == -signal.SIGINT
    assert out == ["cancelled"]


def test_program_interrupt_at_block_end_cancels(tmp_path: Path) -> None:
    main = """
    async def wait_at_the_end():
        while scheduler.state.status != "draining":
            await asyncio.sleep(0.005)
        await wait()

    with scheduler.in_thread() as thread:
        scheduler.add_task(wait_at_the_end)
        while not scheduler.state.submitted:
            time.sleep(0.005)
    """
    with program(main, tmp_path) as ended:
        status, out, err = ended(signal.SIGINT)
    assert "KeyboardInterrupt" in err
    assert status == -signal.SIGINT
    assert out == ["cancelled"]


def test_program_unfinished_block_does_not_hang(tmp_path: Path) -> None:
    main = """
    thread = scheduler.in_thread()
    thread.__enter__()
    scheduler.add_task(wait)
    while not scheduler.state.submitted:
        time.sleep(0.005)
    """
    with program(main, tmp_path) as ended:
        status, out, err = ended(None)
    assert status == 0, err
    assert [line for line in out if line != "waiting"] == ["ended 2 True", "cancelled"]
