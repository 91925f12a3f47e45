"""All mistakes of a configuration are reported at once, also if several are in one table."""

from __future__ import annotations

import pytest

from asyncz import AsyncIOScheduler, ConfigurationError


def keys_of(trigger: object, **task: object) -> list[str]:
    config: dict[str, object] = {"tasks": {"one": {"call": "builtins:abs", "args": [-1], "trigger": trigger, **task}}}
    with pytest.raises(ConfigurationError) as caught:
        AsyncIOScheduler.from_config(config)
    return [problem.key.removeprefix("tasks.one.") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("trigger", "keys"),
    [
        ({"type": "cron", "expression": "61 * * * *", "timezone": "Europe/Berln"}, {"timezone", "expression"}),
        ({"type": "cron", "expression": "* *", "jitter": -1}, {"jitter", "expression"}),
        ({"type": "cron", "timezone": "Nowhere", "minute": 3}, {"minute", "expression", "timezone"}),
        ({"type": "date", "run_at": 3, "timezone": "Nowhere"}, {"run_at", "timezone"}),
        ({"type": "interval", "minutes": -1, "start_at": "2030-01-01", "timezone": "Nowhere"}, {"minutes", "timezone"}),
        ({"type": "interval", "minuts": 5, "hours": "1"}, {"minuts", "hours"}),
        ({"type": "calendar", "days": 1, "hour": 24, "timezone": "Nowhere"}, {"hour", "timezone"}),
    ],
)
def test_trigger_with_several_mistakes_reports_all(trigger: object, keys: set[str]) -> None:
    assert set(keys_of(trigger)) == {f"trigger.{key}" for key in keys}


def test_combined_triggers_report_their_mistakes() -> None:
    first = {"type": "cron", "expression": "61 * * * *", "timezone": "Nowhere"}
    second = {"type": "interval", "hours": -1}
    third = {"type": "date", "run_at": "2030-01-01", "timezone": "Nowhere"}
    assert set(keys_of({"type": "or", "triggers": [first, second, third]})) == {
        "trigger.triggers[0].expression",
        "trigger.triggers[0].timezone",
        "trigger.triggers[1].hours",
        "trigger.triggers[2].timezone",
    }


def test_retry_with_several_mistakes_reports_all() -> None:
    retry = {"attempts": 0, "delay": -1, "on": ["abs", "OSErr", "OSError"]}
    found = keys_of({"type": "on_demand"}, retry=retry)
    assert set(found) == {"retry.attempts", "retry.delay", "retry.on[0]", "retry.on[1]"}


def test_text_instead_of_table_shows_a_table() -> None:
    config: dict[str, object] = {"tasks": {"one": {"call": "builtins:abs", "args": [-1], "trigger": "interval"}}}
    with pytest.raises(ConfigurationError, match=r"a table is needed, such as \{ type = \"interval\", minutes = 5 \}"):
        AsyncIOScheduler.from_config(config)


def test_removed_value_causes_no_problem_of_its_own() -> None:
    assert keys_of({"type": "interval", "minutes": "5"}) == ["trigger.minutes"]
    assert keys_of({"type": "calendar", "days": -1}) == ["trigger.days"]
