"""What callbacks are called with, when, and where."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from iothub_mqtt import client as mqtt
from iothub_mqtt.testing import Hub
from peers import Broker, username
from recorder import Recorder

V1 = mqtt.CallbackAPIVersion.VERSION1
V2 = mqtt.CallbackAPIVersion.VERSION2


def connected(broker: Broker, client: mqtt.Client) -> Recorder:
    recorder = Recorder(client)
    client.connect("localhost", broker.port)
    client.loop_start()
    return recorder


@pytest.fixture
def clients() -> Iterator[list[mqtt.Client]]:
    made: list[mqtt.Client] = []
    yield made
    for client in made:
        client.disconnect()
        client.loop_stop()


def test_version1(broker: Broker, clients: list[mqtt.Client]) -> None:
    client = mqtt.Client("v1")
    clients.append(client)
    recorder = connected(broker, client)
    assert recorder.wait("connect") == ({"session present": 0}, 0)
    rc, mid = client.subscribe([("v1/a", 1), ("v1/b", 0)])
    assert (rc, recorder.wait("subscribe")) == (mqtt.MQTT_ERR_SUCCESS, (mid, (1, 0)))
    info = client.publish("v1/a", "text", qos=1)
    assert recorder.wait("publish") == (info.mid,)
    (message,) = recorder.wait("message")
    assert (message.topic, message.payload, message.qos) == ("v1/a", b"text", 1)
    assert (message.retain, message.dup) == (False, False)
    rc, mid = client.unsubscribe("v1/a")
    assert recorder.wait("unsubscribe") == (mid,)
    client.disconnect()
    (rc,) = recorder.wait("disconnect")
    assert (rc, str(rc)) == (0, "0")


def test_version2(broker: Broker, clients: list[mqtt.Client]) -> None:
    client = mqtt.Client(V2, "v2")
    clients.append(client)
    recorder = connected(broker, client)
    flags, reason, properties = recorder.wait("connect")
    assert flags == mqtt.ConnectFlags(session_present=False)
    assert reason == 0 and reason == "Success" and not reason.is_failure
    assert isinstance(properties, mqtt.Properties) and properties.isEmpty()
    _, mid = client.subscribe("v2/#", 2)
    seen, reasons, _ = recorder.wait("subscribe")
    assert (seen, reasons) == (mid, ["Granted QoS 2"])
    info = client.publish("v2/a", b"x", 1)
    seen, reason, _ = recorder.wait("publish")
    assert (seen, reason) == (info.mid, "Success")
    _, mid = client.unsubscribe(["v2/#"])
    seen, reasons, _ = recorder.wait("unsubscribe")
    assert (seen, reasons) == (mid, [])
    client.disconnect()
    flags, reason, _ = recorder.wait("disconnect")
    assert flags == mqtt.DisconnectFlags(is_disconnect_packet_from_server=False)
    assert reason == "Normal disconnection" and reason == 0


@pytest.mark.parametrize(
    ("version", "arguments"),
    [(V1, ({"session present": 0}, 5)), (V2, (mqtt.ConnectFlags(False), "Not authorized"))],
)
def test_a_refused_connection(
    version: mqtt.CallbackAPIVersion, arguments: Any, hub: Hub, device: str, clients: list[mqtt.Client]
) -> None:
    client = mqtt.Client(version, device, iothub=True)
    clients.append(client)
    recorder = Recorder(client)
    client.username_pw_set(username(hub, device), "SharedAccessSignature sr=x&sig=eA%3D%3D&se=1")
    client.tls_set(str(hub.ca))
    client.connect(hub.host, hub.mqtt_port)
    client.loop_start()
    assert recorder.wait("connect")[:2] == arguments
    rc = recorder.wait("disconnect")
    assert rc == (5,) if version is V1 else rc[1] == 128
    assert recorder.order[:2] == ["connect", "disconnect"]
    assert not client.is_connected()


def test_nothing_is_dispatched_until_somebody_loops(broker: Broker) -> None:
    client = mqtt.Client("idle")
    recorder = Recorder(client)
    client.connect("localhost", broker.port)
    assert not client.is_connected() and recorder.order == []
    while recorder.is_empty("connect"):
        assert client.loop() == mqtt.MQTT_ERR_SUCCESS
    assert client.is_connected()
    assert recorder.threads == {threading.current_thread()}
    client.disconnect()
    assert recorder.wait("disconnect") == (0,)
    assert not client.is_connected()


def test_callbacks_are_looked_up_when_they_are_called(broker: Broker, clients: list[mqtt.Client]) -> None:
    class Device(mqtt.Client):
        greeting = "hello"

        def __init__(self, name: str, answers: list[str]) -> None:
            super().__init__(V2, name)
            self.answers = answers
            self.done = threading.Event()

        def on_connect(self, client: mqtt.Client, userdata: Any, *_: Any) -> None:
            assert client is self
            self.answers.append(self.greeting)
            self.done.set()

    answers: list[str] = []
    device = Device("subclass", answers)
    clients.append(device)
    device.connect("localhost", broker.port)
    device.loop_start()
    assert device.done.wait(10)
    assert answers == ["hello"]


def test_attributes_of_the_class_and_of_the_instance() -> None:
    mqtt.Client.connected_flag = False  # type: ignore[attr-defined]
    try:
        client = mqtt.Client()
        client.anything = 1  # type: ignore[attr-defined]
        assert client.connected_flag is False  # type: ignore[attr-defined]
    finally:
        del mqtt.Client.connected_flag  # type: ignore[attr-defined]


def test_decorators(broker: Broker, clients: list[mqtt.Client]) -> None:
    client = mqtt.Client(V2, "decorated", userdata={"seen": []})
    clients.append(client)
    done = threading.Event()

    @client.connect_callback()
    def _connected(client: mqtt.Client, userdata: Any, *_: Any) -> None:
        client.subscribe("decorated/#")

    @client.subscribe_callback()
    def _subscribed(client: mqtt.Client, *_: Any) -> None:
        client.publish("decorated/one", "1")
        client.publish("decorated/two", "2")

    @client.topic_callback("decorated/one")
    def _one(client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
        userdata["seen"].append(("one", message.topic))

    @client.message_callback()
    def _other(client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
        userdata["seen"].append(("other", message.topic))
        done.set()

    client.connect("localhost", broker.port)
    client.loop_start()
    assert done.wait(10)
    assert client.user_data_get()["seen"] == [("one", "decorated/one"), ("other", "decorated/two")]


def test_filters_of_message_callbacks(broker: Broker, clients: list[mqtt.Client]) -> None:
    client = mqtt.Client(V2, "filters")
    clients.append(client)
    recorder = connected(broker, client)
    recorder.wait("connect")
    client.subscribe("f/#")
    recorder.wait("subscribe")
    seen: list[str] = []
    for name in ("f/+", "f/a", "f/b/#"):
        client.message_callback_add(name, lambda _c, _u, _m, name=name: seen.append(name))
    for topic in ("f/a", "f/b", "f/b/c", "f/x/y"):
        client.publish(topic)
    (message,) = recorder.wait("message")
    assert message.topic == "f/x/y"
    assert sorted(seen) == ["f/+", "f/+", "f/a", "f/b/#", "f/b/#"]
    client.message_callback_remove("f/+")
    client.message_callback_remove("never/added")
    client.publish("f/q")
    (message,) = recorder.wait("message")
    assert message.topic == "f/q"


def test_no_lock_is_held_in_a_callback(broker: Broker, clients: list[mqtt.Client]) -> None:
    """Another thread may use the client while a callback waits for that thread."""
    client = mqtt.Client(V2, "unlocked")
    clients.append(client)
    done = threading.Event()

    def use() -> None:
        client.publish("unlocked", "x")
        client.subscribe("unlocked")
        client.message_callback_add("unlocked", lambda *_: None)
        client.is_connected()
        client.want_write()
        done.set()

    outcome: list[bool] = []
    finished = threading.Event()

    def on_connect(*_: Any) -> None:
        thread = threading.Thread(target=use)
        thread.start()
        outcome.append(done.wait(10))
        thread.join()
        finished.set()

    client.on_connect = on_connect
    client.connect("localhost", broker.port)
    client.loop_start()
    assert finished.wait(20) and outcome == [True]


def test_wait_for_publish_inside_a_callback_is_refused(broker: Broker, clients: list[mqtt.Client]) -> None:
    client = mqtt.Client(V2, "inside")
    clients.append(client)
    errors: list[BaseException] = []
    finished = threading.Event()

    def on_connect(*_: Any) -> None:
        try:
            client.publish("inside", qos=1).wait_for_publish()
        except RuntimeError as error:
            errors.append(error)
        finished.set()

    client.on_connect = on_connect
    client.connect("localhost", broker.port)
    client.loop_start()
    assert finished.wait(10)
    assert "callback" in str(errors[0])


def test_logging(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    client = mqtt.Client("logged")
    lines: list[tuple[int, str]] = []
    client.on_log = lambda _c, _u, level, text: lines.append((level, text))
    client.enable_logger()
    client.username_pw_set("somebody", "very-secret-password")
    client.will_set("logged/will", "very-secret-will")
    with caplog.at_level("DEBUG", "iothub_mqtt"):
        client.connect("localhost", broker.port)
        client.publish("logged", "very-secret-payload", 1)
        while not client.is_connected():
            client.loop()
        client.disconnect()
    text = "\n".join(line for _, line in lines) + caplog.text + repr(client)
    assert "CONNECT" in text and "PUBLISH" in text and "CONNACK" in text
    assert "very-secret" not in text
    assert {level for level, _ in lines} <= set(mqtt.LOGGING_LEVEL)
