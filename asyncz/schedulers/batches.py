"""Batches: a function with each of many items, in a bounded number of runs at the same time.

`AsyncIOScheduler.map` returns a `Batch`, which an asyncio task feeds. `SchedulerThread.map` returns a `ThreadBatch`,
which the iterating thread feeds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Generic, Never, Protocol, Self, TypeAlias, overload

import attrs
from typing_extensions import TypedDict, TypeVar, override

from asyncz._aliases import OtherAlias
from asyncz._checks import check_flag, check_text, shown
from asyncz._signatures import check_function
from asyncz._text import closest, exception_text, value_text
from asyncz.events import TaskCancelled, TaskExecuted
from asyncz.exceptions import (
    BatchItemError,
    DuplicateTaskError,
    InvalidInputError,
    SchedulerNotRunningError,
    UnknownOptionError,
)
from asyncz.limits import TaskLimits
from asyncz.protocols import Executor
from asyncz.retries import Retry
from asyncz.runs import raised_by
from asyncz.schedulers._batch_runs import BatchCall, BatchOutcome as BatchOutcome, BatchPlan, BatchRuns
from asyncz.schedulers._parts import SchedulerParts
from asyncz.tasks import AwaitedT, Returns

CallT_co = TypeVar("CallT_co", covariant=True)
ItemT = TypeVar("ItemT")
ItemT_co = TypeVar("ItemT_co", covariant=True)
ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)

MAX_INSTANCES = 10
"""Maximum number of runs of a batch at the same time by default: the default number of workers of a pool."""

_LONGEST_ITEM = 100


class BatchOptions(TypedDict, total=False, closed=True):
    """Options that set the limits of a batch; those that are not given are the scheduler's `defaults`."""

    max_instances: int
    timeout: float | None
    retry: Retry | None


_OPTION_NAMES = tuple(BatchOptions.__annotations__)


@attrs.frozen(eq=False)
class BatchPlanner:
    """Checks batches and describes them. Thread-safe.

    Attributes:
        parts: Parts of the scheduler.
        defaults: Limits of tasks that set no others.
    """

    parts: SchedulerParts
    defaults: TaskLimits

    def plan(
        self,
        fn: Callable[[ItemT], ResultT | Awaitable[ResultT]],
        executor: Executor[ResultT] | OtherAlias | None,
        task_id: str | None,
        options: BatchOptions,
        *,
        ordered: bool,
    ) -> BatchRuns[ItemT, ResultT]:
        """Return the runs of a batch, which has no task yet; see `AsyncIOScheduler.map` for the errors."""
        check_function("fn", fn, (_AnItem(),), used_by="map")
        check_flag("ordered", ordered)
        limits = self._limits(options)
        if task_id is not None:
            check_text("id", task_id)
            if self.parts.tasks.holder(task_id) is not None:
                raise DuplicateTaskError(task_id)
        if executor is None:
            executor = self.parts.executors.default_alias
        call = BatchCall[ItemT, ResultT](fn)
        self.parts.executors.prepare(executor, call)
        return BatchRuns(BatchPlan[ItemT, ResultT](self.parts, call, executor, task_id, limits, ordered))

    def _limits(self, options: BatchOptions) -> TaskLimits:
        for name in options:
            if name not in _OPTION_NAMES:
                raise UnknownOptionError(
                    name, closest(name, _OPTION_NAMES), (*_OPTION_NAMES, "executor", "id", "ordered")
                )
        limits = self.defaults.evolve(max_instances=MAX_INSTANCES, misfire_grace_time=None)
        return limits.evolve(**options)


Pump: TypeAlias = Callable[[], Coroutine[object, Never, None]]
"""Coroutine function that reads the items of a batch and submits their runs."""


class BatchSource(Protocol[ItemT_co, ResultT_co]):
    """The part of `BatchRuns` that the object for iteration uses. For the loop's thread, except where noted.

    Covariant in the item and the result, which `BatchRuns` cannot be: it also receives them.
    """

    @property
    def task_id(self) -> str:
        """Id of the task. Thread-safe."""
        ...

    @property
    def closed(self) -> bool:
        """True if the iteration is over. Thread-safe."""
        ...

    @property
    def window(self) -> int:
        """Maximum number of items that were taken and whose outcomes were not received yet. Thread-safe."""
        ...

    @property
    def has_outcome(self) -> bool:
        """True if `next` would return an outcome at once. Thread-safe."""
        ...

    def check_thread(self) -> None:
        """Raise an error if this is not the thread of the scheduler's loop, or the scheduler does not run."""
        ...

    def start(self, pump: Pump | None = None) -> None:
        """Add the task of the batch, if the iteration has not begun yet."""
        ...

    async def next(self) -> BatchOutcome[ItemT_co, ResultT_co] | None:
        """Wait for the next outcome, and return it; None at the end."""
        ...

    def shutdown_error(self) -> SchedulerNotRunningError | None:
        """Return an error if the scheduler is shutting down or has been shut down; else None."""
        ...

    def close(self) -> None:
        """Cancel the live runs, forget the other items and remove the task."""
        ...

    def close_soon(self) -> None:
        """Call `close` on the loop's thread, later. Thread-safe."""
        ...


class Batch(Returns[CallT_co], Generic[ItemT_co, CallT_co]):
    """Results of a batch, for `async for`; made by `AsyncIOScheduler.map`. For the loop's thread.

    The first item that fails raises `BatchItemError` and ends the batch; `outcomes()` yields failures too. Leaving
    `async with`, `aclose()`, or dropping the last reference, as `break` does in `async for ... in scheduler.map(...)`,
    cancels the other runs and removes the task. Outside of `async with`, so does the cancellation of the coroutine that
    waits for the next result, as with asynchronous generators. Functions in threads that do not ask for their
    cancellation continue.

    An `AsyncIterator` of what the function returns; of the awaited results, if its annotation says `Awaitable`.

    Example:
        >>> async for page in scheduler.map(fetch, urls, max_instances=20):
        ...     print(len(page))
    """

    def __init__(self, source: BatchSource[ItemT_co, CallT_co], pump: Pump) -> None:
        self._source: BatchSource[ItemT_co, CallT_co] = source
        self._pump = pump
        self._in_block = False

    @override
    def __repr__(self) -> str:
        return f"<Batch {self._source.task_id!r}>"

    @property
    def task_id(self) -> str:
        """Id of the task of the batch, which exists while the batch is iterated over; empty before, if none is set."""
        return self._source.task_id

    @overload
    def outcomes(self: Returns[Awaitable[AwaitedT]]) -> AsyncIterator[BatchOutcome[ItemT_co, AwaitedT]]: ...
    @overload
    def outcomes(self: Returns[ResultT]) -> AsyncIterator[BatchOutcome[ItemT_co, ResultT]]: ...
    def outcomes(self) -> object:
        """Return an iterator of the outcomes with their items, instead of the results: an item that fails is one too.

        Only a shutdown of the scheduler, the removal of the task or an error of the iterable of items raises.

        Example:
            >>> async for outcome in scheduler.map(fetch, urls).outcomes():
            ...     if isinstance(outcome.notification, TaskExecuted):
            ...         print(outcome.item, len(outcome.result()))
        """
        return _Outcomes(self)

    def __aiter__(self) -> Self:
        return self

    @overload
    async def __anext__(self: Returns[Awaitable[AwaitedT]]) -> AwaitedT: ...
    @overload
    async def __anext__(self: Returns[ResultT]) -> ResultT: ...
    async def __anext__(self) -> object:
        outcome = await self._next_outcome()
        notification = outcome.notification
        if isinstance(notification, TaskExecuted):
            return notification.result
        self.close()
        _raise_failure(self._source, outcome)

    async def _next_outcome(self) -> BatchOutcome[ItemT_co, CallT_co]:
        """Wait for the next outcome, and return it; the first call begins the batch.

        Raises:
            StopAsyncIteration: There are no more.
            SchedulerNotRunningError: The scheduler is not running, or was shut down before the end.
            WrongThreadError: The scheduler runs in another thread; use `SchedulerThread.map` there.
        """
        source = self._source
        source.check_thread()
        source.start(self._pump)
        try:
            outcome = await source.next()
        except asyncio.CancelledError:
            # The traceback keeps this batch alive for an unknown time, so that dropping references may end it too late.
            if not self._in_block:
                self.close()
            raise
        if outcome is None:
            raise StopAsyncIteration
        return outcome

    async def __aenter__(self) -> Self:
        self._in_block = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def aclose(self) -> None:
        """End the batch: cancel its runs, stop taking items and remove the task."""
        self.close()

    def close(self) -> None:
        """End the batch as `aclose()` does, for code that cannot await."""
        self._source.close()

    def __del__(self) -> None:
        # Not `close`: the garbage collector may run in any thread.
        self._source.close_soon()


class _Outcomes(AsyncIterator[BatchOutcome[ItemT_co, ResultT_co]]):
    """Outcomes of a batch, which lives as long as this."""

    def __init__(self, batch: Batch[ItemT_co, ResultT_co]) -> None:
        self._batch: Batch[ItemT_co, ResultT_co] = batch

    @override
    def __aiter__(self) -> Self:
        return self

    @override
    async def __anext__(self) -> BatchOutcome[ItemT_co, ResultT_co]:
        return await self._batch._next_outcome()


def batch_of(runs: BatchRuns[ItemT, ResultT], items: Iterable[ItemT] | AsyncIterable[ItemT]) -> Batch[ItemT, ResultT]:
    """Return a batch that reads its items on the loop, in an asyncio task."""
    return Batch(runs, partial(_pump, runs, items))


async def _pump(runs: BatchRuns[ItemT, ResultT], items: Iterable[ItemT] | AsyncIterable[ItemT]) -> None:
    """Take an item whenever its run can start at once."""
    try:
        if isinstance(items, AsyncIterable):
            async_iterator = aiter(items)
            while await runs.wait_for_slot():
                runs.feed(await anext(async_iterator))
        else:
            iterator = iter(items)
            while await runs.wait_for_slot():
                runs.feed(next(iterator))
    except (StopIteration, StopAsyncIteration):
        runs.end_of_items()
    except BaseException as error:
        # Also a cancellation that the iterable raises: the consumer would wait without end.
        runs.end_of_items(error)
        if not isinstance(error, Exception):
            raise


class ThreadBatch(Returns[CallT_co], Generic[ItemT_co, CallT_co]):
    """Results of a batch, for `for`; made by `SchedulerThread.map`. For one thread, not the scheduler's.

    The first item that fails raises `BatchItemError` and ends the batch; `outcomes()` yields failures too. Leaving
    `with`, `close()`, or dropping the last reference, as `break` does in `for ... in thread.map(...)`, cancels the
    other runs and removes the task. Functions in threads that do not ask for their cancellation continue.

    An `Iterator` of what the function returns; of the awaited results, if its annotation says `Awaitable`.

    Example:
        >>> for thumbnail in thread.map(shrink, paths, executor="processpool"):
        ...     print(thumbnail)
    """

    def __init__(
        self, source: BatchSource[ItemT_co, CallT_co], take_item: Callable[[], bool], bridge: LoopBridge
    ) -> None:
        self._source: BatchSource[ItemT_co, CallT_co] = source
        self._take_item = take_item
        self._bridge = bridge
        self._started = self._has_all_items = False
        # Number of items that were taken and have not come back as outcomes.
        self._in_flight = 0

    @override
    def __repr__(self) -> str:
        return f"<ThreadBatch {self._source.task_id!r}>"

    @property
    def task_id(self) -> str:
        """Id of the task of the batch, which exists while the batch is iterated over; empty before, if none is set."""
        return self._source.task_id

    @overload
    def outcomes(self: Returns[Awaitable[AwaitedT]]) -> Iterator[BatchOutcome[ItemT_co, AwaitedT]]: ...
    @overload
    def outcomes(self: Returns[ResultT]) -> Iterator[BatchOutcome[ItemT_co, ResultT]]: ...
    def outcomes(self) -> object:
        """Return an iterator of the outcomes with their items, instead of the results; see `Batch.outcomes`."""
        return _ThreadOutcomes(self)

    def __iter__(self) -> Self:
        return self

    @overload
    def __next__(self: Returns[Awaitable[AwaitedT]]) -> AwaitedT: ...
    @overload
    def __next__(self: Returns[ResultT]) -> ResultT: ...
    def __next__(self) -> object:
        outcome = self._next_outcome()
        notification = outcome.notification
        if isinstance(notification, TaskExecuted):
            return notification.result
        self.close()
        _raise_failure(self._source, outcome)

    def _next_outcome(self) -> BatchOutcome[ItemT_co, CallT_co]:
        """Take items until the window is full, then wait for the next outcome, and return it.

        Raises:
            StopIteration: There are no more.
            SchedulerNotRunningError: The scheduler is not running, or was shut down before the end.
            WrongThreadError: This is the thread of the scheduler.
        """
        source = self._source
        if source.closed:
            raise StopIteration
        if not self._started:
            self._bridge(self._start)
            self._started = True
        # Only this thread takes items and receives outcomes, so its own count of items in flight is exact. It reads two
        # values that the loop's thread changes: `window`, one attribute that is replaced as a whole, and `has_outcome`,
        # the size of a deque. Both reads are atomic under the GIL. An old value is harmless: an item is taken a call
        # earlier or later, and an outcome that was missed is received below. The loop stops at the first outcome: the
        # iterable may be slow, and the consumer must not wait for it.
        while not self._has_all_items and self._in_flight < source.window:
            if not self._take_item():
                self._has_all_items = True
                break
            self._in_flight += 1
            if source.has_outcome:
                break
        try:
            outcome = self._bridge(source.next)
        except BaseException:
            # For example an interrupt of the user: the traceback keeps this batch alive for an unknown time.
            self.close()
            raise
        if outcome is None:
            raise StopIteration
        self._in_flight -= 1
        return outcome

    async def _start(self) -> None:
        self._source.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the batch: cancel its runs, stop taking items and remove the task. Does not wait for the end."""
        self._source.close_soon()

    def __del__(self) -> None:
        self.close()


class LoopBridge(Protocol):
    """Function that runs a coroutine on the scheduler's loop, and waits for its result in the calling thread."""

    def __call__(self, make: Callable[[], Coroutine[object, Never, ResultT]], /) -> ResultT:
        """Run a coroutine."""
        ...


class _ThreadOutcomes(Iterator[BatchOutcome[ItemT_co, ResultT_co]]):
    """Outcomes of a batch, which lives as long as this."""

    def __init__(self, batch: ThreadBatch[ItemT_co, ResultT_co]) -> None:
        self._batch: ThreadBatch[ItemT_co, ResultT_co] = batch

    @override
    def __next__(self) -> BatchOutcome[ItemT_co, ResultT_co]:
        return self._batch._next_outcome()


def thread_batch_of(
    runs: BatchRuns[ItemT, ResultT], items: Iterable[ItemT], bridge: LoopBridge
) -> ThreadBatch[ItemT, ResultT]:
    """Return a batch that reads its items in the consuming thread, as a cursor of a database may require."""
    iterator: Iterator[ItemT] | None = None

    def take_item() -> bool:
        nonlocal iterator
        try:
            if iterator is None:
                iterator = iter(items)
            runs.feed_soon(next(iterator))
        except StopIteration:
            runs.end_soon()
            return False
        except Exception as error:
            runs.end_soon(error)
            return False
        return True

    return ThreadBatch(runs, take_item, bridge)


def check_items(items: object, kinds: tuple[type[object], ...], wanted: str) -> None:
    """Reject items that cannot be iterated over."""
    if not isinstance(items, kinds):
        advice = "; call the function that makes them" if callable(items) else ""
        raise InvalidInputError("items", shown(items), f"{wanted} is needed{advice}")


def _raise_failure(source: BatchSource[object, object], outcome: BatchOutcome[object, object]) -> Never:
    """Raise the error for an item without a result; that of the shutdown if a shutdown has cancelled the run."""
    notification = outcome.notification
    raised = raised_by(notification)
    assert raised is not None
    shutdown = source.shutdown_error() if isinstance(notification, TaskCancelled) else None
    if shutdown is not None:
        raise shutdown from raised
    item = value_text(outcome.item, _LONGEST_ITEM)
    raise BatchItemError(source.task_id, outcome.index, item, exception_text(raised)) from raised


class _AnItem:
    """Argument for the check of a signature: the message about a function that does not accept it shows `item`."""

    @override
    def __repr__(self) -> str:
        return "item"
