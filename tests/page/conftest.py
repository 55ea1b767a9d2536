"""A hub for the tests, and one browser for all of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from local_hub import LocalHub
from page import Page


def options() -> webdriver.ChromeOptions:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("chromium-browser") or ""
    arguments = ["--headless=new", "--window-size=1280,900", "--disable-dev-shm-usage", "--no-first-run"]
    # Nothing of this needs the network.
    arguments += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    for argument in arguments:
        options.add_argument(argument)
    # The hub's own authority is in no store.
    options.accept_insecure_certs = True
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return options


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    driver = shutil.which("chromedriver")
    assert driver, "chromedriver is not installed: make system-packages"
    browser = webdriver.Chrome(options(), Service(driver))
    browser.set_script_timeout(30)
    yield browser
    browser.quit()


@pytest.fixture(scope="session")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    certs = tmp_path_factory.mktemp("certs")
    hub = LocalHub(certs, "--device=gauge", "--device=pump", "--device=valve", "--module=gauge/meter")
    yield hub
    hub.stop()


@pytest.fixture
def hub(shared_hub: LocalHub) -> LocalHub:
    return shared_hub


@pytest.fixture
def page(browser: webdriver.Chrome, hub: LocalHub) -> Iterator[Page]:
    page = Page(browser, hub.url)
    yield page
    page.check_console()
