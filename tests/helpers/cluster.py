"""Dask cluster of processes, over TCP on this machine: `python -m tests.helpers.cluster ROLE ...` is one of them.

Only those processes import Dask.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from importlib.abc import MetaPathFinder
from typing import Protocol

from typing_extensions import override

QUIET = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL": "5s",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "5s",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
}
"""Settings of a cluster that lasts as long as the tests: by default, an idle one uses a fifth of a core."""


class _Server(Protocol):
    async def finished(self) -> None: ...


class Part:
    """One process of the cluster, and its children."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.helpers.cluster", *arguments]
        # A session of its own: `end` kills the children, too. Its standard input closes when this process ends, even by
        # a signal, and then it kills itself.
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | QUIET,
        )

    def address(self) -> str:
        """Return its address, as soon as it has one."""
        assert self.process.stdout is not None
        address = self.process.stdout.readline().strip()
        assert address, "a part of the cluster did not start"
        return address

    def end(self) -> None:
        """Kill the process and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()


@contextlib.contextmanager
def part(*arguments: str) -> Iterator[str]:
    """Start a part of a cluster and yield its address."""
    running = Part(*arguments)
    try:
        yield running.address()
    finally:
        running.end()


@contextlib.contextmanager
def cluster_of(workers: int) -> Iterator[str]:
    """Start a scheduler and workers, each with a nanny that replaces it, and yield the scheduler's address."""
    with part("scheduler") as address, contextlib.ExitStack() as parts:
        for started in [Part("worker", address) for _ in range(workers)]:
            parts.callback(started.end)
            started.address()
        yield address


class Proxy:
    """Proxy of a cluster whose port can be closed and opened again."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._target = (host, int(port))
        self._port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Return the address of the proxy."""
        return f"tcp://127.0.0.1:{self._port}"

    async def open(self) -> None:
        """Listen, on the same port each time."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cut all connections, and accept no new ones."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        if self._pumps:
            await asyncio.wait(self._pumps)
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader_there, writer_there = await asyncio.open_connection(*self._target)
        self._writers |= {writer, writer_there}
        for source, sink in ((reader, writer_there), (reader_there, writer)):
            pump = asyncio.create_task(_pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    sink.close()


class WithoutAsyncz(MetaPathFinder):
    """Import hook that hides asyncz."""

    @override
    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname.partition(".")[0] == "asyncz":
            raise ModuleNotFoundError(f"No module named {fullname!r}")


async def _serve(role: str, address_of_scheduler: str = "tcp://127.0.0.1:0") -> None:
    import distributed

    server: _Server
    match role:
        case "scheduler":
            port = int(address_of_scheduler.rpartition(":")[2])
            scheduler = distributed.Scheduler(host="127.0.0.1", port=port, dashboard_address="127.0.0.1:0")
            server = await scheduler
            address = scheduler.address
        case "scheduler of another version":
            setattr(import_module("distributed.versions"), "_version_cached", lambda _: "0.1")  # noqa: B010  # private
            scheduler = distributed.Scheduler(host="127.0.0.1", dashboard_address="127.0.0.1:0")
            server = await scheduler
            address = scheduler.address
        case "worker without asyncz":
            sys.meta_path.insert(0, WithoutAsyncz())
            worker = distributed.Worker(address_of_scheduler, nthreads=1, host="127.0.0.1", resources={"bare": 1})
            server = await worker
            address = worker.address
        case "worker":
            nanny = distributed.Nanny(address_of_scheduler, nthreads=2, host="127.0.0.1")
            server = await nanny
            address = nanny.worker_address
        case _:
            raise ValueError(role)
    print(address, flush=True)
    await server.finished()


def _end_with_parent() -> None:
    """Kill this process and its children when the parent ends."""
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(_serve(*sys.argv[1:]))
