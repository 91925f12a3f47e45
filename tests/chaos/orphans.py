"""Kill a program with a process pool, or `asyncz run`, at many moments: `python -m tests.chaos.orphans [--moments 50]`.

Each moment starts the program in a session of its own, sends one signal to the parent or to the whole group, and then
looks for processes that are left behind. Half of the moments count from the start of the program, the others from its
first output: on a busy machine, the first half may hit nothing but imports. Prints one line per moment.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

PROGRAM = """
import os, sys, time
from asyncz import AsyncIOScheduler, IntervalTrigger, ProcessPoolExecutor, TaskSubmitted


def work(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def main() -> None:
    scheduler = AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(max_workers=3)})
    scheduler.subscribe(TaskSubmitted, lambda event: print("submitted", event.details.run_id, flush=True))
    for number in range(3):
        task = scheduler.add_task(
            work, 0.05 * number, trigger=IntervalTrigger(seconds=0.1), executor="cpu", overlap="queue_all"
        )
        task.on_done(lambda outcome: print("ended", outcome.details.run_id, type(outcome).__name__, flush=True))
    print("started", flush=True)
    scheduler.run_forever(drain_timeout=10)


if __name__ == "__main__":
    main()
"""
JOBS = """
import os, time
from asyncz import AsyncIOScheduler, IntervalTrigger, ProcessPoolExecutor, TaskSubmitted


def work(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


scheduler = AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(max_workers=3)})
scheduler.subscribe(TaskSubmitted, lambda event: print("submitted", event.details.run_id, flush=True))
for number in range(3):
    scheduler.add_task(work, 0.05 * number, trigger=IntervalTrigger(seconds=0.1), executor="cpu", overlap="queue_all")
"""
PROGRAMS: Sequence[str] = ("program", "asyncz run")
LONGEST_SECONDS = 3.0
"""Moments lie between the start, or the first output, of the program and this many seconds later."""

OUTCOMES = frozenset({"TaskExecuted", "TaskError", "TaskMissed", "TaskCancelled"})

_MARK = "ASYNCZ_ORPHAN_TEST"
_GRACE_SECONDS = 20.0


class Victim(NamedTuple):
    """One way to kill the program.

    Attributes:
        signal: The signal.
        group: Whether the whole process group gets it, as from a terminal.
        drains: Whether asyncz handles the signal: then every submitted run must have an outcome.
    """

    signal: signal.Signals
    group: bool
    drains: bool


VICTIMS: Sequence[Victim] = tuple(
    Victim(number, group=group, drains=number in {signal.SIGTERM, signal.SIGINT})
    for number in (signal.SIGKILL, signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
    for group in (False, True)
)


class Moment(NamedTuple):
    """The result of one kill."""

    program: str
    victim: Victim
    seconds: float
    after_output: bool
    left_behind: tuple[str, ...]
    lost: int

    @property
    def is_right(self) -> bool:
        """True if nothing is left behind and no notification is missing."""
        return not self.left_behind and not self.lost


def _marked_processes(mark: str) -> dict[int, str]:
    """Return the command lines of the living processes whose environment holds the mark, by process id."""
    found: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if (
                mark.encode() in (folder / "environ").read_bytes()
                and "Z" not in (folder / "stat").read_text().split()[2]
            ):
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def _wait_for_output(printed: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _GRACE_SECONDS
    while not printed.stat().st_size and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def _send(process: subprocess.Popen[bytes], victim: Victim) -> None:
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if victim.group else os.kill)(process.pid, victim.signal)


def _kill(process: subprocess.Popen[bytes], victim: Victim, printed: Path) -> None:
    """Send the signal and wait for the end of the process."""
    deadline = time.monotonic() + 60
    # A KeyboardInterrupt may be lost while the interpreter starts and imports modules: Python ignores it in callbacks
    # of importlib, for example. A person presses Ctrl-C once more when the program says something.
    is_repeated = victim.signal == signal.SIGINT and not printed.stat().st_size
    _send(process, victim)
    while process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
        elif is_repeated and printed.stat().st_size:
            is_repeated = False
            _send(process, victim)
        time.sleep(0.01)


def _command(program: str, folder: Path) -> list[str]:
    if program == "program":
        return [sys.executable, str(folder / "program.py")]
    return [sys.executable, "-m", "asyncz", "run", "jobs:scheduler", "--json", "--drain-timeout", "10"]


def _lost(printed: str) -> int:
    """Return the number of runs that were submitted, according to the output, and have no outcome there."""
    submitted, ended = set[str](), set[str]()
    for line in printed.splitlines():
        if line.startswith("{"):
            event: dict[str, object] = json.loads(line)
            if event["event"] in OUTCOMES:
                ended.add(f"{event['run_id']}")
        elif (words := line.split())[:1] in (["submitted"], ["ended"]):
            (submitted if words[0] == "submitted" else ended).add(words[1])
    return len(submitted - ended)


def kill_at(program: str, victim: Victim, seconds: float, folder: Path, *, after_output: bool = False) -> Moment:
    """Start a program, send the signal after some seconds, and look for the processes that survive.

    Args:
        program: One of `PROGRAMS`.
        victim: Signal and receivers.
        seconds: Delay of the signal.
        folder: Folder of the programs.
        after_output: Count the delay from the first output of the program, not from its start.
    """
    mark = uuid.uuid4().hex
    # A file: a pipe would stay open as long as an orphan holds it.
    printed = folder / mark
    with printed.open("w") as output:
        process = subprocess.Popen(
            _command(program, folder),
            cwd=folder,
            stdout=output,
            # With `--json`, the output of functions goes there.
            stderr=subprocess.STDOUT,
            env={**os.environ, _MARK: mark},
            start_new_session=True,
        )
    if after_output:
        _wait_for_output(printed, process)
    time.sleep(seconds)
    _kill(process, victim, printed)
    deadline = time.monotonic() + _GRACE_SECONDS
    while (left := _marked_processes(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    lost = _lost(printed.read_text()) if victim.drains else 0
    return Moment(program, victim, seconds, after_output, tuple(left.values()), lost)


def kill_at_moments(count: int, folder: Path, seed: int = 1, at_once: int = 4) -> list[Moment]:
    """Kill the programs at `count` moments, at random within equal parts of the time, and in all ways in turn."""
    (folder / "program.py").write_text(PROGRAM)
    (folder / "jobs.py").write_text(JOBS)
    chance = random.Random(seed)
    ways = list(product(VICTIMS, PROGRAMS, (False, True)))
    chance.shuffle(ways)
    seconds = [LONGEST_SECONDS * (number + chance.random()) / count for number in range(count)]

    def kill(number: int) -> Moment:
        victim, program, after_output = ways[number % len(ways)]
        return kill_at(program, victim, seconds[number], folder, after_output=after_output)

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(kill, range(count)))


def main() -> int:
    """Kill at every moment and print the results."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.orphans", description=__doc__)
    parser.add_argument("--moments", type=int, default=50, help="number of kills")
    parser.add_argument("--seed", type=int, default=1, help="decides the moments and the order of the ways")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        moments = kill_at_moments(options.moments, Path(folder), options.seed)
    for each in moments:
        target = "group" if each.victim.group else "parent"
        since = "output" if each.after_output else "start"
        problems = f"left behind: {', '.join(each.left_behind)}" if each.left_behind else ""
        print(
            f"{each.program:10} {each.seconds:5.2f} s after {since:6} {each.victim.signal.name:8} {target:6}"
            f" lost {each.lost} {problems}"
        )
    wrong = sum(not each.is_right for each in moments)
    print(f"{len(moments)} moments, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
