"""Commands for the schedulers that use a store, through the store."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner

from asyncz import AsyncIOScheduler, IntervalTrigger, Retry, current_run
from asyncz.cli.app import app
from asyncz.dashboard.states import ActionReport, EventPage, RunDetail, SchedulerInfo, TaskPage
from tests.dashboard.serving import add_tasks
from tests.helpers.paths import PROJECT
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def node(folder: Path) -> AsyncIterator[AsyncIOScheduler]:
    scheduler = AsyncIOScheduler(store=url_of(folder))
    add_tasks(scheduler)
    async with scheduler:
        yield scheduler
        for task in scheduler.tasks:
            task.cancel_runs()


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/jobs.db"


async def command(*arguments: str, status: int = 0) -> str:
    """Run a command beside the scheduler of the test; return what it prints."""
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments, env={"COLUMNS": "160"})
    assert result.exit_code == status, result.output
    return result.output


async def test_ps_lists_stored_tasks(tmp_path: Path) -> None:
    async with node(tmp_path):
        text = await command("ps", url_of(tmp_path))
        assert "double" in text
        assert "every 1 hour" in text
        page = TaskPage.model_validate_json(await command("ps", url_of(tmp_path), "--search", "fail", "--json"))
        assert [task.task_id for task in page.tasks] == ["fail"]


def fail_with_controls() -> None:
    raise ValueError("\x9b31m\x7f\N{RIGHT-TO-LEFT OVERRIDE}")


async def test_json_has_no_control_characters(tmp_path: Path) -> None:
    url = url_of(tmp_path)
    async with node(tmp_path) as scheduler:
        scheduler.add_task(fail_with_controls, id="odd\x9b", trigger=IntervalTrigger(hours=1))
        with pytest.raises(ValueError, match="31m"):
            await scheduler.get_task("odd\x9b").run()
        while not [run for run in await scheduler.store.runs() if run.done]:
            await asyncio.sleep(0.01)
        for arguments in (("ps",), ("logs", "odd\x9b"), ("top", "--updates", "1"), ("pause", "odd\x9b")):
            text = await command(arguments[0], url, *arguments[1:], "--json")
            assert "odd\\u009b" in text, arguments
            assert text.isascii(), arguments
            assert text.replace("\n", "").isprintable(), arguments


@pytest.mark.slow
async def test_actions_reach_node(tmp_path: Path) -> None:
    url = url_of(tmp_path)
    async with node(tmp_path) as scheduler:
        report = ActionReport.model_validate_json(await command("pause", url, "double", "missing", "--json", status=1))
        assert (report.done, [each.task_id for each in report.failed]) == (("double",), ["missing"])
        await until(lambda: scheduler.get_task("double").state.paused)
        assert await command("resume", url, "double") == "double: resume\n"
        await until(lambda: not scheduler.get_task("double").state.paused)
        await command("run-now", url, "long", "long")
        await until(lambda: scheduler.get_task("long").state.running == 1)
        shown = RunDetail.model_validate_json(await command("logs", url, "long", "--json"))
        run_id = f"{shown.run.run_id}"
        assert await command("cancel", url, "--run", run_id) == f"{run_id}: cancel run\n"
        await until(lambda: scheduler.get_task("long").state.running == 0)
        await command("run-now", url, "long")
        await until(lambda: scheduler.get_task("long").state.running == 1)
        assert await command("cancel", url, "long") == "long: cancel: 1 run\n"
        await until(lambda: scheduler.get_task("long").state.running == 0)
        assert re.fullmatch(r"\w+: pause: .+\n", await command("pause", url, "--all"))
        await until(lambda: scheduler.status == "paused")
        await command("resume", url, "--all")
        await until(lambda: scheduler.status == "running")


@pytest.mark.slow
async def test_tasks_are_rescheduled_and_removed(tmp_path: Path) -> None:
    url = url_of(tmp_path)
    async with node(tmp_path) as scheduler:
        for arguments, trigger in (
            (("--every", "90s"), "every 1 minute 30 seconds"),
            (("--cron", "30 2 * * *", "--tz", "Europe/Berlin"), "30 2 * * * in Europe/Berlin"),
            (("--at", "2099-01-31T12:00", "--tz", "Europe/Berlin"), "at 2099-01-31 11:00:00 UTC"),
            (("--on-demand",), ""),
        ):
            text = await command("reschedule", url, "double", *arguments)
            assert text == f"double: reschedule: {trigger or 'on demand'}\n"
            await until(partial(_has_trigger, scheduler, trigger))
        report = ActionReport.model_validate_json(await command("remove", url, "double", "missing", "--json", status=1))
        assert (report.done, [each.task_id for each in report.failed]) == (("double",), ["missing"])
        await until(lambda: "double" not in {task.id for task in scheduler.tasks})


def _has_trigger(scheduler: AsyncIOScheduler, text: str) -> bool:
    return scheduler.get_task("double").state.trigger == text


async def test_logs_show_stored_run(tmp_path: Path) -> None:
    async with node(tmp_path) as scheduler:
        await command("run-now", url_of(tmp_path), "fail")
        await until(lambda: scheduler.get_task("fail").state.errors == 1)
        while "Traceback" not in (text := await command("logs", url_of(tmp_path), "fail")):
            await asyncio.sleep(0.05)
        assert "hunter2" not in text
        (line,) = (await command("logs", url_of(tmp_path), "fail", "-n", "1", "--json")).splitlines()
        assert RunDetail.model_validate_json(line).run.outcome == "error"


async def test_logs_show_records_of_run(tmp_path: Path) -> None:
    async with node(tmp_path) as scheduler:
        task = scheduler.add_task(log_secret, id="logs", trigger=None)
        jobs = logging.getLogger("jobs")
        jobs.addHandler(scheduler.store.log_handler)
        try:
            await task.run()
        finally:
            jobs.removeHandler(scheduler.store.log_handler)
        while "WARNING" not in (text := await command("logs", url_of(tmp_path), "logs")):
            await asyncio.sleep(0.05)
    assert "WARNING jobs: password=••• was rejected" in text


async def test_cancel_without_run_fails(tmp_path: Path) -> None:
    async with node(tmp_path):
        text = await command("cancel", url_of(tmp_path), "double", status=1)
        assert text == "double: no run of it is in progress or waiting\n"


async def test_run_now_prints_id_of_run(tmp_path: Path) -> None:
    async with node(tmp_path):
        pass
    text = await command("run-now", url_of(tmp_path), "double", "double")
    (run_id,) = re.findall(r"double: run: (.+)\n", text)
    shown = RunDetail.model_validate_json(await command("logs", url_of(tmp_path), "double", "--json"))
    assert run_id == f"{shown.run.run_id}"
    assert await command("cancel", url_of(tmp_path), "double") == "double: cancel: 1 run\n"


async def test_remove_lists_downstream_tasks(tmp_path: Path) -> None:
    scheduler = AsyncIOScheduler(store=url_of(tmp_path))
    scheduler.add_task(log_secret, id="first", trigger=None).then(ignore, id="second").then(ignore, id="third")
    async with scheduler:
        pass
    text = await command("remove", url_of(tmp_path), "first")
    assert text == "first: remove: also removes second, third when their runs have ended\n"


def ignore(_: object) -> None:
    pass


async def test_pause_all_names_each_node(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "asyncz"):
        async with node(tmp_path), node(tmp_path):
            text = await command("pause", url_of(tmp_path), "--all")
    assert len(set(text.splitlines())) == 2
    lines = [each.message for each in caplog.records if "pause by " in each.message]
    assert len(lines) == 2


async def test_logs_show_waiting_run(tmp_path: Path) -> None:
    async with node(tmp_path):
        pass
    await command("run-now", url_of(tmp_path), "double")
    text = await command("logs", url_of(tmp_path), "double")
    assert "waiting for a node" in text
    run_id = text.split()[1].removesuffix(":")
    assert await command("logs", url_of(tmp_path), run_id) == text


async def test_logs_show_attempts_and_progress(tmp_path: Path) -> None:
    async with node(tmp_path) as scheduler:
        retry = Retry(attempts=2, delay=0.01)
        with pytest.raises(ValueError, match="broken"):
            await scheduler.add_task(fail_halfway, id="halfway", trigger=None, retry=retry).run()
        while "  progress 1 of 2" not in (text := await command("logs", url_of(tmp_path), "halfway")):
            await asyncio.sleep(0.05)
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("  attempt 1 failed at ")] == [lines[1]]
    assert "ValueError: broken" in lines[1]
    assert "  progress 1 of 2 (50%): half" in lines


async def fail_halfway() -> None:
    current_run().report(1, 2, "half")
    raise ValueError("broken")


async def test_logs_of_unknown_task_fail(tmp_path: Path) -> None:
    async with node(tmp_path):
        for name in ("nope", f"{uuid4()}"):
            text = await command("logs", url_of(tmp_path), name, status=1)
            assert f"no task or run with the id '{name}' is known" in text
        assert "has no runs" in await command("logs", url_of(tmp_path), "double")


async def log_secret() -> None:
    logging.getLogger("jobs").warning("password=%s was rejected", "hunter2")


async def test_top_shows_nodes(tmp_path: Path) -> None:
    async with node(tmp_path):
        text = await command("top", url_of(tmp_path), "--updates", "1")
        assert "double" in text
        assert "1 node" in text
        assert "paused" not in text
        lines = await command("top", url_of(tmp_path), "--updates", "2", "--interval", "0.2", "--json")
        assert [json.loads(line)["total"] for line in lines.splitlines()] == [4, 4]


async def test_ps_and_top_show_paused_nodes(tmp_path: Path) -> None:
    async with node(tmp_path):
        await command("pause", url_of(tmp_path), "--all")
        async with asyncio.timeout(30):
            while "paused: 1 node (1 paused)" not in await command("ps", url_of(tmp_path)):
                await asyncio.sleep(0.05)
        assert "paused, 4 tasks, 1 node (1 paused)" in await command("top", url_of(tmp_path), "--updates", "1")
        assert "(paused)" in await command("store", "check", url_of(tmp_path))
        await command("resume", url_of(tmp_path), "--all")
        async with asyncio.timeout(30):
            while "paused" in await command("ps", url_of(tmp_path)):
                await asyncio.sleep(0.05)


async def test_events_name_user_of_command(tmp_path: Path) -> None:
    from asyncz.dashboard import StoreDashboard
    from tests.dashboard.serving import client_of

    async with node(tmp_path):
        await command("pause", url_of(tmp_path), "double")
        dashboard = StoreDashboard(url_of(tmp_path), lambda _: "look")
        async with client_of(dashboard) as client:
            page = EventPage.model_validate_json((await client.get("/api/events")).text)
        dashboard.close()
        (event,) = [each for each in page.events if each.kind == "OperatorAction"]
        assert (event.task_id, event.text) == ("double", "pause")
        assert "@" in event.user


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("ps", "sqlite:///{}/missing.db"), 1, "there is no such file"),
        (("pause", "sqlite:///{}/jobs.db", ""), 1, "at least 1 character"),
        (("ps", "sqlite:///{}/jobs.db", "--search", "x" * 300), 1, "at most 200 characters"),
        (("ps", "sqlite:jobs.db"), 2, "write sqlite:///file"),
        (("ps", "postgresql://user:hunter2@127.0.0.1:1/x"), 1, "cannot be reached"),
        (("pause", "sqlite:///{}/missing.db"), 2, "name tasks, or pass --all"),
        (("pause", "sqlite:///{}/missing.db", "a", "--all"), 2, "name tasks, or pass --all"),
        (("cancel", "sqlite:///{}/missing.db"), 2, "name tasks, or pass --run"),
        (("cancel", "sqlite:///{}/missing.db", "--run", "x"), 2, "is not the id of a run"),
        (("reschedule", "sqlite:///{}/jobs.db", "a"), 2, "pass exactly one trigger"),
        (("reschedule", "sqlite:///{}/jobs.db", "a", "--every", "1m", "--on-demand"), 2, "pass exactly one trigger"),
        (("reschedule", "sqlite:///{}/jobs.db", "a", "--every", "x"), 2, "write it like 90s"),
        (("reschedule", "sqlite:///{}/jobs.db", "a", "--at", "noon"), 2, "write it like 2030"),
        (("reschedule", "sqlite:///{}/jobs.db", "a", "--at", "2030-01-31", "--tz", "Nowhere"), 1, "Nowhere"),
        (("reschedule", "sqlite:///{}/jobs.db", "a", "--cron", "61 * * * *"), 1, "61"),
        (("reschedule", "sqlite:///{}/jobs.db", "a", "--every", "0s"), 1, "interval"),
        (("remove", "sqlite:///{}/missing.db", "a"), 1, "there is no such file"),
        (("pause", "sqlite:///{}/missing.db", "--all"), 1, "there is no such file"),
        (("ps", "jobs.db"), 2, "nor a store, such as sqlite:///jobs.db"),
        (("ps", "postgresql+psycopg://user:hunter2@h/d"), 2, "without a driver, as postgresql://"),
        (("ps", "mysql://user:hunter2@h/d"), 2, "'mysql:...' is neither the address of a dashboard"),
        (("ps", "mysql://h/d?password=hunter2"), 2, "'mysql:...' is neither the address of a dashboard"),
        (("remove", "sqlite:///{}/missing.db"), 2, "TASK"),
        (("dashboard", "--store", "mysql://x"), 2, "sqlite:///path"),
        (("dashboard", "--store", "sqlite:///{}/missing.db"), 1, "there is no such file"),
        (("dashboard", "a:b", "--store", "sqlite:///{}/missing.db"), 2, "name either a scheduler"),
    ],
)
async def test_wrong_store_is_explained(tmp_path: Path, arguments: tuple[str, ...], status: int, message: str) -> None:
    text = await command(*(each.format(tmp_path) for each in arguments), status=status)
    assert message in " ".join(re.sub("[│╭╮╰╯─]", "", text).split())
    assert "hunter2" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize("arguments", [("pause", "a", "b"), ("pause", "--all"), ("cancel", "--run", f"{uuid4()}")])
async def test_unusable_store_is_one_error(
    tmp_path: Path, arguments: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    expected = await command("ps", url_of(tmp_path), status=1)
    name, *others = arguments
    assert await command(name, url_of(tmp_path), *others, status=1) == expected
    assert not caplog.records


@pytest.mark.parametrize(
    "arguments",
    [
        *(("ps",), ("top",), ("logs", "a"), ("pause", "a"), ("pause", "--all"), ("remove", "a")),
        ("cancel", "--run", f"{uuid4()}"),
        ("reschedule", "a", "--every", "0s"),
    ],
)
async def test_error_with_json_is_json(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    name, *others = arguments
    report = ActionReport.model_validate_json(await command(name, url_of(tmp_path), *others, "--json", status=1))
    assert (report.done, len(report.failed)) == ((), 1)


async def test_store_is_read_from_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with node(tmp_path):
        pass
    monkeypatch.setenv("ASYNCZ_STORE", url_of(tmp_path))
    assert "double" in await command("ps")
    assert "double" in await command("top", "--updates", "1")
    monkeypatch.setenv("ASYNCZ_STORE", f"sqlite:///{tmp_path}/missing.db")
    assert "double" in await command("ps", url_of(tmp_path))
    assert "there is no such file" in await command("dashboard", status=1)
    assert "no module named 'nope'" in (await command("dashboard", "nope:scheduler", status=2)).lower()


async def test_pause_all_without_node_fails(tmp_path: Path) -> None:
    async with node(tmp_path):
        pass
    assert "no node is alive" in await command("pause", url_of(tmp_path), "--all", status=1)
    assert "is stored" in await command("cancel", url_of(tmp_path), "--run", f"{uuid4()}", status=1)


@pytest.mark.slow
async def test_dashboard_of_store_is_served(tmp_path: Path) -> None:
    async with node(tmp_path) as scheduler:
        arguments = [sys.executable, "-m", "asyncz", "dashboard", "--store", url_of(tmp_path)]
        environment = {**os.environ, "ASYNCZ_TOKEN": "token-for-tests"}
        process = await asyncio.to_thread(
            lambda: subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=PROJECT, env=environment)
        )
        try:
            assert process.stdout is not None
            link = (await asyncio.to_thread(process.stdout.readline)).removeprefix("Dashboard: ").strip()
            url = link.partition("/login")[0]
            async with httpx.AsyncClient(follow_redirects=True, timeout=60) as browser:
                answer = await browser.get(link)
                assert (answer.status_code, answer.url.path) == (200, "/tasks")
                assert "Shows the cluster: 1 node of jobs.db (SQLite)" in answer.text
                assert (await browser.get(link)).status_code == 403
                report = await browser.post(f"{url}/api/actions", json={"action": "pause", "task_ids": ["double"]})
                assert report.json()["done"] == ["double"]
            await until(lambda: scheduler.get_task("double").state.paused)
            async with httpx.AsyncClient(timeout=60) as stranger:
                assert (await stranger.get(f"{url}/api/info")).status_code == 403
                assert (await stranger.get(f"{url}/metrics")).status_code == 403
                bearer = {"authorization": "Bearer token-for-tests"}
                info = SchedulerInfo.model_validate_json((await stranger.get(f"{url}/api/info", headers=bearer)).text)
                assert (info.scope, info.nodes) == ("cluster", 1)
                assert "asyncz_store_nodes 1" in (await stranger.get(f"{url}/metrics", headers=bearer)).text
                wrong_host = {**bearer, "host": "evil.example"}
                assert (await stranger.get(f"{url}/api/info", headers=wrong_host)).status_code == 400
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 60) == 0
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
