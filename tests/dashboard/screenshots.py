"""Pictures of all pages for the README: `python -m tests.dashboard.screenshots [folder]`."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.dashboard.browser import PHONE, WIDE, Browser, browser
from tests.dashboard.test_servers import serving

PICTURES = Path(__file__).resolve().parent / "pictures"
# The version of a program that is not installed is unknown.
_HIDE_VERSION = (
    "[...document.querySelectorAll('footer span')].find((each) => /^asyncz/.test(each.textContent)).remove()"
)
PAGES = {
    "tasks": "tasks",
    "task": "task?id=feeds.example",
    "runs": "runs",
    "timeline": "timeline?past=1&future=1",
    "executors": "executors",
    "events": "events",
}
PHONE_PAGES = ("tasks", "task", "timeline")
# Seconds until every task of the demo has run several times.
_WARM_UP = 45


def take_pictures(page: Browser, folder: Path) -> None:
    """Write a picture of each page in light and dark, and of some on a phone."""
    failed = httpx.get(f"{page.url}/api/runs", params={"outcome": "error", "limit": 1}, timeout=30)
    pages = {**PAGES, "run": f"run?id={failed.json()['runs'][0]['run_id']}"}
    for name, path in pages.items():
        for scheme in ("light", "dark"):
            page.look(WIDE, scheme)
            page.open(path)
            page.run(_HIDE_VERSION)
            page.picture(folder / f"{name}-{scheme}.webp")
    for name in PHONE_PAGES:
        page.look(PHONE)
        page.open(pages[name])
        page.run(_HIDE_VERSION)
        page.picture(folder / f"{name}-phone.webp")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as logs, serving("tests.dashboard.demo:app", Path(logs)) as server:
        httpx.post(
            f"{server.url}/api/actions", json={"action": "run", "task_ids": ["search.rebuild-index"]}, timeout=30
        )
        time.sleep(_WARM_UP)
        with browser(server.url) as page:
            take_pictures(page, folder)


if __name__ == "__main__":
    main()
