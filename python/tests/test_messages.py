"""Messages out and in: their ends, their sizes, their order."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from iothub_mqtt import client as mqtt
from iothub_mqtt.testing import Hub
from peers import PATIENCE, Broker, until, username
from recorder import Recorder

V2 = mqtt.CallbackAPIVersion.VERSION2


def device_client(hub: Hub, device: str, **options: Any) -> mqtt.Client:
    client = mqtt.Client(V2, device, iothub=True, **options)
    client.username_pw_set(username(hub, device), hub.token(device))
    client.tls_set(str(hub.ca))
    return client


def test_writes_need_no_loop(hub: Hub, device: str) -> None:
    client = device_client(hub, device)
    assert client.connect(hub.host, hub.mqtt_port) == mqtt.MQTT_ERR_SUCCESS
    topic = f"devices/{device}/messages/events/"
    assert client.publish(topic, "zero", 0).is_published()
    client.publish(topic, "one", 1)
    assert client.disconnect() == mqtt.MQTT_ERR_SUCCESS
    assert [t["body"] for t in hub.events.wait_many(2, event="telemetry", device=device)] == ["zero", "one"]
    end = hub.events.wait(event="disconnected", device=device)
    assert end["code"] != "lost"


def test_an_acknowledgement_counts_while_the_server_closes(hub: Hub, device: str) -> None:
    client = device_client(hub, device)
    client.connect(hub.host, hub.mqtt_port)
    until(client.is_connected, client.loop)
    info = client.publish(f"devices/{device}/messages/events/", "last", 1)
    client.disconnect()
    assert info.is_published()


@pytest.mark.parametrize("qos", [0, 1])
def test_a_thread_writes_what_another_publishes(hub: Hub, device: str, qos: int) -> None:
    client = device_client(hub, device)
    recorder = Recorder(client)
    client.connect(hub.host, hub.mqtt_port)
    client.loop_start()
    recorder.wait("connect")
    info = client.publish(f"devices/{device}/messages/events/", b"x", qos)
    info.wait_for_publish(PATIENCE)
    assert info.is_published() and tuple(info) == (0, info.mid)
    assert recorder.wait("publish")[0] == info.mid
    client.disconnect()
    client.loop_stop()


def test_many_threads_and_every_acknowledgement(hub: Hub, device: str) -> None:
    client = device_client(hub, device)
    recorder = Recorder(client)
    client.connect(hub.host, hub.mqtt_port)
    client.loop_start()
    each, threads = 100, 8
    infos: list[mqtt.MQTTMessageInfo] = []

    def publish(number: int) -> None:
        for n in range(each):
            infos.append(client.publish(f"devices/{device}/messages/events/", f"{number}:{n}", 1))

    workers = [threading.Thread(target=publish, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for info in infos:
        info.wait_for_publish(PATIENCE)
        assert info.is_published()
    acknowledged = sorted(recorder.wait("publish")[0] for _ in infos)
    assert acknowledged == sorted(info.mid for info in infos) and len(set(acknowledged)) == each * threads
    client.disconnect()
    client.loop_stop()
    bodies = [t["body"] for t in hub.events.wait_many(each * threads, event="telemetry", device=device)]
    for number in range(threads):
        assert [b for b in bodies if b.startswith(f"{number}:")] == [f"{number}:{n}" for n in range(each)]


def test_large_messages_both_ways(broker: Broker) -> None:
    client = mqtt.Client(V2, "large")
    recorder = Recorder(client)
    client.connect("localhost", broker.port)
    client.loop_start()
    client.subscribe("large", 1)
    recorder.wait("subscribe")
    payload = bytes(range(256)) * 20_000
    client.publish("large", payload, 1)
    (message,) = recorder.wait("message")
    assert message.payload == payload
    client.disconnect()
    client.loop_stop()


def test_a_message_of_the_largest_size_for_the_hub(hub: Hub, device: str) -> None:
    client = device_client(hub, device)
    client.connect(hub.host, hub.mqtt_port)
    client.loop_start()
    topic = f"devices/{device}/messages/events/"
    info = client.publish(topic, b"x" * 262_144, 1)
    info.wait_for_publish(PATIENCE)
    assert info.is_published()
    with pytest.raises(ValueError, match="262144"):
        client.publish(topic, b"x" * 262_145, 1)
    client.disconnect()
    client.loop_stop()


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (None, b""),
        ("\u00fc", "\u00fc".encode()),
        (b"\x00\xff", b"\x00\xff"),
        (bytearray(b"ab"), b"ab"),
        (7, b"7"),
        (1.5, b"1.5"),
    ],
)
def test_payloads(broker: Broker, payload: Any, expected: bytes) -> None:
    client = mqtt.Client(V2, "payloads")
    recorder = Recorder(client)
    client.connect("localhost", broker.port)
    client.subscribe("payloads")
    client.publish("payloads", payload)
    until(lambda: not recorder.is_empty("message"), client.loop)
    assert recorder.wait("message")[0].payload == expected
    client.disconnect()


def test_offline_messages(broker: Broker) -> None:
    client = mqtt.Client(V2, "offline")
    recorder = Recorder(client)
    lost = client.publish("offline", "lost", 0)
    assert lost.rc == mqtt.MQTT_ERR_NO_CONN
    kept = client.publish("offline", "kept", 1)
    assert (kept.rc, kept.mid) == (mqtt.MQTT_ERR_NO_CONN, 1)
    with pytest.raises(RuntimeError):
        kept.is_published()
    assert client.subscribe("offline") == (mqtt.MQTT_ERR_NO_CONN, None)
    client.connect("localhost", broker.port)
    client.loop_start()
    assert recorder.wait("publish")[0] == kept.mid
    kept.wait_for_publish(PATIENCE)
    assert kept.rc == mqtt.MQTT_ERR_SUCCESS and kept.is_published()
    client.disconnect()
    client.loop_stop()


def test_a_full_queue(broker: Broker) -> None:
    client = mqtt.Client(V2, "full")
    client.max_queued_messages_set(2)
    assert client.publish("full", "1", 1).rc == mqtt.MQTT_ERR_NO_CONN
    assert client.publish("full", "2", 1).rc == mqtt.MQTT_ERR_NO_CONN
    refused = client.publish("full", "3", 1)
    assert refused.rc == mqtt.MQTT_ERR_QUEUE_SIZE
    with pytest.raises(ValueError):
        refused.wait_for_publish()


def test_will_and_retain(broker: Broker) -> None:
    watcher = mqtt.Client(V2, "watcher")
    seen = Recorder(watcher)
    watcher.connect("localhost", broker.port)
    watcher.loop_start()
    watcher.subscribe("will/#", 1)
    seen.wait("subscribe")
    dying = mqtt.Client(V2, "dying")
    dying.will_set("will/dying", "gone", 1, retain=True)
    assert (dying.will_topic, dying.will_payload) == ("will/dying", b"gone")
    dying.connect("localhost", broker.port)
    until(dying.is_connected, dying.loop)
    sock = dying.socket()
    assert sock is not None
    sock.shutdown(2)
    (message,) = seen.wait("message")
    assert (message.topic, message.payload, message.qos) == ("will/dying", b"gone", 1)
    late = mqtt.Client(V2, "late")
    seen_late = Recorder(late)
    late.connect("localhost", broker.port)
    late.subscribe("will/#")
    until(lambda: not seen_late.is_empty("message"), late.loop)
    assert seen_late.wait("message")[0].retain is True
    late.publish("will/dying", None, retain=True)
    late.disconnect()
    watcher.disconnect()
    watcher.loop_stop()


def test_cloud_to_device_is_acknowledged_after_the_callback(hub: Hub, device: str) -> None:
    client = device_client(hub, device, clean_session=False)
    recorder = Recorder(client)
    settled: list[bool] = []

    def on_message(client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
        settled.append(bool(hub.events.all(event="c2d", device=device, state="completed")))
        assert message.payload == b"do it"

    client.on_message = on_message
    client.connect(hub.host, hub.mqtt_port)
    client.loop_start()
    client.subscribe(f"devices/{device}/messages/devicebound/#", 1)
    recorder.wait("subscribe")
    hub.send(device, b"do it", properties={"kind": "x"})
    hub.events.wait(event="c2d", device=device, state="completed")
    assert settled == [False]
    client.disconnect()
    client.loop_stop()


def test_manual_acknowledgement(hub: Hub, device: str) -> None:
    client = device_client(hub, device, clean_session=False, manual_ack=True)
    recorder = Recorder(client)
    client.connect(hub.host, hub.mqtt_port)
    client.loop_start()
    client.subscribe(f"devices/{device}/messages/devicebound/#", 1)
    recorder.wait("subscribe")
    hub.send(device, b"first")
    (message,) = recorder.wait("message")
    assert not hub.events.all(event="c2d", device=device, state="completed")
    assert client.ack(message.mid, message.qos) == mqtt.MQTT_ERR_SUCCESS
    hub.events.wait(event="c2d", device=device, state="completed")
    assert client.ack(message.mid, message.qos) == mqtt.MQTT_ERR_NOT_FOUND
    client.disconnect()
    client.loop_stop()


def test_message_info_is_a_pair() -> None:
    info = mqtt.Client().publish("offline", qos=1)
    rc, mid = info
    assert (info[0], info[1]) == (rc, mid) == (mqtt.MQTT_ERR_NO_CONN, 1)
    with pytest.raises(IndexError):
        info[2]
