"""The service: feeds in, documents out, with a chain of three tasks per feed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol

from typing_extensions import TypeVar, TypeVarTuple, Unpack

from asyncz import (
    AsyncIOScheduler,
    IntervalTrigger,
    Retry,
    Task,
    TaskError,
    TaskExecuted,
    TaskOptions,
    Trigger,
    UniversalExecutor,
)
from tests.examples.ingest.executors import ChecksumExecutor
from tests.examples.ingest.fetching import FetchError, Transport, fetch
from tests.examples.ingest.models import Document, Feed, Page, Stored
from tests.examples.ingest.parsing import checksum, parse
from tests.examples.ingest.storage import Repository
from tests.examples.ingest.triggers import OfficeHours

ResultT = TypeVar("ResultT")
Ts = TypeVarTuple("Ts")


class Service(Protocol):
    """Part of the service that the web application uses."""

    def status(self) -> dict[str, str]:
        """Return the state of each feed in one word."""
        ...


def every(
    scheduler: AsyncIOScheduler,
    trigger: Trigger,
    function: Callable[[Unpack[Ts]], ResultT],
    *args: Unpack[Ts],
    executor: UniversalExecutor | str = "threadpool",
    **options: Unpack[TaskOptions],
) -> Task[ResultT]:
    """Add a plain function with the defaults of this application; a wrapper of `add_task` that keeps its types."""
    return scheduler.add_task(function, *args, trigger=trigger, executor=executor, **options)


class Ingest:
    """Fetches feeds, parses them on `cpu`, stores the documents on `disk`.

    Args:
        scheduler: A scheduler with the executors `cpu` and `disk`.
        transport: The client that fetches.
        repository: The store of documents.
    """

    def __init__(self, scheduler: AsyncIOScheduler, transport: Transport, repository: Repository) -> None:
        self.scheduler = scheduler
        self.tasks: dict[str, Task[object]] = {}
        self.stored: list[Stored] = []
        self.problems: list[str] = []
        self._transport = transport
        self._repository = repository
        self._checksums = ChecksumExecutor()
        scheduler.subscribe(TaskError, self._report_problem)

    def add_feed(self, feed: Feed) -> Task[Stored]:
        """Schedule a feed: fetch, parse and store, each on its executor."""
        retry = Retry(attempts=3, delay=0.01, on=(FetchError,))
        fetched = self.scheduler.call(fetch, self._transport, feed, limit=1 << 16).add(
            trigger=self._trigger(feed), id=f"{feed.name}-fetch", timeout=30, retry=retry
        )
        parsed = fetched.then(parse, executor="cpu", id=f"{feed.name}-parse")
        stored = parsed.then(self._repository.store, executor="disk", id=f"{feed.name}-store")
        self._register(feed, fetched, parsed, stored)
        return stored

    def add_checksum(self, page: Page) -> Task[bytes]:
        """Compute a checksum on the executor that accepts only `bytes`."""
        return self.scheduler.call(checksum, page).add(executor=self._checksums)

    def add_report(self) -> Task[int]:
        """Report the number of stored documents once an hour."""
        return every(self.scheduler, IntervalTrigger(hours=1), self._count, timeout=10)

    def status(self) -> dict[str, str]:
        """Return the state of each task in one word."""
        return {name: "ok" if task.state.errors == 0 else "failing" for name, task in self.tasks.items()}

    def _trigger(self, feed: Feed) -> Trigger:
        if feed.priority == "high":
            return IntervalTrigger(minutes=1)
        return OfficeHours(timedelta(minutes=30))

    def _register(self, feed: Feed, fetched: Task[Page], parsed: Task[list[Document]], stored: Task[Stored]) -> None:
        self.tasks |= {f"{feed.name}.fetch": fetched, f"{feed.name}.parse": parsed, f"{feed.name}.store": stored}

        @stored.on_executed
        def keep(event: TaskExecuted[Stored]) -> None:
            self.stored.append(event.result)

    def _count(self) -> int:
        return sum(self._repository.count(name.removesuffix(".store")) for name in self.tasks if name.endswith("store"))

    async def _report_problem(self, event: TaskError) -> None:
        self.problems.append(f"{event.task_id}: {event.exception}")


async def run_all(tasks: Sequence[Callable[[], Awaitable[ResultT]]]) -> list[ResultT]:
    """Await each of several calls in order; a helper over coroutine functions."""
    return [await task() for task in tasks]
