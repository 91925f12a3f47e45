"""Spans and metrics, as the exporters of the SDK receive them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import re
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from unittest.mock import Mock, patch

import pytest
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Gauge, InMemoryMetricReader, MetricsData, Sum
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    DateTrigger,
    FuturesExecutor,
    IntervalTrigger,
    InvalidInputError,
    MaximumInstancesError,
    OverlapPolicy,
    QueueFullError,
    Retry,
    Task,
    TaskTimeoutError,
    install_log_fields,
    otel,
)
from asyncz.clock import utc
from asyncz.dashboard import Dashboard, User
from asyncz.events import Event, RunDetails
from asyncz.otel import METRICS, Instrumentation, _Attributes, _RunTrace, instrument
from asyncz.runs import TaskRun
from asyncz.schedulers.subscriptions import Subscription
from asyncz.stores import MemoryStore, Outbox, SqliteStore, StoreSession
from asyncz.testing import FakeClock
from tests.helpers.waiting import until
from tests.telemetry import traced_jobs

pytestmark = pytest.mark.anyio


class Telemetry:
    """Exporters in memory."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])

    def instrument(self, scheduler: AsyncIOScheduler, **options: object) -> Instrumentation:
        return instrument(scheduler, tracer_provider=self.tracers, meter_provider=self.meters, **options)  # type: ignore[arg-type]  # options of the test

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    def span(self, name: str) -> ReadableSpan:
        (found,) = [each for each in self.spans if each.name == name]
        return found

    def points(self, name: str, *, of_all: bool = False) -> dict[tuple[tuple[str, object], ...], float]:
        """Return the values of a metric by attributes, without that of the only scheduler; of a histogram, the counts.

        Args:
            name: Name of the metric.
            of_all: Keep the attribute of the scheduler.
        """
        data = self.reader.get_metrics_data()
        found: dict[tuple[tuple[str, object], ...], float] = {}
        assert isinstance(data, MetricsData)
        for resource in data.resource_metrics:
            for scope in resource.scope_metrics:
                assert scope.scope.name == "asyncz"
                for metric in scope.metrics:
                    for point in metric.data.data_points if metric.name == name else ():
                        value = getattr(point, "value", None)
                        attributes = dict(point.attributes or {})
                        assert attributes["asyncz.scheduler"]
                        if not of_all:
                            del attributes["asyncz.scheduler"]
                        key = tuple(sorted(attributes.items()))
                        assert key not in found
                        found[key] = getattr(point, "count", 0) if value is None else value
        return found


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    made = Telemetry()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


def ids_of(span: ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def links_of(span: ReadableSpan) -> list[tuple[int, int]]:
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


async def test_run_has_span_with_attributes(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler() as scheduler:
        telemetry.instrument(scheduler, name="main")
        task = scheduler.add_task(traced_jobs.span_ids, trigger=None, id="ids", executor="threadpool")
        handle = task.run()
        ids = await handle
        await until(lambda: len(telemetry.spans) == 1)
    span = telemetry.span("run span_ids")
    assert ids_of(span) == ids
    assert (span.kind, span.parent, span.status.status_code) == (SpanKind.INTERNAL, None, StatusCode.UNSET)
    attributes = dict(span.attributes or {})
    assert attributes.pop("asyncz.run.lateness") >= 0  # type: ignore[operator]  # a number
    assert isinstance(attributes.pop("asyncz.run.scheduled_at"), str)
    assert attributes == {
        "asyncz.scheduler": "main",
        "asyncz.task.id": "ids",
        "asyncz.run.id": f"{handle.run_id}",
        "asyncz.run.attempt": 1,
        "asyncz.run.outcome": "executed",
        "asyncz.executor": "threadpool",
        "code.function.name": "tests.telemetry.traced_jobs.span_ids",
    }
    started = [event for event in span.events if event.name == "asyncz.run.started"]
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.start_time <= started[0].timestamp <= span.end_time


@pytest.mark.parametrize("function", [traced_jobs.span_ids, traced_jobs.span_ids_later, traced_jobs.returns_coroutine])
@pytest.mark.parametrize("executor", ["asyncio", "threadpool", "debug", "processpool", "futures"])
async def test_function_sees_its_span(executor: str, function: Callable[[], object], telemetry: Telemetry) -> None:
    from concurrent.futures import ProcessPoolExecutor as Pool
    from multiprocessing import get_context

    async with AsyncIOScheduler() as scheduler:
        if executor == "futures":
            scheduler.add_executor(FuturesExecutor(lambda: Pool(1, get_context("spawn"))), alias="futures")
        task = scheduler.add_task(function, trigger=None, executor=executor)
        telemetry.instrument(scheduler)
        with telemetry.tracers.get_tracer("app").start_as_current_span("request") as request:
            ids = await task.run()
            outer = request.get_span_context()
        await until(lambda: len(telemetry.spans) == 2)
    span = telemetry.span(f"run {function.__name__}")
    assert ids_of(span) == ids
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id) == (outer.trace_id, outer.span_id)


@pytest.mark.slow
async def test_function_on_dask_sees_its_span(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler() as scheduler:
        scheduler.add_executor("dask", alias="cluster", cluster_kwargs={"n_workers": 1, "threads_per_worker": 1})
        telemetry.instrument(scheduler)
        plain = scheduler.add_task(traced_jobs.span_ids, trigger=None, executor="cluster")
        later = scheduler.add_task(traced_jobs.span_ids_later, trigger=None, executor="cluster")
        results = [await plain.run(), await later.run()]
        await until(lambda: len(telemetry.spans) == 2)
    assert [ids_of(telemetry.span("run span_ids")), ids_of(telemetry.span("run span_ids_later"))] == results


async def test_triggered_run_is_a_trace_of_its_own(telemetry: Telemetry) -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        telemetry.instrument(scheduler)
        with telemetry.tracers.get_tracer("app").start_as_current_span("request"):
            scheduler.add_task(traced_jobs.span_ids_later, trigger=IntervalTrigger(hours=1))
        await clock.advance(hours=2, wait_for_runs=True)
    runs = [span for span in telemetry.spans if span.name == "run span_ids_later"]
    assert [span.parent for span in runs] == [None, None]
    assert len({ids_of(span)[0] for span in telemetry.spans}) == 3
    assert [links_of(span) for span in runs] == [[], []]


@pytest.mark.parametrize("submitted", ["link", "parent"])
async def test_submitted_run_refers_to_its_caller(submitted: str, telemetry: Telemetry) -> None:
    async with AsyncIOScheduler() as scheduler:
        telemetry.instrument(scheduler, submitted=submitted)
        task = scheduler.add_task(traced_jobs.span_ids, trigger=None)

        def submit() -> tuple[int, int]:
            with telemetry.tracers.get_tracer("app").start_as_current_span("request") as request:
                task.submit()
                return request.get_span_context().trace_id, request.get_span_context().span_id

        caller = await asyncio.to_thread(submit)
        await until(lambda: len(telemetry.spans) == 2)
        task.submit()
        await until(lambda: len(telemetry.spans) == 3)
    first, second = [span for span in telemetry.spans if span.name == "run span_ids"]
    if submitted == "link":
        assert (first.parent, links_of(first)) == (None, [caller])
    else:
        assert first.parent is not None
        assert ((first.parent.trace_id, first.parent.span_id), links_of(first)) == (caller, [])
    assert (second.parent, links_of(second)) == (None, [])


@pytest.mark.parametrize("executor", ["asyncio", "processpool"])
async def test_result_links_downstream_run(executor: str, telemetry: Telemetry) -> None:
    async with AsyncIOScheduler() as scheduler:
        telemetry.instrument(scheduler, submitted="parent")
        upstream = scheduler.add_task(traced_jobs.span_ids, trigger=None)
        downstream = upstream.then(traced_jobs.first_of, executor=executor)
        upstream.submit()
        trace_id = await downstream.result()
        await until(lambda: len(telemetry.spans) == 2)
    first, second = telemetry.span("run span_ids"), telemetry.span("run first_of")
    assert ids_of(first)[0] == trace_id
    assert (second.parent, links_of(second)) == (None, [ids_of(first)])


async def test_batch_runs_are_children_of_reader(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler() as scheduler:
        telemetry.instrument(scheduler)
        with telemetry.tracers.get_tracer("app").start_as_current_span("request") as request:
            assert [each async for each in scheduler.map(abs, [-1, 2], executor="threadpool")] == [1, 2]
    runs = [span for span in telemetry.spans if span.name == "run abs"]
    assert [span.parent for span in runs] == [request.get_span_context()] * 2


async def test_attempts_are_linked_spans(telemetry: Telemetry) -> None:
    texts = iter(["one", "two"])

    def attempt() -> int:
        text = next(texts, None)
        if text is not None:
            traced_jobs.fail(text)
        return 1

    async with AsyncIOScheduler() as scheduler:
        telemetry.instrument(scheduler)
        with telemetry.tracers.get_tracer("app").start_as_current_span("request") as request:
            await scheduler.add_task(attempt, trigger=None, retry=Retry(attempts=3)).run()
        await until(lambda: len(telemetry.spans) == 4)
        assert sum(telemetry.points("asyncz.run.retried").values()) == 2
        (late,) = telemetry.points("asyncz.run.lateness").items()
    assert ("error.type" in dict(late[0]), late[1]) == (False, 1)
    spans = [span for span in telemetry.spans if span.name != "request"]
    outcomes = [(span.attributes or {})["asyncz.run.outcome"] for span in spans]
    assert outcomes == ["retried", "retried", "executed"]
    assert [links_of(span) for span in spans] == [[], [ids_of(spans[0])], [ids_of(spans[1])]]
    assert all(span.parent == request.get_span_context() for span in spans)
    assert [(span.attributes or {}).get("error.type") for span in spans] == ["OSError", "OSError", None]


async def test_failed_run_has_exception_and_error_status(telemetry: Telemetry) -> None:
    class OddError(Exception):
        @override
        def __str__(self) -> str:
            raise RuntimeError

    def odd() -> None:
        raise OddError

    async with AsyncIOScheduler() as scheduler:
        telemetry.instrument(scheduler)
        with pytest.raises(OSError, match="no route"):
            await scheduler.add_task(traced_jobs.fail, "no route", trigger=None, executor="processpool").run()
        with pytest.raises(TaskTimeoutError):
            await scheduler.add_task(asyncio.sleep, 30, trigger=None, timeout=0.01).run()
        with pytest.raises(OddError):
            await scheduler.add_task(odd, trigger=None).run()
        await until(lambda: len(telemetry.spans) == 3)
        durations = telemetry.points("asyncz.run.duration")
        assert all("error.type" not in dict(key) for key in telemetry.points("asyncz.run.lateness"))
    assert {str(dict(key)["error.type"]).rpartition(".")[2] for key in durations} == {
        "OSError",
        "TaskTimeoutError",
        "OddError",
    }
    failed = telemetry.span("run fail")
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.status.description == "OSError: no route"
    exception = next(event for event in failed.events if event.name == "exception")
    assert "traced_jobs.py" in str((exception.attributes or {})["exception.stacktrace"])
    assert (exception.attributes or {})["exception.message"] == "no route"
    assert exception.timestamp == failed.end_time
    odd_span = next(span for span in telemetry.spans if span.name.endswith("odd"))
    odd_event = next(event for event in odd_span.events if event.name == "exception")
    assert (odd_event.attributes or {})["exception.message"] == "<str() raised RuntimeError>"


async def test_message_of_exception_is_whole_and_encodable(telemetry: Telemetry) -> None:
    message = f"two\nlines \ud800 {'x' * 1000}"
    async with AsyncIOScheduler() as scheduler:
        telemetry.instrument(scheduler)
        await scheduler.add_task(traced_jobs.fail, message, trigger=None).run().notification()
        await until(lambda: len(telemetry.spans) == 1)
    exception = next(event for event in telemetry.span("run fail").events if event.name == "exception")
    assert (exception.attributes or {})["exception.message"] == message.replace("\ud800", "\\ud800")


async def test_redact_sees_all_texts_of_exceptions(telemetry: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    def broken(text: str) -> str:
        raise ValueError(text)

    def stars(text: str) -> str:
        return text.replace("secret", "***")

    for redact in (stars, broken):
        async with AsyncIOScheduler() as scheduler:
            telemetry.instrument(scheduler, redact=redact)
            await scheduler.add_task(traced_jobs.fail, "the secret", trigger=None).run().notification()
    first, second = telemetry.spans
    texts = [
        f"{span.status.description} {[dict(event.attributes or {}) for event in span.events]}"
        for span in (first, second)
    ]
    assert first.status.description == "OSError: the ***"
    assert second.status.description == "OSError: <redact() raised>"
    assert "secret" not in "".join(texts)
    assert "redact() raised ValueError" in caplog.text


async def test_cancelled_run_has_no_error_status(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler() as scheduler:
        telemetry.instrument(scheduler)
        task = scheduler.add_task(asyncio.sleep, 30, trigger=None)
        handle = task.run()
        await asyncio.sleep(0)
        task.cancel_runs()
        await handle.notification()
        await until(lambda: len(telemetry.spans) == 1)
    span = telemetry.span("run sleep")
    assert (span.attributes or {})["asyncz.run.outcome"] == "cancelled"
    assert span.status.status_code is StatusCode.UNSET


async def test_docstring_lists_all_names(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler(store=MemoryStore()) as scheduler, AsyncIOScheduler() as other:
        telemetry.instrument(scheduler, task_ids=True)
        telemetry.instrument(other)
        task = scheduler.add_task(traced_jobs.fail, "x", trigger=None, id="fails", retry=Retry(attempts=2))
        await task.run().notification()
        hangs = other.add_task(asyncio.Event().wait, trigger=None)
        hangs.run()
        hangs.submit()
        await until(lambda: hangs.state.rejected == 1 and len(telemetry.spans) == 2)
        documented = set(re.findall(r"`([\w.]+)`", otel.__doc__ or ""))
        spans = {name for span in telemetry.spans for name in span.attributes or {}}
        metrics = {name for metric in METRICS for point in telemetry.points(metric, of_all=True) for name, _ in point}
        hangs.cancel_runs()
    assert {"asyncz.run.fence", "error.type", "asyncz.task.id"} <= spans
    assert {"asyncz.run.refusal", "error.type", "asyncz.scheduler"} <= metrics
    assert spans | metrics | set(METRICS) <= documented


async def test_hostile_task_id_is_encodable(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler() as scheduler:
        telemetry.instrument(scheduler, task_ids=True)
        scheduler.add_executor("threadpool", alias="\udfff")
        await scheduler.add_task(traced_jobs.span_ids, trigger=None, id="\ud800", executor="\udfff").run()
        await until(lambda: len(telemetry.spans) == 1)
        (point,) = telemetry.points("asyncz.run.duration")
        assert (("asyncz.executor", "\ufffddfff"),) in telemetry.points("asyncz.run.active")
    assert (dict(point)["asyncz.task.id"], dict(point)["asyncz.executor"]) == ("\ufffdd800", "\ufffddfff")
    assert (telemetry.spans[0].attributes or {})["asyncz.task.id"] == "\ufffdd800"


async def test_rejected_and_missed_runs_are_counted(telemetry: Telemetry) -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        telemetry.instrument(scheduler, task_ids=True)
        task = scheduler.add_task(asyncio.Event().wait, trigger=None, id="hangs")
        task.run()
        task.submit()
        await until(lambda: task.state.rejected == 1)
        with pytest.raises(MaximumInstancesError):
            task.run()
        scheduler.pause()
        scheduler.add_task(
            traced_jobs.span_ids, trigger=DateTrigger(utc(clock.now() + 1)), id="late",
            misfire_grace_time=5,
        )  # fmt: skip
        await clock.advance(seconds=60)
        scheduler.resume()
        await clock.advance(seconds=1)
        assert list(telemetry.points("asyncz.run.refused")) == [
            (("asyncz.executor", "asyncio"), ("asyncz.run.refusal", "max_instances"), ("asyncz.task.id", "hangs"))
        ]
        assert sum(telemetry.points("asyncz.run.missed").values()) == 1
        assert telemetry.points("asyncz.run.active") == {(("asyncz.executor", "asyncio"),): 1}
        task.cancel_runs()
    outcomes = {span.name: (span.attributes or {})["asyncz.run.outcome"] for span in telemetry.spans}
    assert outcomes == {"run span_ids": "missed", "run Event.wait": "cancelled"}


async def test_overdue_grows_while_due_time_waits(telemetry: Telemetry) -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        telemetry.instrument(scheduler)
        end = asyncio.Event()
        task = scheduler.add_task(end.wait, trigger=IntervalTrigger(minutes=1), overlap="queue_one")
        await clock.advance(minutes=1)
        assert telemetry.points("asyncz.task.overdue") == {(): 0}
        await clock.advance(minutes=1, seconds=30)
        assert telemetry.points("asyncz.task.overdue") == {(): 30}
        assert telemetry.points("asyncz.run.waiting") == {(("asyncz.executor", "asyncio"),): 1}
        task.pause()
        end.set()
        await until(lambda: task.state.executed == 1)
        scheduler.remove_task(task)
        assert telemetry.points("asyncz.task.overdue") == {(): 0}


async def test_paused_task_with_backlog_is_not_overdue(telemetry: Telemetry) -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        telemetry.instrument(scheduler)
        task = scheduler.add_task(asyncio.Event().wait, trigger=IntervalTrigger(minutes=1), overlap="queue_one")
        await clock.advance(minutes=2)
        task.pause()
        await clock.advance(hours=1)
        assert task.state.backlog == 1
        assert telemetry.points("asyncz.task.overdue") == {(): 0}
        task.cancel_runs()


async def test_two_schedulers_share_a_meter_provider(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler() as first, AsyncIOScheduler(store=MemoryStore()) as second:
        instrumentation = telemetry.instrument(first)
        telemetry.instrument(second, name="second")
        second.add_task(traced_jobs.span_ids, trigger=None, id="ids")
        number = instrumentation.name
        tasks = {(("asyncz.scheduler", number),): 0, (("asyncz.scheduler", "second"),): 1}
        assert telemetry.points("asyncz.tasks", of_all=True) == tasks
        assert list(telemetry.points("asyncz.store.connected", of_all=True)) == [(("asyncz.scheduler", "second"),)]
        instrumentation.close()
        with pytest.raises(InvalidInputError, match="name cannot be 'second'"):
            telemetry.instrument(first, name="second")
        assert list(telemetry.points("asyncz.tasks", of_all=True)) == [(("asyncz.scheduler", "second"),)]
        telemetry.instrument(first)
        assert telemetry.points("asyncz.tasks", of_all=True) == tasks


async def test_dropped_scheduler_has_no_metrics(telemetry: Telemetry) -> None:
    telemetry.instrument(AsyncIOScheduler())
    gc.collect()
    assert telemetry.reader.get_metrics_data() is None


def test_global_provider_is_shared_before_it_is_set() -> None:
    program = (
        "from opentelemetry.metrics import get_meter_provider, set_meter_provider\n"
        "from opentelemetry.sdk.metrics import MeterProvider\n"
        "from opentelemetry.sdk.metrics.export import InMemoryMetricReader\n"
        "from asyncz import AsyncIOScheduler\n"
        "from asyncz.otel import instrument\n"
        "schedulers = [AsyncIOScheduler() for _ in range(4)]\n"
        "instrument(schedulers[0], name='a'), instrument(schedulers[1], name='b')\n"
        "reader = InMemoryMetricReader()\n"
        "set_meter_provider(MeterProvider([reader]))\n"
        "instrument(schedulers[2], name='c')\n"
        "instrument(schedulers[3], name='d', meter_provider=get_meter_provider())\n"
        "metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics\n"
        "points = next(each for each in metrics if each.name == 'asyncz.tasks').data.data_points\n"
        "print(*sorted(point.attributes['asyncz.scheduler'] for point in points))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("a b c d\n", "")


async def test_metrics_have_kinds_that_add_up(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler(store=MemoryStore()) as scheduler:
        telemetry.instrument(scheduler)
        await scheduler.add_task(traced_jobs.span_ids, trigger=None, id="ids", executor="threadpool").run()
        data = telemetry.reader.get_metrics_data()
        assert data is not None
        metrics = {metric.name: metric.data for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    sums = {name: data.is_monotonic for name, data in metrics.items() if isinstance(data, Sum)}
    assert sums == {
        "asyncz.node.takeovers": True,
        "asyncz.run.active": False,
        "asyncz.run.waiting": False,
        "asyncz.tasks": False,
        "asyncz.tasks.parked": False,
    }
    gauges = {name for name, data in metrics.items() if isinstance(data, Gauge)}
    assert gauges == {
        "asyncz.node.lease.remaining",
        "asyncz.store.clock_offset",
        "asyncz.store.connected",
        "asyncz.task.overdue",
    }


async def test_overdue_is_read_while_loop_is_blocked(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler() as scheduler:
        telemetry.instrument(scheduler)
        scheduler.add_task(traced_jobs.span_ids, trigger=IntervalTrigger(seconds=0.01))
        overdue: list[float] = []

        def read() -> None:
            while not overdue or overdue[-1] < 0.1:
                overdue.append(*telemetry.points("asyncz.task.overdue").values())

        reader = threading.Thread(target=read)
        reader.start()
        reader.join(30)
        assert not reader.is_alive()
        assert overdue[-1] >= 0.1


async def test_metrics_have_documented_names(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler() as scheduler:
        telemetry.instrument(scheduler)
        await scheduler.add_task(traced_jobs.span_ids, trigger=None, executor="threadpool").run()
        key = (("asyncz.executor", "threadpool"), ("code.function.name", "tests.telemetry.traced_jobs.span_ids"))
        assert telemetry.points("asyncz.run.lateness") == {key: 1}
        data = telemetry.reader.get_metrics_data()
        assert data is not None
        names = {metric.name for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    assert names <= set(METRICS)
    assert {"asyncz.run.duration", "asyncz.tasks", "asyncz.task.overdue"} <= names


@pytest.mark.parametrize("seed", range(3))
async def test_each_run_has_one_final_span(seed: int, telemetry: Telemetry) -> None:
    """Whatever happens to a run, the spans agree with the counts of the scheduler, and no trace is left."""
    random = Random(seed)

    def work(number: int) -> int:
        if number % 3 == 0:
            traced_jobs.fail("on purpose")
        return number

    async with AsyncIOScheduler() as scheduler:
        scheduler.add_executor("threadpool", alias="narrow", max_workers=1, max_queue=3)
        instrumentation = telemetry.instrument(scheduler)
        tasks: list[Task[object]] = []
        for number in range(40):
            retry = random.choice([None, Retry(attempts=2)])
            executor = random.choice(["asyncio", "threadpool", "narrow"])
            policies: tuple[OverlapPolicy, ...] = ("skip", "queue_one", "queue_all")
            function = partial(asyncio.sleep, 0.01) if number % 5 == 0 else partial(work, number)
            tasks.append(
                scheduler.add_task(
                    function,
                    trigger=None,
                    executor="asyncio" if number % 5 == 0 else executor,
                    overlap=random.choice(policies),
                    max_instances=2,
                    retry=retry,
                )
            )
        for _ in range(300):
            task = random.choice(tasks)
            act = random.choice([task.submit, task.submit, task.run, task.cancel_runs])
            with contextlib.suppress(MaximumInstancesError, QueueFullError):
                act()
            if random.random() < 0.3:
                await asyncio.sleep(0)
        await until(lambda: all(task.state.running + task.state.backlog == 0 for task in tasks))
        state = scheduler.state
        assert instrumentation._traces == {}
    outcomes = Counter(str((span.attributes or {})["asyncz.run.outcome"]) for span in telemetry.spans)
    retried = outcomes.pop("retried", 0)
    counts = {"executed": state.executed, "error": state.errors, "cancelled": state.cancelled}
    assert outcomes == {name: count for name, count in counts.items() if count}
    assert retried == sum(telemetry_retried(telemetry))
    assert sum(counts.values()) == state.submitted
    runs = {str((span.attributes or {})["asyncz.run.id"]) for span in telemetry.spans}
    assert len(runs) == state.submitted


def telemetry_retried(telemetry: Telemetry) -> list[float]:
    return list(telemetry.points("asyncz.run.retried").values())


@pytest.mark.parametrize("executor", ["asyncio", "threadpool", "processpool"])
async def test_log_records_of_run_have_its_span(executor: str, telemetry: Telemetry) -> None:
    texts = io.StringIO()
    handler = logging.StreamHandler(texts)
    handler.setFormatter(logging.Formatter("%(asyncz_task)s %(asyncz_trace)s %(asyncz_span)s"))
    install_log_fields(handler)
    logger = logging.getLogger("traced")
    logger.addHandler(handler)
    try:
        async with AsyncIOScheduler() as scheduler:
            telemetry.instrument(scheduler)
            task = scheduler.add_task(traced_jobs.log_and_return_ids, trigger=None, id="logs", executor=executor)
            trace_id, span_id = await task.run()
            logger.warning("outside")
    finally:
        logger.removeHandler(handler)
    assert texts.getvalue().splitlines() == [f"logs {trace_id:032x} {span_id:016x}", "  "]


@pytest.mark.filterwarnings("ignore:.LoggingHandler. in:DeprecationWarning")
async def test_exported_log_records_have_plain_fields(caplog: pytest.LogCaptureFixture) -> None:
    """The exporter warns of other fields, by a record with the same fields: that would never end."""
    scheduler = AsyncIOScheduler(store=MemoryStore())
    dashboard = Dashboard(scheduler, authorize=lambda _: User("look"))
    handlers = (
        dashboard.log_handler,
        scheduler.store.log_handler,
        LoggingHandler(logger_provider=LoggerProvider(shutdown_on_exit=False)),
    )
    root = logging.getLogger()
    for handler in handlers:
        root.addHandler(handler)
    try:
        async with scheduler:
            await scheduler.add_task(traced_jobs.log_and_return_ids, trigger=None, id="logs").run()
    finally:
        for handler in handlers:
            root.removeHandler(handler)
    assert "here" in caplog.messages
    assert not [message for message in caplog.messages if "Invalid type" in message]


@pytest.mark.filterwarnings("ignore:.LoggingHandler. in:DeprecationWarning")
async def test_log_fields_and_exporter_do_not_recurse(caplog: pytest.LogCaptureFixture) -> None:
    handler, root = LoggingHandler(logger_provider=LoggerProvider(shutdown_on_exit=False)), logging.getLogger()
    install_log_fields(handler)
    root.addHandler(handler)
    try:
        with caplog.at_level(logging.DEBUG, "asyncz"):
            async with AsyncIOScheduler() as scheduler:
                await scheduler.add_task(traced_jobs.log_and_return_ids, trigger=None, id="logs").run()
            logging.getLogger("traced").warning("outside")
    finally:
        root.removeHandler(handler)
    assert {"here", "outside"} <= set(caplog.messages)
    assert any("submitted to" in message for message in caplog.messages)
    assert not [message for message in caplog.messages if "Invalid type" in message]


async def test_stored_run_has_a_span(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler(store=MemoryStore()) as scheduler:
        telemetry.instrument(scheduler)
        task = scheduler.add_task(traced_jobs.span_ids, trigger=DateTrigger(), id="stored", executor="threadpool")
        await until(lambda: len(telemetry.spans) == 1)
        await task.run()
        await until(lambda: len(telemetry.spans) == 2)
        assert telemetry.points("asyncz.store.connected") == {(): 1}
        assert telemetry.points("asyncz.node.takeovers") == {(): 0}
        (left,) = telemetry.points("asyncz.node.lease.remaining").values()
        assert 0 < left <= 15
    assert {str((span.attributes or {})["asyncz.task.id"]) for span in telemetry.spans} == {"stored"}
    assert {span.name for span in telemetry.spans} == {"run span_ids"}
    assert all((span.attributes or {})["asyncz.node.id"] for span in telemetry.spans)
    due = telemetry.spans[0].attributes or {}
    assert due["asyncz.run.fence"] == 1


async def no_claim(_session: StoreSession) -> None:
    """Claim nothing."""


@pytest.mark.parametrize("submitted", ["link", "parent"])
async def test_trace_continues_on_another_node(
    telemetry: Telemetry, submitted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    async with AsyncIOScheduler(store=store) as first, AsyncIOScheduler(store=store) as second:
        telemetry.instrument(first, name="first", submitted=submitted)
        telemetry.instrument(second, name="second", submitted=submitted)
        task = first.add_task(traced_jobs.span_ids, trigger=None, id="stored")
        second.add_task(traced_jobs.span_ids, trigger=None, id="stored")
        await until(lambda: not first.store._connector.tasks._to_declare)
        # The node that submits leaves the run to the other one.
        monkeypatch.setattr(first.store._connector.runs, "claim", no_claim)
        with telemetry.tracers.get_tracer("test").start_as_current_span("request") as request:
            task.submit()
        await until(lambda: any(each.name == "run span_ids" for each in telemetry.spans))
    span = telemetry.span("run span_ids")
    assert (span.attributes or {})["asyncz.scheduler"] == "second"
    assert span.context is not None
    caller = request.get_span_context()
    if submitted == "parent":
        assert span.context.trace_id == caller.trace_id
        assert span.parent is not None
        assert span.parent.span_id == caller.span_id
    else:
        assert [link.context.span_id for link in span.links] == [caller.span_id]
        assert span.parent is None


async def test_transactions_of_store_are_timed(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler(store=MemoryStore()) as scheduler, AsyncIOScheduler() as other:
        telemetry.instrument(scheduler, name="stored")
        telemetry.instrument(other, name="other")
        await scheduler.add_task(traced_jobs.span_ids, trigger=None, id="ids").run()

        def counts() -> dict[object, float]:
            points = telemetry.points("asyncz.store.operation.duration")
            return {dict(key)["asyncz.store.operation"]: count for key, count in points.items()}

        await until(lambda: {"declare", "submit", "finish"} <= counts().keys())
        assert counts()["declare"] == 1


async def test_stored_result_links_downstream_run(telemetry: Telemetry) -> None:
    """The run of a result has the same link with a store, on whichever node it is executed."""
    scheduler = AsyncIOScheduler(store=MemoryStore())
    upstream = scheduler.add_task(traced_jobs.span_ids, trigger=None, id="first")
    downstream = upstream.then(traced_jobs.first_of, id="second")
    async with scheduler:
        telemetry.instrument(scheduler, submitted="parent")
        upstream.submit()
        trace_id = await downstream.result()
        await until(lambda: len(telemetry.spans) == 2)
    first, second = telemetry.span("run span_ids"), telemetry.span("run first_of")
    assert ids_of(first)[0] == trace_id
    assert (second.parent, links_of(second)) == (None, [ids_of(first)])


async def test_outbox_stores_trace_context(telemetry: Telemetry, tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    async with AsyncIOScheduler(store=SqliteStore(file, poll_interval=0.01)) as scheduler:
        telemetry.instrument(scheduler)
        task = scheduler.add_task(traced_jobs.span_ids, trigger=None, id="stored")
        await until(lambda: not scheduler.store._connector.tasks._to_declare)
        with (
            sqlite3.connect(file) as connection,
            telemetry.tracers.get_tracer("test").start_as_current_span("request") as request,
        ):
            Outbox().submit(connection, task)
        connection.close()
        await until(lambda: any(each.name == "run span_ids" for each in telemetry.spans))
    (link,) = telemetry.span("run span_ids").links
    assert link.context.span_id == request.get_span_context().span_id


@pytest.mark.slow
def test_example_prints_trace_through_all_executors() -> None:
    program = [sys.executable, "-m", "tests.examples.monitoring.trace_of_executors"]
    done = subprocess.run(program, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    here, elsewhere = "this process", "a process of its own"
    places = {"asyncio": here, "debug": here, "threadpool": here, "processpool": elsewhere, "futures": elsewhere}
    places["dask"] = elsewhere
    runs = [
        f"  run current_span on {alias} in {place}: same trace True, child True, seen by the function True"
        for alias, place in places.items()
    ]
    assert done.stdout.splitlines() == ["request", *runs]


async def test_closed_instrumentation_records_nothing(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(traced_jobs.span_ids, trigger=None)
        with telemetry.instrument(scheduler) as instrumentation, pytest.raises(InvalidInputError, match="already"):
            telemetry.instrument(scheduler)
        instrumentation.close()
        assert await task.run() == (0, 0)
        task.submit()
        assert telemetry.spans == ()
        assert telemetry.reader.get_metrics_data() is None
        telemetry.instrument(scheduler)
        assert (await task.run())[0] != 0


async def test_span_ends_if_closed_while_it_starts(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler() as scheduler:
        instrumentation = telemetry.instrument(scheduler)
        task = scheduler.add_task(traced_jobs.span_ids, trigger=None)
        start = instrumentation._new_span

        def start_and_close(task_id: str, details: RunDetails, run: _RunTrace) -> Span:
            span = start(task_id, details, run)
            in_other_thread(instrumentation.close)
            return span

        with patch.object(instrumentation, "_new_span", start_and_close):
            await task.run()
        # The hook was read before it was removed.
        instrumentation.before_submit(Mock(TaskRun), "asyncio")
    assert [span.name for span in telemetry.spans] == ["run span_ids"]
    assert instrumentation._traces == {}


async def test_span_ends_once_if_closed_at_outcome(telemetry: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncIOScheduler() as scheduler:
        instrumentation = telemetry.instrument(scheduler)
        record = instrumentation._metric_attributes

        def close_and_record(task_id: str, run: _RunTrace | None, exception: BaseException | None) -> _Attributes:
            in_other_thread(instrumentation.close)
            return record(task_id, run, exception)

        with patch.object(instrumentation, "_metric_attributes", close_and_record):
            await scheduler.add_task(traced_jobs.fail, "x", trigger=None, retry=Retry(attempts=2)).run().notification()
            await until(lambda: len(telemetry.spans) == 1)
    assert (telemetry.span("run fail").attributes or {})["asyncz.run.outcome"] == "retried"
    assert "ended span" not in caplog.text


async def test_run_submitted_while_instrumented_is_whole(telemetry: Telemetry) -> None:
    """A run that begins as soon as the hook is set, or even before, finds all that the instrumentation needs."""
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(traced_jobs.span_ids, trigger=None, max_instances=3)
        await task.run()
        hook_all = scheduler._parts.executors.hook_all
        handles = [task.run()]

        def run_then_hook() -> bool:
            handles.append(task.run())
            return hook_all()

        def subscribe(event: type[Event], listener: Callable[[Event], object]) -> Subscription:
            assert scheduler._parts.runtime.run_hook is None
            return scheduler._parts.runtime.dispatcher.subscribe(event, listener)

        with (
            patch.object(scheduler._parts.executors, "hook_all", run_then_hook),
            patch.object(scheduler, "subscribe", subscribe),
        ):
            telemetry.instrument(scheduler)
        handles.append(task.run())
        assert (await handles[-1])[0] != 0
        assert (await handles[0], await handles[1]) == ((0, 0), (0, 0))
        await until(lambda: len(telemetry.spans) == 1)
        assert sum(telemetry.points("asyncz.run.duration").values()) == 3


async def test_failed_instrumentation_leaves_nothing(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler() as scheduler:
        listeners = dict(scheduler._parts.runtime.dispatcher.listeners)
        with (
            patch.object(scheduler._parts.executors, "hook_all", side_effect=MemoryError),
            pytest.raises(MemoryError),
        ):
            telemetry.instrument(scheduler)
        assert dict(scheduler._parts.runtime.dispatcher.listeners) == listeners
        assert telemetry.reader.get_metrics_data() is None
        telemetry.instrument(scheduler)
        await scheduler.add_task(traced_jobs.span_ids, trigger=None).run()
        await until(lambda: len(telemetry.spans) == 1)
        assert sum(telemetry.points("asyncz.run.duration").values()) == 1


async def test_schedulers_close_while_they_run(telemetry: Telemetry) -> None:
    """One thread instruments and closes while the loop runs tasks: each exported span has ended, none is left."""
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(traced_jobs.span_ids, trigger=None, max_instances=10)
        made: list[Instrumentation] = []

        def instrument_again() -> None:
            for _ in range(100):
                with telemetry.instrument(scheduler) as instrumentation:
                    made.append(instrumentation)

        thread = asyncio.create_task(asyncio.to_thread(instrument_again))
        while not thread.done():
            await asyncio.gather(*(task.run() for _ in range(5)))
        await thread
    assert all(instrumentation._traces == {} for instrumentation in made)
    ids = [ids_of(span) for span in telemetry.spans]
    assert len(ids) == len(set(ids))


def in_other_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


async def test_moved_task_is_traced_once(telemetry: Telemetry) -> None:
    async with AsyncIOScheduler() as scheduler:
        end = asyncio.Event()
        await scheduler.add_task(traced_jobs.span_ids, trigger=None).run()
        task = scheduler.add_task(end.wait, trigger=None, max_instances=3)
        first = task.run()
        task.modify(executor="debug")
        telemetry.instrument(scheduler)
        task.modify(executor="asyncio")
        second = task.run()
        end.set()
        await asyncio.gather(first, second)
        await task.run()
        await until(lambda: len(telemetry.spans) == 2)


async def test_broken_tracer_changes_no_run(telemetry: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    tracers = Mock(TracerProvider)
    tracers.get_tracer.return_value.start_span.side_effect = RuntimeError("no tracer")
    async with AsyncIOScheduler() as scheduler:
        instrument(scheduler, tracer_provider=tracers, meter_provider=telemetry.meters)
        assert await scheduler.add_task(traced_jobs.span_ids, trigger=None).run() == (0, 0)
    assert "could not be started" in caplog.text


def test_invalid_option_rejected() -> None:
    with pytest.raises(InvalidInputError, match="submitted cannot be 'child'"):
        instrument(AsyncIOScheduler(), submitted="child")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(InvalidInputError, match="redact cannot be 3"):
        instrument(AsyncIOScheduler(), redact=3)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(InvalidInputError, match="name cannot be ''"):
        instrument(AsyncIOScheduler(), name="")
    with pytest.raises(InvalidInputError, match="scheduler cannot be"):
        instrument("scheduler")  # type: ignore[arg-type]  # the mistake


def test_scheduler_does_not_import_telemetry() -> None:
    code = "import sys, asyncz, asyncz.schedulers, asyncz.cli; assert 'opentelemetry' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_missing_package_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "try:\n    import asyncz.otel\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (
        done.stdout == "asyncz.otel needs opentelemetry-api, which is not installed: pip install 'asyncz-typed[otel]'\n"
    )
