"""The scheduler of a program that is not asynchronous: its event loop runs in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Never, Self

from typing_extensions import TypeVar

from asyncz._checks import check_optional_seconds
from asyncz.exceptions import ResultTimeoutError, SchedulerNotRunningError, WrongThreadError
from asyncz.executors._exit_hooks import call_before_exit_waits
from asyncz.tasks import Task

if TYPE_CHECKING:
    from asyncz.schedulers.asyncio import AsyncIOScheduler
else:
    # `typing.get_type_hints` needs the names, and these imports are slow or circular.
    AsyncIOScheduler = object

ResultT = TypeVar("ResultT")

# A signal that comes just before a thread goes to sleep is seen when it wakes: it wakes so often, in seconds.
_SIGNALS_WAIT = 0.5


class SchedulerThread:
    """A thread in which a scheduler runs, and the way for other threads to wait for what it does.

    Made by `AsyncIOScheduler.in_thread`. The scheduler and its tasks are used as ever: what may be called from any
    thread, such as `add_task` or `Task.then`, is called directly. The methods here block; they may be called from any
    thread but that of the scheduler.

    Example:
        >>> with AsyncIOScheduler().in_thread() as thread:
        ...     task = thread.scheduler.add_task(pow, 2, 10, executor="processpool")
        ...     print(thread.result(task, timeout=30))
    """

    def __init__(
        self,
        scheduler: AsyncIOScheduler,
        *,
        drain_timeout: float | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        check_optional_seconds("drain_timeout", drain_timeout, zero_allowed=True)
        self._scheduler = scheduler
        self._drain_timeout = drain_timeout
        self._loop_factory = loop_factory
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        # None while nothing can be asked of it.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[concurrent.futures.Future[None]] = set()
        self._started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._closed = threading.Event()
        self._failure: BaseException | None = None

    @property
    def scheduler(self) -> AsyncIOScheduler:
        """The scheduler that runs in the thread."""
        return self._scheduler

    def __enter__(self) -> Self:
        """Start the thread, and the scheduler in it; raises what that raised at its start."""
        self._started, self._failure = concurrent.futures.Future(), None
        self._closed.clear()
        self._thread = threading.Thread(target=self._run, name="asyncz-scheduler")
        self._thread.start()
        try:
            self._started.result()
        except BaseException:
            self._cut_short()
            self._thread.join()
            raise
        _open.add(self)
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        """Shut the scheduler down, letting what runs come to its end unless an exception was raised; end the thread."""
        assert self._thread is not None
        try:
            with contextlib.suppress(SchedulerNotRunningError):
                self.shutdown(wait=exc_type is None, timeout=self._drain_timeout)
        except BaseException:
            # An interrupt: whoever does not want to wait for the end of what runs need not.
            self._cut_short()
            raise
        finally:
            self._thread.join()
            _open.discard(self)
        if self._failure is not None and exc_type is None:
            raise self._failure

    def run(self, task: Task[ResultT], *, timeout: float | None = None) -> ResultT:
        """Run a task once now, beside its schedule, and wait for its typed result.

        Args:
            task: A task of this scheduler.
            timeout: How many seconds to wait at most; None is no limit. The run goes on then.

        Raises:
            ResultTimeoutError: The run has not ended in time.
            Exception: What the run raised, and what `Task.run` raises.

        Example:
            >>> page = thread.run(task, timeout=30)
        """

        async def run() -> ResultT:
            return await task.run()

        return self._wait_for(run, task.id, timeout)

    def result(self, task: Task[ResultT], *, timeout: float | None = None) -> ResultT:
        """Wait for the next run of a task that ends, and give its typed result; one that has finished gives its last.

        Args:
            task: A task of this scheduler.
            timeout: How many seconds to wait at most; None is no limit. The task goes on then.

        Raises:
            ResultTimeoutError: No run has ended in time.
            Exception: What the run raised, and what `Task.result` raises.
        """
        return self._wait_for(task.result, task.id, timeout)

    def wait_closed(self) -> None:
        """Wait until the scheduler has shut down: by `shutdown()`, or by SIGINT or SIGTERM.

        The signals are handled while the main thread waits here, and restored after: the first one lets the runs come
        to their end, for `drain_timeout` seconds at most, a second one cancels them.

        Raises:
            WrongThreadError: This is the thread of the scheduler.
        """
        self._reject_own_thread("SchedulerThread.wait_closed()")
        with self._lock:
            loop = self._loop
        if loop is None:
            return
        with self._scheduler._handled_signals(loop, self._drain_timeout):
            while not self._closed.wait(_SIGNALS_WAIT):
                pass

    def shutdown(self, wait: bool = True, *, timeout: float | None = None) -> None:
        """Shut the scheduler down, and wait until that is done, as `AsyncIOScheduler.shutdown` does.

        Args:
            wait: Let the runs come to their end; else they are cancelled.
            timeout: Wait for so many seconds at most, then cancel what is left; None is no limit.

        Raises:
            InvalidInputError: `timeout` is negative.
            SchedulerNotRunningError: It has been shut down before.
        """
        self._wait_for(lambda: self._scheduler.shutdown(wait, timeout), "", None)

    def _wait_for(
        self, make: Callable[[], Coroutine[object, Never, ResultT]], task_id: str, timeout: float | None
    ) -> ResultT:
        check_optional_seconds("timeout", timeout, zero_allowed=True)
        self._reject_own_thread("what waits for the scheduler")
        with self._lock:
            if self._loop is None:
                raise SchedulerNotRunningError("waiting for what runs in its thread")
            future = asyncio.run_coroutine_threadsafe(make(), self._loop)
            has_heard: concurrent.futures.Future[None] = concurrent.futures.Future()
            self._waiting.add(has_heard)
        try:
            abandon_at = None if timeout is None else time.monotonic() + timeout
            while not future.done():
                left = _SIGNALS_WAIT if abandon_at is None else abandon_at - time.monotonic()
                if timeout is not None and left <= 0:
                    raise ResultTimeoutError(task_id, timeout)
                concurrent.futures.wait([future], min(left, _SIGNALS_WAIT))
            return future.result()
        finally:
            # Only the waiting ends; what was waited for goes on.
            future.cancel()
            self._waiting.discard(has_heard)
            has_heard.set_result(None)

    def _reject_own_thread(self, action: str) -> None:
        current = threading.current_thread()
        if current is self._thread:
            raise WrongThreadError(action, current.name, "it would wait for itself; await it instead")

    # In the thread

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self._loop_factory) as runner:
                runner.run(self._main())
        except BaseException as error:
            if self._started.done():
                self._failure = error
            else:
                self._started.set_exception(error)
        finally:
            self._closed.set()

    async def _main(self) -> None:
        try:
            async with self._scheduler:
                self._loop = asyncio.get_running_loop()
                self._started.set_result(None)
                await self._scheduler.wait_closed()
        finally:
            with self._lock:
                self._loop = None
        # Who waits hears of the end before the loop is gone.
        while self._waiting:
            await asyncio.gather(*map(asyncio.wrap_future, list(self._waiting)))

    def _cut_short(self) -> None:
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._scheduler._stop, False, None)


_open: weakref.WeakSet[SchedulerThread] = weakref.WeakSet()


def _cut_short_all() -> None:
    for thread in list(_open):
        thread._cut_short()


# The interpreter's exit waits for the thread, which whoever has not left `with` would keep from its end.
call_before_exit_waits(_cut_short_all)
