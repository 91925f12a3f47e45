"""Call of a run with its trace context, for workers in other processes, which import this module.

OpenTelemetry is imported in a worker only if it is installed there: the call is made in either case.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Generic

from typing_extensions import TypeVar, override

from asyncz._awaitables import is_awaitable
from asyncz._callables import CallWrapper
from asyncz._run_owners import OwnedCall, RunOwnership
from asyncz._running import trace_fields

MAX_TRACE_CONTEXT = 4096
"""Maximum number of characters of a stored trace context: the baggage of a program may be long."""

ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)


class CallWithOrigin(CallWrapper, Generic[ResultT_co]):
    """Call of one run, with a description of the code or the run that led to it.

    Attributes:
        call: The call.
        origin: The description.
    """

    __slots__ = ("call", "origin")

    def __init__(self, call: Callable[[], ResultT_co | Awaitable[ResultT_co]], origin: object) -> None:
        super().__init__(call)
        self.call = call
        self.origin: object = origin

    def __call__(self) -> ResultT_co | Awaitable[ResultT_co]:
        """Make the call."""
        return self.call()


def ownership_of(call: object) -> RunOwnership | None:
    """Return the ownership of the run of a call; None if no store keeps the run."""
    inner: object = call.call if isinstance(call, CallWithOrigin) else call
    return inner.ownership if isinstance(inner, OwnedCall) else None


class TracedCall(CallWithOrigin[ResultT_co]):
    """Call of a run that is traced. In its own process, the context of the run has the span.

    Pickling makes it a call that attaches the trace context first.
    """

    __slots__ = ("_headers",)

    def __init__(
        self,
        call: Callable[[], ResultT_co | Awaitable[ResultT_co]],
        origin: object,
        headers: Callable[[], Mapping[str, str]],
    ) -> None:
        super().__init__(call, origin)
        self._headers = headers

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return RemoteTracedCall, (self.call, dict(self._headers()))


class RemoteTracedCall(CallWrapper, Generic[ResultT_co]):
    """Call with the trace context of its run as headers, in another process.

    Attributes:
        call: The call.
        headers: Headers of the trace context, such as `traceparent`.
    """

    __slots__ = ("call", "headers")

    def __init__(self, call: Callable[[], ResultT_co | Awaitable[ResultT_co]], headers: Mapping[str, str]) -> None:
        super().__init__(call)
        self.call = call
        self.headers: Mapping[str, str] = headers

    def __call__(self) -> ResultT_co | Awaitable[ResultT_co]:
        """Make the call in the trace context of the headers."""
        try:
            from opentelemetry import context, propagate
        except ImportError:
            return self.call()
        add_trace_fields()
        token = context.attach(propagate.extract(self.headers))
        try:
            returned = self.call()
        finally:
            context.detach(token)
        return _InTrace(returned, self.headers) if is_awaitable(returned) else returned

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return RemoteTracedCall, (self.call, dict(self.headers))


def loaded_trace_context() -> str | None:
    """Return the trace context of the calling code as JSON; None if the program has not loaded OpenTelemetry."""
    propagate = sys.modules.get("opentelemetry.propagate")
    if propagate is None:
        return None
    headers: dict[str, str] = {}
    try:
        propagate.inject(headers)
    except Exception:
        # A propagator raises, or another thread imports a module just now: the call continues without a trace.
        return None
    return encoded_trace_context(headers)


def encoded_trace_context(headers: Mapping[str, str]) -> str | None:
    """Return the headers of a trace context as JSON; None if there are none, or if they are too long to be stored."""
    text = json.dumps(dict(headers)) if headers else ""
    return text if 0 < len(text) <= MAX_TRACE_CONTEXT else None


def add_trace_fields() -> None:
    """Give the log records of runs in this process the fields `asyncz_trace` and `asyncz_span` from now on."""
    if not trace_fields:
        trace_fields.append(_ids_of_span)


def _ids_of_span() -> Mapping[str, str]:
    from opentelemetry import trace

    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return {}
    return {"asyncz_trace": trace.format_trace_id(span.trace_id), "asyncz_span": trace.format_span_id(span.span_id)}


class _InTrace(Awaitable[ResultT]):
    """Awaitable that is awaited in the trace context of some headers."""

    def __init__(self, awaitable: Awaitable[ResultT], headers: Mapping[str, str]) -> None:
        self._awaitable: Awaitable[ResultT] = awaitable
        self._headers = headers

    @override
    def __await__(self) -> Generator[object, None, ResultT]:
        from opentelemetry import context, propagate

        token = context.attach(propagate.extract(self._headers))
        try:
            return (yield from self._awaitable.__await__())
        finally:
            context.detach(token)
