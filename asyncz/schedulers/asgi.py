"""Scheduler that starts and stops with the server of an ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Generic, Never, Protocol

from typing_extensions import TypeVar

from asyncz._unsafe import AsgiApp, Message, as_asgi_app, as_asgi_send
from asyncz.schedulers._safe_logging import logger

# Each framework has its own types for these three; the wrapped app accepts the same as the app.
ScopeT = TypeVar("ScopeT", bound=Mapping[str, object])
ReceiveT = TypeVar("ReceiveT", bound=Callable[[], Awaitable[Mapping[str, object]]])
SendT = TypeVar("SendT", bound=Callable[[Never], Awaitable[None]])


class ServedScheduler(Protocol):
    """Members of a scheduler that are called when a server starts and stops."""

    async def start(self) -> None:
        """Start the scheduler."""
        ...

    async def shutdown(self, wait: bool = True, timeout: float | None = None) -> None:
        """Drain and stop the scheduler."""
        ...


@contextlib.asynccontextmanager
async def scheduler_lifespan(scheduler: ServedScheduler, drain_timeout: float | None) -> AsyncGenerator[None]:
    """Start a scheduler, and drain it at the end; cancel its runs on an exception."""
    await scheduler.start()
    try:
        yield
    except BaseException:
        await scheduler.shutdown(wait=False)
        raise
    await scheduler.shutdown(timeout=drain_timeout)


class AppWithScheduler(Generic[ScopeT, ReceiveT, SendT]):
    """ASGI app with a scheduler, which starts after the app's startup and drains before the app's shutdown.

    So every run finds the resources that the app creates at its startup. The app may ignore the lifespan protocol.

    Args:
        app: ASGI app.
        scheduler: Scheduler to start and stop.
        drain_timeout: Maximum seconds to wait for runs at the shutdown; None for no limit.
    """

    def __init__(
        self,
        app: Callable[[ScopeT, ReceiveT, SendT], Awaitable[None]],
        scheduler: ServedScheduler,
        drain_timeout: float | None,
    ) -> None:
        self._app = app
        self._scheduler = scheduler
        self._drain_timeout = drain_timeout

    async def __call__(self, scope: ScopeT, receive: ReceiveT, send: SendT, /) -> None:
        """Handle a lifespan; pass anything else to the app."""
        if scope["type"] == "lifespan":
            await self._handle_lifespan(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _handle_lifespan(
        self, scope: Mapping[str, object], receive: Callable[[], Awaitable[Mapping[str, object]]], untyped_send: object
    ) -> None:
        send = as_asgi_send(untyped_send)
        async with contextlib.AsyncExitStack() as stack:
            app = _AppLifespan(self._app, scope)
            stack.push_async_callback(app.close)
            await receive()
            answer = await app.send("lifespan.startup")
            if answer is not None and answer["type"] != "lifespan.startup.complete":
                await send(answer)
                return
            try:
                await self._scheduler.start()
            except Exception as error:
                logger.exception("The scheduler could not start with its app")
                await app.send("lifespan.shutdown")
                await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
                return
            # If the server stops without a message, it does not wait for runs.
            stack.push_async_callback(self._scheduler.shutdown, wait=False)
            await send(answer or {"type": "lifespan.startup.complete"})
            await receive()
            await self._scheduler.shutdown(timeout=self._drain_timeout)
            answer = await app.send("lifespan.shutdown")
            await send(answer or {"type": "lifespan.shutdown.complete"})


class _AppLifespan:
    """Lifespan of an app that may not support the lifespan protocol.

    Args:
        app: ASGI app.
        scope: Scope of the lifespan.
    """

    def __init__(self, app: object, scope: Mapping[str, object]) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message | None] = asyncio.Queue()
        self._ended = False
        self._task = asyncio.create_task(self._run(as_asgi_app(app), scope))

    async def _run(self, app: AsgiApp, scope: Mapping[str, object]) -> None:
        try:
            await app(scope, self._messages.get, self._answers.put)
        except Exception as error:
            # The specification's way for an app to say that it does not support lifespans.
            logger.info("The lifespan of the app ended with %r", error)
        finally:
            self._answers.put_nowait(None)

    async def send(self, message: str) -> Message | None:
        """Send a message to the app and return its answer; None if its lifespan has ended."""
        if self._ended:
            return None
        self._messages.put_nowait({"type": message})
        answer = await self._answers.get()
        self._ended = answer is None
        return answer

    async def close(self) -> None:
        """Cancel the lifespan if it is still running."""
        self._task.cancel()
        await asyncio.wait([self._task])
