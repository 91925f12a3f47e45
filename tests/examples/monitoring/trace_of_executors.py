"""A request whose trace goes through all executors.

`python -m tests.examples.monitoring.trace_of_executors` prints its spans.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from asyncz import AsyncIOScheduler, FuturesExecutor
from asyncz.otel import instrument

PARENT = os.getpid()


def current_span() -> tuple[str, int]:
    """Return the span that a function sees, and the process in which it runs."""
    return trace.format_span_id(trace.get_current_span().get_span_context().span_id), os.getpid()


def identity(span: ReadableSpan) -> tuple[str, str]:
    context = span.get_span_context()
    if context is None:
        return "", ""
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)


async def main() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with AsyncIOScheduler() as scheduler:
        scheduler.add_executor("dask", alias="dask", cluster_kwargs={"n_workers": 1, "threads_per_worker": 1})
        pool = FuturesExecutor(lambda: ProcessPoolExecutor(1, get_context("spawn")))
        scheduler.add_executor(pool, alias="futures")
        instrument(scheduler, tracer_provider=provider)
        tasks = {
            alias: scheduler.add_task(current_span, trigger=None, executor=alias)
            for alias in ("asyncio", "debug", "threadpool", "processpool", "futures", "dask")
        }
        with provider.get_tracer("app").start_as_current_span("request"):
            inside = {alias: await task.run() for alias, task in tasks.items()}
    *runs, request = sorted(exporter.get_finished_spans(), key=lambda span: span.name == "request")
    trace_id, _ = identity(request)
    print(request.name)
    for run in runs:
        alias = str((run.attributes or {})["asyncz.executor"])
        seen, process = inside[alias]
        is_child = run.parent == request.get_span_context()
        place = "this process" if process == PARENT else "a process of its own"
        print(
            f"  {run.name} on {alias} in {place}: same trace {identity(run)[0] == trace_id}, child {is_child},"
            f" seen by the function {identity(run)[1] == seen}"
        )


if __name__ == "__main__":
    asyncio.run(main())
