"""Pictures of all pages for the README: `python -m tests.dashboard.screenshots [--store] [folder]`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.dashboard.browser import PHONE, WIDE, Browser, browser
from tests.dashboard.test_servers import Server, serving
from tests.helpers.paths import PROJECT

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
STORE_PAGES = {"tasks": "tasks", "executors": "executors", "events": "events"}
PHONE_PAGES = ("tasks", "task", "timeline")
# Seconds until every task of the demo has run several times.
_WARM_UP = 45


def take_pictures(page: Browser, folder: Path) -> None:
    """Write a picture of each page in light and dark, and of some on a phone."""
    failed = httpx.get(f"{page.url}/api/runs", params={"outcome": "error", "limit": 1}, timeout=30)
    pages = {**PAGES, "run": f"run?id={failed.json()['runs'][0]['run_id']}"}
    _take_in_both_schemes(page, pages, folder, "")
    for name in PHONE_PAGES:
        page.look(PHONE)
        page.open(pages[name])
        page.run(_HIDE_VERSION)
        page.picture(folder / f"{name}-phone.webp")


def take_store_pictures(page: Browser, folder: Path) -> None:
    """Write pictures of the pages that are different with a store, in light and dark."""
    own = httpx.get(f"{page.url}/api/info", timeout=30).json()["pid"]
    runs = httpx.get(f"{page.url}/api/runs", params={"limit": 200}, timeout=30).json()["runs"]
    elsewhere = [run["run_id"] for run in runs if run["outcome"] and f":{own} " not in run["worker"]]
    # The ids of the nodes decide which tasks are executed by the other one.
    mail = {run["run_id"] for run in runs if run["task_id"] == "mail.deliver"}
    elsewhere.sort(key=lambda run_id: run_id not in mail)
    pages = {**STORE_PAGES, "run": f"run?id={elsewhere[0]}"}
    _take_in_both_schemes(page, pages, folder, "store-")


def _take_in_both_schemes(page: Browser, pages: Mapping[str, str], folder: Path, prefix: str) -> None:
    for name, path in pages.items():
        for scheme in ("light", "dark"):
            page.look(WIDE, scheme)
            page.open(path)
            page.run(_HIDE_VERSION)
            page.picture(folder / f"{prefix}{name}-{scheme}.webp")


@contextmanager
def warm_server(store: str) -> Iterator[Server]:
    """Serve the demo until its tasks have run several times."""
    os.environ["ASYNCZ_TEST_STORE"] = store
    with tempfile.TemporaryDirectory() as logs, serving("tests.dashboard.demo:app", Path(logs)) as server:
        body = {"action": "run", "task_ids": ["search.rebuild-index"]}
        httpx.post(f"{server.url}/api/actions", json=body, timeout=30)
        time.sleep(_WARM_UP)
        yield server


@contextmanager
def other_node() -> Iterator[None]:
    """Run a second scheduler with the store of the demo."""
    command = [sys.executable, "-m", "asyncz", "run", "tests.dashboard.demo:scheduler"]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> None:
    arguments = [each for each in sys.argv[1:] if each != "--store"]
    folder = Path(arguments[0]) if arguments else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    if "--store" not in sys.argv:
        with warm_server("") as server, browser(server.url) as page:
            take_pictures(page, folder)
    with tempfile.TemporaryDirectory() as place:
        store = f"sqlite:///{place}/jobs.db"
        os.environ["ASYNCZ_TEST_STORE"] = store
        with other_node(), warm_server(store) as server, browser(server.url) as page:
            take_store_pictures(page, folder)


if __name__ == "__main__":
    main()
