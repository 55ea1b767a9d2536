"""Devices come and go, are refused, are added and deleted, while somebody watches."""

from __future__ import annotations

import json

from local_hub import PATIENCE, LocalHub, fields
from page import Page


def test_devices_come_and_go(page: Page, hub: LocalHub) -> None:
    assert "not connected yet" in page.row("valve").text
    with hub.device("valve"):
        page.until(lambda: "connected since" in page.row("valve").text, "valve to connect")
        page.choose("valve")
        page.wait_text("facts", "connected since")
        assert "mqtt" in page.text("facts") and "sas" in page.text("facts")
    page.until(lambda: "disconnected since" in page.row("valve").text, "valve to disconnect")
    page.view("operations")
    page.wait_row("operations", "valve", "connected", "mqtt")
    page.wait_row("operations", "valve", "disconnected", "client: ")


def test_a_refusal_says_why(page: Page, hub: LocalHub) -> None:
    page.choose("pump", "operations")
    with hub.device("pump", key="AAAA", connect=False) as device:
        assert device.connect() == 135
        page.wait_row("operations", "refused", "unauthorized", "neither key of pump signed the token")
        page.wait_text("trouble", "neither key of pump signed the token")
        assert "refused at" in page.row("pump").text
        # It is there for whoever opens the page afterwards.
        page.open("pump", "operations")
        page.wait_row("operations", "refused", "neither key of pump signed the token")
        page.wait_text("trouble", "neither key of pump signed the token")


def test_a_fault_drops_the_device(page: Page, hub: LocalHub) -> None:
    with hub.device("gauge") as device:
        page.choose("gauge", "faults")
        page.until(lambda: "drop" in page.text("fault-kind"), "the names of faults")
        page.pick("fault-kind", "drop")
        page.click("fault-arm")
        page.wait_text("fault-result", "reached 1 connection")
        assert device.disconnects.get(timeout=PATIENCE) != 0
        page.wait_text("trouble", "dropped on demand")
        # It comes back by itself.
        page.wait_text("facts", "connected since")


def test_a_fault_waits_and_is_disarmed(page: Page, hub: LocalHub) -> None:
    page.choose("pump", "faults")
    page.until(lambda: "refuse" in page.text("fault-kind"), "the names of faults")
    page.pick("fault-kind", "delay")
    assert page.id("fault-time").get_attribute("required")
    page.pick("fault-kind", "refuse")
    assert not page.id("fault-after").is_enabled()
    page.fill("fault-count", "2")
    page.fill("fault-code", "3")
    page.click("fault-arm")
    page.wait_text("fault-waiting", "refuse for pump, 2 times, with code 3")
    with hub.device("pump", connect=False) as device:
        assert device.connect() == 136
        page.wait_text("fault-waiting", "refuse for pump, once, with code 3")
        page.click("fault-disarm")
        page.wait_text("fault-waiting", "No fault waits")
        assert device.connects.get(timeout=PATIENCE) == 0


def test_the_list_is_filtered_and_bounded(page: Page, hub: LocalHub) -> None:
    page.fill("device-filter", "GAU")
    page.wait_text("device-count", "2 match")
    keys = "return [...document.querySelectorAll('#device-list button')].map(b => b.dataset.key)"
    assert page.browser.execute_script(keys) == ["", "gauge", "gauge/meter"]


def test_a_device_is_added_disabled_and_deleted(page: Page, hub: LocalHub) -> None:
    page.view("add")
    page.fill("add-device", "new one")
    page.click("add-submit")
    page.wait_text("add-error", "400")
    page.fill("add-device", "new%41#1")
    page.click("add-submit")
    page.wait_text("target-name", "new%41#1")
    # The connection string is shown when it is asked for.
    assert not page.id("identity-secret").is_displayed()
    page.click("identity-show")
    page.wait_text("identity-secret", "DeviceId=new%41#1;SharedAccessKey=")
    key = fields(page.text("identity-secret"))["SharedAccessKey"]
    page.click("identity-show")
    assert page.text("identity-secret") == ""
    hub.call("PATCH", "twins/new%2541%231?api-version=2021-04-12", {"tags": {"a": 1}})
    page.view("twin")
    page.until(lambda: '"a": 1' in page.id("twin-tags").get_attribute("value"), "the tags")
    page.view("identity")
    with hub.device("valve") as other:
        page.choose("valve", "identity")
        page.fill("identity-reason", "<i>maintenance</i>")
        page.click("identity-toggle")
        page.wait_text("identity-result", "Disabled")
        assert other.disconnects.get(timeout=PATIENCE) != 0
        page.wait_text("facts", "disabled: <i>maintenance</i>")
        page.wait_text("trouble", "403012 DeviceDisabled")
        page.wait_text("identity-toggle", "Enable")
        page.click("identity-toggle")
        page.wait_text("identity-result", "Enabled")
    assert len(key) == 44
    page.choose("new%41#1", "identity")
    page.click("identity-delete")
    page.click("confirm-no")
    page.click("identity-delete")
    page.click("confirm-yes")
    page.wait_text("target-name", "All devices")
    page.until(lambda: page.row("new%41#1") is None, "the row to go")
    page.view("operations")
    page.wait_row("operations", "new%41#1", "identity", "deleted")


def test_a_hub_comes_back(page: Page, tmp_path) -> None:  # type: ignore[no-untyped-def]
    hub = LocalHub(tmp_path, "--device=lamp")
    try:
        page.url = hub.url
        page.open("lamp", "twin")
        page.until(lambda: page.id("twin-desired").get_attribute("value") == "{}", "the twin")
        hub.stop()
        page.wait_text("link", "reconnecting")
        hub.start()
        page.wait_text("link", "live")
        hub.call("PATCH", "twins/lamp?api-version=2021-04-12", {"properties": {"desired": {"on": True}}})
        shown = lambda: json.loads(page.id("twin-desired").get_attribute("value"))  # noqa: E731
        page.until(lambda: shown() == {"on": True}, "the new hub's twin")
        page.view("operations")
        page.wait_row("operations", "restarted", "another hub")
        with hub.device("lamp"):
            page.wait_row("operations", "lamp", "connected")
    finally:
        hub.stop()
