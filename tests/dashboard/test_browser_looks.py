"""Looks of the pages in a real browser: hostile texts that fit, and contrast of all texts in both colour schemes."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from tests.dashboard.browser import NEEDS_BROWSER, PHONE, WIDE, Browser, browser
from tests.dashboard.test_servers import serving

pytestmark = [pytest.mark.slow, NEEDS_BROWSER, pytest.mark.xdist_group("browser_looks")]

SIZES = [WIDE, PHONE]
# Contrast of each visible text with what lies below it, by the formula of WCAG 2. Disabled controls need none.
CONTRASTS = """
const channel = (value) => ((value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const ground = (element) => {
  for (; element; element = element.parentElement) {
    const found = parts(getComputedStyle(element).backgroundColor);
    if (found.length === 3 || found[3] === 1) return found;
  }
  return [255, 255, 255];
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const low = [];
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  if (!node.textContent.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
  if (element.closest("script, button:disabled, .hidden, svg, option")) continue;
  const both = [parts(getComputedStyle(element).color), ground(element)].map(luminance);
  const ratio = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
  if (ratio < 4.5) low.push(`${ratio.toFixed(2)} ${element.outerHTML.slice(0, 120)}`);
}
return low;
"""


# Marks of charts are as long as their runs, which the lists beside them name too.
SMALL_TARGETS = """
const small = [];
for (const each of document.querySelectorAll("a[href], button, input, select, summary")) {
  if (!each.checkVisibility({ visibilityProperty: true }) || each.closest("svg, .skip")) continue;
  const box = each.getBoundingClientRect();
  if (box.width < 24 || box.height < 24) small.push(`${box.width}x${box.height} ${each.outerHTML.slice(0, 120)}`);
}
return small;
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser with a scheduler whose tasks have run, failed and are running."""
    with serving("tests.dashboard.hostile:app", tmp_path_factory.mktemp("server"), "") as server:
        ids = [task["task_id"] for task in get(server.url, "tasks")["tasks"]]
        body = {"action": "run", "task_ids": ids}
        assert httpx.post(f"{server.url}/api/actions", json=body, timeout=60).json()["done"] == ids
        with browser(server.url) as found:
            found.until(lambda: all(outcome_of(found, each) for each in ("error", "executed", "running")))
            yield found


def get(url: str, path: str, **parameters: object) -> dict[str, list[dict[str, object]]]:
    shown = {name: f"{value}" for name, value in parameters.items()}
    found: dict[str, list[dict[str, object]]] = httpx.get(f"{url}/api/{path}", params=shown, timeout=60).json()
    return found


def outcome_of(page: Browser, outcome: str) -> str:
    """Return the path of a run with an outcome; empty without one."""
    runs = get(page.url, "runs", outcome=outcome, limit=1)["runs"]
    return f"run?id={runs[0]['run_id']}" if runs else ""


def paths_of(page: Browser) -> list[str]:
    runs = [outcome_of(page, each) for each in ("error", "executed", "running")]
    task = f"task?id={'x' * 1900}"
    return ["tasks", "tasks?search=none", task, "runs", "timeline", "executors", "events", "task?id=missing", *runs]


@pytest.mark.parametrize("size", SIZES)
def test_hostile_texts_fit_window(page: Browser, size: tuple[int, int]) -> None:
    page.look(size)
    for path in paths_of(page):
        page.open(path)
        assert page.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_text_has_contrast(page: Browser, scheme: str) -> None:
    page.look(WIDE, scheme)
    for path in paths_of(page):
        page.open(path)
        assert page.run(CONTRASTS) == [], path


def test_contrast_is_measured(page: Browser) -> None:
    page.look(WIDE)
    page.open("executors")
    page.run("const rule = 'h1 { color: #999; background: #fff }'; document.styleSheets[0].insertRule(rule)")
    low = page.run(CONTRASTS)
    assert isinstance(low, list)
    assert len(low) == 1
    assert f"{low[0]}".startswith("2.85 <h1>")


def test_targets_on_phone_fit_fingers(page: Browser) -> None:
    page.look(PHONE)
    for path in paths_of(page):
        page.open(path)
        assert page.run(SMALL_TARGETS) == [], path


def test_small_target_is_found(page: Browser) -> None:
    page.look(PHONE)
    page.open("tasks")
    page.run("document.styleSheets[0].insertRule('footer button.link { min-height: 0 !important }', 0)")
    small = page.run(SMALL_TARGETS)
    assert isinstance(small, list)
    assert len(small) == 1
    assert "data-help" in f"{small[0]}"


def test_long_rows_stay_low(page: Browser) -> None:
    page.look(WIDE)
    for path in ("tasks", "runs", "events"):
        page.open(path)
        heights = page.run("return [...document.querySelectorAll('tbody tr')].map((row) => row.offsetHeight)")
        assert isinstance(heights, list)
        assert max(heights) < 260, path


def test_ids_show_what_they_contain(page: Browser) -> None:
    page.look(WIDE)
    page.open("tasks")
    shown = page.run("return [...document.querySelectorAll('[data-open]')].map((each) => each.textContent)")
    assert isinstance(shown, list)
    assert "\\u202eright-to-left\\u202c" in shown
    assert "line\\u000abreak\\u0009and\\u0000zero" in shown
    assert "\N{OPEN BOX}" in shown
