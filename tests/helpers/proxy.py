"""Proxy between a PostgreSQL client and its server that stalls and cuts, over Unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict

_PORT = 5432


def with_options(server: str, **options: str) -> str:
    """Return the URL of a server with other options."""
    parts = {name: f"{part}" for name, part in (conninfo_to_dict(server) | options).items() if part is not None}
    return f"postgresql:///{parts.pop('dbname', '')}?{urlencode(parts, quote_via=quote)}"


class Proxy:
    """Proxy of all connections of one client. Its methods are thread-safe.

    Args:
        server: Connection string of the server, which listens on a Unix socket.
        folder: Folder for the socket of the proxy.

    Attributes:
        url: Connection string through the proxy.
    """

    def __init__(self, server: str, folder: Path) -> None:
        parts = conninfo_to_dict(server)
        self._target = Path(f"{parts['host']}") / f".s.PGSQL.{parts.get('port') or _PORT}"
        self._socket = folder / f".s.PGSQL.{_PORT}"
        self.url: str = with_options(server, host=str(folder), port=f"{_PORT}")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flowing, self._stopped = asyncio.Event(), asyncio.Event()
        self._flowing.set()
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()
        assert self._started.wait(30)

    def stall(self) -> None:
        """Forward nothing until `resume`; connections are accepted."""
        self._call(self._flowing.clear)

    def resume(self) -> None:
        """Forward again, also what was sent meanwhile."""
        self._call(self._flowing.set)

    def freeze(self) -> None:
        """Forward nothing through the present connections, for ever; new ones work."""
        self._call(self._freeze)

    def _freeze(self) -> None:
        self._flowing.clear()
        self._flowing = asyncio.Event()
        self._flowing.set()

    def cut(self) -> None:
        """Close all connections on both sides."""
        self._call(self._abort)

    def stop(self) -> None:
        """Close all connections, and accept no more."""
        self._call(self._stopped.set)
        self._thread.join(30)

    def _call(self, call: Callable[[], None]) -> None:
        assert self._loop is not None
        _ = self._loop.call_soon_threadsafe(call)

    def _abort(self) -> None:
        for pair in tuple(self._pairs):
            for writer in pair:
                writer.transport.abort()

    def _run(self) -> None:
        # The end of the loop cancels the tasks of the connections.
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_unix_server(self._connect, self._socket)
        self._started.set()
        await self._stopped.wait()
        server.close()
        self._abort()
        # The transports close their sockets in a later turn of the loop.
        await asyncio.sleep(0.05)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            flowing = self._flowing
            await flowing.wait()
            far_reader, far_writer = await asyncio.open_unix_connection(self._target)
            pair = writer, far_writer
            self._pairs.add(pair)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._forward(reader, far_writer, flowing))
                    group.create_task(self._forward(far_reader, writer, flowing))
            finally:
                self._pairs.discard(pair)
                far_writer.close()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flowing: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@contextmanager
def proxy_of(server: str) -> Iterator[Proxy]:
    """Provide a proxy of a server."""
    with tempfile.TemporaryDirectory(prefix="asyncz-proxy-") as folder:
        proxy = Proxy(server, Path(folder))
        try:
            yield proxy
        finally:
            proxy.stop()
