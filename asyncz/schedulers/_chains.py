"""Tasks that are given the results of another: `Task.then`."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic

from typing_extensions import TypeVar, override

from asyncz._callables import CallWrapper
from asyncz.events import TaskExecuted
from asyncz.exceptions import InvalidInputError, MaximumInstancesError, NoResultError, QueueFullError
from asyncz.limits import TaskLimits
from asyncz.protocols import Timer, Trigger
from asyncz.runs import TaskRun
from asyncz.schedulers._entries import Core, Entry, EntryRun, Registration, TypedEntry
from asyncz.tasks import Task

ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")
OtherT = TypeVar("OtherT")

# A result that an executor rejects waits for a run of its task to end, and for no longer before it is tried again.
_REFUSED_RESULT_WAITS = 1.0


class ChainedCall(CallWrapper, Generic[ArgumentT, ResultT]):
    """Call of a downstream task: a function with a result of the upstream task."""

    __slots__ = ("_function", "upstream")

    def __init__(
        self, function: Callable[[ArgumentT], ResultT | Awaitable[ResultT]], upstream: Task[ArgumentT]
    ) -> None:
        super().__init__(function)
        self._function = function
        self.upstream: Task[ArgumentT] = upstream

    def with_result(self, result: ArgumentT) -> Callable[[], ResultT | Awaitable[ResultT]]:
        """Return the call with one result."""
        return partial(self._function, result)

    def with_last_result(self) -> Callable[[], ResultT | Awaitable[ResultT]]:
        """Return the call with the result of the upstream task's last run.

        Raises:
            NoResultError: That run had no result, or there was none yet.
        """
        last = self.upstream.last_notification
        if not isinstance(last, TaskExecuted):
            raise NoResultError(self.upstream.id)
        return self.with_result(last.result)

    @override
    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the function only: each run brings its result."""
        return partial, (self.func,)

    def __call__(self) -> ResultT | Awaitable[ResultT]:
        """Call the function with the result of the upstream task's last run."""
        return self.with_last_result()()


class ChainedEntry(TypedEntry[ResultT], Generic[ArgumentT, ResultT]):
    """The place of a task that is given the results of another.

    `results` holds those that wait, and `due_since`, beside each, since when.
    """

    __slots__ = (
        "chained_call",
        "due_since",
        "is_active",
        "results",
        "retry_timer",
        "upstream",
    )

    def __init__(
        self,
        core: Core,
        registration: Registration,
        paused: bool,
        task_id: str,
        upstream: Entry | None,
        call: ChainedCall[ArgumentT, ResultT],
        limits: TaskLimits,
        submit_to: Callable[[TaskRun[ResultT]], None],
    ) -> None:
        super().__init__(core, registration, None, None, paused, task_id, call, limits, submit_to)
        # None once that is gone: there will be no more results.
        self.upstream = upstream
        self.chained_call = call
        self.results: deque[ArgumentT] = deque()
        self.due_since = deque[float]()
        self.waiting = self.due_since
        self.retry_timer: Timer | None = None
        # Only once all have heard that it was added.
        self.is_active = False
        call.upstream.on_executed(self.receive)

    @property
    @override
    def is_finished(self) -> bool:
        has_ended = self.upstream is None and self.is_active and not self.results
        return has_ended and not self.removed and not self.run_count()

    @override
    def over(self, run: TaskRun[OtherT]) -> bool:
        # It has no trigger, so for that one it is never finished.
        return super().over(run) or self.is_finished

    @property
    @override
    def has_ended(self) -> bool:
        return (self.removed or (self.upstream is None and not self.results)) and not self.is_working

    @property
    @override
    def feeds_a_chain(self) -> bool:
        if self.results and self.is_active and not self.paused and (self.is_working or self.retry_timer is not None):
            return True
        return super().feeds_a_chain

    @property
    @override
    def schedule_text(self) -> str:
        return f"after {self.chained_call.upstream.id!r}"

    def activate(self) -> None:
        """Begin with the results there are. What came to its end before this was added gives its last one."""
        self.is_active = True
        upstream, last = self.upstream, self.chained_call.upstream.last_notification
        has_ended = upstream is None or upstream.has_ended
        if has_ended and not self.results and isinstance(last, TaskExecuted):
            self.receive(last)
        if upstream is None or (upstream.removed and not upstream.run_count()):
            self.lose_upstream()
        self.submit_waiting()

    def lose_upstream(self) -> None:
        """There will be no more results."""
        self.upstream = None
        self.chained_call.upstream.remove_listener(self.receive)

    def receive(self, event: TaskExecuted[ArgumentT]) -> None:
        """Take a result."""
        if self.removed:
            return
        finished = event.details.finished
        self.take(event.result, self.core.now() if finished is None else finished)

    def take(self, result: ArgumentT, at: float) -> None:
        """Work on a result, as soon as there is a place."""
        if self.typed_task.limits.coalesce:
            while self.results:
                self.results.popleft()
                self.reject_at_maximum(self.due_since.popleft())
        self.results.append(result)
        self.due_since.append(at)
        self.submit_waiting()

    @override
    def come_due_now(self, at: float) -> None:
        if self.removed:
            return
        last = self.chained_call.upstream.last_notification
        if isinstance(last, TaskExecuted):
            self.take(last.result, at)
        else:
            run = self.new_run(at, None)
            self.hand_over(run, self.end_without_result)

    def end_without_result(self, run: EntryRun[ResultT]) -> None:
        """End a run that was wanted when there was no result."""
        self.end(run, run.failed(NoResultError(self.chained_call.upstream.id)))

    @override
    def reschedule(self, _: str, trigger: Trigger | None, /) -> None:
        reason = f"{self.task.id!r} is due by the results of {self.chained_call.upstream.id!r}; add a task of its own"
        raise InvalidInputError("trigger", repr(trigger), reason)

    @override
    def schedule(self) -> None:
        self.submit_waiting()

    @override
    def submit_waiting(self) -> None:
        if not self.is_active or self.paused or self.removed or self.core.holds(self):
            return
        if self.retry_timer is not None:
            self.retry_timer.cancel()
            self.retry_timer = None
        if self.core.status == "draining" and not self.core.chains_go_on:
            self.cancel_results()
        while self.results and self.run_count() < self.typed_task.limits.max_instances:
            try:
                self.hand_over(self.next_run(), self.submit_run)
            except (MaximumInstancesError, QueueFullError):
                self.retry_timer = self.core.clock.call_later(_REFUSED_RESULT_WAITS, self.submit_waiting)
                return
            self.results.popleft()
            self.due_since.popleft()

    def next_run(self) -> EntryRun[ResultT]:
        """A run for the result that has waited longest."""
        return self.new_run(self.due_since[0], self.context, self.chained_call.with_result(self.results[0]))

    @override
    def call_on_demand(self) -> Callable[[], ResultT | Awaitable[ResultT]]:
        return self.chained_call.with_last_result()

    @override
    def end_what_waits(self) -> None:
        if not self.core.chains_go_on:
            self.cancel_results()

    @override
    def leave(self) -> None:
        self.chained_call.upstream.remove_listener(self.receive)
        if self.upstream is not None and self.upstream.following:
            self.upstream.following.pop(self, None)
        self.cancel_results()
        super().leave()

    def cancel_results(self) -> None:
        """End what waits as cancelled."""
        self.results.clear()
        super().end_what_waits()
