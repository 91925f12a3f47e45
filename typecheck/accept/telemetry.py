"""Traces by OpenTelemetry and metrics in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from asyncz import AsyncIOScheduler
from asyncz.otel import METRICS, SCHEMA, Instrumentation, SubmittedTrace, instrument
from asyncz.prometheus import CONTENT_TYPE, PrometheusMetrics


def traces(
    scheduler: AsyncIOScheduler, tracers: TracerProvider, meters: MeterProvider, submitted: SubmittedTrace
) -> None:
    assert_type(instrument(scheduler), Instrumentation)
    instrument(
        scheduler, tracer_provider=tracers, meter_provider=meters, submitted=submitted, task_ids=True, name="main"
    )
    instrument(scheduler, submitted="parent", redact=str.upper)
    with instrument(scheduler) as instrumentation:
        assert_type(instrumentation, Instrumentation)
    instrumentation.close()
    names: Mapping[str, str] = METRICS
    assert_type(names["asyncz.task.overdue"], str)
    version: str = SCHEMA
    version.upper()


def metrics(scheduler: AsyncIOScheduler) -> None:
    exported = PrometheusMetrics(scheduler, task_ids=True)
    assert_type(exported.text(), str)
    exported.close()
    with PrometheusMetrics(scheduler) as counted:
        assert_type(counted, PrometheusMetrics)
    content_type: str = CONTENT_TYPE
    content_type.upper()
