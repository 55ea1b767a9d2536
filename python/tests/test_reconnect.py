"""Connections that are lost, refused, silent or made again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from iothub_mqtt import client as mqtt
from iothub_mqtt.backoff import Backoff
from iothub_mqtt.testing import Hub
from peers import PATIENCE, Broker
from recorder import Recorder
from test_messages import device_client

V2 = mqtt.CallbackAPIVersion.VERSION2


@pytest.fixture
def connected(hub: Hub, device: str) -> Iterator[tuple[str, mqtt.Client, Recorder]]:
    client = device_client(hub, device, clean_session=False)
    client.reconnect_delay_set(0.01, 0.05)  # type: ignore[arg-type]
    recorder = Recorder(client)
    client.connect(hub.host, hub.mqtt_port)
    client.loop_start()
    recorder.wait("connect")
    yield device, client, recorder
    client.disconnect()
    client.loop_stop()


def test_a_drop(hub: Hub, connected: tuple[str, mqtt.Client, Recorder]) -> None:
    name, client, recorder = connected
    hub.fault("drop", name)
    _, reason, _ = recorder.wait("disconnect")
    assert reason == "Unspecified error"
    recorder.wait("connect")
    client.publish(f"devices/{name}/messages/events/", "again", 1).wait_for_publish(PATIENCE)
    telemetry = hub.events.wait(event="telemetry", device=name)
    assert telemetry["body"] == "again"


def test_nothing_is_lost_and_the_order_stays(hub: Hub, connected: tuple[str, mqtt.Client, Recorder]) -> None:
    name, client, recorder = connected
    hub.fault("drop", name, after_messages=7, count=3)
    infos = [client.publish(f"devices/{name}/messages/events/", str(n), 1) for n in range(60)]
    acknowledged = [recorder.wait("publish")[0] for _ in infos]
    assert acknowledged == [info.mid for info in infos]
    for info in infos:
        info.wait_for_publish(PATIENCE)
        assert info.rc == mqtt.MQTT_ERR_SUCCESS
    # The hub acknowledges before its events reach this process.
    hub.events.wait(event="telemetry", device=name, body="59")
    bodies = [int(t["body"]) for t in hub.events.all(event="telemetry", device=name)]
    assert sorted(set(bodies)) == list(range(60))
    firsts = [body for at, body in enumerate(bodies) if body not in bodies[:at]]
    assert firsts == list(range(60))
    assert recorder.order.count("disconnect") == 3


def test_a_connection_that_is_taken_over(hub: Hub, connected: tuple[str, mqtt.Client, Recorder]) -> None:
    name, client, recorder = connected
    hub.fault("take_over", name)
    recorder.wait("disconnect")
    recorder.wait("connect")


def test_refusals_are_tried_again(hub: Hub, connected: tuple[str, mqtt.Client, Recorder]) -> None:
    name, client, recorder = connected
    hub.fault("refuse", name, count=2, code=3)
    hub.fault("drop", name)
    assert recorder.wait("disconnect")[1] == 128
    for _ in range(2):
        assert recorder.wait("connect")[1] == "Server unavailable"
        assert recorder.wait("disconnect")[1] == 128
    assert recorder.wait("connect")[1] == "Success"


def test_bytes_that_are_no_mqtt(hub: Hub, connected: tuple[str, mqtt.Client, Recorder]) -> None:
    name, client, recorder = connected
    hub.fault("corrupt", name)
    assert recorder.wait("disconnect")[1] == "Protocol error"
    recorder.wait("connect")


def test_reconnect_in_on_disconnect_makes_one_connection(hub: Hub, device: str) -> None:
    client = device_client(hub, device)
    recorder = Recorder(client)
    client.on_disconnect = lambda client, *_: client.reconnect()
    client.connect(hub.host, hub.mqtt_port)
    client.loop_start()
    recorder.wait("connect")
    hub.fault("drop", device)
    recorder.wait("connect")
    client.publish(f"devices/{device}/messages/events/", qos=1).wait_for_publish(PATIENCE)
    client.on_disconnect = None
    client.disconnect()
    client.loop_stop()
    assert len(hub.events.wait_many(2, event="connected", device=device)) == 2


def test_no_reconnect_where_it_is_not_wanted(hub: Hub, device: str) -> None:
    client = device_client(hub, device, reconnect_on_failure=False)
    client.on_connect = lambda *_: hub.fault("drop", device)
    client.connect(hub.host, hub.mqtt_port)
    assert client.loop_forever() == mqtt.MQTT_ERR_CONN_LOST


def test_a_server_that_says_nothing(broker: Broker) -> None:
    """An accepted socket is no connection; disconnect() still ends the loop."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = mqtt.Client(V2, "silent")
        client.connect("localhost", server.getsockname()[1])
        client.loop_start()
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1024)[:1] == b"\x10"
            assert not client.is_connected()
            client.disconnect()
            rest = b""
            while part := connection.recv(1024):
                rest += part
                if rest.endswith(b"\xe0\x00"):
                    connection.close()
                    break
            assert rest == b"\xe0\x00"
        client.loop_stop()
    assert client.socket() is None


def test_start_before_connect_opens_one_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = mqtt.Client(V2, "once")
        client.loop_start()
        accepted: list[socket.socket] = []
        first = threading.Event()

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                accepted.append(connection)
                connection.recv(1024)
                connection.sendall(b"\x20\x02\x00\x00")
                first.set()

        thread = threading.Thread(target=accept)
        thread.start()
        recorder = Recorder(client)
        client.connect("localhost", server.getsockname()[1])
        recorder.wait("connect")
        assert first.wait(PATIENCE)
        accepted[0].close()
        client.disconnect()
        client.loop_stop()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)
        assert len(accepted) == 1


def test_backoff() -> None:
    backoff = Backoff(1, 10)
    assert [backoff.next() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    backoff.reset()
    assert backoff.next() == 1


def test_properties_cannot_change_while_connected(broker: Broker) -> None:
    client = mqtt.Client(V2, "fixed")
    client.host, client.port = "localhost", broker.port
    recorder = Recorder(client)
    assert client.reconnect() == mqtt.MQTT_ERR_SUCCESS
    values: dict[str, Any] = {"host": "x", "port": 1, "keepalive": 1, "username": "x", "connect_timeout": 1}
    for name, value in values.items():
        with pytest.raises(RuntimeError):
            setattr(client, name, value)
    client.disconnect()
    client.host = "127.0.0.1"
    assert recorder.wait("disconnect")
