"""Connections of azure-iot-device: lost, refused, renewed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from azure.iot.device import exceptions

from client import PATIENCE, Client, Clients
from iothub_mqtt.testing import Hub

MakeDevice = Callable[..., Client]

MARGIN = 120
"""Seconds before the end of a token at which the SDK renews it."""


def test_a_drop_is_mended(hub: Hub, device: MakeDevice) -> None:
    client = device(connection_retry_interval=1)
    states = client.collect("on_connection_state_change")
    received = client.collect("on_message_received")
    hub.events.wait(event="subscribed", device="d")
    hub.fault("drop", "d")
    hub.send("d", "meanwhile")
    connected = hub.events.wait_many(2, event="connected", device="d")
    assert connected[1]["session_present"] is True
    assert received.get(timeout=PATIENCE).data == b"meanwhile"
    client.do("send_message", "after")
    assert hub.events.wait(event="telemetry", device="d")["body"] == "after"
    for _ in range(3):
        states.get(timeout=PATIENCE)


def test_a_message_on_its_way_is_sent_again(hub: Hub, device: MakeDevice) -> None:
    client = device(connection_retry_interval=1)
    client.do("connect")
    hub.fault("drop", "d", after_messages=1)
    # The hub takes it and does not acknowledge it; the SDK sends it again on the next connection.
    client.do("send_message", "twice")
    events = hub.events.wait_many(2, event="telemetry", device="d")
    assert [event["body"] for event in events] == ["twice", "twice"]
    assert events[1]["properties"] == {"mqtt-dup": "true"}


def test_an_outage_is_waited_out(hub: Hub, device: MakeDevice) -> None:
    client = device(connection_retry_interval=1)
    client.do("connect")
    hub.fault("refuse", "d", count=2, code=3)
    hub.fault("drop", "d")
    hub.events.wait_many(2, event="refused", device="d", return_code=3)
    hub.events.wait_many(2, event="connected", device="d")
    client.do("send_message", "in the end")
    assert hub.events.wait(event="telemetry", device="d")["body"] == "in the end"


def test_a_lost_session_loses_no_subscription(hub: Hub, device: MakeDevice) -> None:
    """The SDK subscribes once in its life: a hub that forgets the session is one that it does not hear any more.

    What it sends still arrives, so the connection is as good as the SDK can have it.
    """
    client = device(connection_retry_interval=1)
    client.collect("on_message_received")
    hub.events.wait(event="subscribed", device="d")
    hub.fault("lose_session", "d")
    assert hub.events.wait_many(2, event="connected", device="d")[1]["session_present"] is False
    client.do("send_message", "still here")
    hub.events.wait(event="telemetry", device="d", body="still here")


@pytest.mark.parametrize("code", [4, 5])
def test_a_refusal_is_told(hub: Hub, device: MakeDevice, code: int) -> None:
    hub.fault("refuse", "d", count=1, code=code)
    client = device(connection_retry=False)
    with pytest.raises(exceptions.CredentialError):
        client.do("connect")
    assert hub.events.wait(event="refused", device="d")["return_code"] == code
    # Another client: the SDK's own second attempt may fall over the end of its first.
    device().do("connect")


def test_a_wrong_key(hub: Hub, clients: Clients) -> None:
    wrong = hub.connection_string("d").replace(hub.key("d"), "d3JvbmcgYnV0IGdvb2QgYmFzZTY0IQ==")
    client = clients.device(wrong, hub.ca_pem)
    with pytest.raises(exceptions.CredentialError):
        client.do("connect")
    refused = hub.events.wait(event="refused", device="d")
    assert (refused["return_code"], "neither key" in refused["reason"]) == (5, True)


def test_an_authority_that_nobody_trusts(hub: Hub, clients: Clients, start: Any) -> None:
    other = start()
    client = clients.device(hub.connection_string("d"), other.ca_pem, connection_retry=False)
    with pytest.raises(exceptions.ClientError):
        client.do("connect")
    assert not hub.events.all(event="connected")


def test_another_client_takes_over(hub: Hub, device: MakeDevice) -> None:
    first = device(connection_retry=False)
    first.do("connect")
    second = device(connection_retry=False)
    second.do("connect")
    hub.events.wait(event="disconnected", device="d", code="taken_over")
    second.do("send_message", "mine")
    assert hub.events.wait(event="telemetry")["body"] == "mine"


def test_tokens_are_renewed(hub: Hub, device: MakeDevice) -> None:
    client = device(sastoken_ttl=MARGIN + 1)
    received = client.collect("on_message_received")
    connected = hub.events.wait_many(3, event="connected", device="d")
    assert [event["session_present"] for event in connected[:3]] == [False, True, True]
    ends = hub.events.wait_many(2, event="disconnected", device="d")
    assert {event["code"] for event in ends} == {"client"}
    hub.send("d", "still subscribed")
    assert received.get(timeout=PATIENCE).data == b"still subscribed"


def test_a_token_of_the_users(hub: Hub, clients: Clients) -> None:
    ca = hub.ca_pem
    client = clients.make(
        "IoTHubDeviceClient",
        "create_from_sastoken",
        hub.token("d", ttl=MARGIN + 1),
        server_verification_cert=ca,
    )
    wanted = client.collect("on_new_sastoken_required")
    client.do("send_message", "first")
    wanted.get(timeout=PATIENCE)
    client.do("update_sastoken", hub.token("d"))
    hub.events.wait_many(2, event="connected", device="d")
    client.do("send_message", "second")
    events = hub.events.wait_many(2, event="telemetry", device="d")
    assert [event["body"] for event in events] == ["first", "second"]


def test_disconnecting_and_connecting_again(hub: Hub, device: MakeDevice) -> None:
    client = device()
    for number in range(3):
        client.do("connect")
        client.do("send_message", str(number))
        client.do("disconnect")
        assert not client.sdk.connected
    ends = hub.events.wait_many(3, event="disconnected", device="d")
    assert [event["code"] for event in ends] == ["client"] * 3


def test_a_key_of_a_policy(hub: Hub, clients: Clients) -> None:
    """A service that speaks for a device uses the hub's own key."""
    policy = dict(part.split("=", 1) for part in hub.service_connection_string.split(";"))
    from iothub_mqtt.testing import sas_token

    token = sas_token(
        f"{hub.name}/devices/d", policy["SharedAccessKey"], policy=policy["SharedAccessKeyName"]
    )
    client = clients.make(
        "IoTHubDeviceClient", "create_from_sastoken", token, server_verification_cert=hub.ca_pem
    )
    client.do("send_message", "by policy")
    event = hub.events.wait(event="telemetry", device="d")
    method = '{"scope":"hub","type":"sas","issuer":"iothub"}'
    assert event["system"]["iothub-connection-auth-method"] == method


def test_threads_share_a_client(hub: Hub, device: MakeDevice) -> None:
    client = device()
    client.do("connect")

    def send(thread: int) -> None:
        for number in range(10):
            client.do("send_message", f"{thread}:{number}")

    threads = [threading.Thread(target=send, args=(thread,)) for thread in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bodies = [event["body"] for event in hub.events.wait_many(50, event="telemetry", device="d")]
    for thread in range(5):
        own = [body for body in bodies if body.startswith(f"{thread}:")]
        assert own == [f"{thread}:{number}" for number in range(10)]
