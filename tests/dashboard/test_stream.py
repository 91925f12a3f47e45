"""Stream of changes: names only, and no obstacle to the end of the server."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.requests import Request

from asyncz import AsyncIOScheduler, IntervalTrigger
from asyncz.dashboard import Dashboard, _stream
from asyncz.dashboard._stream import ChangeStreams
from tests.dashboard.serving import by_header

pytestmark = pytest.mark.anyio


class Connection:
    """Stream as a client reads it."""

    def __init__(self, streams: ChangeStreams) -> None:
        self.gone = asyncio.Event()
        self._messages = streams.messages(Request({"type": "http"}, self._receive))

    async def _receive(self) -> dict[str, object]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def read(self) -> list[str]:
        """Return the names of the next message."""
        async with asyncio.timeout(10):
            message = await anext(self._messages)
        text = message.decode()
        assert text.startswith("data: ")
        assert text.endswith("\n\n")
        names = json.loads(text.removeprefix("data: "))
        assert isinstance(names, list)
        return names

    async def ends(self) -> bool:
        async with asyncio.timeout(10):
            return [message async for message in self._messages] == []


@asynccontextmanager
async def connected(streams: ChangeStreams) -> AsyncIterator[Connection]:
    connection = Connection(streams)
    assert (await anext(connection._messages)).startswith(b"retry: ")
    try:
        yield connection
    finally:
        await connection._messages.aclose()


@pytest.fixture(autouse=True)
def _short_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stream, "_INTERVAL", 0.001)


async def test_message_has_names_only() -> None:
    streams = ChangeStreams()
    async with connected(streams) as connection:
        streams.notify(frozenset({"tasks", "runs"}))
        streams.notify(frozenset({"events"}))
        assert await connection.read() == ["events", "runs", "tasks"]


async def test_names_between_messages_are_not_lost() -> None:
    streams = ChangeStreams()
    async with connected(streams) as connection:
        for number in range(20):
            streams.notify(frozenset({f"{number}"}))
            assert await connection.read() == [f"{number}"]


async def test_names_of_threads_are_not_lost() -> None:
    streams = ChangeStreams()

    def notify(first: int) -> None:
        for number in range(200):
            streams.notify(frozenset({f"{first + number}"}))

    async with connected(streams) as connection:
        threads = [threading.Thread(target=notify, args=(number * 200,)) for number in range(4)]
        for thread in threads:
            thread.start()
        found = set[str]()
        while len(found) < 800:
            found.update(await connection.read())
        for thread in threads:
            thread.join()


async def test_stream_ends_when_client_disconnects() -> None:
    streams = ChangeStreams()
    async with connected(streams) as connection:
        assert streams.open == 1
        connection.gone.set()
        assert await connection.ends()
    assert streams.open == 0


async def test_stream_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stream, "MAX_SECONDS", 0.01)
    streams = ChangeStreams()
    async with connected(streams) as connection:
        assert await connection.ends()
    assert streams.open == 0


async def test_slow_client_is_not_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stream, "MAX_SECONDS", 0.01)
    async with connected(ChangeStreams()) as connection:
        for _ in range(10):
            await asyncio.sleep(0.005)
        assert await connection.ends()


async def test_stream_ends_when_scheduler_stops() -> None:
    scheduler = AsyncIOScheduler()
    dashboard = Dashboard(scheduler, by_header)
    async with connected(dashboard._streams) as connection:
        async with scheduler:
            assert "scheduler" in await connection.read()
        while "stopped" not in await connection.read():
            pass
        assert await connection.ends()


async def test_closed_stream_is_forgotten() -> None:
    streams = ChangeStreams()
    async with connected(streams):
        pass
    assert streams.open == 0
    streams.notify(frozenset({"tasks"}))


async def test_stream_names_runs_of_scheduler() -> None:
    scheduler = AsyncIOScheduler()
    dashboard = Dashboard(scheduler, by_header)
    scheduler.add_task(len, "x", id="short", trigger=IntervalTrigger(seconds=0.01), executor="debug")
    async with connected(dashboard._streams) as connection, scheduler:
        names = set[str]()
        while not {"runs", "tasks", "events"} <= names:
            names.update(await connection.read())


def test_notify_after_loop_closed_does_nothing() -> None:
    streams = ChangeStreams()

    async def leave_open() -> None:
        messages = Connection(streams)._messages
        await anext(messages)
        streams._listeners[0].take()

    listeners: list[Callable[[frozenset[str]], object]] = []

    async def run() -> None:
        await leave_open()
        listeners.extend(each.notify for each in streams._listeners)

    asyncio.run(run())
    for notify in listeners:
        notify(frozenset({"tasks"}))


async def test_signal_ends_streams_and_reaches_server() -> None:
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: numbers.append(number))
    try:
        own = signal.getsignal(signal.SIGTERM)
        streams = ChangeStreams()
        async with connected(streams) as first, connected(streams) as second:
            assert signal.getsignal(signal.SIGTERM) is not own
            signal.raise_signal(signal.SIGTERM)
            for connection in (first, second):
                assert await connection.read() == ["stopped"]
                assert await connection.ends()
        assert numbers == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_signal_without_handler_keeps_default() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        async with connected(ChangeStreams()):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_handler_that_came_later_is_kept() -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        async with connected(ChangeStreams()):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_signal_reaches_server_of_two_dashboards() -> None:
    """The dashboard that was opened first is closed first: its handler is not the outermost one."""
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: numbers.append(number))
    try:
        own = signal.getsignal(signal.SIGTERM)
        first, second = ChangeStreams(), ChangeStreams()
        outer = connected(second)
        async with connected(first):
            connection = await outer.__aenter__()
        signal.raise_signal(signal.SIGTERM)
        assert await connection.read() == ["stopped"]
        await outer.__aexit__(None, None, None)
        assert signal.getsignal(signal.SIGTERM) is own
        async with connected(first):
            signal.raise_signal(signal.SIGTERM)
        assert numbers == [signal.SIGTERM] * 2
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_handler_that_calls_saved_one_ends() -> None:
    """A handler that was installed above the one of the streams calls it after they have ended."""
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: numbers.append(number))
    try:
        async with connected(ChangeStreams()):
            saved = signal.getsignal(signal.SIGTERM)
            assert callable(saved)
            signal.signal(signal.SIGTERM, lambda number, frame: saved(number, frame))
        async with connected(ChangeStreams()) as connection:
            signal.raise_signal(signal.SIGTERM)
            assert await connection.read() == ["stopped"]
        assert numbers == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
