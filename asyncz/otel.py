"""Traces and metrics of a scheduler by OpenTelemetry; needs the extra `otel`, which is the API only.

`instrument(scheduler)` is all that a program calls. Each attempt of a run is a span, from submission to outcome:

- A run that a trigger makes due is a trace of its own. The runs of `task.run()` and of a batch are children of the span
  in which they are started. A run of `task.submit()` is a trace of its own with a link to that span, or a child of it
  with `submitted="parent"`; with a store, on whichever node it is executed. A run that receives a result is linked to
  the run that returned it, and a further attempt to the one before.
- The function sees its span as the current one: in coroutines, threads, worker processes and on Dask.
- Log records of functions have the fields `asyncz_trace` and `asyncz_span` after `install_log_fields()`.

A span is called `run` with the name of the function, and has these attributes:

- `asyncz.scheduler`: the name or number of the scheduler; `asyncz.executor`: the alias of the executor.
- `asyncz.task.id`, `code.function.name`: the task, always with its id, and its function.
- `asyncz.run.id`, `asyncz.run.attempt`, `asyncz.run.scheduled_at`: the run, the attempt from 1, and the due time.
- `asyncz.run.outcome`: `executed`, `error`, `missed`, `cancelled` or `retried`; `asyncz.run.lateness`, in seconds.
- `error.type`: the class of the exception, which is an event `exception`; its texts pass through `redact`.
- `asyncz.node.id`, `asyncz.run.fence`: the node, and the fence of the run, with a store only.

The event `asyncz.run.started` marks the call of the function. Metrics have the attributes below. All have
`asyncz.scheduler`, and the first five, of runs and attempts, have `asyncz.task.id` if `task_ids` is true:

- `asyncz.run.duration`: `asyncz.executor`, `code.function.name`, `asyncz.run.outcome`, `error.type`.
- `asyncz.run.lateness`, `asyncz.run.missed`: `asyncz.executor`, `code.function.name`.
- `asyncz.run.retried`: `asyncz.executor`, `code.function.name`, `error.type`.
- `asyncz.run.refused`: `asyncz.executor`, and `asyncz.run.refusal`, which is `max_instances` or `queue_full`.
- `asyncz.run.active`, `asyncz.run.waiting`: `asyncz.executor`.
- `asyncz.task.overdue`, `asyncz.tasks`: no others.
- With a store, `asyncz.node.lease.remaining`, `asyncz.node.takeovers`, `asyncz.tasks.parked`,
  `asyncz.store.clock_offset` and `asyncz.store.connected`: no others.
- With a store, `asyncz.store.operation.duration`: `asyncz.store.operation`, a method of `StoreSession`; `error.type`.

These names are version `SCHEMA` of this module. No convention for jobs exists.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal, Self, TypeAlias
from uuid import UUID

import attrs
from typing_extensions import TypeVar

from asyncz._callables import function_name, function_reference
from asyncz._checks import check_callable, check_choice, check_flag, check_instance, check_text
from asyncz._run_owners import OwnedCall
from asyncz._safe_logging import is_interrupt
from asyncz._text import class_name, encodable, escape_surrogates, message_of, type_name
from asyncz._traced_call import CallWithOrigin, TracedCall, add_trace_fields
from asyncz._unsafe import as_call_like
from asyncz.clock import SystemClock
from asyncz.events import (
    RunDetails,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMaxInstances,
    TaskMissed,
    TaskNotification,
    TaskQueueFull,
    TaskRetrying,
)
from asyncz.exceptions import InvalidInputError, MissingExtraError
from asyncz.runs import TaskRun
from asyncz.schedulers import AsyncIOScheduler
from asyncz.schedulers._batch_runs import BatchItem
from asyncz.schedulers._live_run import LiveRun
from asyncz.schedulers._observation import Observation, lateness_of, node_id, observe
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers.subscriptions import Subscription

try:
    from opentelemetry import context as otel_context, propagate, trace
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TracerProvider

    from asyncz._otel_instruments import DEFINITIONS, SCHEMA as SCHEMA, instruments_of, number_of
except ImportError as _error:
    raise MissingExtraError("asyncz.otel", "opentelemetry-api", "otel") from _error

ResultT = TypeVar("ResultT")

METRICS: Final[Mapping[str, str]] = {name: description for name, (_, _, description) in DEFINITIONS.items()}
"""Names of the metrics, with their descriptions. `asyncz.task.overdue` is the one to alert on."""

# Runs with a span context that is kept after their end, for the runs that receive their results.
_MAX_ENDED = 1000
# Stored beside the headers of a propagator, which do not have this name.
_BY_RESULT = "asyncz-result"

SubmittedTrace: TypeAlias = Literal["link", "parent"]
_Attributes: TypeAlias = dict[str, str | bool | int | float]
# Run id and due time, which tells apart two executions of a stored run in this process, after a lost lease.
_Execution: TypeAlias = tuple[UUID, float | None]


@attrs.frozen(eq=False)
class _Origin:
    """Span that a run follows from.

    Attributes:
        context: Context of the span.
        by_result: True if it is that of the upstream run; False if it is that of a caller.
    """

    context: SpanContext
    by_result: bool


@attrs.define(eq=False)
class _RunTrace:
    """Trace of one run with all its attempts.

    Attributes:
        parent: Context that the spans of all attempts have as their parent.
        links: Links of the next attempt.
        attempt: Number of the present attempt.
        span: Span of the present attempt; None between two attempts.
        alias: Alias of the executor of the last attempt.
        function: Function of the task, as `module.name`.
        name: Name of the function without its module.
        started: Start of the span, in nanoseconds since the epoch.
    """

    parent: Context
    links: tuple[SpanContext, ...]
    attempt: int = 0
    span: Span | None = None
    alias: str = ""
    function: str = ""
    name: str = ""
    started: int = 0


def instrument(
    scheduler: AsyncIOScheduler,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    submitted: SubmittedTrace = "link",
    task_ids: bool = False,
    name: str | None = None,
    redact: Callable[[str], str] | None = None,
) -> Instrumentation:
    """Record spans and metrics of a scheduler from now on. May be called before or after its start, from any thread.

    Args:
        scheduler: The scheduler.
        tracer_provider: Provider of the tracer; None for the global one.
        meter_provider: Provider of the meter; None for the global one.
        submitted: Trace of runs by `task.submit()`: `link` for one of their own, `parent` for that of the caller.
        task_ids: Give metrics the id of the task as well. Tasks that are added at run time have no bound.
        name: Value of the attribute `asyncz.scheduler`; None for the number of the scheduler in this process.
        redact: Returns the text that spans may show of a message or traceback of an exception; None for all of it.

    Raises:
        InvalidInputError: An argument is not valid, the scheduler is instrumented already, or another has the name.

    Example:
        >>> from asyncz.otel import instrument
        >>> instrument(scheduler)
    """
    check_instance("scheduler", scheduler, AsyncIOScheduler)
    check_choice("submitted", submitted, ("link", "parent"))
    check_flag("task_ids", task_ids)
    if name is not None:
        check_text("name", name)
    if redact is not None:
        check_callable("redact", redact)
    add_trace_fields()
    return Instrumentation(
        scheduler, tracer_provider, meter_provider, submitted, task_ids=task_ids, name=name, redact=redact
    )


class Instrumentation:
    """Instrumentation of one scheduler, which `instrument` returns; `close()` or the end of `with` ends it.

    Called on the loop's thread, except for the constructor, `close` and the callbacks of metrics. The scheduler calls
    the methods of `asyncz.schedulers._run_hook.RunHook`: an error of a tracer is logged and changes no run.
    """

    def __init__(
        self,
        scheduler: AsyncIOScheduler,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        submitted: SubmittedTrace,
        *,
        task_ids: bool,
        name: str | None,
        redact: Callable[[str], str] | None,
    ) -> None:
        self._parts = parts = scheduler._parts
        self._submitted = submitted
        self._task_ids = task_ids
        self._redact = redact
        self._is_real_time = isinstance(parts.runtime.clock, SystemClock)
        self._tracer = (tracer_provider or trace.get_tracer_provider()).get_tracer("asyncz", SCHEMA)
        # Traces of live runs by run id. Under the lock of the runtime.
        self._traces: dict[_Execution, _RunTrace] = {}
        self._ended: OrderedDict[_Execution, SpanContext] = OrderedDict()
        self.name: str = number_of(parts.runtime) if name is None else encodable(name)
        # Under the lock of the runtime: True before the instrumentation is complete, and after `close`.
        self._closed = True
        self._subscriptions: tuple[Subscription, ...] = ()
        _check_free(scheduler)
        self._instruments = instruments_of(meter_provider)
        try:
            self._instruments.add(self)
            self._subscribe(scheduler)
            self._open(scheduler)
        except BaseException:
            self._detach()
            raise

    def _subscribe(self, scheduler: AsyncIOScheduler) -> None:
        outcomes: tuple[type[TaskExecuted[object] | TaskError | TaskMissed | TaskCancelled], ...]
        outcomes = (TaskExecuted, TaskError, TaskMissed, TaskCancelled)
        self._subscriptions = (
            *(scheduler.subscribe(each, self._on_outcome) for each in outcomes),
            scheduler.subscribe(TaskRetrying, self._on_retrying),
            scheduler.subscribe(TaskMaxInstances, self._on_rejected),
            scheduler.subscribe(TaskQueueFull, self._on_rejected),
        )

    def _open(self, scheduler: AsyncIOScheduler) -> None:
        """Begin to record.

        The last step of an instrumentation: the loop's thread may submit a run as soon as the hook is set, so that all
        that the hook and the listeners use exists by then. Listeners that are called before it do nothing.
        """
        parts = self._parts
        with parts.runtime.lock:
            # Again: another thread may have instrumented the scheduler since the first check.
            _check_free(scheduler)
            if parts.executors.hook_all():
                for controller in parts.tasks.all():
                    controller.hook_submissions()
            self._closed = False
            parts.runtime.run_hook = self

    def _detach(self) -> None:
        self._instruments.discard(self)
        for subscription in self._subscriptions:
            subscription.unsubscribe()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop recording, and end the spans of live runs. Thread-safe; may be called more than once."""
        runtime = self._parts.runtime
        with runtime.lock:
            if self._closed:
                return
            self._closed = True
            runtime.run_hook = None
            left, self._traces = self._traces, dict[_Execution, _RunTrace]()
        self._detach()
        for run_trace in left.values():
            if run_trace.span is not None:
                run_trace.span.end()

    # The end of a span: `close`, in any thread, may come at each step of the loop's thread. A trace belongs to the
    # thread that took it out of `_traces` under the lock of the runtime. The loop's thread takes one trace by `_take`,
    # works on it without the lock, and gives it back by `_keep`; `close` takes all that are there. So no two threads
    # have a trace at once, and each span ends once: `close` ends those that it found, and `_keep` ends the one that it
    # would give back to a closed instrumentation. An event that took its trace before `close` is still recorded, as if
    # it had come before; later ones find `_closed`. The tracer, which is foreign code, is not called under the lock.

    def _take(self, key: _Execution) -> tuple[bool, _RunTrace | None]:
        """Take the trace of a run, if there is one; the flag is False after `close`. On the loop's thread."""
        with self._parts.runtime.lock:
            return not self._closed, self._traces.pop(key, None)

    def _keep(self, key: _Execution, run_trace: _RunTrace) -> None:
        """Give the trace of a run back, or end its span if the instrumentation was closed meanwhile."""
        with self._parts.runtime.lock:
            if not self._closed:
                self._traces[key] = run_trace
                return
        if run_trace.span is not None:
            run_trace.span.end()

    # The methods of `RunHook`

    def origin_of_caller(self) -> object:
        """Return the current span, for a run that the caller submits."""
        current = trace.get_current_span().get_span_context()
        return _Origin(current, by_result=False) if current.is_valid else None

    def headers_of_caller(self) -> Mapping[str, str]:
        """Return the headers of the current span, for a stored run; empty without a span."""
        try:
            return _headers(otel_context.get_current()) if trace.get_current_span().get_span_context().is_valid else {}
        except Exception:
            logger.exception("The trace context of a submitted run could not be stored")
            return {}

    def origin_of_headers(self, headers: Mapping[str, str], /) -> object:
        """Return the span of the code that submitted a stored run, on this node or on another one."""
        try:
            found = trace.get_current_span(propagate.extract(headers, context=Context())).get_span_context()
        except Exception:
            logger.exception("The stored trace context of a run could not be read")
            return None
        return _Origin(found, by_result=_BY_RESULT in headers) if found.is_valid else None

    def origin_of_result(self, details: RunDetails, /) -> object:
        """Return the span of a run, for the runs that receive its result."""
        key = _key_of(details)
        run = self._traces.get(key)
        found = self._ended.get(key) if run is None or run.span is None else run.span.get_span_context()
        return None if found is None else _Origin(found, by_result=True)

    def headers_of_result(self, details: RunDetails, /) -> Mapping[str, str]:
        """Return the headers of the span of a run, with a mark for a result; empty if there is none."""
        origin = self.origin_of_result(details)
        if not isinstance(origin, _Origin):
            return {}
        try:
            span = trace.NonRecordingSpan(origin.context)
            return {**_headers(trace.set_span_in_context(span, Context())), _BY_RESULT: "1"}
        except Exception:
            logger.exception("The trace context of a result could not be stored")
            return {}

    def store_called(self, operation: str, seconds: float, error: BaseException | None, /) -> None:
        """Record the duration of a transaction of the store."""
        attributes: _Attributes = {"asyncz.scheduler": self.name, "asyncz.store.operation": operation}
        if error is not None:
            attributes["error.type"] = _type_name(error)
        try:
            self._instruments.store_duration.record(seconds, attributes)
        except Exception:
            logger.exception("The duration of a transaction could not be recorded")

    def before_submit(self, run: TaskRun[ResultT], alias: str, /) -> None:
        """Start the span of an attempt, and make it the current one for the function."""
        try:
            self._start_span(run, alias)
        except Exception:
            logger.exception("The span of a run of the task %r could not be started", run.task_id)

    def rejected(self, run: TaskRun[ResultT], /) -> None:
        """Drop the span of an attempt: an executor has rejected it."""
        key = run.run_id, run.scheduled
        _, run_trace = self._take(key)
        if run_trace is None:
            return
        # A span that never ends is never exported.
        run_trace.span = None
        run_trace.attempt -= 1
        if run.attempt != 1:
            self._keep(key, run_trace)

    def _start_span(self, run: TaskRun[ResultT], alias: str) -> None:
        key = run.run_id, run.scheduled
        is_open, run_trace = self._take(key)
        if not is_open:
            # `submit_hooked` had read the hook before `close` removed it.
            return
        call, origin = _unwrapped(run.call)
        if run_trace is None:
            run_trace = self._trace_of(run, origin)
        try:
            # Two submissions of one attempt: a task that is moved calls the hook for each executor.
            if run_trace.attempt < run.attempt:
                self._start_attempt(run, run_trace, alias, call, origin)
        finally:
            self._keep(key, run_trace)

    def _start_attempt(
        self,
        run: TaskRun[ResultT],
        run_trace: _RunTrace,
        alias: str,
        call: Callable[[], ResultT | Awaitable[ResultT]],
        origin: object,
    ) -> None:
        run_trace.attempt, run_trace.alias = run.attempt, encodable(alias)
        run_trace.function = _dotted(function_reference(call))
        run_trace.name = function_name(call)
        span = self._new_span(run.task_id, run.details(), run_trace)
        span.set_attributes(_ownership_of(call))
        current = trace.set_span_in_context(span, run_trace.parent)
        context = run.context
        if context is not None:
            context.run(otel_context.attach, current)
        run.call = TracedCall[ResultT](call, origin, lambda: _headers(current))

    def _new_span(self, task_id: str, details: RunDetails, run_trace: _RunTrace) -> Span:
        attributes: _Attributes = {
            "asyncz.scheduler": self.name,
            "asyncz.task.id": encodable(task_id),
            "asyncz.run.id": f"{details.run_id}",
            "asyncz.run.attempt": details.attempt,
            "asyncz.executor": run_trace.alias,
            "code.function.name": run_trace.function,
        }
        if self._parts.store is not None:
            attributes["asyncz.node.id"] = node_id(self._parts)
        if details.scheduled_at is not None:
            attributes["asyncz.run.scheduled_at"] = details.scheduled_at.isoformat()
        run_trace.started = time.time_ns()
        run_trace.span = span = self._tracer.start_span(
            f"run {run_trace.name}",
            context=run_trace.parent,
            kind=SpanKind.INTERNAL,
            attributes=attributes,
            links=[Link(each) for each in run_trace.links],
            start_time=run_trace.started,
        )
        return span

    def _with_span(self, run_trace: _RunTrace | None, task_id: str, details: RunDetails) -> _RunTrace | None:
        """Return the trace of a run with a span for an outcome, also if the attempt was never accepted."""
        if run_trace is None:
            # A run that was called before the instrumentation has no trace.
            return self._trace_of_unsubmitted(task_id, details) if details.started is None else None
        if run_trace.span is None:
            self._new_span(task_id, details, run_trace)
        return run_trace

    def _trace_of_unsubmitted(self, task_id: str, details: RunDetails) -> _RunTrace | None:
        """Return the trace of a run with an outcome before its submission, such as a missed one; None if unknown."""
        controller = self._parts.tasks.holder(task_id)
        if controller is None:
            return None
        call = controller.task.call
        function = _dotted(function_reference(call))
        alias = encodable(controller.registration.alias)
        run_trace = _RunTrace(Context(), (), alias=alias, function=function, name=function_name(call))
        self._new_span(task_id, details, run_trace)
        return run_trace

    def _trace_of(self, run: TaskRun[ResultT], origin: object) -> _RunTrace:
        """Return the trace of the first attempt of a run."""
        if isinstance(origin, _Origin):
            if self._submitted == "parent" and not origin.by_result:
                return _RunTrace(trace.set_span_in_context(trace.NonRecordingSpan(origin.context), Context()), ())
            return _RunTrace(Context(), (origin.context,))
        context = run._context
        if context is not None and _has_own_context(run):
            return _RunTrace(context.copy().run(otel_context.get_current), ())
        return _RunTrace(Context(), ())

    # Events

    def _on_retrying(self, event: TaskRetrying) -> None:
        details = event.details
        key = _key_of(details)
        is_open, run_trace = self._take(key)
        if not is_open:
            return
        run_trace = self._with_span(run_trace, event.task_id, details)
        self._instruments.retried.add(1, self._metric_attributes(event.task_id, run_trace, event.exception))
        self._record_lateness(event.task_id, run_trace, details)
        if run_trace is not None and run_trace.span is not None:
            run_trace.attempt, run_trace.links = details.attempt, (run_trace.span.get_span_context(),)
            self._end(run_trace, details, "retried", event.exception, event.traceback)
            self._keep(key, run_trace)

    def _on_outcome(self, event: TaskNotification[object]) -> None:
        details = event.details
        key = _key_of(details)
        is_open, run_trace = self._take(key)
        if not is_open:
            return
        run_trace = self._with_span(run_trace, event.task_id, details)
        outcome, exception, text = _outcome_of(event)
        attributes = self._metric_attributes(event.task_id, run_trace, exception)
        if isinstance(event, TaskMissed):
            self._instruments.missed.add(1, attributes)
        if details.duration is not None:
            duration = max(0.0, details.duration)
            self._instruments.duration.record(duration, {**attributes, "asyncz.run.outcome": outcome})
        self._record_lateness(event.task_id, run_trace, details)
        if run_trace is not None and run_trace.span is not None:
            self._ended[key] = run_trace.span.get_span_context()
            while len(self._ended) > _MAX_ENDED:
                self._ended.popitem(last=False)
            self._end(run_trace, details, outcome, exception, text)

    def _on_rejected(self, event: TaskMaxInstances | TaskQueueFull) -> None:
        if self._closed:
            return
        reason = "max_instances" if isinstance(event, TaskMaxInstances) else "queue_full"
        attributes = {**self._metric_attributes(event.task_id, None, None), "asyncz.run.refusal": reason}
        self._instruments.refused.add(1, attributes)

    def _record_lateness(self, task_id: str, run_trace: _RunTrace | None, details: RunDetails) -> None:
        """Record the lateness of a run with its first attempt, whether or not others follow."""
        lateness = lateness_of(details)
        if details.attempt == 1 and lateness is not None:
            self._instruments.lateness.record(lateness, self._metric_attributes(task_id, run_trace, None))

    def _end(
        self, run_trace: _RunTrace, details: RunDetails, outcome: str, exception: BaseException | None, text: str
    ) -> None:
        """End the span of an attempt."""
        span, run_trace.span = run_trace.span, None
        if span is None:
            return
        attributes: _Attributes = {"asyncz.run.outcome": outcome}
        lateness = lateness_of(details)
        if lateness is not None:
            attributes["asyncz.run.lateness"] = lateness
        finished = None
        if self._is_real_time:
            if details.started is not None:
                span.add_event("asyncz.run.started", timestamp=max(run_trace.started, _nanoseconds(details.started)))
            if details.finished is not None:
                finished = max(run_trace.started, _nanoseconds(details.finished))
        if exception is not None:
            attributes["error.type"] = _type_name(exception)
            self._add_exception(span, exception, text, finished)
        span.set_attributes(attributes)
        span.end(finished)

    def _add_exception(self, span: Span, exception: BaseException, text: str, finished: int | None) -> None:
        message = self._redacted(message_of(exception))
        event = {
            "exception.type": _type_name(exception),
            "exception.message": message,
            "exception.stacktrace": self._redacted(text),
        }
        # At the end of the span: the listener is called later than that.
        span.add_event("exception", event, timestamp=finished)
        name = type_name(exception)
        span.set_status(Status(StatusCode.ERROR, f"{name}: {message}" if message else name))

    def _redacted(self, text: str) -> str:
        """Return a text that may leave the program; of a `redact` that raises, nothing is exported."""
        if self._redact is not None:
            try:
                text = self._redact(text)
            except BaseException as error:
                if is_interrupt(error):
                    raise
                logger.error("redact() raised %s; the text is left out", type_name(error))
                return "<redact() raised>"
        # The exporters encode texts as UTF-8, which has no lone surrogates.
        return escape_surrogates(text)

    def _metric_attributes(
        self, task_id: str, run_trace: _RunTrace | None, exception: BaseException | None
    ) -> _Attributes:
        attributes: _Attributes = {"asyncz.scheduler": self.name}
        if run_trace is not None:
            attributes |= {"asyncz.executor": run_trace.alias, "code.function.name": run_trace.function}
        elif (controller := self._parts.tasks.holder(task_id)) is not None:
            # Missed or rejected before an executor saw the run.
            attributes["asyncz.executor"] = encodable(controller.registration.alias)
        if exception is not None:
            attributes["error.type"] = _type_name(exception)
        if self._task_ids:
            attributes["asyncz.task.id"] = encodable(task_id)
        return attributes

    def numbers(self) -> Observation | None:
        """Return the numbers of the scheduler for an exporter, in any thread; None if this is closed."""
        return None if self._closed else observe(self._parts)


def _check_free(scheduler: AsyncIOScheduler) -> None:
    if scheduler._parts.runtime.run_hook is not None:
        raise InvalidInputError("scheduler", repr(scheduler), "it is instrumented already; close that one first")


def _unwrapped(
    call: Callable[[], ResultT | Awaitable[ResultT]],
) -> tuple[Callable[[], ResultT | Awaitable[ResultT]], object]:
    """Return the call of the user, and the origin of the run."""
    wrapper: object = call
    if isinstance(wrapper, CallWithOrigin):
        return as_call_like(wrapper.call, call), wrapper.origin
    return call, None


def _ownership_of(call: object) -> _Attributes:
    """Return the attributes of a run that a store keeps."""
    if not isinstance(call, OwnedCall):
        return {}
    return {"asyncz.run.fence": call.ownership.fence}


def _has_own_context(run: TaskRun[ResultT]) -> bool:
    """Return True if a run was made with the context of the code that awaits it, not with that of `add_task`."""
    if not isinstance(run, LiveRun):
        return False
    owner = run.owner
    return isinstance(owner, BatchItem) or getattr(owner, "_context", None) is not run._context


def _headers(context: Context) -> Mapping[str, str]:
    """Return the headers that carry a trace context to another process."""
    headers: dict[str, str] = {}
    propagate.inject(headers, context)
    return headers


def _outcome_of(event: TaskNotification[object]) -> tuple[str, BaseException | None, str]:
    match event:
        case TaskExecuted():
            return "executed", None, ""
        case TaskError():
            return "error", event.exception, event.traceback
        case TaskMissed():
            return "missed", None, ""
        case TaskCancelled():
            return "cancelled", None, ""


def _key_of(details: RunDetails) -> _Execution:
    return details.run_id, details.scheduled


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)


def _type_name(error: BaseException) -> str:
    """Return the name of the class of an exception with its module, without that of built-in exceptions."""
    return class_name(type(error)).removeprefix("builtins.")


def _dotted(reference: str) -> str:
    """Return a function's name in the form of `code.function.name`: with a point after the module."""
    return reference.replace(":", ".", 1)
