"""The page as a person sees it: what it shows, and what can be clicked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from local_hub import PATIENCE


class Page:
    def __init__(self, browser: webdriver.Chrome, url: str) -> None:
        self.browser = browser
        self.url = url
        self.browser.get_log("browser")
        self.open()

    def open(self, device: str | None = None, view: str = "telemetry") -> None:
        """Load the page anew."""
        # An address that differs in its fragment alone would load nothing.
        self.browser.get("about:blank")
        self.browser.get(f"{self.url}#{urlencode({'device': device, 'view': view} if device else {'view': view})}")
        self.wait_text("link", "live")
        self.wait_text("device-count", "registered")

    def choose(self, device: str, view: str | None = None) -> None:
        self.until(lambda: self.row(device), f"a row of {device}").click()
        self.wait_text("target-name", device or "All devices")
        if view:
            self.view(view)

    def view(self, name: str) -> None:
        self.id(f"tab-{name}").click()
        self.until(lambda: self.id(f"panel-{name}").is_displayed(), f"the view {name}")

    def id(self, element: str) -> WebElement:
        return self.browser.find_element(By.ID, element)

    def text(self, element: str) -> str:
        return self.id(element).text

    def row(self, device: str) -> WebElement | None:
        rows = self.browser.find_elements(By.CSS_SELECTOR, "#device-list button")
        return next((row for row in rows if row.get_attribute("data-key") == device), None)

    def rows(self, feed: str) -> list[str]:
        script = "return [...document.querySelectorAll(`#${arguments[0]}-list > li`)].map(li => li.innerText)"
        return self.browser.execute_script(script, feed)

    def fill(self, element: str, text: str) -> None:
        # Clearing by the driver tells the page nothing.
        self.id(element).send_keys(Keys.CONTROL, "a")
        self.id(element).send_keys(text or Keys.DELETE)

    def pick(self, element: str, option: str) -> None:
        Select(self.id(element)).select_by_visible_text(option)

    def click(self, element: str) -> None:
        self.id(element).click()

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        wait = WebDriverWait(self.browser, PATIENCE, 0.05, [StaleElementReferenceException])
        return wait.until(lambda _browser: condition(), what)

    def wait_text(self, element: str, part: str) -> None:
        self.until(lambda: part in self.text(element), f"'{part}' in {element}")

    def wait_row(self, feed: str, *parts: str) -> str:
        """The first row of a feed that has all of `parts`."""

        def found() -> str | None:
            return next((row for row in self.rows(feed) if all(part in row for part in parts)), None)

        return self.until(found, f"a row of {feed} with {parts}")

    def check_console(self) -> None:
        """Nothing went wrong that only the console tells: an error, a breach of the policy."""
        # A refusal of the hub is the subject of some tests, and so is a hub that went away.
        expected = ("the server responded with a status of", "net::ERR_")
        log = [entry for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert [entry for entry in log if not any(part in entry["message"] for part in expected)] == []
