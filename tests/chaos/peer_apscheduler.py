"""The same chaos on APScheduler 3, as far as that can express it: no time limits, no cancellation, no retries.

It is run in an environment where that is installed and asyncz need not be.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import logging
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter

from tests.chaos.workload import KINDS, kinds

_AT_A_TIME = 100
_EXECUTORS = ("asyncio", "threadpool", "processpool", "debug")
_SECONDS_TO_SETTLE = 15.0
_SECONDS_TO_START = 1.0


class Peer:
    """The storm, and its account: submissions, and events of listeners."""

    def __init__(self, runs: int, seconds: float, seed: int, kill_every: float) -> None:
        self.runs = runs
        self.seed = seed
        self.kill_every = kill_every
        self.deadline = time.monotonic() + seconds
        self.chance = random.Random(seed)
        self.killed = 0
        self.seen: dict[int, float] = {}
        self.added: Counter[str] = Counter()
        self.submitted: dict[str, set[str]] = {executor: set() for executor in _EXECUTORS}
        self.ends: dict[str, Counter[str]] = {executor: Counter() for executor in _EXECUTORS}
        self.kinds: dict[str, Counter[str]] = {executor: Counter() for executor in _EXECUTORS}
        self.disorders: Counter[str] = Counter()

    async def run(self) -> None:
        """Run it and print the ledger."""
        schedulers = importlib.import_module("apscheduler.schedulers.asyncio")
        pools = importlib.import_module("apscheduler.executors.pool")
        debug = importlib.import_module("apscheduler.executors.debug")
        loops = importlib.import_module("apscheduler.executors.asyncio")
        events = importlib.import_module("apscheduler.events")
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL + 1)
        started = time.monotonic()
        self.scheduler = schedulers.AsyncIOScheduler(
            executors={
                "asyncio": loops.AsyncIOExecutor(),
                "threadpool": pools.ThreadPoolExecutor(8),
                "processpool": pools.ProcessPoolExecutor(3),
                "debug": debug.DebugExecutor(),
            },
            job_defaults={"misfire_grace_time": None, "max_instances": 1},
        )
        self.names = {
            events.EVENT_JOB_EXECUTED: "executed",
            events.EVENT_JOB_ERROR: "error",
            events.EVENT_JOB_MISSED: "missed",
        }
        self.scheduler.add_listener(self._heard_submitted, events.EVENT_JOB_SUBMITTED)
        self.scheduler.add_listener(self._heard_end, sum(self.names))
        self.scheduler.start()
        killer = asyncio.ensure_future(self._kill())
        await asyncio.gather(*(self._feed(executor) for executor in _EXECUTORS))
        killer.cancel()
        await self._settle(0)
        self._print(time.monotonic() - started)
        sys.stdout.flush()
        # Its shutdown may wait for ever for runs that were lost.
        os._exit(0)

    async def _feed(self, executor: str) -> None:
        for number, kind in zip(range(self.runs), kinds(self.seed, executor), strict=False):
            if time.monotonic() > self.deadline:
                break
            # A place that a lost run holds is never given back: it is waited for only so long.
            await self._settle(_AT_A_TIME - 1, executor)
            options = {"misfire_grace_time": 1} if kind == "late" else {}
            self.scheduler.add_job(KINDS[kind][0], executor=executor, id=f"{executor} {number}", **options)
            self.added[executor] += 1

    async def _settle(self, at_most: int, executor: str | None = None) -> None:
        watched = _EXECUTORS if executor is None else (executor,)
        hang_timeout = time.monotonic() + (_SECONDS_TO_SETTLE if executor is None else 1.0)
        while time.monotonic() < hang_timeout:
            if sum(self.added[each] - len(self.ends[each]) for each in watched) <= at_most:
                return
            await asyncio.sleep(0.005)

    def _heard_submitted(self, event: object) -> None:
        job_id = str(getattr(event, "job_id", ""))
        executor = job_id.partition(" ")[0]
        self.disorders[executor] += job_id in self.ends[executor]
        self.submitted[executor].add(job_id)

    def _heard_end(self, event: object) -> None:
        job_id = str(getattr(event, "job_id", ""))
        executor = job_id.partition(" ")[0]
        self.ends[executor][job_id] += 1
        self.kinds[executor][self.names[getattr(event, "code", 0)]] += 1

    async def _kill(self) -> None:
        while self.kill_every:
            await asyncio.sleep(self.chance.uniform(0, 2 * self.kill_every))
            # As with asyncz, one that just starts is seldom killed: where none ever gets ready, nothing can run.
            alive = [process.pid for process in multiprocessing.active_children() if process.pid]
            seen = {pid: self.seen.get(pid, time.monotonic()) for pid in alive}
            self.seen = seen
            alive = [pid for pid in alive if time.monotonic() - seen[pid] > _SECONDS_TO_START]
            for victim in self.chance.sample(alive, min(1, len(alive))):
                os.kill(victim, signal.SIGKILL)
                self.killed += 1

    def _print(self, took: float) -> None:
        print(
            f"{'executor':<12}{'added':>10}{'submitted':>10}{'executed':>10}{'error':>10}{'missed':>10}"
            f"{'lost':>6}{'doubled':>9}{'disorder':>10}"
        )
        for executor in _EXECUTORS:
            told = "".join(f"{self.kinds[executor][kind]:>10}" for kind in ("executed", "error", "missed"))
            doubled = sum(count > 1 for count in self.ends[executor].values())
            lost = self.added[executor] - len(self.ends[executor])
            print(
                f"{executor:<12}{self.added[executor]:>10}{len(self.submitted[executor]):>10}{told}"
                f"{lost:>6}{doubled:>9}{self.disorders[executor]:>10}"
            )
        print(f"{self.killed} workers were killed from outside, in {took:.1f} s; seed {self.seed}")


def main() -> None:
    """Run it with the numbers of the command line."""
    runs, seconds, seed, kill_every = itertools.islice(sys.argv, 1, 5)
    asyncio.run(Peer(int(runs), float(seconds), int(seed), float(kill_every)).run())


if __name__ == "__main__":
    main()
