"""Hubs side by side, each with the standard ports at an address of its own."""

from __future__ import annotations

from azure.iot.device import IoTHubDeviceClient

from iothub_mqtt.testing import StartHub


def test_two_hubs_have_two_addresses(start: StartHub) -> None:
    hubs = [start(devices=["d"]) for _ in range(2)]
    assert {(hub.mqtt_port, hub.https_port) for hub in hubs} == {(8883, 443)}
    assert hubs[0].host != hubs[1].host
    for hub in hubs:
        assert hub.name == hub.host and hub.host.startswith("127.")
        assert hub.connection_string("d").startswith(f"HostName={hub.host};")
        client = IoTHubDeviceClient.create_from_connection_string(
            hub.connection_string("d"), server_verification_cert=hub.ca_pem
        )
        client.send_message(hub.host)
        client.shutdown()
    for hub in hubs:
        assert [event["body"] for event in hub.events.wait_many(1, event="telemetry")] == [hub.host]
