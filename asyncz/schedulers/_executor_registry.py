"""Executors by alias: registration, start, late start and shutdown."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Never

import attrs
from typing_extensions import TypeVar

from asyncz import _shutdown_limits
from asyncz._aliases import OtherAlias
from asyncz._checks import check_text
from asyncz._running import context_for_later
from asyncz._unsafe import as_cancelling, as_cancelling_all, as_checking_calls, executor_object
from asyncz.events import ExecutorAdded
from asyncz.exceptions import DuplicateExecutorError, UnknownAliasError
from asyncz.plugins import BUILTIN_EXECUTORS, check_executor, executor_aliases, load_executor
from asyncz.protocols import Executor, Notifier, SupportsCancel, SupportsCheckCall, UniversalExecutor, UniversalSubmit
from asyncz.runs import TaskRun
from asyncz.schedulers._run_hook import HookedSubmit, submit_hooked
from asyncz.schedulers._runtime import Runtime
from asyncz.schedulers._safe_logging import logger

if TYPE_CHECKING:
    from asyncz.states import ExecutorState

ResultT = TypeVar("ResultT")


class Cut:
    """Moment when a shutdown has no more time: then the remaining runs are cancelled, and all waits are bounded."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._executors_deadline = 0.0

    def set(self) -> None:
        """Let this be the moment; further calls do nothing."""
        if not self._event.is_set():
            self._executors_deadline = time.monotonic() + _shutdown_limits.EXECUTORS_SECONDS
            self._event.set()

    def is_set(self) -> bool:
        """Return True if the moment has come."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Wait for the moment."""
        await self._event.wait()

    def seconds_left(self) -> float:
        """Return the time that is left for the shutdown of executors."""
        return max(_shutdown_limits.LEAST_SECONDS, self._executors_deadline - time.monotonic())


@attrs.define(eq=False)
class Registration:
    """An executor under its alias. Members of the executor are user code and are called here, guarded.

    Attributes:
        alias: Alias of the executor.
        executor: The executor, whatever the type of its runs.
        start: `start` of the executor.
        shutdown: `shutdown` of the executor.
        state: Returns the state of the executor.
        submit: `submit` of a universal executor; None for an executor of runs of one type.
        canceller: The executor, if it can cancel runs.
        checker: The executor, if it can reject calls that it can never run.
        ready: True if the executor accepts runs.
        failure: Error of a late start.
        starting: Late start that is in progress.
        pending: Submissions that wait for the start, by the id of the attempt.
    """

    alias: str
    executor: object
    start: Callable[[Notifier, str], Coroutine[object, Never, None]]
    shutdown: Callable[[bool], Coroutine[object, Never, None]]
    state: Callable[[], ExecutorState]
    submit: UniversalSubmit | None
    canceller: SupportsCancel | None
    checker: SupportsCheckCall | None
    ready: bool = False
    failure: BaseException | None = None
    starting: asyncio.Task[None] | None = None
    pending: dict[int, Callable[[], object]] = attrs.Factory(dict[int, Callable[[], object]])

    def cancel(self, run: TaskRun[ResultT]) -> bool:
        """Ask the executor to cancel a run; return whether it accepts the request."""
        return self.canceller is not None and self.canceller.cancel(run)

    def cancel_all(self) -> bool:
        """End all runs of the executor as cancelled; return False if the executor cannot do that."""
        canceller = as_cancelling_all(self.executor)
        if canceller is None:
            return False
        try:
            canceller.cancel_all()
        except BaseException:
            logger.exception("The executor %r could not cancel its runs", self.alias)
            return False
        return True

    def abandoned(self) -> int:
        """Return the number of abandoned runs; 0 if the executor cannot report it."""
        try:
            return self.state().abandoned
        except BaseException:
            logger.exception("The executor %r could not report its state", self.alias)
            return 0

    def submit_pending(self) -> None:
        """Submit the runs that waited for the start, or end them if it has failed."""
        pending, self.pending = self.pending, dict[int, Callable[[], object]]()
        for submit in pending.values():
            submit()


class ExecutorTarget(NamedTuple):
    """Executor that a task is moved to.

    Attributes:
        registration: Its registration.
        submit: Its `submit`.
    """

    registration: Registration
    submit: UniversalSubmit


class ExecutorRegistry:
    """Executors of one scheduler.

    Args:
        runtime: Shared state of the scheduler.
        notifier: Notifier that the executors report to.
    """

    def __init__(self, runtime: Runtime, notifier: Notifier) -> None:
        self._runtime = runtime
        self._notifier = notifier
        self._registrations: dict[str, Registration] = {}
        self._to_start: deque[Registration] = deque()
        self._is_hooked = False

    # Registration, from any thread

    def all(self) -> tuple[Registration, ...]:
        """Return all registrations."""
        with self._runtime.lock:
            return tuple(self._registrations.values())

    def get(self, alias: str) -> Registration:
        """Return the registration of an alias.

        Raises:
            UnknownAliasError: No executor is registered under the alias.
        """
        registration = self._registrations.get(alias)
        if registration is None:
            raise UnknownAliasError("executor", alias, tuple(sorted({*self._registrations, *BUILTIN_EXECUTORS})))
        return registration

    @property
    def default_alias(self) -> str:
        """Alias of the executor of tasks that name none: `default` if that is registered, else `asyncio`."""
        return "default" if "default" in self._registrations else "asyncio"

    def check_free(self, alias: str) -> None:
        """Check that an alias can be given to another executor.

        Raises:
            DuplicateExecutorError: The alias is registered.
        """
        check_text("alias", alias)
        if alias in self._registrations:
            raise DuplicateExecutorError(alias)

    def add(self, alias: str, executor: Executor[ResultT], submit: UniversalSubmit | None) -> Registration:
        """Register an executor; it is started with the scheduler, or soon if that is running.

        Raises:
            DuplicateExecutorError: The alias or the executor is registered already.
        """
        runtime = self._runtime
        if submit is not None and self._is_hooked:
            submit = HookedSubmit(runtime, alias, submit)
        registration = Registration(
            alias,
            executor,
            executor.start,
            executor.shutdown,
            lambda: executor.state,
            submit,
            as_cancelling(executor),
            as_checking_calls(executor),
        )
        with runtime.lock:
            self.check_free(alias)
            existing = self._find_instance(executor)
            if existing is not None:
                raise DuplicateExecutorError(existing.alias)
            self._registrations[alias] = registration
            runtime.emit_soon(ExecutorAdded(alias))
            if runtime.running:
                self._to_start.append(registration)
                runtime.inbox.put(self._start_late)
        return registration

    def prepare(self, executor: Executor[ResultT] | OtherAlias, call: Callable[[], object]) -> UniversalExecutor | None:
        """Check that an executor can run a call, and create a built-in executor on its first use.

        Not under the lock: constructors, imports of plugins and the pickling in `check_call` are user code.

        Returns:
            The created executor, for `resolve`; None if there is nothing to register under an alias.

        Raises:
            UnknownAliasError: There is no universal executor with that alias.
            InvalidInputError: The object is not an executor.
            SerializationError: The call cannot be pickled, and the executor needs that.
        """
        if not isinstance(executor, str):
            check_executor(executor)
            _check_call(executor, call)
            return None
        registration = self._registrations.get(executor)
        if registration is not None and registration.submit is not None:
            if registration.checker is not None:
                registration.checker.check_call(call)
            return None
        if executor not in BUILTIN_EXECUTORS or registration is not None:
            raise self._unknown_alias(executor)
        created = load_executor(executor)
        _check_call(created, call)
        return created

    def resolve(
        self, executor: Executor[ResultT] | OtherAlias, created: UniversalExecutor | None
    ) -> tuple[Registration, Callable[[TaskRun[ResultT]], None]]:
        """Return the registration of an executor and its typed `submit`; register it on first use. Under the lock.

        Args:
            executor: Executor, or alias of one.
            created: Result of `prepare`.
        """
        if isinstance(executor, str):
            registration = self._registrations.get(executor)
            if registration is None or registration.submit is None:
                return self.resolve_alias(executor, created)
            return registration, registration.submit
        instance = executor_object(executor)
        registration = self._find_instance(instance)
        if registration is None:
            name, number = type(instance).__name__, 1
            while (alias := f"{name}-{number}") in self._registrations:
                number += 1
            registration = self.add(alias, instance, None)
        return registration, self.hooked(instance.submit, registration.alias)

    def resolve_alias(self, alias: str, created: UniversalExecutor | None) -> ExecutorTarget:
        """Return the registration of an alias and its `submit`; register a created executor. Under the lock."""
        registration = self._registrations.get(alias)
        if registration is None and created is not None:
            registration = self.add(alias, created, created.submit)
        if registration is None or registration.submit is None:
            raise self._unknown_alias(alias)
        return ExecutorTarget(registration, registration.submit)

    def hooked(self, submit: Callable[[TaskRun[ResultT]], None], alias: str) -> Callable[[TaskRun[ResultT]], None]:
        """Return a `submit` that calls the hook of the scheduler first, if the scheduler has or had one."""
        if not self._is_hooked or isinstance(submit, HookedSubmit):
            return submit
        return partial(submit_hooked, self._runtime, alias, submit)

    def hook_all(self) -> bool:
        """Call the hook of the scheduler before each submission from now on. Under the lock.

        Returns:
            False if that was so before.
        """
        if self._is_hooked:
            return False
        self._is_hooked = True
        for alias, registration in self._registrations.items():
            if registration.submit is not None:
                registration.submit = HookedSubmit(self._runtime, alias, registration.submit)
        return True

    def remove(self, alias: str) -> Registration:
        """Forget an executor. Under the lock.

        Raises:
            UnknownAliasError: No executor is registered under the alias.
        """
        registration = self.get(alias)
        del self._registrations[alias]
        return registration

    def _find_instance(self, executor: object) -> Registration | None:
        return next((each for each in self._registrations.values() if each.executor is executor), None)

    def _unknown_alias(self, alias: str) -> UnknownAliasError:
        universal = {alias for alias, each in self._registrations.items() if each.submit is not None}
        return UnknownAliasError("executor", alias, tuple(sorted({*universal, *executor_aliases()})))

    # Start and shutdown, on the loop's thread

    async def start_all(self, registrations: Iterable[Registration]) -> None:
        """Start executors one after another, except those that were removed meanwhile.

        Raises:
            Exception: Error of the first executor that does not start.
        """
        for registration in registrations:
            if self._registrations.get(registration.alias) is registration:
                await self._start(registration)

    async def abort_start(self) -> None:
        """Shut down the executors that were started, after another one has failed to start."""
        self._to_start.clear()
        for registration in self.all():
            if registration.starting is not None:
                registration.starting.cancel()
            await self.shut_down(registration, wait=False)
            registration.pending.clear()

    async def shut_down(
        self,
        registration: Registration,
        *,
        wait: bool,
        cut: Cut | None = None,
        cancel_runs: Callable[[Registration], bool] = Registration.cancel_all,
    ) -> None:
        """Shut an executor down; errors are logged.

        Args:
            registration: Registration of the executor.
            wait: True if the runs may finish.
            cut: Once set, the remaining runs are cancelled and all waits are bounded.
            cancel_runs: Cancels the remaining runs; returns False if the executor may wait for some all the same.
        """
        # An executor that was added just now may have runs already.
        self._start_late()
        if registration.starting is not None:
            await _end_start(registration.starting, cut)
            registration.starting = None
        if not registration.ready:
            return
        registration.ready = False
        shutdown: asyncio.Future[None] = asyncio.ensure_future(_shut_down(registration, wait=wait))
        try:
            if not wait:
                await asyncio.wait([shutdown], timeout=_seconds_left(cut))
            elif not await _is_done_before(shutdown, cut):
                shutdown = await _cut_short(registration, shutdown, cut, cancel_runs)
            if shutdown.done():
                await shutdown
            else:
                shutdown.cancel()
                logger.error("The executor %r did not shut down in time", registration.alias)
        except BaseException:
            if _is_being_cancelled():
                # Not an error of the executor: the next shutdown of the scheduler asks it again.
                shutdown.cancel()
                registration.ready = True
                raise
            logger.exception("The executor %r did not shut down", registration.alias)

    def _start_late(self) -> None:
        while self._to_start:
            registration = self._to_start.popleft()
            # In a context without the run that may be adding it: the threads of the executor outlive that run.
            registration.starting = asyncio.get_running_loop().create_task(
                self._start_or_unregister(registration), context=context_for_later()
            )

    async def _start_or_unregister(self, registration: Registration) -> None:
        try:
            await self._start(registration)
        except BaseException as error:
            logger.exception("The executor %r could not start and is not registered any more", registration.alias)
            registration.failure = error
            with self._runtime.lock:
                if self._registrations.get(registration.alias) is registration:
                    del self._registrations[registration.alias]
            registration.submit_pending()

    async def _start(self, registration: Registration) -> None:
        await registration.start(self._notifier, registration.alias)
        registration.ready = True
        registration.submit_pending()


def _check_call(executor: object, call: Callable[[], object]) -> None:
    """Let an executor reject a call that it can never run, such as one that cannot be pickled."""
    checking = as_checking_calls(executor)
    if checking is not None:
        checking.check_call(call)


def _seconds_left(cut: Cut | None) -> float:
    """Return the time for the shutdown of an executor that does not wait for its runs."""
    return cut.seconds_left() if cut is not None and cut.is_set() else _shutdown_limits.EXECUTORS_SECONDS


async def _shut_down(registration: Registration, *, wait: bool) -> None:
    """Shut an executor down; an exit that it raises must not end the event loop."""
    try:
        await registration.shutdown(wait)
    except (SystemExit, KeyboardInterrupt):
        logger.exception("The executor %r did not shut down", registration.alias)


async def _end_start(starting: asyncio.Task[None], cut: Cut | None) -> None:
    """Wait for a late start, but not without end once `cut` is set."""
    if await _is_done_before(starting, cut):
        return
    await asyncio.wait([starting], timeout=_shutdown_limits.LEAST_SECONDS)
    if not starting.done():
        starting.cancel()
        await asyncio.wait([starting], timeout=_shutdown_limits.LEAST_SECONDS)


async def _cut_short(
    registration: Registration,
    shutdown: asyncio.Future[None],
    cut: Cut | None,
    cancel_runs: Callable[[Registration], bool],
) -> asyncio.Future[None]:
    """Cancel the remaining runs of an executor that is shutting down, and return the shutdown after a last wait."""
    if cancel_runs(registration):
        await asyncio.wait([shutdown], timeout=_seconds_left(cut))
        return shutdown
    # An executor that cannot cancel all runs might wait for them without end.
    shutdown.cancel()
    shutdown = asyncio.ensure_future(_shut_down(registration, wait=False))
    await asyncio.wait([shutdown], timeout=_seconds_left(cut))
    return shutdown


async def _is_done_before(future: asyncio.Future[None], cut: Cut | None) -> bool:
    """Wait for a future until a shutdown has no more time; return True if the future is done."""
    if future.done():
        return True
    if cut is None:
        await asyncio.wait([future])
        return True
    waiter = asyncio.ensure_future(cut.wait())
    try:
        await asyncio.wait([future, waiter], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
    return future.done()


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
