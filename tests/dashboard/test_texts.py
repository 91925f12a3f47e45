"""Texts of values on pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("jinja2", reason="jinja2 comes with the extra `dashboard`, which is not installed")

from asyncz import AsyncIOScheduler
from asyncz.dashboard._texts import duration_text
from asyncz.dashboard._views import breakable, relative_text, state_badge, task_badges, time_element
from asyncz.states import TaskState

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "\N{EN DASH}"),
        (0, "<1 ms"),
        (0.0004, "<1 ms"),
        (0.0042, "4 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (2.54, "2.5 s"),
        (9.96, "10 s"),
        (59, "59 s"),
        (90, "1.5 min"),
        (3540, "59 min"),
        (5400, "1.5 h"),
        (86400 * 12, "12 d"),
    ],
)
def test_duration_has_the_unit_that_people_use(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "now"),
        (-0.5, "now"),
        (5, "in 5 s"),
        (-5, "5 s ago"),
        (119, "in 1 min"),
        (-7200, "2 h ago"),
        (86400 * 3, "in 3 d"),
    ],
)
def test_distance_from_now_is_in_its_largest_unit(seconds: float, text: str) -> None:
    assert relative_text(NOW + timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("kind", "shown"), [("relative", "now"), ("clock", "03:04:05"), ("full", "2030-01-02 03:04:05 UTC")]
)
def test_time_element_keeps_the_exact_time(kind: str, shown: str) -> None:
    element = time_element(NOW, NOW, kind)
    assert f">{shown}</time>" in element
    assert 'datetime="2030-01-02T03:04:05+00:00"' in element


def test_missing_time_is_shown_as_dash() -> None:
    assert ">\N{EN DASH}<" in time_element(None, NOW)


def test_error_is_shown_as_failed() -> None:
    assert state_badge("error") == '<span class="badge error">failed</span>'
    assert state_badge("waiting") == '<span class="badge waiting">waiting</span>'


def idle_task() -> TaskState:
    return AsyncIOScheduler().add_task(abs, -1, trigger=None).state


@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        ({}, ["idle"]),
        ({"next_run_at": NOW}, ["scheduled"]),
        ({"running": 1, "next_run_at": NOW}, ["running"]),
        ({"running": 3, "backlog": 2}, ["3 running", "2 waiting"]),
        ({"paused": True, "running": 1}, ["running", "paused"]),
    ],
)
def test_badges_show_activity_of_task(changes: dict[str, object], texts: list[str]) -> None:
    state = idle_task().model_copy(update=changes)
    assert [part.partition(">")[2].partition("<")[0] for part in task_badges(state).split(" <")] == texts


def test_long_names_break_after_signs_only() -> None:
    assert breakable("a.b<c") == "a.<wbr>b&lt;c"


@pytest.mark.parametrize("sign", "\u200b\u00ad\u2060\ufeff\u202e\u2028\x9b")
def test_invisible_characters_are_escaped(sign: str) -> None:
    assert breakable(f"a{sign}") == f"a\\u{ord(sign):04x}"
    assert breakable(sign) != ""
