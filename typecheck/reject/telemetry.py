"""Mistakes with traces and metrics: a wrong scheduler, wrong words, positional options."""

from __future__ import annotations

from asyncz import AsyncIOScheduler
from asyncz.otel import METRICS, instrument
from asyncz.prometheus import PrometheusMetrics


def wrong(scheduler: AsyncIOScheduler) -> None:
    instrument("scheduler")  # E
    instrument(scheduler, submitted="child")  # E
    instrument(scheduler, tracer_provider=scheduler)  # E
    instrument(scheduler, meter_provider=3)  # E
    instrument(scheduler, task_ids="no")  # E
    instrument(scheduler, name=3)  # E
    instrument(scheduler, redact=len)  # E
    instrument(scheduler, None)  # E
    METRICS["asyncz.own"] = "text"  # E
    PrometheusMetrics(3)  # E
    PrometheusMetrics(scheduler, True)  # E
    PrometheusMetrics(scheduler, task_ids="yes")  # E
    PrometheusMetrics(scheduler).text(3)  # E
