"""Metrics in the text format of Prometheus, read by the parser of its client library."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # its types are a package of their own
from hypothesis import example, given, strategies as st
from prometheus_client.parser import text_string_to_metric_families

from asyncz import AsyncIOScheduler, IntervalTrigger, InvalidInputError, Retry, __version__, current_run
from asyncz._prometheus_text import labels_text
from asyncz.prometheus import PrometheusMetrics
from asyncz.stores import MemoryStore
from asyncz.testing import FakeClock
from tests.helpers.untyped import call_untyped
from tests.helpers.waiting import until
from tests.telemetry import traced_jobs

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parents[1] / "examples" / "monitoring"
# Functions and words of the query language.
_REPLACED = {chr(each) for each in range(0xD800, 0xE000)} | {"\ufffd"}
KEYWORDS = {"sum", "max", "by", "le", "rate", "increase", "absent", "histogram_quantile", "label_values"}


def samples_of(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return the values by name and labels; the parser rejects a text that is not valid."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.type != "unknown"
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


async def test_text_counts_runs_by_outcome() -> None:
    attempts = iter([OSError("one")])

    def once_failing() -> None:
        for error in attempts:
            raise error

    async with AsyncIOScheduler() as scheduler:
        metrics = PrometheusMetrics(scheduler)
        await scheduler.add_task(traced_jobs.span_ids, trigger=None, executor="threadpool").run()
        await scheduler.add_task(traced_jobs.fail, "x", trigger=None).run().notification()
        await scheduler.add_task(once_failing, trigger=None, retry=Retry(attempts=2)).run()
        waiting = scheduler.add_task(asyncio.Event().wait, trigger=None, overlap="queue_one")
        for _ in range(4):
            waiting.submit()
        await until(lambda: waiting.state.backlog == 1 and waiting.state.rejected == 2)
        found = samples_of(metrics.text())
        waiting.cancel_runs()
    assert found["asyncz_build_info", (("version", __version__),)] == 1
    assert found["asyncz_scheduler_status", (("status", "running"),)] == 1
    assert found["asyncz_scheduler_status", (("status", "paused"),)] == 0
    assert found["asyncz_tasks", ()] == 4
    assert found["asyncz_runs_submitted_total", ()] == 4
    outcomes = {key[1][0][1]: value for key, value in found.items() if key[0] == "asyncz_runs_total"}
    assert outcomes == {"executed": 2, "error": 1, "missed": 0, "cancelled": 0}
    assert found["asyncz_runs_refused_total", ()] == 2
    assert found["asyncz_attempts_retried_total", ()] == 1
    assert found["asyncz_runs_active", (("executor", "asyncio"),)] == 1
    assert found["asyncz_runs_waiting", (("executor", "asyncio"),)] == 1
    assert found["asyncz_executor_workers", (("executor", "threadpool"),)] >= 0
    labels = (("executor", "asyncio"), ("outcome", "error"))
    assert found["asyncz_run_duration_seconds_count", labels] == 1
    assert found["asyncz_run_lateness_seconds_count", (("executor", "threadpool"),)] == 1
    # Three runs have begun: the first attempt of one was retried.
    assert found["asyncz_run_lateness_seconds_count", (("executor", "asyncio"),)] == 2


async def test_histogram_is_cumulative() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        metrics = PrometheusMetrics(scheduler)
        task = scheduler.add_task(asyncio.Event().wait, trigger=None)
        for seconds in (0.004, 0.3, 3, 20_000):
            handle = task.run()
            await until(lambda: task.state.running == 1)
            await clock.advance(seconds=seconds)
            task.cancel_runs()
            await handle.notification()
        found = samples_of(metrics.text())
    labels = (("executor", "asyncio"),)
    buckets = {
        dict(key[1])["le"]: value for key, value in found.items() if key[0] == "asyncz_run_duration_seconds_bucket"
    }
    assert list(buckets.values()) == sorted(buckets.values())
    assert [buckets[each] for each in ("0.005", "0.25", "0.5", "5", "14400", "+Inf")] == [1, 1, 2, 3, 3, 4]
    assert found["asyncz_run_duration_seconds_sum", (*labels, ("outcome", "cancelled"))] == pytest.approx(20_003.304)


async def test_overdue_is_read_in_other_thread() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        metrics = PrometheusMetrics(scheduler)
        scheduler.add_task(traced_jobs.span_ids, trigger=IntervalTrigger(minutes=1))
        scheduler.pause()
        await clock.advance(minutes=3)
        texts: list[str] = []
        thread = threading.Thread(target=lambda: texts.append(metrics.text()))
        thread.start()
        thread.join()
    assert samples_of(texts[0])["asyncz_task_overdue_seconds", ()] == 120
    assert samples_of(metrics.text())["asyncz_task_overdue_seconds", ()] == 0


async def test_hostile_labels_are_escaped() -> None:
    task_id = 'a"b\\c\nd\x1b{} \ud800 ü'
    async with AsyncIOScheduler() as scheduler:
        scheduler.add_executor("threadpool", alias='pool"}\n1')
        metrics = PrometheusMetrics(scheduler, task_ids=True)
        await scheduler.add_task(traced_jobs.span_ids, trigger=None, id=task_id, executor='pool"}\n1').run()
        text = metrics.text()
    text.encode()
    labels = dict(next(key[1] for key in samples_of(text) if key[0] == "asyncz_run_lateness_seconds_count"))
    assert labels == {"executor": 'pool"}\n1', "task": 'a"b\\c\nd\x1b{} \ufffdd800 ü'}


@given(st.sets(st.text(st.characters(exclude_categories=[]), max_size=6), min_size=2))
@example({"\ud800", "\\ud800"})
@example({"\ud800", "\ufffdd800"})
@example({"a\nb", "a\\nb", "a\rb", "\x1b", "\\x1b"})
@example({"x" * 600 + "1", "x" * 600 + "2"})
def test_labels_of_different_texts_differ(values: set[str]) -> None:
    lines = [f"metric{labels_text((('task', value),))} 1" for value in values]
    text = "\n".join(["# TYPE metric gauge", *lines, ""])
    text.encode()
    (family,) = text_string_to_metric_families(text)
    labels = [sample.labels["task"] for sample in family.samples]
    assert len(set(labels)) == len(values)
    assert all(value in labels for value in values if not set(value) & _REPLACED)


async def test_closed_metrics_count_nothing() -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(current_run, trigger=None)
        with PrometheusMetrics(scheduler) as metrics:
            await task.run()
        await task.run()
        found = samples_of(metrics.text())
    assert found["asyncz_run_lateness_seconds_count", (("executor", "asyncio"),)] == 1


def test_invalid_arguments_rejected() -> None:
    with pytest.raises(InvalidInputError, match="scheduler cannot be 'x'"):
        call_untyped(PrometheusMetrics, "x")
    with pytest.raises(InvalidInputError, match="task_ids cannot be 1"):
        call_untyped(PrometheusMetrics, AsyncIOScheduler(), task_ids=1)


def names_in(expression: str) -> set[str]:
    """Return the metrics of a query."""
    return set(re.findall(r"\basyncz_\w+", expression))


def labels_in(expression: str) -> set[str]:
    """Return the labels of a query: in selectors and after `by`."""
    selected = re.findall(r"(\w+)(?:=~|=)\"", expression)
    grouped = [each.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for each in group.split(",")]
    return {*selected, *grouped} - KEYWORDS


async def test_examples_use_metrics_and_labels_that_exist() -> None:
    async with AsyncIOScheduler() as scheduler:
        metrics = PrometheusMetrics(scheduler)
        await scheduler.add_task(traced_jobs.span_ids, trigger=None, executor="threadpool").run()
        found = samples_of(metrics.text())
    names = {key[0] for key in found}
    labels = {label for key in found for label, _ in key[1]} | {"job", "instance"}
    (group,) = yaml.safe_load((EXAMPLES / "alerts.yml").read_text())["groups"]
    dashboard = json.loads((EXAMPLES / "grafana.json").read_text())
    queries = [rule["expr"] for rule in group["rules"]]
    queries += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries.append(dashboard["templating"]["list"][1]["query"])
    assert len(group["rules"]) == 3
    assert [rule["for"] for rule in group["rules"]] == ["1m", "5m", "5m"]
    for query in queries:
        assert names_in(query), query
        assert names_in(query) <= names, query
        assert labels_in(query) <= labels, query
        assert query.count("(") == query.count(")")
        assert query.count("{") == query.count("}")
    by_instance = [rule["expr"].count("by (job, instance)") for rule in group["rules"]]
    assert by_instance == [1, 2, 1]
    assert "absent" not in str(group)
    statuses = set(re.findall(r'status="(\w+)"', "".join(queries)))
    assert all(("asyncz_scheduler_status", (("status", each),)) in found for each in statuses)


def test_panels_of_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads((EXAMPLES / "grafana.json").read_text())["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells


async def test_store_has_metrics_of_its_own() -> None:
    async with AsyncIOScheduler(store=MemoryStore()) as scheduler:
        metrics = PrometheusMetrics(scheduler)
        found = samples_of(metrics.text())
    assert found["asyncz_store_connected", ()] == 1
    assert 0 < found["asyncz_node_lease_remaining_seconds", ()] <= 15
    assert found["asyncz_node_takeovers_total", ()] == 0
    assert found["asyncz_node_outcomes_rejected_total", ()] == 0
    assert found["asyncz_tasks_parked", ()] == 0
    assert abs(found["asyncz_store_clock_offset_seconds", ()]) < 5
    assert samples_of(metrics.text())["asyncz_store_connected", ()] == 0
    assert samples_of(metrics.text())["asyncz_node_lease_remaining_seconds", ()] == 0
