"""Chaos of processes that share a store, with a ledger of what must not happen.

python -m tests.chaos.stores [--seconds N | --hour] [--processes 1 2 4] [--databases sqlite postgres] [--seed N]

Nodes are killed, stopped for two leases and continued, alone and all at once, blocked in their loop, and cut off from
their server, by the server and by a proxy that stalls or cuts. The server itself crashes and starts again, a
transaction of 3 seconds keeps all nodes from writing, and the store is away for two leases. The clocks of some nodes
are wrong by five minutes.
Others start in their place, some of them with another version of the program. Each function appends a line to a
file, by one system call that no fault can undo. The file and the history of the store make the ledger.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4, uuid5

import attrs
import psycopg
from typing_extensions import override

from asyncz import AsyncIOScheduler, IntervalTrigger, current_run
from asyncz.clock import SystemClock
from asyncz.stores import NodeRecord, Retention, RunQuery, RunRecord, StoreConnectionError, StoreOptions, TaskRecord
from asyncz.stores._urls import sqlite_path, store_of
from tests.helpers.postgres import new_schema, running_server
from tests.helpers.proxy import Proxy, proxy_of

LEASE = 3.0
TASKS = 6
INTERVAL = 0.4
# Seconds that a busy machine may add to the recovery of the design: lease + lease / 3 + 1.
SLACK = 4.0
RECOVERY = LEASE + LEASE / 3 + 1
MAX_CONNECTIONS = 3
SLOW_COMMIT = 3.0
# Task that receives the results of `task-0`.
RECEIVER = "receiver"
# Seconds by which the clocks of some nodes are ahead.
CLOCKS = (-300, 300)
ALIENS = (
    TaskRecord(
        id="alien", function="nowhere:gone", arguments='{"args": [1], "kwargs": {}}', trigger='{"type": "moon"}'
    ),
    TaskRecord(
        id="overdue-alien",
        function="nowhere:gone",
        arguments="[",
        trigger="\u00fc",
        next_due=datetime(2020, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    ),
)


def effect(log: str, task: str) -> int:
    """Write down that it was called, and take some time."""
    run = current_run()
    scheduled = run.scheduled_at.timestamp()
    line = f"{task} {scheduled!r} {run.run_id} {run.fence} {os.getpid()} {time.time()!r}\n"
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)
    time.sleep(random.choice((0.0, 0.0, 0.02, 0.5)))
    return run.fence or 0


def receive(fence: int) -> int:
    """Take the result of an effect."""
    time.sleep(random.choice((0.0, 0.0, 0.1)))
    return fence


def declare(scheduler: AsyncIOScheduler, log: str) -> None:
    """Add the tasks of a node: `RECEIVER` receives the results of the first one, the others have due times."""
    for number in range(TASKS):
        task = scheduler.call(effect, log, f"task-{number}").add(
            trigger=IntervalTrigger(seconds=INTERVAL), id=f"task-{number}", coalesce=False, max_instances=5
        )
        if number == 0:
            task.then(receive, id=RECEIVER)


def options_of(version: int) -> StoreOptions:
    """Return the options of a node. The ledger needs all runs: none is pruned."""
    return StoreOptions(
        version=version,
        lease=LEASE,
        on_lost="rerun",
        importable=("tests.chaos",),
        retention=Retention(executed=None, per_task=None),
    )


class WrongClock(SystemClock):
    """Clock of a node that is ahead of the others, or behind."""

    def __init__(self, ahead: float) -> None:
        super().__init__()
        self._ahead = ahead

    @override
    def now(self) -> float:
        return super().now() + self._ahead


async def run_node(url: str, log: str, version: int, ahead: float) -> None:
    """Run a scheduler until SIGTERM, with a wrong clock; SIGUSR1 blocks its loop for longer than a lease."""
    signal.signal(signal.SIGUSR1, lambda *_: time.sleep(LEASE * 1.3))
    scheduler = AsyncIOScheduler(store=url, store_options=options_of(version), clock=WrongClock(ahead))
    declare(scheduler, log)
    async with contextlib.AsyncExitStack() as stack:
        try:
            _ = await stack.enter_async_context(scheduler)
        except StoreConnectionError:
            # The server is down now; another node is started instead of this one.
            return
        await scheduler.wait_closed(10)


class Effect(NamedTuple):
    """A line of the file."""

    task: str
    scheduled: float
    run: str
    fence: int
    pid: int
    at: float


class Recovery(NamedTuple):
    """Seconds from a kill to the next effect of a run of the killed node.

    Attributes:
        own: Seconds without those of other faults and of the start of the node that took over, for each owner.
        whole: All seconds.
        started: Seconds from the kill to the first effect of the node that took over.
        disturbed: Seconds of other faults.
        owners: Number of owners since then.
        run: Task and id of the run.
    """

    own: float
    whole: float
    started: float
    disturbed: float
    owners: int
    run: str


def effects_in(log: Path) -> list[Effect]:
    found: list[Effect] = []
    for line in log.read_text().splitlines() if log.exists() else ():
        task, scheduled, run, fence, pid, at = line.split()
        found.append(Effect(task, float(scheduled), run, int(fence), int(pid), float(at)))
    return found


@attrs.define
class Ledger:
    """Numbers of one chaos. All of `broken` must be zero."""

    database: str
    processes: int
    faults: Counter[str] = attrs.Factory(Counter[str])
    due: int = 0
    effects: int = 0
    missed: int = 0
    taken_over: int = 0
    rejected: int = 0
    refused: int = 0
    recovery: float = 0.0
    whole_recovery: float = 0.0
    slowest: str = ""
    connections: int = 0
    broken: dict[str, int] = attrs.Factory(dict[str, int])
    log: str = ""

    @property
    def adds_up(self) -> bool:
        return not any(self.broken.values()) and self.effects > 0

    def rows(self) -> Iterator[str]:
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        yield f"{self.database}, {self.processes} process(es): {'adds up' if self.adds_up else 'DOES NOT ADD UP'}"
        yield f"  faults: {faults}"
        yield (
            f"  {self.due} due times, {self.effects} effects, {self.missed} missed, {self.taken_over} runs taken over,"
            f" {self.rejected} late outcomes rejected, {self.refused} late effects for the fence to refuse"
        )
        yield (
            f"  longest recovery {self.recovery:.1f} s, {self.whole_recovery:.1f} s with further faults of its time;"
            f" at most {self.connections} connection(s) of a node"
        )
        yield f"  slowest: {self.slowest}"
        yield f"  {', '.join(f'{name}: {count}' for name, count in self.broken.items())}"


def _not_handed_over(runs: Sequence[RunRecord]) -> int:
    """Return the number of results without a run of the task that receives them, and of such runs without a result."""
    results = {uuid5(run.id, RECEIVER) for run in runs if (run.task_id, run.state) == ("task-0", "executed")}
    received = [run.id for run in runs if run.task_id == RECEIVER]
    return len(results.symmetric_difference(received)) + len(received) - len({*received})


class StoreChaos:
    """Processes with one store, and faults."""

    def __init__(self, url: str, folder: Path, processes: int, seconds: float, seed: int, server: str | None) -> None:
        self._url, self._folder, self._server = url, folder, server
        self._seconds, self._random = seconds, random.Random(seed)
        self._count = processes
        self._nodes: list[subprocess.Popen[bytes]] = []
        self._stopped: dict[int, float] = {}
        self._stalled: dict[int, float] = {}
        self._proxies: dict[int, Proxy] = {}
        self._stack = contextlib.ExitStack()
        # Times in which a node or the server could not work, because of another fault than a kill.
        self._disturbed: list[tuple[float, float]] = []
        self._killed: dict[int, float] = {}
        self._number = 0
        self.ledger = Ledger("postgres" if server else "sqlite", processes)

    @property
    def _log(self) -> Path:
        return self._folder / "effects"

    def run(self) -> Ledger:
        """Make the chaos, let the last node finish, and return the ledger."""
        asyncio.run(self._add_aliens())
        for _ in range(self._count):
            self._start()
        deadline = time.monotonic() + 60
        while self._any() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        until = time.monotonic() + self._seconds
        faults: list[Callable[[], None]] = [self._kill, self._stop, self._block, self._terminate, self._stop_all]
        faults += [self._commit_slowly, self._take_away]
        if self._server is not None:
            faults += [self._cut, self._stall, self._cut_proxy, self._crash_server]
        try:
            while time.monotonic() < until:
                time.sleep(self._random.uniform(1.0, 3.0))
                self._continue_stopped()
                self._random.choice(faults)()
                self._replace_dead()
                self._count_connections()
        finally:
            self._continue_stopped(everything=True)
            for node in self._nodes:
                node.send_signal(signal.SIGTERM)
            for node in self._nodes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    node.wait(30)
                node.kill()
                node.wait()
            self._stack.close()
        asyncio.run(self._settle())
        return self.ledger

    def _start(self) -> None:
        self._number += 1
        version = self._random.choice((1, 1, 2))
        ahead = self._random.choice((0, 0, *CLOCKS))
        self.ledger.faults["wrong clock"] += ahead != 0
        url, proxy = self._url, None
        if self._server is not None:
            proxy = self._stack.enter_context(proxy_of(self._url))
            url = proxy.url
        command = [sys.executable, "-m", "tests.chaos.stores", "--node", url, str(self._log), f"{version}", f"{ahead}"]
        with (self._folder / f"node-{self._number}").open("wb") as errors:
            node = subprocess.Popen(command, stderr=errors, stdout=errors)
        self._nodes.append(node)
        if proxy is not None:
            self._proxies[node.pid] = proxy

    def _any(self) -> subprocess.Popen[bytes] | None:
        # Before its first effect, a node has not started, and does not handle signals.
        started = {each.pid for each in effects_in(self._log)} - self._stopped.keys()
        running = [node for node in self._nodes if node.poll() is None and node.pid in started]
        return self._random.choice(running) if running else None

    # Faults

    def _kill(self) -> None:
        if (node := self._any()) is not None:
            self._killed[node.pid] = time.time()
            node.kill()
            node.wait()
            self.ledger.faults["SIGKILL"] += 1

    def _stop(self) -> None:
        if (node := self._any()) is not None and len(self._stopped) < max(1, self._count - 1):
            node.send_signal(signal.SIGSTOP)
            self._stopped[node.pid] = time.monotonic() + 2 * LEASE
            self._disturb(2 * LEASE + 3)
            self.ledger.faults["SIGSTOP"] += 1

    def _stop_all(self) -> None:
        """Stop all nodes for two leases: nobody takes over, and each may go on first."""
        if self._any() is None or self._stopped:
            return
        nodes = [node for node in self._nodes if node.poll() is None]
        self._disturb(2 * LEASE)
        for node in nodes:
            node.send_signal(signal.SIGSTOP)
        time.sleep(2 * LEASE)
        self._random.shuffle(nodes)
        for node in nodes:
            node.send_signal(signal.SIGCONT)
        self.ledger.faults["SIGSTOP of all"] += 1

    def _commit_slowly(self) -> None:
        """Have a transaction of another program keep the nodes from writing, as a commit of some seconds would."""
        if self._any() is not None:
            self._lock_out(SLOW_COMMIT)
            self.ledger.faults["slow commit"] += 1

    def _take_away(self) -> None:
        """Have the store answer no node for two leases."""
        if self._any() is None or self._stalled:
            return
        if self._server is None:
            self._lock_out(2 * LEASE)
        else:
            self._disturb(2 * LEASE)
            for proxy in self._proxies.values():
                proxy.stall()
            time.sleep(2 * LEASE)
            for proxy in self._proxies.values():
                proxy.resume()
        self.ledger.faults["store away"] += 1

    def _lock_out(self, seconds: float) -> None:
        self._disturb(seconds)
        if self._server is None:
            path = sqlite_path(self._url)
            assert path is not None
            with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
                database.execute("BEGIN EXCLUSIVE")
                time.sleep(seconds)
                database.execute("ROLLBACK")
        else:
            with psycopg.connect(self._url) as connection:
                connection.execute("LOCK TABLE asyncz_tasks, asyncz_runs, asyncz_nodes IN EXCLUSIVE MODE")
                time.sleep(seconds)

    def _stall(self) -> None:
        """Have the connections of a node hang for two leases."""
        if (node := self._any()) is not None and not self._stalled:
            self._proxies[node.pid].stall()
            self._stalled[node.pid] = time.monotonic() + 2 * LEASE
            self._disturb(2 * LEASE + 3)
            self.ledger.faults["proxy stalled"] += 1

    def _cut_proxy(self) -> None:
        if (node := self._any()) is not None:
            self._proxies[node.pid].cut()
            self.ledger.faults["proxy cut"] += 1

    def _crash_server(self) -> None:
        """Kill one process of the server, which then ends all connections and recovers."""
        assert self._server is not None
        with psycopg.connect(self._server, autocommit=True) as connection:
            sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'asyncz' LIMIT 1"
            rows = connection.execute(sql).fetchall()
        if rows:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(rows[0][0]), signal.SIGKILL)
            began = time.time()
            while True:
                time.sleep(0.2)
                with contextlib.suppress(psycopg.Error), psycopg.connect(self._server):
                    break
            self._disturbed.append((began, time.time() + 1))
            self.ledger.faults["server crash"] += 1

    def _disturb(self, seconds: float) -> None:
        self._disturbed.append((time.time(), time.time() + seconds))

    def _continue_stopped(self, *, everything: bool = False) -> None:
        for pid, until in list(self._stalled.items()):
            if everything or time.monotonic() >= until:
                del self._stalled[pid]
                self._proxies[pid].resume()
        for pid, until in list(self._stopped.items()):
            if everything or time.monotonic() >= until:
                del self._stopped[pid]
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _block(self) -> None:
        if (node := self._any()) is not None:
            node.send_signal(signal.SIGUSR1)
            self._disturb(LEASE * 1.3)
            self.ledger.faults["blocked loop"] += 1

    def _terminate(self) -> None:
        """Have a node end by SIGTERM, as in a deploy."""
        if (node := self._any()) is not None:
            node.send_signal(signal.SIGTERM)
            self.ledger.faults["SIGTERM"] += 1

    def _cut(self) -> None:
        """End the connections at the server."""
        if self._server is not None:
            with psycopg.connect(self._server, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'asyncz'"
                    " AND random() < 0.5"
                )
            self.ledger.faults["connections cut"] += 1

    def _replace_dead(self) -> None:
        self._nodes = [node for node in self._nodes if node.poll() is None]
        for _ in range(self._count - len(self._nodes)):
            self._start()

    def _count_connections(self) -> None:
        if self._server is None:
            return
        with psycopg.connect(self._server) as connection:
            rows = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'asyncz%'"
            ).fetchall()
        nodes = max(1, len(self._nodes))
        self.ledger.connections = max(self.ledger.connections, -(-int(rows[0][0]) // nodes))

    # Account

    async def _add_aliens(self) -> None:
        session = await store_of(self._url).connect(NodeRecord(id=uuid4().hex), timedelta(seconds=15))
        for alien in ALIENS:
            assert await session.change(alien) is not None
        await session.close()

    async def _settle(self) -> None:
        """Run one more node until nothing waits or runs, and compare the history with the effects."""
        options = options_of(2)
        scheduler = AsyncIOScheduler(store=self._url, store_options=options)
        declare(scheduler, str(self._log))
        async with scheduler:
            await asyncio.sleep(2 * LEASE)
            for task_id in range(TASKS):
                scheduler.get_task(f"task-{task_id}").reschedule(None)
            # A busy machine may need long, but some run ends within a minute.
            deadline, fewest = time.monotonic() + 60, sys.maxsize
            unfinished = RunQuery(states=("waiting", "running"), limit=10_000)
            while time.monotonic() < deadline and (found := await scheduler.store.runs(unfinished)):
                if len(found) < fewest:
                    deadline, fewest = time.monotonic() + 60, len(found)
                await asyncio.sleep(0.2)
        session = await store_of(self._url).connect(NodeRecord(id=uuid4().hex), timedelta(seconds=15))
        runs: list[RunRecord] = []
        before: int | None = None
        while page := await session.runs(RunQuery(limit=1000, before=before)):
            runs += page
            before = page[-1].sequence
        tasks = {task.id: task for task in await session.changes(0, 1000)}
        await session.close()
        # Declared again without a change: nothing is written.
        again = AsyncIOScheduler(store=self._url, store_options=options)
        declare(again, str(self._log))
        async with again:
            await asyncio.sleep(0.5)
            count = len(await again.store.runs(RunQuery(limit=10_000)))
        session = await store_of(self._url).connect(NodeRecord(id=uuid4().hex), timedelta(seconds=15))
        after = {task.id: task for task in await session.changes(0, 1000)}
        await session.close()
        del count
        self._account(runs, tasks)
        self.ledger.broken["task rows written by an unchanged restart"] = sum(
            tasks[name].revision != task.revision for name, task in after.items()
        )

    def _account(self, runs: Sequence[RunRecord], tasks: dict[str, TaskRecord]) -> None:
        ledger, effects = self.ledger, effects_in(self._log)
        by_run: dict[str, list[Effect]] = defaultdict(list)
        for each in effects:
            by_run[each.run].append(each)
        due = [run for run in runs if run.kind == "due"]
        executed = [run for run in due if run.state == "executed"]
        ledger.due, ledger.effects = len(due), len(effects)
        ledger.missed = sum(run.missed for run in runs)
        ledger.taken_over = sum(len({each.fence for each in found}) > 1 for found in by_run.values())
        logs = "".join(path.read_text(errors="replace") for path in sorted(self._folder.glob("node-*")))
        ledger.rejected = len(re.findall("was rejected: another node", logs))
        # A continued node may begin a run that it has lost. A target that compares fences refuses that effect.
        ledger.refused = sum(not _rises([each.fence for each in found]) for found in by_run.values())
        for recovery in self._recoveries(by_run):
            if recovery.own > ledger.recovery:
                ledger.recovery, ledger.slowest = recovery.own, f"{recovery}"
            ledger.whole_recovery = max(ledger.whole_recovery, recovery.whole)
        ledger.log = logs
        known = {str(run.id): run for run in runs}
        aliens = [tasks[alien.id].model_copy(update={"version": 0, "revision": 0}) for alien in ALIENS]
        ledger.broken = {
            "lost": self._lost(runs, tasks),
            "doubled due times": len(due) - len({(run.task_id, run.scheduled_at) for run in due}),
            "executed without effect": sum(str(run.id) not in by_run for run in executed),
            "effects of unknown runs": sum(name not in known for name in by_run),
            "effects per fence above 1": sum(
                count > 1 for found in by_run.values() for count in Counter(each.fence for each in found).values()
            ),
            "early": sum(each.at < known[each.run].scheduled_at.timestamp() for each in effects if each.run in known),
            "results not handed over once": _not_handed_over(runs),
            "not at rest": sum(not run.done for run in runs),
            "failed": sum(run.state == "error" for run in runs),
            "alien rows changed": sum(after != before for after, before in zip(aliens, ALIENS, strict=True)),
            "slow recoveries": int(ledger.recovery > RECOVERY + SLACK),
            "errors of drivers seen": len(re.findall(r"psycopg\.\w|sqlite3\.\w", logs)),
            "connections above 3": int(ledger.connections > MAX_CONNECTIONS),
        }

    def _lost(self, runs: Sequence[RunRecord], tasks: dict[str, TaskRecord]) -> int:
        """Return the number of due times between the first and the last one that have no run and were not missed."""
        lost = 0
        for name in tasks:
            times = sorted(run.scheduled_at.timestamp() for run in runs if run.task_id == name and run.kind == "due")
            if not times:
                continue
            last = times[-1]
            missed = sum(run.missed for run in runs if run.task_id == name and run.scheduled_at.timestamp() <= last)
            expected = round((last - times[0]) / INTERVAL) + 1
            lost += abs(expected - len(times) - missed)
        return lost

    def _recoveries(self, by_run: dict[str, list[Effect]]) -> Iterator[Recovery]:
        """Yield the recovery of each run of a node that was killed.

        A run may be taken over by a node that is killed, too. Then its lease has to end as well. A node that was
        started after the kill recovers nothing before its first effect.
        """
        first_effect: dict[int, float] = {}
        for found in by_run.values():
            for each in found:
                first_effect[each.pid] = min(each.at, first_effect.get(each.pid, each.at))
        for found in by_run.values():
            for first, second in itertools.pairwise(found):
                killed = self._killed.get(first.pid)
                if killed is not None and killed > first.at:
                    began = min(max(killed, first_effect[second.pid]), second.at)
                    disturbed = self._disturbed_in(began, second.at)
                    owners = max(1, second.fence - first.fence)
                    yield Recovery(
                        (second.at - began - disturbed) / owners,
                        second.at - killed,
                        started=first_effect[second.pid] - killed,
                        disturbed=disturbed,
                        owners=owners,
                        run=f"{second.task} {second.run}",
                    )

    def _disturbed_in(self, begin: float, end: float) -> float:
        seconds, reached = 0.0, begin
        for start, stop in sorted(self._disturbed):
            reached = max(reached, start)
            if stop > reached:
                seconds += max(0.0, min(stop, end) - reached)
                reached = max(reached, stop)
        return seconds


def _rises(fences: Sequence[int]) -> bool:
    return all(first <= second for first, second in itertools.pairwise(fences))


def run_chaos(databases: Sequence[str], processes: Sequence[int], seconds: float, seed: int) -> Iterator[Ledger]:
    """Run the chaos for each database and number of processes."""
    for database in databases:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(running_server()) if database == "postgres" else None
            for count in processes:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="asyncz-chaos-")))
                url = f"sqlite:///{folder / 'jobs.db'}" if server is None else new_schema(server)
                yield StoreChaos(url, folder, count, seconds, seed, server).run()


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.stores", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="duration of the faults, for each combination")
    parser.add_argument("--hour", action="store_const", const=3600 / 6, dest="seconds", help="an hour in all")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4], help="numbers of processes")
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgres"], default=["sqlite", "postgres"])
    parser.add_argument("--seed", type=int, default=1, help="what comes in which order")
    parser.add_argument("--json", action="store_true", help="print a JSON object for each combination")
    parser.add_argument("--logs", action="store_true", help="print the logs of the nodes if the ledger does not add up")
    options = parser.parse_args()
    # The nodes and the server end with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    adds_up = True
    for ledger in run_chaos(options.databases, options.processes, options.seconds, options.seed):
        adds_up &= ledger.adds_up
        values = {**attrs.asdict(ledger, filter=lambda field, _: field.name != "log"), "adds_up": ledger.adds_up}
        print(json.dumps(values) if options.json else "\n".join(ledger.rows()), flush=True)
        if options.logs and not ledger.adds_up:
            print(ledger.log, file=sys.stderr)
    return 0 if adds_up else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--node"]:
        # Under its own name, as other processes import it.
        from tests.chaos.stores import run_node as run

        asyncio.run(run(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])))
    else:
        sys.exit(main())
