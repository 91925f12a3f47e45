"""The pages of a store in a real browser, while its only node is another process: every action and live updates."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import httpx
import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver.common.keys import Keys

from tests.dashboard.browser import NEEDS_BROWSER, PHONE, WIDE, Browser, browser
from tests.dashboard.test_browser import check_bulk_buttons, state_of
from tests.dashboard.test_browser_looks import SMALL_TARGETS
from tests.dashboard.test_servers import serving
from tests.helpers.paths import PROJECT

pytestmark = [pytest.mark.slow, NEEDS_BROWSER, pytest.mark.xdist_group("browser_cluster")]

PAGES = ["tasks", "task?id=rebuild", "runs", "timeline", "executors", "events", "tasks?search=none"]


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASYNCZ_TEST_STORE", f"sqlite:///{folder}/jobs.db")
        command = [sys.executable, "-m", "asyncz", "run", "--json", "tests.dashboard.store_apps:scheduler"]
        log = folder / "node.log"
        with log.open("w") as file:
            node = subprocess.Popen(command, cwd=PROJECT, env=os.environ, stdout=file, stderr=file)
        try:
            # The node makes the file of the store.
            wait_for(lambda: "SchedulerStarted" in log.read_text())
            with serving("tests.dashboard.store_apps:app", folder, "") as server, browser(server.url) as found:
                found.until(lambda: bool(state_of(found, "spare")))
                yield found
        finally:
            node.kill()
            node.wait()


@pytest.fixture
def page(driven: Browser) -> Iterator[Browser]:
    """A browser whose console stays empty."""
    driven.look(WIDE)
    driven.problems()
    yield driven
    assert driven.problems() == []


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running_run(page: Browser) -> str:
    """Return the id of the newest running run of the task that reports; start one if there is none."""
    found = httpx.get(f"{page.url}/api/runs", params={"task": "rebuild", "outcome": "running"}, timeout=30).json()
    if not found["runs"]:
        body = {"action": "run", "task_ids": ["rebuild"]}
        assert httpx.post(f"{page.url}/api/actions", json=body, timeout=30).json()["done"] == ["rebuild"]
        page.until(lambda: state_of(page, "rebuild")["running"] == 1)
        return running_run(page)
    return f"{found['runs'][0]['run_id']}"


def test_run_page_follows_reports_of_node(page: Browser) -> None:
    run_id = running_run(page)
    page.open(f"run?id={run_id}")
    page.run("window.kept = true")
    page.until(lambda: "shard 2" in page.text("#run-detail .progress"))
    page.until(lambda: "shard 2 with password=•••" in page.text("table.logs"))
    page.until(lambda: "password=••• was rejected" in page.text("#attempt-1 summary"))
    assert "(node " in page.text("#attempt-1")
    page.click("nav.chips a[href*='logs=newest']")
    page.until(lambda: "logs=newest" in page.driver.current_url)
    page.until(lambda: "shard 4" in page.text("table.logs tbody tr:first-child"))
    assert "hunter2" not in page.driver.page_source
    page.open("tasks")
    page.until(lambda: "shard" in page.text("tr:has([data-pick][value=rebuild]) .progress"))


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_pages_fit_their_window(page: Browser, size: tuple[int, int]) -> None:
    page.look(size)
    for path in (*PAGES, f"run?id={running_run(page)}"):
        page.open(path)
        # In one call: news of the cluster may replace the heading between two.
        assert page.run("return document.querySelector('h1').checkVisibility()")
        assert page.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0, path
        assert "Shows the cluster: 1 node of jobs.db (SQLite)" in page.text(".scope")
        if size == PHONE:
            assert page.run(SMALL_TARGETS) == [], path


def test_run_button_runs_task_on_node(page: Browser) -> None:
    page.open("task?id=double")
    page.click("[data-action=run]")
    page.until(lambda: "executed" in page.text("#task-runs tbody"))
    page.until(lambda: page.text("#task-result pre") == "8")
    assert page.all("#task-charts rect")


def test_row_and_bulk_buttons_act_on_node(page: Browser) -> None:
    page.open("tasks")
    page.click("tr [data-action=pause][data-id=double]")
    page.until(lambda: page.text("tr:has([data-pick][value=double]) .badge") == "paused")
    page.click("tr [data-action=resume][data-id=double]")
    page.until(lambda: page.text("tr:has([data-pick][value=double]) .badge") == "scheduled")
    check_bulk_buttons(page, "double", "spare")


def test_reschedule_dialog_changes_stored_trigger(page: Browser) -> None:
    page.open("task?id=spare")
    page.click("[data-dialog=reschedule]")
    page.one("[name=amount]").clear()
    page.one("[name=amount]").send_keys("90", Keys.ENTER)
    page.until(lambda: state_of(page, "spare")["trigger"] == "every 1 hour 30 minutes")
    page.until(lambda: "1 hour 30" in page.text("#task-facts"))


def test_cancel_buttons_end_runs_of_node(page: Browser) -> None:
    page.open(f"run?id={running_run(page)}")
    page.click("[data-run]")
    page.until(lambda: page.text("#run-detail .badge") == "cancelled")
    running_run(page)
    page.open("task?id=rebuild")
    page.click("[data-action=cancel]")
    page.until(lambda: state_of(page, "rebuild")["running"] == 0)


def _shows(page: Browser, text: str) -> bool:
    return text in page.text("#event-list")


def test_all_schedulers_are_paused_and_resumed(page: Browser) -> None:
    page.open("events")
    for action in ("pause", "resume"):
        page.click(f"[data-scheduler={action}]")
        page.until(partial(_shows, page, f"{action} schedulers"))
    page.until(lambda: "not yet answered" not in page.text("#event-list"))
    assert "failed:" not in page.text("#event-list")
    assert "mara" in page.text("#event-list")


def test_remove_button_removes_stored_task(page: Browser) -> None:
    page.open("task?id=spare")
    page.click("[data-action=remove]")
    page.until(lambda: page.one("#confirm").is_displayed())
    page.one("#confirm-yes").click()
    page.until(lambda: page.driver.current_url.endswith("/tasks"))
    assert state_of(page, "spare") == {}
