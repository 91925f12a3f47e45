"""A scheduler with an ASGI app starts and drains with the server, whatever the app knows of lifespans."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from typing_extensions import override

from asyncz import AsyncIOExecutor, AsyncIOScheduler, InvalidInputError, SchedulerState
from asyncz.protocols import Notifier

Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

ROOT = Path(__file__).parent.parent


class Server:
    """An app in a process of uvicorn, on a port that nobody else has."""

    def __init__(self, app: str, folder: Path, drain_timeout: float | None) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            number = listening.fileno()
            with (folder / "log").open("w") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "uvicorn", app, "--fd", str(number)],
                    stdout=log,
                    stderr=log,
                    pass_fds=[number],
                    cwd=ROOT,
                    env={
                        **os.environ,
                        "ASYNCZ_TEST_FOLDER": str(folder),
                        "ASYNCZ_TEST_DRAIN_TIMEOUT": json.dumps(drain_timeout),
                    },
                )

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def events(self) -> list[tuple[str, int]]:
        """What happened to runs, as far as it is written down."""
        file = self.folder / "events"
        return [tuple(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that the server brings about; one that does not fails the test."""
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, self.log
            assert self.process.poll() is None, self.log
            time.sleep(0.01)

    def state(self) -> SchedulerState:
        answer = httpx.get(f"{self.url}/state", timeout=60)
        assert answer.headers["content-type"].startswith("application/json")
        return SchedulerState.model_validate_json(answer.content)

    def terminate(self) -> None:
        """Send SIGTERM, and wait until the server has begun to shut its app down."""
        self.process.send_signal(signal.SIGTERM)
        self.until(lambda: "Waiting for application shutdown" in self.log)


@contextmanager
def served(app: str, folder: Path, drain_timeout: float | None = None) -> Iterator[Server]:
    server = Server(app, folder, drain_timeout)
    try:
        yield server
    finally:
        (folder / "gate").touch()
        server.process.kill()
        server.process.wait()


@pytest.mark.parametrize("app", ["starlette_app", "fastapi_app", "litestar_app", "wrapped_app"])
def test_runs_in_flight_come_to_their_end_after_sigterm(app: str, tmp_path: Path) -> None:
    with served(f"tests.asgi_apps:{app}", tmp_path) as server:
        server.until(lambda: server.state().submitted == 3)
        assert server.state().status == "running"
        server.terminate()
        assert {name for name, _ in server.events} == {"TaskSubmitted"}
        (tmp_path / "gate").touch()
        assert server.process.wait(timeout=60) in {0, -signal.SIGTERM}
        assert "Application shutdown complete" in server.log
        submitted = sorted(number for name, number in server.events if name == "TaskSubmitted")
        assert sorted(number for name, number in server.events if name == "TaskExecuted") == submitted
        assert len(server.events) == 6


@pytest.mark.parametrize("app", ["starlette_app", "wrapped_app"])
def test_the_drain_after_sigterm_can_be_bounded(app: str, tmp_path: Path) -> None:
    with served(f"tests.asgi_apps:{app}", tmp_path, drain_timeout=0.1) as server:
        server.until(lambda: server.state().submitted == 3)
        server.terminate()
        # Nothing lets the runs go on: only the time limit of the drain ends them.
        server.until(lambda: len(server.events) == 6)
        (tmp_path / "gate").touch()
        assert server.process.wait(timeout=60) in {0, -signal.SIGTERM}
        assert Counter(name for name, _ in server.events) == {"TaskSubmitted": 3, "TaskCancelled": 3}
        assert len({number for _, number in server.events}) == 3


def test_the_example_with_a_state_endpoint(tmp_path: Path) -> None:
    with served("tests.examples.web:app", tmp_path) as server:
        server.until(lambda: "startup complete" in server.log)
        answers = [httpx.post(f"{server.url}/checksum", content=b"text", timeout=60).json() for _ in range(2)]
        assert [answer["asked"] for answer in answers] == [1, 2]
        assert answers[0]["sha256"].startswith("982d9e3eb996f559e633f4d194def376")
        state = server.state()
        assert (state.executed, [task.task_id for task in state.tasks]) == (2, ["forget"])
        server.terminate()
        assert server.process.wait(timeout=60) in {0, -signal.SIGTERM}


class Refusing(AsyncIOExecutor):
    """Cannot be started."""

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        raise OSError("no cluster")


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


def test_the_scheduler_runs_within_the_lifespan_of_its_app() -> None:
    async def main() -> None:
        scheduler, happened = AsyncIOScheduler(), list[str]()
        lifespan = Lifespan(of_an_app(scheduler, happened))
        assert await lifespan.tell("startup") == {"type": "lifespan.startup.complete"}
        assert scheduler.running
        assert await lifespan.tell("shutdown") == {"type": "lifespan.shutdown.complete"}
        await lifespan.over()
        assert happened == ["the app starts, the scheduler is created", "the app ends, the scheduler is stopped"]

    asyncio.run(main())


def test_a_startup_of_the_app_that_fails_is_told_and_starts_nothing() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        lifespan = Lifespan(of_an_app(scheduler, [], "startup"))
        answer = await lifespan.tell("startup")
        assert answer["type"] == "lifespan.startup.failed"
        assert "no database" in str(answer["message"])
        await lifespan.over()
        assert scheduler.state.status == "created"

    asyncio.run(main())


def test_a_start_of_the_scheduler_that_fails_is_told_and_ends_the_app() -> None:
    async def main() -> None:
        scheduler, happened = AsyncIOScheduler(executors={"cluster": Refusing()}), list[str]()
        lifespan = Lifespan(of_an_app(scheduler, happened))
        assert await lifespan.tell("startup") == {"type": "lifespan.startup.failed", "message": "OSError: no cluster"}
        await lifespan.over()
        assert len(happened) == 2

    asyncio.run(main())


def test_a_scheduler_that_runs_already_is_rejected_and_goes_on() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            lifespan = Lifespan(scheduler.asgi(Starlette()))
            answer = await lifespan.tell("startup")
            assert "started already" in str(answer["message"])
            await lifespan.over()
            assert scheduler.running

    asyncio.run(main())


def test_a_shutdown_of_the_app_that_fails_is_told_after_the_drain() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        lifespan = Lifespan(of_an_app(scheduler, [], "shutdown"))
        await lifespan.tell("startup")
        answer = await lifespan.tell("shutdown")
        assert answer["type"] == "lifespan.shutdown.failed"
        assert "no database any more" in str(answer["message"])
        await lifespan.over()
        assert scheduler.state.status == "stopped"

    asyncio.run(main())


async def raises(scope: Message, receive: Receive, send: Send) -> None:
    raise KeyError(scope["type"])


async def returns(scope: Message, receive: Receive, send: Send) -> None: ...


async def starts_only(scope: Message, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})


@pytest.mark.parametrize("app", [raises, returns, starts_only])
def test_an_app_needs_no_lifespan(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        scheduler = AsyncIOScheduler()
        lifespan = Lifespan(scheduler.asgi(app))
        assert await lifespan.tell("startup") == {"type": "lifespan.startup.complete"}
        assert await scheduler.add_task(abs, -1).result() == 1
        assert await lifespan.tell("shutdown") == {"type": "lifespan.shutdown.complete"}
        await lifespan.over()
        assert scheduler.state.status == "stopped"

    asyncio.run(main())
    told = [record.message for record in caplog.records if "app" in record.message]
    assert told == (["The lifespan of the app ended with KeyError('lifespan')"] if app is raises else [])


def test_a_server_that_goes_without_a_word_leaves_nothing_running() -> None:
    async def main() -> None:
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

    async def cancelled(lifespan: Lifespan) -> None:
        lifespan.task.cancel()
        await asyncio.wait([lifespan.task], timeout=60)
        assert lifespan.task.cancelled()

    asyncio.run(main())


def test_everything_but_the_lifespan_is_the_apps_own() -> None:
    async def main() -> None:
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

    asyncio.run(main())


def test_a_lifespan_that_is_left_by_an_error_cancels_what_runs() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        task = scheduler.add_task(asyncio.Event().wait, trigger=None)
        with pytest.raises(LookupError):
            async with scheduler.lifespan():
                task.run()
                raise LookupError
        assert type(task.last_notification).__name__ == "TaskCancelled"

    asyncio.run(main())


def test_bad_input_is_rejected_before_anything_starts() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        with pytest.raises(InvalidInputError, match="drain_timeout"):
            scheduler.asgi(returns, drain_timeout=-1)
        with pytest.raises(InvalidInputError, match="scope, receive and send"):
            scheduler.asgi("module:app")  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(InvalidInputError, match="drain_timeout"):
            async with scheduler.lifespan(drain_timeout=-1):
                pass
        assert scheduler.state.status == "created"

    asyncio.run(main())
