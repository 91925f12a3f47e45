"""A request whose trace goes through threads, processes and Dask.

`python -m tests.examples.monitoring.trace_of_executors` prints its spans.
"""

from __future__ import annotations

import asyncio

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from asyncz import AsyncIOScheduler
from asyncz.otel import instrument


def current_span() -> str:
    """Return the span that a function sees, in its own process."""
    return trace.format_span_id(trace.get_current_span().get_span_context().span_id)


def seen(span: ReadableSpan) -> str:
    context = span.get_span_context()
    return "" if context is None else trace.format_span_id(context.span_id)


async def main() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with AsyncIOScheduler() as scheduler:
        scheduler.add_executor("dask", alias="dask", cluster_kwargs={"n_workers": 1, "threads_per_worker": 1})
        instrument(scheduler, tracer_provider=provider)
        tasks = {
            alias: scheduler.add_task(current_span, trigger=None, executor=alias)
            for alias in ("asyncio", "threadpool", "processpool", "dask")
        }
        with provider.get_tracer("app").start_as_current_span("request"):
            inside = {alias: await task.run() for alias, task in tasks.items()}
    *runs, request = sorted(exporter.get_finished_spans(), key=lambda span: span.name == "request")
    print(request.name)
    for run in runs:
        alias = str((run.attributes or {})["asyncz.executor"])
        is_child = run.parent == request.get_span_context()
        print(f"  {run.name} on {alias}: child {is_child}, seen by the function {inside[alias] == seen(run)}")


if __name__ == "__main__":
    asyncio.run(main())
