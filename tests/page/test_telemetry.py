"""What devices send is shown as it is: as text, in masses too."""

from __future__ import annotations

from local_hub import LocalHub
from page import Page

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def test_telemetry_comes_with_its_properties(page: Page, hub: LocalHub) -> None:
    with hub.device("gauge") as gauge, hub.device("pump") as pump:
        pump.send("from the pump")
        body = '{"temperature":21.50,"serial":12345678901234567890,"name":"a \\" b"}'
        gauge.send(body, {"level": "very high", "$.ct": "application/json", "$.mid": "m-1"})
        page.wait_row("telemetry", "pump", "from the pump")
        page.wait_row("telemetry", "gauge", '"temperature":21.50', "level=very high")
        # Of the chosen device alone.
        page.choose("gauge")
        page.until(lambda: not any("from the pump" in row for row in page.rows("telemetry")), "the filter")
        page.browser.find_element("css selector", "#telemetry-list summary").click()
        row = page.wait_row("telemetry", "Application properties", "very high")
        # Numbers as they came, one line each.
        assert '  "temperature": 21.50,\n  "serial": 12345678901234567890,\n' in row
        assert "content-type\napplication/json" in row and "message-id\nm-1" in row
        page.fill("telemetry-filter", "no such thing")
        page.until(lambda: page.rows("telemetry") == [], "nothing to match")
        page.fill("telemetry-filter", "VERY HIGH")
        page.wait_row("telemetry", "level=very high")
        gauge.send(b"\xff\x00")
        page.fill("telemetry-filter", "base64")
        page.choose("")
        page.fill("telemetry-filter", "")
        page.wait_row("telemetry", "gauge", "base64 /wA=")


def test_hostile_text_stays_text(page: Page, hub: LocalHub) -> None:
    with hub.device("gauge") as gauge:
        gauge.subscribe("$iothub/twin/res/#")
        gauge.send(HOSTILE, {HOSTILE: HOSTILE, "__proto__": "polluted"})
        # Nested deeper than any indent.
        gauge.send("[" * 50_000 + "]" * 50_000)
        row = page.wait_row("telemetry", HOSTILE)
        assert f"{HOSTILE}={HOSTILE}" in row
        for summary in page.browser.find_elements("css selector", "#telemetry-list summary"):
            summary.click()
        page.wait_row("telemetry", "Application properties", HOSTILE)
        report = '{"a":"<img src=x onerror=alert(1)>"}'
        gauge.client.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", report)
        page.choose("gauge", "twin")
        page.wait_text("twin-reported", "<img src=x onerror=alert(1)>")
    # The user name is anybody's to choose.
    with hub.device("gauge", connect=False) as stranger:
        stranger.client.username_pw_set("<b><img src=x onerror=alert(1)>/gauge/?api-version=2021-04-12", "x")
        assert stranger.connect() != 0
        page.view("operations")
        page.wait_row("operations", "refused", "the hub '<b><img src=x onerror=alert(1)>'")
        page.wait_text("trouble", "the hub '<b><img src=x onerror=alert(1)>'")
    inserted = "return document.querySelectorAll('main img, main script, main b, nav img, nav b').length"
    assert page.browser.execute_script(inserted) == 0
    assert page.browser.title == "localhost, local hub"


def test_the_policy_forbids_markup_out_of_text(page: Page, hub: LocalHub) -> None:
    attempt = "try { document.body.innerHTML += '<i></i>'; return 'done' } catch (e) { return e.name }"
    assert page.browser.execute_script(attempt) == "TypeError"
    page.browser.get_log("browser")


def test_a_burst_leaves_the_page_usable(page: Page, hub: LocalHub) -> None:
    count = 5000
    with hub.device("gauge", connect=False) as gauge:
        gauge.client.max_inflight_messages_set(1000)
        gauge.connect()
        # Frames go on being drawn meanwhile.
        page.browser.execute_script(
            "window.frames_drawn = 0; const tick = () => { window.frames_drawn += 1; requestAnimationFrame(tick) }; tick()"
        )
        for number in range(count):
            gauge.client.publish("devices/gauge/messages/events/", f'{{"n":{number}}}', 1)
        page.wait_text("telemetry-count", "received")
        before = page.browser.execute_script("return window.frames_drawn")
        page.until(lambda: page.browser.execute_script("return window.frames_drawn") > before, "frames")
        page.wait_text("telemetry-count", f"{count:,} received, 200 shown")
        page.wait_row("telemetry", f'{{"n":{count - 1}}}')
    assert len(page.rows("telemetry")) == 200
    assert page.browser.execute_script("return document.querySelectorAll('*').length") < 3000
    page.fill("telemetry-filter", '"n":4321')
    page.wait_row("telemetry", '{"n":4321}')
    page.until(lambda: len(page.rows("telemetry")) == 1, "one match")


def test_pausing_holds_the_list(page: Page, hub: LocalHub) -> None:
    with hub.device("pump") as pump:
        pump.send("before")
        page.wait_row("telemetry", "before")
        page.click("telemetry-pause")
        pump.send("meanwhile")
        page.wait_text("telemetry-count", "1 more while paused")
        assert not any("meanwhile" in row for row in page.rows("telemetry"))
        page.click("telemetry-pause")
        page.wait_row("telemetry", "meanwhile")
        page.click("telemetry-clear")
        page.wait_text("telemetry-count", "0 received, 0 shown")
