"""A scheduler that lives as long as the server of an ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Generic, Never, Protocol, TypeAlias

from typing_extensions import TypeIs, TypeVar

Message: TypeAlias = MutableMapping[str, object]

# Frameworks type these three each in their own way: what an app takes, it takes with a scheduler too.
ScopeT = TypeVar("ScopeT", bound=Mapping[str, object])
ReceiveT = TypeVar("ReceiveT", bound=Callable[[], Awaitable[Mapping[str, object]]])
SendT = TypeVar("SendT", bound=Callable[[Never], Awaitable[None]])

logger: logging.Logger = logging.getLogger("asyncz.scheduler")


class Life(Protocol):
    """What is started and drained with a server: a scheduler."""

    async def start(self) -> None:
        """Begin."""
        ...

    async def shutdown(self, wait: bool = True, timeout: float | None = None) -> None:
        """Come to an end."""
        ...


class AppWithScheduler(Generic[ScopeT, ReceiveT, SendT]):
    """An ASGI app whose scheduler starts after the app's own startup and drains before its own shutdown.

    So a run finds what the app has made at its startup, whenever it runs. An app that knows nothing of the lifespan
    protocol needs not learn it.
    """

    def __init__(
        self, app: Callable[[ScopeT, ReceiveT, SendT], Awaitable[None]], scheduler: Life, drain_timeout: float | None
    ) -> None:
        self._app = app
        self._scheduler = scheduler
        self._drain_timeout = drain_timeout

    async def __call__(self, scope: ScopeT, receive: ReceiveT, send: SendT, /) -> None:
        """Live through a lifespan; anything else is the app's own."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _live(
        self, scope: Mapping[str, object], receive: Callable[[], Awaitable[Mapping[str, object]]], send: object
    ) -> None:
        assert _sends_messages(send)
        async with contextlib.AsyncExitStack() as ending:
            app = _AppLifespan(self._app, scope)
            ending.push_async_callback(app.close)
            await receive()
            answer = await app.ask("lifespan.startup")
            if answer is not None and answer["type"] != "lifespan.startup.complete":
                await send(answer)
                return
            try:
                await self._scheduler.start()
            except Exception as error:
                logger.exception("The scheduler could not start with its app")
                await app.ask("lifespan.shutdown")
                await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
                return
            # Where the server is gone without a word, nobody waits for what runs.
            ending.push_async_callback(self._scheduler.shutdown, wait=False)
            await send(answer or {"type": "lifespan.startup.complete"})
            await receive()
            await self._scheduler.shutdown(timeout=self._drain_timeout)
            answer = await app.ask("lifespan.shutdown")
            await send(answer or {"type": "lifespan.shutdown.complete"})


class _AppLifespan:
    """The lifespan of an app of which it is not known whether it has one."""

    def __init__(self, app: object, scope: Mapping[str, object]) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message | None] = asyncio.Queue()
        self._gone = False
        self._task = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: object, scope: Mapping[str, object]) -> None:
        try:
            if _is_app(app):
                await app(scope, self._messages.get, self._answers.put)
        except Exception as error:
            # By the specification this is how an app says that it has no lifespan.
            logger.info("The lifespan of the app ended with %r", error)
        finally:
            self._answers.put_nowait(None)

    async def ask(self, message: str) -> Message | None:
        """Tell the app, and wait for its answer; None where its lifespan is over, or it has none."""
        if self._gone:
            return None
        self._messages.put_nowait({"type": message})
        answer = await self._answers.get()
        self._gone = answer is None
        return answer

    async def close(self) -> None:
        """End what is left of it."""
        self._task.cancel()
        await asyncio.wait([self._task])


class _App(Protocol):
    def __call__(self, scope: object, receive: object, send: object, /) -> Awaitable[None]: ...


def _is_app(app: object) -> TypeIs[_App]:
    return callable(app)


def _sends_messages(send: object) -> TypeIs[Callable[[Message], Awaitable[None]]]:
    return callable(send)
