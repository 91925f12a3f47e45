"""Server-sent events with the names of the changed parts; a page then fetches these parts again.

Streams must not hold up the end of the server, which waits for open requests before the lifespan ends: a stream ends
when the process gets SIGINT or SIGTERM, when the client disconnects, when the scheduler has stopped, and after 25
seconds in any case. When a stream ends, the browser connects again.

Threads: `notify` is called by any thread, mostly the loop's thread of the scheduler, and a stream belongs to the loop
of the server. `notify` adds the names to a set and wakes the stream once; the set is exchanged under a lock, so that no
name is lost between the two threads.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Final

from starlette.requests import Request

from asyncz.dashboard._journal import STOPPED, Topics
from asyncz.dashboard._signals import SIGNAL_NOTICE

MAX_SECONDS: Final = 25.0
"""Seconds after which a stream ends."""

MAX_STREAMS: int = 100
"""Maximum number of open streams of a dashboard; further ones are rejected."""

# Pages are updated at most this often.
_INTERVAL = 0.5
_RETRY = b"retry: 1000\n\n"


class _Listener:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._names: set[str] = set()
        self.changed = asyncio.Event()

    def notify(self, topics: Topics) -> None:
        with self._lock:
            # The first name wakes the stream, which takes all that follow until then.
            wakes = not self._names
            self._names |= topics
        if wakes:
            try:
                self._loop.call_soon_threadsafe(self.changed.set)
            except RuntimeError:
                # The loop of the server was closed.
                return

    def take(self) -> list[str]:
        with self._lock:
            names, self._names = self._names, set()
            self.changed.clear()
        return sorted(names)


class ChangeStreams:
    """Open streams of one dashboard.

    Attributes:
        watch: Coroutine function that runs beside each stream, and notifies of changes; None without one.
    """

    def __init__(self) -> None:
        self.watch: Callable[[], Coroutine[object, object, None]] | None = None
        self._listeners: tuple[_Listener, ...] = ()
        self._lock = threading.Lock()

    @property
    def open(self) -> int:
        """Number of open streams."""
        return len(self._listeners)

    def notify(self, topics: Topics) -> None:
        """Name changed parts to all streams. Thread-safe."""
        for listener in self._listeners:
            listener.notify(topics)

    def end(self) -> None:
        """End all streams, because the server stops. Thread-safe."""
        self.notify(frozenset({STOPPED}))

    async def messages(self, request: Request) -> AsyncGenerator[bytes]:
        """Yield the messages of a new stream until the client disconnects, the scheduler stops, or time is over."""
        listener = _Listener()
        self._add(listener)
        ending = asyncio.ensure_future(_disconnected(request))
        watching = None if self.watch is None else asyncio.ensure_future(self.watch())
        # Not `asyncio.timeout`: if the client is slow, that would cancel the server's write, outside of this generator.
        clock = asyncio.get_running_loop().time
        end = clock() + MAX_SECONDS
        try:
            yield _RETRY
            while not ending.done() and (remaining := end - clock()) > 0:
                changed = asyncio.ensure_future(listener.changed.wait())
                await asyncio.wait({ending, changed}, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                names = listener.take()
                if names:
                    yield b"data: " + json.dumps(names).encode() + b"\n\n"
                if STOPPED in names:
                    return
                await asyncio.wait({ending}, timeout=_INTERVAL)
        finally:
            ending.cancel()
            if watching is not None:
                watching.cancel()
            self._remove(listener)

    def _add(self, listener: _Listener) -> None:
        with self._lock:
            self._listeners = (*self._listeners, listener)
            SIGNAL_NOTICE.add(self.end)

    def _remove(self, listener: _Listener) -> None:
        with self._lock:
            self._listeners = tuple(each for each in self._listeners if each is not listener)
            if not self._listeners:
                SIGNAL_NOTICE.remove(self.end)


async def _disconnected(request: Request) -> None:
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return
