"""Many runs of every kind on every executor, while workers are killed at random."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice

from typing_extensions import TypedDict

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DaskExecutor,
    DebugExecutor,
    ExecutorNotRunningError,
    FuturesExecutor,
    MaximumInstancesError,
    ProcessPoolExecutor,
    Retry,
    Task,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from tests.chaos.ledger import HEADING, Ledger
from tests.chaos.resources import without
from tests.chaos.schedules import ScheduleWatch, SteppedClock
from tests.chaos.workload import KINDS, kinds

EXECUTORS = ("asyncio", "threadpool", "processpool", "debug", "futures")
ALL_EXECUTORS = (*EXECUTORS, "dask")
"""Dask starts a cluster of its own, which takes some seconds."""

_AT_A_TIME = 100
_RUNS_PER_KILL = 5
_STALLED_SECONDS = 40.0
"""A run has not ended, or leaks, if its executor ends no run for so long."""
_STOPPED_SECONDS = 0.3
_SECONDS_TO_SHUT_DOWN = 10.0
"""Runs that leak end with the shutdown: the report names them."""


class StormReport(TypedDict):
    """Results of a storm."""

    adds_up: bool
    rows: list[str]
    submitted: int
    kinds: dict[str, dict[str, int]]
    killed: int
    stolen: int
    clock_steps: int
    scheduled: int
    problems: list[str]


async def stop_and_kill(pid: int, seconds: float) -> None:
    """Stop a process, and kill it after `seconds`, or at once if the caller is cancelled.

    A worker that stays stopped would hold up its runs, and with them the shutdown, without end.

    Raises:
        ProcessLookupError: The process has ended before.
    """
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        # Another exception would take the place of a cancellation.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Storm:
    """One storm.

    Args:
        runs: How many runs there are on each executor.
        seconds: After how many seconds no more runs are begun.
        seed: Decides which kinds of runs come in which order, and whom the killer chooses.
        kill_every: How many seconds the killer waits, on average; 0 is no killer.
        executors: Names of the executors.
        verbose: Whether the ledger is printed.
    """

    def __init__(
        self,
        runs: int,
        seconds: float,
        seed: int,
        kill_every: float,
        *,
        executors: Sequence[str] = EXECUTORS,
        verbose: bool = True,
    ) -> None:
        self.runs = runs
        self.seed = seed
        self.kill_every = kill_every
        self.seconds = seconds
        self.deadline = 0.0
        self.chance = random.Random(seed)
        self.processes = ProcessPoolExecutor(3)
        self.verbose = verbose
        self.killed = self.stolen = 0
        self.clock = SteppedClock()
        self.problems: list[str] = []
        self._ended_at_last_kill = 0
        makers: dict[str, Callable[[], UniversalExecutor]] = {
            "asyncio": AsyncIOExecutor,
            "threadpool": partial(ThreadPoolExecutor, 8),
            "processpool": lambda: self.processes,
            "debug": DebugExecutor,
            "futures": partial(FuturesExecutor, partial(concurrent.futures.ThreadPoolExecutor, 8)),
            "dask": partial(DaskExecutor, cluster_kwargs={"n_workers": 2, "threads_per_worker": 2}),
        }
        self.executors = tuple(executors)
        self.scheduler = AsyncIOScheduler(executors={name: makers[name]() for name in executors}, clock=self.clock)
        self.ledger = Ledger(self.scheduler, self.executors)
        self.schedules = ScheduleWatch(self.scheduler, self.executors)

    async def run(self) -> bool:
        """Run it and print the ledger; tells whether everything adds up."""
        # Failures are wanted here.
        logging.getLogger("asyncz").setLevel(logging.CRITICAL + 1)
        logging.getLogger("tests.chaos").setLevel(logging.CRITICAL + 1)
        started = time.monotonic()
        await self.scheduler.start()
        self.deadline = time.monotonic() + self.seconds
        self.schedules.start()
        troubles = [asyncio.ensure_future(each()) for each in (self._kill, self._steal, self._set_clock)]
        await asyncio.gather(*(self._feed(executor) for executor in self.executors))
        for trouble in troubles:
            trouble.cancel()
        await asyncio.wait(troubles)
        self.problems += await self.schedules.stop()
        await self._look_for_leaks()
        await self.scheduler.shutdown(timeout=_SECONDS_TO_SHUT_DOWN)
        took = time.monotonic() - started
        self.problems += self.ledger.disagreements(self.scheduler.state)
        if self.verbose:
            print(HEADING)
            for executor, account in self.ledger.accounts.items():
                print(account.row(executor))
            moments = f"resources were missing {self.stolen} times, the clock was set {self.clock.steps} times"
            print(f"{self.killed} workers were killed or stopped, {moments}, in {took:.1f} s; seed {self.seed}")
            for problem in self.problems:
                print(f"PROBLEM: {problem}")
        return self.adds_up

    @property
    def adds_up(self) -> bool:
        """True if there were no problems and all accounts add up."""
        return not self.problems and all(account.adds_up for account in self.ledger.accounts.values())

    def report(self) -> StormReport:
        """Return the results."""
        return StormReport(
            adds_up=self.adds_up,
            rows=[HEADING, *(account.row(executor) for executor, account in self.ledger.accounts.items())],
            submitted=sum(len(account.submitted) for account in self.ledger.accounts.values()),
            kinds={executor: dict(account.kinds) for executor, account in self.ledger.accounts.items()},
            killed=self.killed,
            stolen=self.stolen,
            clock_steps=self.clock.steps,
            scheduled=self.schedules.submitted,
            problems=self.problems,
        )

    async def _feed(self, executor: str) -> None:
        tasks = {kind: self._task(executor, kind) for kind in KINDS}
        places = asyncio.Semaphore(_AT_A_TIME)
        async with asyncio.TaskGroup() as group:
            for kind in islice(kinds(self.seed, executor), self.runs):
                if time.monotonic() > self.deadline:
                    break
                await places.acquire()
                group.create_task(self._one(tasks[kind], kind)).add_done_callback(lambda _: places.release())

    def _task(self, executor: str, kind: str) -> Task[object]:
        return self.scheduler.add_task(
            KINDS[kind][0],
            id=f"{executor} {kind}",
            trigger=None,
            executor=executor,
            max_instances=_AT_A_TIME,
            timeout=0.05 if kind.startswith("timing out") else None,
            misfire_grace_time=0.01 if kind == "late" else None,
            retry=Retry(attempts=3, delay=0.01) if kind == "retried" else None,
        )

    async def _one(self, task: Task[object], kind: str) -> None:
        try:
            handle = task.run()
        except MaximumInstancesError:
            # Runs that were given up hold their places.
            self.ledger.account_of(task.id).rejected += 1
            await asyncio.sleep(0.05)
            return
        except ExecutorNotRunningError as error:
            self.problems.append(str(error))
            return
        if kind.startswith("cancelled"):
            await asyncio.sleep(self.chance.uniform(0, 0.03))
            handle.cancel()
        account, ended = self.ledger.account_of(task.id), -1
        while not handle.done() and ended < account.ends.total():
            ended = account.ends.total()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STALLED_SECONDS):
                    await handle.notification()
        if not handle.done():
            self.problems.append(f"{handle} has not ended, nor has any other run for {_STALLED_SECONDS:g} s")

    async def _kill(self) -> None:
        while self.kill_every:
            await asyncio.sleep(self.chance.uniform(0, 2 * self.kill_every))
            if not self._may_kill():
                continue
            supervisor = self.processes._supervisor
            assert supervisor is not None
            # Of those that just start only some: where none ever gets ready, nothing can run.
            slots = list(supervisor._slots)
            processes = [(slot, slot.process) for slot in slots]
            alive = [
                process.pid
                for slot, process in processes
                if process is not None and (slot.was_ready or self.chance.random() < 0.2)
            ]
            # Now and then all of them at once.
            victims = alive if self.chance.random() < 0.1 else self.chance.sample(alive, min(1, len(alive)))
            for victim in victims:
                # A stopped worker is not dead: its runs with a time limit end, its other runs wait until it is killed.
                with contextlib.suppress(ProcessLookupError):
                    if self.chance.random() < 0.1:
                        await stop_and_kill(victim, _STOPPED_SECONDS)
                    else:
                        os.kill(victim, signal.SIGKILL)
                    self.killed += 1

    def _may_kill(self) -> bool:
        """Return True if some runs have ended since the last kill.

        On a busy machine a worker may need longer to start than it would be left alive.
        """
        ended = self.ledger.accounts["processpool"].ends.total()
        if ended < self._ended_at_last_kill + _RUNS_PER_KILL:
            return False
        self._ended_at_last_kill = ended
        return True

    async def _steal(self) -> None:
        """Take a resource away for a moment, now and then."""
        while self.kill_every:
            await asyncio.sleep(self.chance.uniform(0, 8 * self.kill_every))
            with without(self.chance.choice(["threads", "descriptors", "semaphores", "tmpdir"])):
                await asyncio.sleep(0.03)
            self.stolen += 1

    async def _set_clock(self) -> None:
        while self.kill_every:
            await asyncio.sleep(self.chance.uniform(0, 6 * self.kill_every))
            self.clock.step(self.chance.choice([0.2, 5.0, 90.0, 3600.0, 40 * 86400.0]) * self.chance.choice([-1, 1]))

    def _running(self) -> int:
        """Return the number of runs of the executors and of the tasks, of which some wait for their next attempt."""
        state = self.scheduler.state
        return sum(each.running for each in state.executors) + sum(each.running + each.backlog for each in state.tasks)

    async def _look_for_leaks(self) -> None:
        # Functions that were given up return in a moment; what counts is what does not.
        # A run that has stalled before is not waited for again.
        deadline, before = time.monotonic() + (0 if self.problems else _STALLED_SECONDS), -1
        while (running := self._running()) and time.monotonic() < deadline:
            if running < before:
                deadline = time.monotonic() + _STALLED_SECONDS
            before = running
            await asyncio.sleep(0.01)
        for executor_state in self.scheduler.state.executors:
            self.ledger.accounts[executor_state.alias].leaked = executor_state.running
        await asyncio.sleep(0.1)
        for task in self.scheduler.state.tasks:
            if task.running or task.backlog:
                self.problems.append(f"{task.task_id} still has {task.running} running, {task.backlog} waiting runs")
