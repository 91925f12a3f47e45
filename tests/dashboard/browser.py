"""Headless Chromium, driven by Selenium."""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM = shutil.which("chromium") or ""
DRIVER = shutil.which("chromedriver") or ""
NEEDS_BROWSER = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromium-driver are not installed")

WIDE = (1280, 800)
PHONE = (390, 844)


class Browser:
    """A page in a browser.

    Attributes:
        driver: Driver of Selenium.
        url: Address of the dashboard.
    """

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def look(self, size: tuple[int, int], scheme: str = "light") -> None:
        """Set the size of the window and the colour scheme."""
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def open(self, path: str) -> None:
        """Open a page, and wait until its stream of changes is open, if it has one.

        The driver may return before the page exists, if the page before it was about to open another one.
        """
        self.driver.get(f"{self.url}/{path}")
        self.until(lambda: [each.text for each in self.all("#connection")] in (["live"], ["not live"]))

    def run(self, script: str) -> object:
        """Return the result of a script."""
        result: object = self.driver.execute_script(script)
        return result

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        """Click an element, which a live update may exchange meanwhile."""
        self.until(lambda: bool(self.run(f"return !!document.querySelector({selector!r})")))
        self.run(f"document.querySelector({selector!r}).click()")

    def press(self, key: str) -> None:
        """Press a key, wherever the focus is."""
        ActionChains(self.driver).send_keys(key).perform()

    def focused(self) -> tuple[str, str] | None:
        """Return role and name that a screen reader finds at the focus; None while a live update exchanges it."""
        element = self.driver.switch_to.active_element
        try:
            return element.aria_role, element.accessible_name
        except StaleElementReferenceException:
            return None

    def text(self, selector: str) -> str:
        return f"{self.run(f'return document.querySelector({selector!r})?.textContent ?? String()')}"

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait for a condition; one that does not come fails the test."""
        deadline = time.monotonic() + 30
        while not reached():
            assert time.monotonic() < deadline, (self.driver.current_url, self.text("#toast"), self.problems())
            time.sleep(0.02)

    def problems(self) -> list[str]:
        """Return the messages of the console since the last call."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # has no annotations
        return [f"{entry['message']}" for entry in entries]

    def picture(self, file: Path) -> None:
        """Write a small picture of the window."""
        answer = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": 70})
        file.write_bytes(base64.b64decode(answer["data"]))


@contextmanager
def browser(url: str) -> Iterator[Browser]:
    """Start Chromium without a window."""
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    try:
        found = Browser(driver, url)
        found.look(WIDE)
        yield found
    finally:
        driver.quit()
