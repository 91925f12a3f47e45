"""Forks of a process in which a scheduler runs or is about to run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, os, signal, sys, threading
from asyncz import AsyncIOScheduler, IntervalTrigger, SchedulerNotRunningError

scheduler = AsyncIOScheduler()
task = scheduler.add_task(pow, 2, 3, trigger=None, id="pow")
thread = scheduler.in_thread(drain_timeout=5)

async def result():
    return await task.result()

async def stream():
    async for outcome in task.notifications():
        return outcome

ACTIONS = {
    "add": lambda: scheduler.add_task(pow, 2, 3),
    "submit": task.submit,
    "pause": task.pause,
    "state": lambda: scheduler.state,
    "task-state": lambda: task.state,
    "run": lambda: thread.run(task),
    "cancel": lambda: thread.cancel(task),
    "shutdown": thread.shutdown,
    "start": thread.start,
    "result": lambda: asyncio.run(result()),
    "stream": lambda: asyncio.run(stream()),
    "scheduler-start": lambda: asyncio.run(scheduler.start()),
    "wait-closed": lambda: asyncio.run(scheduler.wait_closed()),
}

def in_child(call):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        call()
        sys.exit(7)  # runs the functions for the exit, too
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def try_all():
    for name, action in ACTIONS.items():
        try:
            print(name, action())
        except SchedulerNotRunningError as error:
            print(name, error.parent == os.getppid(), "fork" in str(error))
    thread.stop()
    thread.wait_closed()
    print("running", scheduler.running)

def use_another():
    other = AsyncIOScheduler()
    with other.in_thread() as started:
        added = other.add_task(pow, 2, 5, trigger=None, executor="processpool")
        print("another", started.run(added, timeout=50))

def start_here():
    started = scheduler.in_thread().start()
    print("started after the fork", started.run(task, timeout=50))

def main(case):
    if case == "before":
        print("status", in_child(start_here))
        return
    thread.start()
    if case == "pool":
        added = scheduler.add_task(pow, 2, 4, trigger=None, executor="processpool")
        print("parent", thread.run(added, timeout=50))
    print("status", in_child(use_another if case == "pool" else try_all))
    print("parent", thread.run(task, timeout=50))
    if case == "lock":
        # As if another thread held the locks during the fork.
        held, over = threading.Event(), threading.Event()
        def hold():
            with scheduler._parts.runtime.lock, thread._lock, thread._start_lock:
                held.set()
                over.wait(60)
        threading.Thread(target=hold).start()
        held.wait()
        print("status", in_child(try_all))
        over.set()

if __name__ == "__main__":
    main(sys.argv[1])
"""
REJECTED = [
    "add",
    "submit",
    "pause",
    "state",
    "task-state",
    "run",
    "cancel",
    "shutdown",
    "start",
    "result",
    "stream",
    "scheduler-start",
    "wait-closed",
]


def _run(folder: Path, case: str) -> list[str]:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    # Python 3.12 and later warn of a fork beside threads.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(program), case]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return ended.stdout.splitlines()


def test_child_of_a_fork_gets_clear_errors(tmp_path: Path) -> None:
    expected = [*(f"{name} True True" for name in REJECTED), "running False", "status 7", "parent 8"]
    assert _run(tmp_path, "running") == expected


def test_child_does_not_wait_for_locks_of_the_parent(tmp_path: Path) -> None:
    child = [*(f"{name} True True" for name in REJECTED), "running False", "status 7"]
    assert _run(tmp_path, "lock") == [*child, "parent 8", *child]


def test_child_starts_what_was_made_before_the_fork(tmp_path: Path) -> None:
    assert _run(tmp_path, "before") == ["started after the fork 8", "status 7"]


def test_child_uses_processes_after_its_parent_did(tmp_path: Path) -> None:
    assert _run(tmp_path, "pool") == ["parent 16", "another 32", "status 7", "parent 8"]
