"""The pages in a real browser: every action, live updates, keys, and the security policy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver.common.keys import Keys

from tests.dashboard.apps import HOSTILE
from tests.dashboard.browser import NEEDS_BROWSER, PHONE, WIDE, Browser, browser
from tests.dashboard.test_servers import serving

pytestmark = [pytest.mark.slow, NEEDS_BROWSER, pytest.mark.xdist_group("browser")]

PAGES = ["tasks", "task?id=double", "task?id=fail", "runs", "timeline", "executors", "events", "tasks?search=none"]


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("server")
    with serving("tests.dashboard.apps:alone", folder, "") as server, browser(server.url) as found:
        yield found


@pytest.fixture
def page(driven: Browser) -> Iterator[Browser]:
    """A browser whose console stays empty."""
    driven.look(WIDE)
    driven.problems()
    yield driven
    assert driven.problems() == []


def state_of(page: Browser, task_id: str) -> dict[str, object]:
    answer = httpx.get(f"{page.url}/api/task", params={"id": task_id}, timeout=30)
    return dict(answer.json()["task"]) if answer.status_code == 200 else {}


def check_bulk_buttons(page: Browser, *task_ids: str) -> None:
    """Pause selected tasks by the buttons of the open page of tasks, and resume all tasks."""
    for task_id in task_ids:
        page.click(f"[data-pick][value={task_id}]")
    assert page.text("[data-selected]") == f"{len(task_ids)} selected"
    page.click("[data-bulk][data-action=pause]")
    page.until(lambda: all(state_of(page, each)["paused"] is True for each in task_ids))
    page.until(lambda: page.text("[data-selected]") == "none selected")
    page.click("[data-select-all]")
    page.click("[data-bulk][data-action=resume]")
    page.until(lambda: all(state_of(page, each)["paused"] is False for each in task_ids))


@pytest.mark.parametrize("size", [WIDE, PHONE])
@pytest.mark.parametrize("path", PAGES)
def test_page_fits_its_window(page: Browser, path: str, size: tuple[int, int]) -> None:
    page.look(size)
    page.open(path)
    assert page.one("h1").is_displayed()
    assert page.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_hostile_id_is_text(page: Browser) -> None:
    page.open("tasks")
    shown = page.run("return [...document.querySelectorAll('[data-open]')].map((each) => each.textContent)")
    assert isinstance(shown, list)
    assert HOSTILE in shown
    page.run("[...document.querySelectorAll('[data-open]')].find((each) => each.textContent.includes('img')).click()")
    page.until(lambda: page.text("h1") == HOSTILE)
    assert "owned" not in (page.driver.title.split("·")[0].strip(), page.driver.title)
    assert page.all("h1 img") == []


def test_policy_stops_inline_code(driven: Browser) -> None:
    driven.open("tasks")
    driven.run(
        "window.stopped = []; addEventListener('securitypolicyviolation', (e) => stopped.push(e.effectiveDirective));"
        "const script = document.createElement('script'); script.textContent = 'window.ran = true';"
        "document.body.append(script); document.body.setAttribute('onclick', 'window.ran = true');"
        "document.body.click(); document.body.setAttribute('style', 'color: red');"
        "const image = new Image(); image.src = 'http://127.0.0.1:9/x.png'; document.body.append(image);"
    )
    wanted = {"script-src-elem", "script-src-attr", "style-src-attr", "img-src"}
    driven.until(lambda: wanted <= set(driven.driver.execute_script("return window.stopped")))
    assert driven.run("return window.ran") is None
    assert driven.problems() != []


def test_run_button_runs_task_and_page_follows(page: Browser) -> None:
    page.open("task?id=double")
    before = state_of(page, "double")["executed"]
    page.click("[data-action=run]")
    page.until(lambda: state_of(page, "double")["executed"] != before)
    page.until(lambda: "executed" in page.text("#task-runs tbody"))
    page.until(lambda: page.text("#task-result pre") == "8")
    assert page.all("#task-charts rect")


def test_pause_and_resume_buttons_change_task(page: Browser) -> None:
    page.open("task?id=double")
    page.click("[data-action=pause]")
    page.until(lambda: state_of(page, "double")["paused"] is True)
    page.until(lambda: "paused" in page.text("#task-heading .badge"))
    page.click("[data-action=resume]")
    page.until(lambda: state_of(page, "double")["paused"] is False)


def test_row_buttons_act_on_their_task(page: Browser) -> None:
    page.open("tasks")
    page.click("tr [data-action=pause][data-id=double]")
    page.until(lambda: page.text("tr:has([data-pick][value=double]) .badge") == "paused")
    page.click("tr [data-action=resume][data-id=double]")
    page.until(lambda: page.text("tr:has([data-pick][value=double]) .badge") == "scheduled")
    page.click("tr [data-action=run][data-id=fail]")
    page.until(lambda: bool(page.all("tr:has([data-pick][value=fail]) .dot.error")))


def test_bulk_buttons_act_on_selected_tasks(page: Browser) -> None:
    page.open("tasks")
    assert not page.one("[data-bulk][data-action=pause]").is_enabled()
    check_bulk_buttons(page, "double", "fail")


def test_selection_survives_live_update(page: Browser) -> None:
    page.open("tasks")
    page.click("[data-pick][value=double]")
    httpx.post(f"{page.url}/api/actions", json={"action": "run", "task_ids": ["double"]}, timeout=30)
    page.until(lambda: "now" in page.text("tr:has([data-pick][value=double])"))
    assert page.run("return document.querySelector('[data-pick][value=double]').checked") is True


def test_reschedule_dialog_replaces_trigger(page: Browser) -> None:
    page.open("task?id=double")
    page.click("[data-dialog=reschedule]")
    page.run("const type = document.querySelector('[data-trigger-type]'); type.value = 'cron';")
    page.run("document.querySelector('[data-trigger-type]').dispatchEvent(new Event('change', {bubbles: true}))")
    expression = page.one("[name=expression]")
    expression.clear()
    expression.send_keys("wrong", Keys.ENTER)
    page.until(lambda: page.text("#reschedule [data-error]") != "")
    assert any("422" in each for each in page.problems())
    expression.clear()
    expression.send_keys("15 3 * * *", Keys.ENTER)
    page.until(lambda: state_of(page, "double")["trigger"] == "15 3 * * * in UTC")
    page.until(lambda: "15 3" in page.text("#task-facts"))
    assert not page.one("#reschedule").is_displayed()


def test_bulk_reschedule_replaces_triggers(page: Browser) -> None:
    page.open("tasks")
    for task_id in ("double", "fail"):
        page.click(f"[data-pick][value={task_id}]")
    page.click("[data-bulk][data-dialog=reschedule]")
    page.until(lambda: page.one("#reschedule").is_displayed())
    assert page.text("#reschedule [data-subject]") == "2 tasks selected"
    page.one("[name=amount]").clear()
    page.one("[name=amount]").send_keys("90", Keys.ENTER)
    wanted = "every 1 hour 30 minutes"
    page.until(lambda: all(state_of(page, each)["trigger"] == wanted for each in ("double", "fail")))
    page.until(lambda: page.text("[data-selected]") == "none selected")
    assert not page.one("#reschedule").is_displayed()
    events = httpx.get(f"{page.url}/api/events", timeout=30).json()["events"]
    done = {event["task_id"] for event in events if event["text"] == f"reschedule: {wanted}" and event["user"]}
    assert done == {"double", "fail"}


def test_reschedule_dialog_takes_local_time(page: Browser) -> None:
    page.open("task?id=fail")
    page.click("[data-dialog=reschedule]")
    page.run("const type = document.querySelector('[data-trigger-type]'); type.value = 'date';")
    page.run("document.querySelector('[data-trigger-type]').dispatchEvent(new Event('change', {bubbles: true}))")
    page.run("document.querySelector('[name=run_at]').value = '2099-01-02T03:04'")
    page.click("#reschedule button.primary")
    page.until(lambda: "2099-01-0" in f"{state_of(page, 'fail')['next_run_at']}")


def test_cancel_buttons_end_runs(page: Browser) -> None:
    page.open("task?id=long")
    for _ in range(2):
        page.click("[data-action=run]")
    page.until(lambda: state_of(page, "long")["running"] == 2)
    page.click("#task-runs [data-open]")
    page.until(lambda: bool(page.all("[data-run]")))
    page.click("[data-run]")
    page.until(lambda: page.text("#run-detail .badge") == "cancelled")
    page.open("task?id=long")
    page.click("[data-action=cancel]")
    page.until(lambda: state_of(page, "long")["running"] == 0)


def test_remove_button_asks_first(page: Browser) -> None:
    body = {"action": "run", "task_ids": ["long"]}
    page.open("task?id=long")
    page.click("[data-action=remove]")
    page.until(lambda: page.one("#confirm").is_displayed())
    page.one("#confirm [value=no]").click()
    page.until(lambda: not page.one("#confirm").is_displayed())
    assert state_of(page, "long")
    assert httpx.post(f"{page.url}/api/actions", json=body, timeout=30).status_code == 200
    page.click("[data-action=remove]")
    page.until(lambda: page.one("#confirm").is_displayed())
    page.one("#confirm-yes").click()
    page.until(lambda: page.driver.current_url.endswith("/tasks"))
    assert state_of(page, "long") == {}


def test_scheduler_is_paused_and_resumed(page: Browser) -> None:
    page.open("tasks")
    page.click("[data-scheduler=pause]")
    page.until(lambda: page.text("#scheduler-state .badge") == "paused")
    page.click("[data-scheduler=resume]")
    page.until(lambda: page.text("#scheduler-state .badge") == "running")


def test_failed_pause_of_all_is_reported(page: Browser) -> None:
    report = {"done": ["a", "b"], "failed": [{"task_id": "", "message": "node c has not answered"}], "details": []}
    page.open("tasks")
    page.run(
        "const send = window.fetch; window.fetch = async (path, ...rest) => path === 'api/scheduler'"
        f" ? new Response(JSON.stringify({json.dumps(report)})) : send(path, ...rest);"
    )
    page.click("[data-scheduler=pause]")
    page.until(lambda: page.text("#toast") == "2 schedulers are paused; 1 failed: node c has not answered")
    assert "failed" in (page.one("#toast").get_attribute("class") or "")


def test_events_appear_without_reload(page: Browser) -> None:
    page.open("events")
    page.run("window.kept = true")
    httpx.post(f"{page.url}/api/actions", json={"action": "run", "task_ids": ["fail"]}, timeout=30)
    page.until(lambda: "OperatorAction" in page.text("#event-list") and "TaskError" in page.text("#event-list"))
    assert page.run("return window.kept") is True


def test_timeline_is_read_by_arrow_keys(page: Browser) -> None:
    """Marks have names, and the arrow keys reach them from the row of their task."""
    runs = [httpx.post(f"{page.url}/api/actions", json={"action": "run", "task_ids": ["double"]}, timeout=30)] * 2
    assert [each.status_code for each in runs] == [200, 200]
    page.until(lambda: state_of(page, "double")["running"] == 0)
    page.open("timeline")
    row = "[data-row]:has([data-open][href='task?id=double'])"
    page.until(lambda: bool(page.all(f"{row} a[data-mark]")))
    label = f"{page.run(f'return document.querySelector({row!r}).querySelector(`.lane`).ariaLabel')}"
    assert label.startswith("double: ")
    assert "executed" in label
    page.run(f'document.querySelector("{row} [data-open]").focus()')
    for key, mark in ((Keys.ARROW_RIGHT, "executed"), (Keys.END, ""), (Keys.HOME, "executed"), (Keys.ARROW_LEFT, "")):
        page.press(key)
        focused = page.run("return document.activeElement.querySelector('title')?.textContent ?? ''")
        assert mark in f"{focused}"
        assert focused == page.text("#mark") != ""
    page.press(Keys.HOME)
    page.until(lambda: page.focused() == ("link", page.text("#mark")))
    page.press(Keys.ENTER)
    page.until(lambda: "run?id=" in page.driver.current_url)


# Shifts of the layout are summed from the start of the page, also those before this script runs.
SHIFTS = (
    "window.shift = 0; window.shifted = [];"
    "new PerformanceObserver((list) => list.getEntries().forEach((each) => { shift += each.value;"
    " shifted.push(...each.sources.map((source) => source.node?.outerHTML?.slice(0, 120))); }))"
    ".observe({type: 'layout-shift', buffered: true})"
)


@pytest.mark.parametrize("size", [WIDE, PHONE])
@pytest.mark.parametrize("path", PAGES)
def test_page_shifts_no_layout(page: Browser, path: str, size: tuple[int, int]) -> None:
    """Nothing moves while a page loads, nor when its first run comes."""
    page.look(size)
    page.open(path)
    page.run(SHIFTS)
    before = state_of(page, "double")["submitted"]
    httpx.post(f"{page.url}/api/actions", json={"action": "run", "task_ids": ["double", "fail"]}, timeout=30)
    page.until(lambda: state_of(page, "double")["submitted"] != before)
    page.driver.execute_async_script("setTimeout(arguments[0], 1200)")
    shift = page.run("return window.shift")
    assert isinstance(shift, float | int)
    assert shift < 0.02, page.run("return window.shifted")


def test_live_update_shifts_no_layout(page: Browser) -> None:
    page.open("tasks")
    page.run(
        "window.shift = 0; new PerformanceObserver((list) => list.getEntries().forEach((e) => { shift += e.value; }))"
        ".observe({type: 'layout-shift'})"
    )
    for action in ("pause", "resume", "run"):
        page.click(f"tr [data-action={action}][data-id=double]")
        page.until(lambda: bool(page.all("#toast.shown")))
    page.until(lambda: page.text("tr:has([data-pick][value=double]) .badge") == "scheduled")
    shift = page.run("return window.shift")
    assert isinstance(shift, float | int)
    assert shift < 0.02


def test_closed_stream_connects_again(page: Browser) -> None:
    """After an answer with another status than 200, the browser gives up; short gaps are not shown."""
    page.open("events")
    page.until(lambda: page.text("#connection") == "live")
    page.run(
        "window.Real = EventSource; window.EventSource = class { static CLOSED = 2; static OPEN = 1; readyState = 2;"
        " constructor() { setTimeout(() => this.onerror(), 0); } close() {} };"
        "dispatchEvent(new PageTransitionEvent('pagehide'));"
        "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));"
    )
    page.until(lambda: page.text("#connection") == "connecting")
    page.run("window.EventSource = window.Real")
    page.until(lambda: page.text("#connection") == "live")


def test_page_of_error_stays_still(driven: Browser) -> None:
    """It has nothing to fetch again: one answer with the status 404, and no more."""
    driven.look(WIDE)
    driven.problems()
    driven.open("task?id=missing")
    httpx.post(f"{driven.url}/api/actions", json={"action": "run", "task_ids": ["double"]}, timeout=30)
    driven.driver.execute_async_script("setTimeout(arguments[0], 1500)")
    assert driven.text("#connection") == "not live"
    problems = driven.problems()
    assert len(problems) == 1
    assert "404" in problems[0]


def test_page_of_removed_task_says_so(page: Browser) -> None:
    page.open("task?id=a%2Fb%2F..%2F%C3%BC")
    page.until(lambda: page.text("#connection") == "live")
    body = {"action": "remove", "task_ids": ["a/b/../ü"]}
    httpx.post(f"{page.url}/api/actions", json=body, timeout=30)
    page.until(lambda: "does not exist" in page.text("#connection"))
    assert any("404" in each for each in page.problems())


def test_keys_move_select_and_open(page: Browser) -> None:
    page.open("tasks")
    body = page.one("body")
    body.send_keys("j")
    body.send_keys("j")
    page.driver.switch_to.active_element.send_keys("x")
    assert page.text("[data-selected]") == "1 selected"
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.until(lambda: "task?id=" in page.driver.current_url)
    page.open("tasks")
    page.one("body").send_keys("/")
    assert page.driver.switch_to.active_element.get_attribute("name") == "search"
    page.open("runs")
    page.one("body").send_keys("?")
    page.until(lambda: page.one("#help").is_displayed())
    page.one("#help button").click()
    page.one("body").send_keys("g", "e")
    page.until(lambda: page.driver.current_url.endswith("/events"))


def test_every_control_has_a_name(page: Browser) -> None:
    for path in PAGES:
        page.open(path)
        nameless = page.run(
            "return [...document.querySelectorAll('button, a, input:not([type=hidden]), select')].filter((each) =>"
            "!(each.textContent.trim() || each.ariaLabel || each.labels?.length || each.querySelector('rect, img'))"
            ").map((each) => each.outerHTML)"
        )
        assert nameless == [], path


def test_pictures_can_be_taken(page: Browser, tmp_path: Path) -> None:
    page.open("tasks")
    page.picture(tmp_path / "tasks.webp")
    assert (tmp_path / "tasks.webp").read_bytes()[8:12] == b"WEBP"
