"""Kill a program with a process pool at many moments: `python -m tests.chaos.orphans [--moments 50]`.

Each moment starts the program in a session of its own, sends one signal to the parent or to the whole group, and then
looks for processes that are left behind. Half of the moments count from the start of the program, the others from its
first output: on a busy machine, the first half may hit nothing but imports. Prints one line per moment.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
    scheduler.subscribe(TaskSubmitted, lambda event: print("submitted", event.run_id, flush=True))
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
LONGEST_SECONDS = 3.0
"""Moments lie between the start, or the first output, of the program and this many seconds later."""

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


VICTIMS: Sequence[Victim] = (
    Victim(signal.SIGKILL, group=False, drains=False),
    Victim(signal.SIGHUP, group=False, drains=False),
    Victim(signal.SIGTERM, group=False, drains=True),
    Victim(signal.SIGINT, group=True, drains=True),
)


class Moment(NamedTuple):
    """The result of one kill."""

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


def kill_at(victim: Victim, seconds: float, program: Path, *, after_output: bool = False) -> Moment:
    """Start the program, send the signal after some seconds, and look for the processes that survive.

    Args:
        victim: Signal and receivers.
        seconds: Delay of the signal.
        program: Path of the program.
        after_output: Count the delay from the first output of the program, not from its start.
    """
    mark = uuid.uuid4().hex
    # A file: a pipe would stay open as long as an orphan holds it.
    printed = program.with_name(mark)
    with printed.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, str(program)],
            stdout=output,
            stderr=subprocess.DEVNULL,
            env={**os.environ, _MARK: mark},
            start_new_session=True,
        )
    if after_output:
        _wait_for_output(printed, process)
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if victim.group else os.kill)(process.pid, victim.signal)
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    deadline = time.monotonic() + _GRACE_SECONDS
    while (left := _marked_processes(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    lines = [line.split() for line in printed.read_text().splitlines()]
    submitted = {line[1] for line in lines if line[:1] == ["submitted"]}
    ended = {line[1] for line in lines if line[:1] == ["ended"]}
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return Moment(victim, seconds, after_output, tuple(left.values()), len(submitted - ended) if victim.drains else 0)


def kill_at_moments(count: int, folder: Path, at_once: int = 4) -> list[Moment]:
    """Kill the program at `count` moments, evenly spread over time and over the ways to kill it."""
    program = folder / "program.py"
    program.write_text(PROGRAM)

    def kill(number: int) -> Moment:
        # Each way to kill it is counted from the start and from the output, in turn.
        turn, way = divmod(number, len(VICTIMS))
        return kill_at(VICTIMS[way], LONGEST_SECONDS * number / count, program, after_output=turn % 2 == 1)

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(kill, range(count)))


def main() -> int:
    """Kill at every moment and print the results."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.orphans", description=__doc__)
    parser.add_argument("--moments", type=int, default=50, help="number of kills")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="folder of the program")
    options = parser.parse_args()
    moments = kill_at_moments(options.moments, options.folder)
    for each in moments:
        target = "group" if each.victim.group else "parent"
        since = "output" if each.after_output else "start"
        problems = f"left behind: {', '.join(each.left_behind)}" if each.left_behind else ""
        print(
            f"{each.seconds:5.2f} s after {since:6} {each.victim.signal.name:8} {target:6} lost {each.lost} {problems}"
        )
    wrong = sum(not each.is_right for each in moments)
    print(f"{len(moments)} moments, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
