"""What a person does from the page reaches the device, and what is wrong is said where it is."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

from selenium.webdriver.common.keys import Keys

from local_hub import LocalHub
from page import Page


def value(page: Page, element: str) -> Any:
    return json.loads(page.id(element).get_attribute("value"))


def loaded(page: Page) -> None:
    page.wait_text("twin-versions", "Version")


def test_a_twin_is_edited(page: Page, hub: LocalHub) -> None:
    with hub.device("gauge") as gauge:
        gauge.subscribe("$iothub/twin/PATCH/properties/desired/#")
        page.choose("gauge", "twin")
        loaded(page)
        page.fill("twin-desired", '{"interval": 5, "gone": 1}')
        page.click("twin-merge")
        page.wait_text("twin-result", "Merged")
        first = json.loads(gauge.next().payload)
        assert (first["interval"], first["gone"]) == (5, 1)
        page.fill("twin-desired", '{"gone": null}')
        page.fill("twin-tags", '{"site": "<b>north</b>"}')
        page.click("twin-merge")
        page.until(lambda: value(page, "twin-desired") == {"interval": 5}, "the merged twin")
        assert json.loads(gauge.next().payload)["gone"] is None
        page.fill("twin-desired", '{"mode": "x"}')
        page.click("twin-replace")
        page.wait_text("twin-result", "Replaced")
        twin = hub.twin("gauge")
        assert twin["tags"] == {"site": "<b>north</b>"}
        assert {k: v for k, v in twin["properties"]["desired"].items() if k[0] != "$"} == {"mode": "x"}


def test_errors_of_a_twin_show_where_they_belong(page: Page, hub: LocalHub) -> None:
    page.choose("pump", "twin")
    loaded(page)
    page.fill("twin-desired", "{oops")
    page.click("twin-merge")
    page.wait_text("twin-desired-error", "JSON")
    assert page.id("twin-desired").get_attribute("aria-invalid") == "true"
    page.fill("twin-desired", '{"too.": 1, "$no": 2}')
    page.click("twin-merge")
    page.wait_text("twin-desired-error", "400 ArgumentInvalid")
    page.fill("twin-desired", "{}")
    page.fill("twin-tags", "[1]")
    page.click("twin-merge")
    page.wait_text("twin-tags-error", "must be a JSON object")
    assert page.text("twin-desired-error") == ""


def test_an_edit_is_kept_while_the_twin_changes(page: Page, hub: LocalHub) -> None:
    with hub.device("pump") as pump:
        pump.subscribe("$iothub/twin/res/#")
        page.choose("pump", "twin")
        loaded(page)
        pump.client.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", '{"speed": 7}')
        page.wait_text("twin-reported", '"speed": 7')
        assert not page.id("twin-changed").is_displayed()
        page.fill("twin-desired", '{"mine": 1}')
        path = "twins/pump?api-version=2021-04-12"
        hub.call("PATCH", path, {"properties": {"desired": {"theirs": 2}}})
        page.wait_text("twin-changed", "changed at the hub")
        assert value(page, "twin-desired") == {"mine": 1}
        page.click("twin-reload")
        page.until(lambda: value(page, "twin-desired") == {"theirs": 2}, "their twin")


def test_a_message_reaches_the_device(page: Page, hub: LocalHub) -> None:
    page.choose("gauge", "message")
    page.fill("message-body", "häh?\n2nd")
    page.fill("message-id", "id-7")
    page.fill("message-type", "text/plain")
    page.fill("message-encoding", "utf-8")
    page.fill("message-expiry", "600")
    page.pick("message-ack", "full")
    page.click("message-add-property")
    name, text = page.id("message-properties").find_elements("css selector", "input")
    name.send_keys("Levelß")
    text.send_keys("très <haut>")
    page.click("message-send")
    page.wait_text("message-result", "Queued as id-7")
    page.until(lambda: "1 queued" in page.row("gauge").text, "the queue")
    page.wait_text("message-sent", "queued id-7")
    with hub.device("gauge") as gauge:
        gauge.subscribe("devices/gauge/messages/devicebound/#")
        message = gauge.next()
        bag = dict(urllib.parse.parse_qsl(message.topic.rsplit("/", 1)[1]))
        assert message.payload.decode() == "häh?\n2nd"
        assert (bag["$.mid"], bag["$.ct"], bag["$.ce"]) == ("id-7", "text/plain", "utf-8")
        assert (bag["iothub-ack"], bag["Levelß"]) == ("full", "très <haut>")
        page.wait_text("message-sent", "completed id-7")
    page.until(lambda: "queued" not in page.row("gauge").text, "an empty queue")
    page.view("operations")
    page.wait_row("operations", "c2d", "completed", "id-7")


def test_a_message_that_is_refused_says_why(page: Page, hub: LocalHub) -> None:
    page.choose("valve", "message")
    script = "document.getElementById('message-body').value = 'x'.repeat(70000)"
    page.browser.execute_script(script)
    page.click("message-send")
    page.wait_text("message-error", "413 MessageTooLarge")


def test_a_queue_is_purged(page: Page, hub: LocalHub) -> None:
    page.choose("valve", "message")
    page.fill("message-body", "1")
    page.click("message-send")
    page.wait_text("message-result", "Queued")
    page.until(lambda: "1 queued" in page.row("valve").text, "the queue")
    page.click("message-purge")
    page.wait_text("message-result", "Purged 1")
    page.until(lambda: "queued" not in page.row("valve").text, "an empty queue")


def test_a_message_goes_to_an_input_of_a_module(page: Page, hub: LocalHub) -> None:
    page.choose("gauge/meter", "message")
    page.fill("message-input", "in put")
    page.fill("message-body", "x")
    page.click("message-send")
    page.wait_text("message-result", "Queued as")
    page.view("operations")
    page.wait_row("operations", "gauge/meter", "input", "in put: queued")


def test_a_method_is_called(page: Page, hub: LocalHub) -> None:
    page.choose("pump", "method")
    page.fill("method-name", "reboot")
    page.click("method-call")
    page.wait_text("method-error", "404")
    with hub.device("pump") as pump:
        pump.subscribe("$iothub/methods/POST/#")
        page.fill("method-payload", "{nope")
        page.click("method-call")
        page.wait_text("method-payload-error", "JSON")
        page.fill("method-payload", '{"delay": [1, "<b>"]}')
        page.click("method-call")
        page.wait_text("method-result", "status 207")
        assert json.loads(page.text("method-answer")) == {"delay": [1, "<b>"]}
        assert page.text("method-error") == ""
        assert "/reboot/" in pump.next().topic
    page.view("operations")
    page.wait_row("operations", "pump", "method", "reboot answered 207")


def test_tabs_and_list_go_by_the_keyboard(page: Page, hub: LocalHub) -> None:
    script = """
        const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
        document.querySelector("#device-list button").focus();
        press("ArrowDown");
        document.activeElement.click();
    """
    page.browser.execute_script(script)
    page.wait_text("target-name", "gauge")
    page.id("tab-telemetry").send_keys(Keys.ARROW_RIGHT)
    page.until(lambda: page.id("panel-operations").is_displayed(), "the next tab")
    assert page.browser.switch_to.active_element.get_attribute("id") == "tab-operations"
