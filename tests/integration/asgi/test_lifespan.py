"""The lifespan protocol between server, scheduler and app."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from typing_extensions import override

from asyncz import AsyncIOExecutor, AsyncIOScheduler, InvalidInputError
from asyncz.protocols import Notifier

pytestmark = pytest.mark.anyio

Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Lifespan:
    """The server's side of a lifespan."""

    def __init__(self, app: App) -> None:
        self.to_app: asyncio.Queue[Message] = asyncio.Queue()
        self.from_app: asyncio.Queue[Message] = asyncio.Queue()
        self.task = asyncio.ensure_future(app({"type": "lifespan"}, self.to_app.get, self.from_app.put))

    async def tell(self, event: str) -> Message:
        """Send the app an event, and give its answer."""
        self.to_app.put_nowait({"type": f"lifespan.{event}"})
        return await asyncio.wait_for(self.from_app.get(), 60)

    async def over(self) -> None:
        await asyncio.wait_for(self.task, 60)
        assert self.from_app.empty()


def of_an_app(scheduler: AsyncIOScheduler, happened: list[str], failing: str = "") -> App:
    """An app with a lifespan, that notes in which order things happen."""

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        if failing == "startup":
            raise LookupError("no database")
        happened.append(f"the app starts, the scheduler is {scheduler.state.status}")
        yield
        happened.append(f"the app ends, the scheduler is {scheduler.state.status}")
        if failing == "shutdown":
            raise LookupError("no database any more")

    return scheduler.asgi(Starlette(lifespan=lifespan))


async def test_lifespan_wraps_app_lifespan() -> None:
    """Start the scheduler after the app and stop it before the app ends."""
    scheduler, happened = AsyncIOScheduler(), list[str]()
    lifespan = Lifespan(of_an_app(scheduler, happened))
    assert await lifespan.tell("startup") == {"type": "lifespan.startup.complete"}
    assert scheduler.running
    assert await lifespan.tell("shutdown") == {"type": "lifespan.shutdown.complete"}
    await lifespan.over()
    assert happened == ["the app starts, the scheduler is created", "the app ends, the scheduler is stopped"]


async def test_lifespan_app_startup_fails_without_start() -> None:
    scheduler = AsyncIOScheduler()
    lifespan = Lifespan(of_an_app(scheduler, [], "startup"))
    answer = await lifespan.tell("startup")
    assert answer["type"] == "lifespan.startup.failed"
    assert "no database" in str(answer["message"])
    await lifespan.over()
    assert scheduler.state.status == "created"


class Refusing(AsyncIOExecutor):
    """Cannot be started."""

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        raise OSError("no cluster")


async def test_lifespan_scheduler_start_fails_and_ends_app() -> None:
    scheduler, happened = AsyncIOScheduler(executors={"cluster": Refusing()}), list[str]()
    lifespan = Lifespan(of_an_app(scheduler, happened))
    assert await lifespan.tell("startup") == {"type": "lifespan.startup.failed", "message": "OSError: no cluster"}
    await lifespan.over()
    assert len(happened) == 2


async def test_lifespan_of_running_scheduler_rejected() -> None:
    """Reject a scheduler that is already running, which then continues."""
    async with AsyncIOScheduler() as scheduler:
        lifespan = Lifespan(scheduler.asgi(Starlette()))
        answer = await lifespan.tell("startup")
        assert "already running" in str(answer["message"])
        await lifespan.over()
        assert scheduler.running


async def test_lifespan_app_shutdown_fails_after_drain() -> None:
    scheduler = AsyncIOScheduler()
    lifespan = Lifespan(of_an_app(scheduler, [], "shutdown"))
    await lifespan.tell("startup")
    answer = await lifespan.tell("shutdown")
    assert answer["type"] == "lifespan.shutdown.failed"
    assert "no database any more" in str(answer["message"])
    await lifespan.over()
    assert scheduler.state.status == "stopped"


async def test_lifespan_messages_reach_app() -> None:
    received: list[object] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        for event in ("startup", "shutdown"):
            received.append((await receive())["type"])
            await send({"type": f"lifespan.{event}.complete"})

    lifespan = Lifespan(AsyncIOScheduler().asgi(app))
    await lifespan.tell("startup")
    await lifespan.tell("shutdown")
    await lifespan.over()
    assert received == ["lifespan.startup", "lifespan.shutdown"]


async def raises(scope: Message, receive: Receive, send: Send) -> None:
    raise KeyError(scope["type"])


async def returns(scope: Message, receive: Receive, send: Send) -> None: ...


async def starts_only(scope: Message, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})


@pytest.mark.parametrize("app", [raises, returns, starts_only])
async def test_lifespan_app_without_support_accepted(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    scheduler = AsyncIOScheduler()
    lifespan = Lifespan(scheduler.asgi(app))
    assert await lifespan.tell("startup") == {"type": "lifespan.startup.complete"}
    assert await scheduler.add_task(abs, -1).result() == 1
    assert await lifespan.tell("shutdown") == {"type": "lifespan.shutdown.complete"}
    await lifespan.over()
    assert scheduler.state.status == "stopped"
    told = [record.message for record in caplog.records if "app" in record.message]
    assert told == (["The lifespan of the app ended with KeyError('lifespan')"] if app is raises else [])


async def test_lifespan_cancelled_by_server_stops_scheduler() -> None:
    """Stop the scheduler if the server cancels the lifespan task."""

    async def cancelled(lifespan: Lifespan) -> None:
        lifespan.task.cancel()
        await asyncio.wait([lifespan.task], timeout=60)
        assert lifespan.task.cancelled()

    scheduler = AsyncIOScheduler()
    ended = asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    # It answers nothing, so its startup never ends; and then one whose server goes while it runs.
    waiting = Lifespan(scheduler.asgi(app))
    await asyncio.sleep(0)
    await cancelled(waiting)
    assert (ended.is_set(), scheduler.state.status) == (True, "created")

    running = Lifespan(scheduler.asgi(returns))
    await running.tell("startup")
    handle = scheduler.add_task(asyncio.Event().wait, trigger=None).run()
    await cancelled(running)
    assert scheduler.state.status == "stopped"
    assert type(await handle.notification()).__name__ == "TaskCancelled"


async def test_asgi_other_scopes_are_passed_through() -> None:
    seen: list[object] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        seen.extend([scope, receive, send])

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None: ...

    scheduler, scope = AsyncIOScheduler(), dict[str, object](type="websocket")
    await scheduler.asgi(app)(scope, receive, send)
    assert [id(each) for each in seen] == [id(scope), id(receive), id(send)]
    assert scheduler.state.status == "created"


async def test_lifespan_block_error_cancels_runs() -> None:
    scheduler = AsyncIOScheduler()
    task = scheduler.add_task(asyncio.Event().wait, trigger=None)
    with pytest.raises(LookupError):
        async with scheduler.lifespan():
            task.run()
            raise LookupError
    assert type(task.last_notification).__name__ == "TaskCancelled"


async def test_asgi_invalid_arguments_rejected() -> None:
    scheduler = AsyncIOScheduler()
    with pytest.raises(InvalidInputError, match="drain_timeout"):
        scheduler.asgi(returns, drain_timeout=-1)
    with pytest.raises(InvalidInputError, match="scope, receive and send"):
        scheduler.asgi("module:app")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InvalidInputError, match="drain_timeout"):
        async with scheduler.lifespan(drain_timeout=-1):
            pass
    assert scheduler.state.status == "created"
