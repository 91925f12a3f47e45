"""Owners of stored runs, as their functions see them. Worker processes import this module: standard library only."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple, Protocol
from uuid import UUID

from asyncz._awaitables import is_awaitable

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method: object) -> object:
        return method


class LeaseTerm:
    """Time for which a node may own runs without interruption: from a lease to the end of its last renewal.

    The thread of the lease writes both attributes, and any thread reads them: each assignment is atomic under the GIL.
    `over` never becomes False again, so a thread that reads an old `until` can only end the term too early.

    Attributes:
        until: Time of `now` at which the node stops to trust its lease.
        over: True if another node may have taken over the runs, whatever `until` says.
    """

    __slots__ = ("_now", "over", "until")

    def __init__(self, until: float, now: Callable[[], float]) -> None:
        self.until: float = until
        self.over: bool = False
        self._now = now

    @property
    def remaining(self) -> float:
        """Seconds until the node stops to trust its lease; negative if it has stopped."""
        return self.until - self._now()

    @property
    def is_valid(self) -> bool:
        """True if no other node can have taken over the runs."""
        return not self.over and self.remaining > 0


class FinishedRun(NamedTuple):
    """Outcome that the function of a run has written in a transaction of its own, which may have been rolled back.

    Attributes:
        result: The result.
        outcome: Record of the outcome, as it was written.
    """

    result: object
    outcome: object


class RunFinisher(Protocol):
    """Storing of the outcome of a run in a transaction of its function."""

    def finish(self, run: object, connection: object, result: object, /) -> None:
        """Write the outcome in the transaction of a connection that blocks. For the thread of the connection."""
        ...

    async def finish_async(self, run: object, connection: object, result: object, /) -> None:
        """Write the outcome in the transaction of a connection that is awaited."""
        ...

    @property
    def is_on_loop(self) -> bool:
        """True if the calling code runs on the loop of the scheduler, so that it must not wait for it."""
        ...

    def was_committed(self, finished: FinishedRun, /) -> bool | None:
        """Return True if the transaction of an outcome was committed; None if the store does not say so."""
        ...

    async def was_committed_async(self, finished: FinishedRun, /) -> bool | None:
        """Do the same as `was_committed`, on the loop of the scheduler or another one."""
        ...

    def result_of(self, end: FunctionEnd, /) -> object:
        """Return the result of a run whose function has written an outcome, or raise the exception of the function."""
        ...

    async def result_of_async(self, end: FunctionEnd, /) -> object:
        """Return the result of a run whose function has written an outcome, or raise the exception of the function."""
        ...


class FunctionEnd(NamedTuple):
    """End of a function that has written the outcome of its run.

    Attributes:
        finished: The written outcome.
        is_earlier: True if an earlier attempt has written it.
        returned: Result of the function.
        error: Exception of the function; None if it has returned.
    """

    finished: FinishedRun
    is_earlier: bool
    returned: object = None
    error: BaseException | None = None

    @property
    def has_same_result(self) -> bool:
        """True if the function has returned the written result: then the store need not be asked for it."""
        return self.error is None and not self.is_earlier and self.returned is self.finished.result


class RunPermit:
    """Right of a run to begin, and the consequences if its lease has ended. It stays in the process of the scheduler.

    The thread of the function writes `finished` and `earlier`, and the loop's thread reads them after the outcome was
    reported.

    Attributes:
        term: Term in which this node became the owner of the run; None if the store does not know the run yet.
        refused: True if the function was not called because the lease had ended.
        noticed: True if the function has seen that the lease had ended.
        finished: Outcome that this attempt has written in a transaction of its own; None if it has not.
        earlier: Outcome that an earlier attempt has written in a transaction, which may still be open; None if there is
            none, or if a later outcome could be written: then the transaction was rolled back.
        is_writing: True from the first write of an outcome to the end of the function: its transaction may be open, and
            other transactions that change the run would wait for it. The thread of the function sets this before it
            reads `is_submitting`, and the loop's thread sets that before it reads this: at least one sees the other.
        is_submitting: True while the scheduler stores the run.
    """

    __slots__ = ("earlier", "finished", "is_submitting", "is_writing", "noticed", "refused", "term")

    def __init__(self, term: LeaseTerm | None) -> None:
        self.term: LeaseTerm | None = term
        self.refused: bool = False
        self.noticed: bool = False
        self.finished: FinishedRun | None = None
        self.earlier: FinishedRun | None = None
        self.is_writing: bool = False
        self.is_submitting: bool = False

    @property
    def written(self) -> FinishedRun | None:
        """Outcome that this attempt or an earlier one has written; None if none has."""
        return self.finished or self.earlier

    def note_written(self, finished: FinishedRun) -> None:
        """Note an outcome that was written, or found to be the one of the run."""
        self.finished, self.earlier = finished, None

    def set_aside(self) -> None:
        """Leave the outcome of this attempt to the next ones: its transaction may still be open."""
        self.finished, self.earlier = None, self.written

    def end(self, returned: object = None, error: BaseException | None = None) -> FunctionEnd | None:
        """Note the end of the function, and return it; None if no outcome was written."""
        self.is_writing = False
        written = self.written
        if written is None or (error is not None and _cancels(error)):
            return None
        return FunctionEnd(written, self.finished is None, returned, error)

    @property
    def is_valid(self) -> bool:
        """True if no other node can have taken over the run."""
        term = self.term
        return term is None or term.is_valid


class RunOwnership(NamedTuple):
    """Ownership of a run in a store.

    Each execution of the run has its own: after a lost lease, a node may own the run again, with another fence, while
    the function of the first execution still runs.

    Attributes:
        run_id: Id of the run.
        task_id: Id of the task.
        fence: Number that grows with each owner of the run.
        node: Id of the node that owns the run.
        permit: Right of the run to begin; None in other processes than that of the scheduler.
        attempt: Number of the attempt with which the owner begins.
        finisher: Storing of the outcome by the function; None in other processes than that of the scheduler.
    """

    run_id: UUID
    task_id: str
    fence: int
    node: str
    permit: RunPermit | None = None
    attempt: int = 1
    finisher: RunFinisher | None = None


run_ownership: ContextVar[RunOwnership | None] = ContextVar("asyncz.run_ownership", default=None)


class OwnedCall(functools.partial[object]):
    """Call of a stored run: sets the context variable first. Each run has a context of its own, on every executor."""

    ownership: RunOwnership

    @override
    def __call__(self, /, *args: object, **keywords: object) -> object:
        """Call the function, if the node still owns the run.

        The lease is looked at here, in the last step before the function: a run may wait for long in a queue, and the
        process may have been stopped meanwhile. Only a stop between this line and the first one of the function is not
        noticed; then the fence is left.

        Raises:
            asyncio.CancelledError: The lease has ended since this node became the owner.
        """
        if self._is_refused():
            _end_as_cancelled()
        run_ownership.set(self.ownership)
        finisher, permit = self.ownership.finisher, self.ownership.permit
        if finisher is None or permit is None:
            return super().__call__(*args, **keywords)
        finished = permit.finished
        if finished is not None:
            return self._call_again(finisher, permit, finished, functools.partial(self, *args, **keywords))
        try:
            returned = super().__call__(*args, **keywords)
        except BaseException as error:
            end = permit.end(error=error)
            if end is None:
                raise
            return finisher.result_of(end)
        if is_awaitable(returned):
            return FinishingAwaitable(returned, finisher, permit)
        end = permit.end(returned)
        return returned if end is None else finisher.result_of(end)

    def _call_again(
        self, finisher: RunFinisher, permit: RunPermit, finished: FinishedRun, attempt: Callable[[], object]
    ) -> object:
        """Call the function again, unless an attempt that has ended, as by a timeout, was committed: that counts."""
        if finisher.is_on_loop:
            return _call_again_async(finisher, permit, finished, attempt)
        if finisher.was_committed(finished):
            return finished.result
        permit.set_aside()
        return attempt()

    @override
    def __reduce__(self) -> tuple[object, ...]:
        """Return the call for another process, which has no lease: this is the last look at it."""
        if self._is_refused():
            return functools.partial, (_end_as_cancelled,)
        call = functools.partial(self.func, *self.args, **self.keywords)
        return owned_call, (call, self.ownership._replace(permit=None, finisher=None))

    def _is_refused(self) -> bool:
        """Note that the run must not begin, if the lease has ended, and return True then."""
        permit = self.ownership.permit
        if permit is None or permit.is_valid:
            return False
        permit.refused = True
        return True


async def _call_again_async(
    finisher: RunFinisher, permit: RunPermit, finished: FinishedRun, attempt: Callable[[], object]
) -> object:
    if await finisher.was_committed_async(finished):
        return finished.result
    permit.set_aside()
    returned = attempt()
    return (await returned) if is_awaitable(returned) else returned


def _cancels(error: BaseException) -> bool:
    """Return True for an exception that cancels the run; the outcome that the scheduler reports then is that."""
    # Imported here, as below: worker processes that run functions only do not need it.
    from asyncio import CancelledError

    return isinstance(error, (CancelledError, GeneratorExit))


class FinishingAwaitable:
    """Awaitable that the function of a run has returned, and that may write the outcome in a transaction of its own.

    Attributes:
        awaitable: The awaitable of the function.
    """

    __slots__ = ("_finisher", "_permit", "awaitable")

    def __init__(self, awaitable: Awaitable[object], finisher: RunFinisher, permit: RunPermit) -> None:
        self.awaitable: Awaitable[object] = awaitable
        self._finisher = finisher
        self._permit = permit

    def __await__(self) -> Generator[object, None, object]:
        """Await the awaitable, and return the result of the run."""
        try:
            returned = yield from self.awaitable.__await__()
        except BaseException as error:
            end = self._permit.end(error=error)
            if end is None:
                raise
        else:
            end = self._permit.end(returned)
            if end is None:
                return returned
        return (yield from self._finisher.result_of_async(end).__await__())


def _end_as_cancelled() -> None:
    from asyncio import CancelledError

    raise CancelledError


def owned_call(call: functools.partial[object], ownership: RunOwnership) -> OwnedCall:
    """Return a call that belongs to an owner, also after it was pickled."""
    owned = OwnedCall(call)
    owned.ownership = ownership
    return owned
