"""What is refused, how it is said, and that nothing is sent."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from iothub_mqtt import client as mqtt
from iothub_mqtt.exception import MQTTException
from peers import Broker

V1 = mqtt.CallbackAPIVersion.VERSION1
V2 = mqtt.CallbackAPIVersion.VERSION2


@pytest.mark.parametrize(
    ("arguments", "keywords", "version", "client_id"),
    [
        ((), {}, V1, ""),
        (("dev",), {}, V1, "dev"),
        ((b"dev", False), {}, V1, "dev"),
        ((None,), {}, V1, ""),
        (("dev", True, {"a": 1}, mqtt.MQTTv311, "tcp", True), {}, V1, "dev"),
        ((), {"client_id": "dev", "protocol": mqtt.MQTTv311}, V1, "dev"),
        ((), {"protocol": mqtt.MQTTv311}, V1, ""),
        (("dev",), {"clean_session": False}, V1, "dev"),
        ((V1, "dev"), {}, V1, "dev"),
        ((V2,), {}, V2, ""),
        ((V2, "dev", True, None, 4, "TCP", True, True), {}, V2, "dev"),
        ((), {"callback_api_version": V2, "client_id": "dev"}, V2, "dev"),
    ],
)
def test_the_first_argument_decides_the_generation(
    arguments: Any, keywords: Any, version: mqtt.CallbackAPIVersion, client_id: str
) -> None:
    client = mqtt.Client(*arguments, **keywords)
    assert (client.callback_api_version, client._client_id) == (version, client_id.encode())
    assert client.protocol == mqtt.MQTTv311


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"protocol": mqtt.MQTTv5}, "3.1.1"),
        ({"protocol": mqtt.MQTTv31}, "3.1.1"),
        ({"transport": "unix"}, "transport"),
        ({"clean_session": False}, "client id"),
        ({"callback_api_version": 3}, "callback API version"),
    ],
)
def test_constructor(arguments: Any, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        mqtt.Client(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("",), ValueError),
        ((None,), ValueError),
        (("a/#",), ValueError),
        (("a/+/b",), ValueError),
        (("x" * 65_536,), ValueError),
        (("a", "x", 3), ValueError),
        (("a", "x", -1), ValueError),
        (("a", "x", 2), ValueError),
        (("a", object()), TypeError),
        (("a", {"not": "bytes"}), TypeError),
        (("a", ["x"]), TypeError),
    ],
)
def test_publish(arguments: Any, error: type[Exception]) -> None:
    client = mqtt.Client()
    with pytest.raises(error):
        client.publish(*arguments)
    # The packet id was not used up.
    assert client.publish("a", qos=1).mid == 1


@pytest.mark.parametrize(
    "arguments",
    [("",), (None,), ([],), ("a#/b",), ("#/",), ("a/b+",), ("a", 3), ("a", -1), ([("a", 3)],), ([("", 0)],)],
)
def test_subscribe(arguments: Any) -> None:
    with pytest.raises(ValueError):
        mqtt.Client().subscribe(*arguments)


@pytest.mark.parametrize("topic", ["", None, [], ["a", ""], "a#"])
def test_unsubscribe(topic: Any) -> None:
    with pytest.raises(ValueError):
        mqtt.Client().unsubscribe(topic)


@pytest.mark.parametrize(
    "arguments",
    [
        {"host": ""},
        {"host": "localhost", "port": 0},
        {"host": "localhost", "port": -1},
        {"host": "localhost", "keepalive": -1},
        {"host": "localhost", "keepalive": 65_536},
        {"host": "localhost", "bind_port": -1},
        {"host": "localhost", "clean_start": True},
        {"host": "localhost", "properties": mqtt.Properties(1)},
    ],
)
def test_connect(arguments: Any) -> None:
    client = mqtt.Client()
    with pytest.raises(ValueError):
        client.connect(**arguments)
    with pytest.raises(ValueError):
        client.connect_async(**arguments)


def test_other_arguments() -> None:
    client = mqtt.Client()
    for call in (
        client.reconnect,
        lambda: client.loop(-1),
        lambda: client.max_inflight_messages_set(-1),
        lambda: client.max_queued_messages_set(-1),
        lambda: client.tls_insecure_set(True),
        lambda: client.will_set(""),
        lambda: client.will_set("a", qos=3),
        lambda: client.will_set("a/#"),
        lambda: client.will_set("a", "x" * 65_536),
        lambda: client.message_callback_add(None, print),  # type: ignore[arg-type]
        lambda: client.message_callback_add("a", None),  # type: ignore[arg-type]
        lambda: client.connect_srv("example.com"),
        lambda: client.enable_bridge_mode(),
        lambda: client.disconnect(reasoncode=4),
    ):
        with pytest.raises(ValueError):
            call()


def test_plain_tcp_is_for_loopback_addresses(broker: Broker) -> None:
    for host in ("192.0.2.1", "2001:db8::1"):
        with pytest.raises(ValueError, match="tls_set"):
            mqtt.Client().connect(host)
    for host in ("localhost", "127.0.0.1"):
        client = mqtt.Client("plain")
        assert client.connect(host, broker.port) == mqtt.MQTT_ERR_SUCCESS
        client.disconnect()


class TestHub:
    """The rules that hold where the peer is an IoT Hub."""

    @pytest.fixture(params=[("h.azure-devices.net", None), ("H.Azure-Devices.CN", None), ("localhost", True)])
    def client(self, request: pytest.FixtureRequest) -> mqtt.Client:
        host, iothub = request.param
        client = mqtt.Client("dev1", iothub=iothub)
        client.connect_async(host, 8883)
        return client

    def test_topics(self, client: mqtt.Client) -> None:
        for topic in ("devices/dev1/messages/events/", "devices/dev1/messages/events/a=b&%24.mid=1"):
            assert client.publish(topic, qos=1).mid
        for topic in ("anything", "devices/dev2/messages/events/", "$iothub/twin/GET/"):
            with pytest.raises(ValueError, match="topic"):
                client.publish(topic)
        with pytest.raises(ValueError, match="QoS 2"):
            client.publish("devices/dev1/messages/events/", qos=2)

    def test_filters(self, client: mqtt.Client) -> None:
        for good in ("devices/dev1/messages/devicebound/#", "$iothub/methods/POST/#"):
            assert client.subscribe(good, 2) == (mqtt.MQTT_ERR_NO_CONN, None)
        for bad in ("#", "devices/+/messages/devicebound/#", "devices/dev2/messages/devicebound/#"):
            with pytest.raises(ValueError, match="filter"):
                client.subscribe(bad)

    def test_identity(self) -> None:
        for client_id in ("", "a b", "a/b/c"):
            with pytest.raises(ValueError):
                mqtt.Client(client_id).connect("h.azure-devices.net", 8883)

    def test_it_can_be_switched_off(self) -> None:
        client = mqtt.Client("dev1", iothub=False)
        client.connect_async("h.azure-devices.net")
        assert client.publish("anything", qos=1).mid == 1

    def test_tls_is_needed_and_verified(self) -> None:
        client = mqtt.Client("dev1", iothub=True)
        client.tls_set()
        client.tls_insecure_set(True)
        with pytest.raises(ValueError, match="verified"):
            client.connect("localhost", 8883)

    def test_will(self, client: mqtt.Client) -> None:
        client.tls_set()
        client.will_set("elsewhere", "x")
        with pytest.raises(ValueError, match="topic"):
            client.reconnect()


def test_a_client_cannot_be_pickled_but_its_values_can() -> None:
    client = mqtt.Client("dev")
    for use in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="pickle"):
            use(client)
    message = mqtt.MQTTMessage(7, b"a/b")
    message.payload = b"x"
    again = pickle.loads(pickle.dumps(message))
    assert (again.mid, again.topic, again.payload) == (7, "a/b", b"x")
    for value in (
        mqtt.ConnectFlags(True),
        mqtt.DisconnectFlags(False),
        mqtt.ReasonCode(2),
        mqtt.MQTT_ERR_NO_CONN,
    ):
        assert pickle.loads(pickle.dumps(value)) == value


def test_secrets_are_not_shown() -> None:
    client = mqtt.Client("dev")
    client.username_pw_set("user", "the-password")
    client.will_set("will", "the-will")
    client.tls_set(keyfile_password="the-key")
    text = repr(client) + str(client) + repr(client._tls_settings) + repr(client._session) + repr(client._tls)
    for secret in ("the-password", "the-will", "the-key"):
        assert secret not in text
    assert repr(client) == "<Client dev at no host not connected>"


def test_reason_codes() -> None:
    code = mqtt.ReasonCode(mqtt.PacketTypes.CONNACK, identifier=135)
    assert code == 135 and code == "Not authorized" and code == mqtt.ReasonCode(9, "Not authorized")
    assert code > 0 and code.is_failure and code.value == 135 and hash(code) == hash(135)
    assert (str(code), code.getName(), code.json()) == ("Not authorized",) * 3
    assert repr(code) == "ReasonCode(Connack, 'Not authorized')"
    assert mqtt.ReasonCode(14) == 0 and str(mqtt.ReasonCode(14)) == "Normal disconnection"
    assert mqtt.ReasonCodes is mqtt.ReasonCode
    for arguments in ((2, "no such name"), (2, "x", 142)):
        with pytest.raises(KeyError):
            mqtt.ReasonCode(*arguments)


def test_mqtt_5_is_refused_when_used() -> None:
    properties = mqtt.Properties(mqtt.PacketTypes.PUBLISH)
    assert properties.isEmpty() and properties.json() == {}
    with pytest.raises(MQTTException, match="3.1.1"):
        properties.MessageExpiryInterval = 5
    with pytest.raises(MQTTException, match="3.1.1"):
        mqtt.SubscribeOptions(qos=1)
    with pytest.raises(ValueError, match="3.1.1"):
        mqtt.Client().publish("a", properties=properties)


@pytest.mark.parametrize(
    ("sub", "topic", "matches"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("+/+", "/b", True),
        ("+", "/b", False),
        ("#", "a/b", True),
        ("a/#", "a", True),
        ("a/#", "ab", False),
        ("#", "$iothub/x", False),
        ("+/x", "$iothub/x", False),
        ("$iothub/#", "$iothub/twin/res/200/?$rid=1", True),
        ("a/+/#", "a", False),
        ("a/+/#", "a/b", True),
    ],
)
def test_topic_matches_sub(sub: str, topic: str, matches: bool) -> None:
    assert mqtt.topic_matches_sub(sub, topic) is matches


def test_matcher_forgets_what_is_deleted() -> None:
    matcher: mqtt.MQTTMatcher[int] = mqtt.MQTTMatcher()
    for value, sub in enumerate(("a", "a/b", "a/b/c")):
        matcher[sub] = value
    del matcher["a/b"]
    assert list(matcher.iter_match("a/b")) == [] and matcher["a/b/c"] == 2 and matcher["a"] == 0
    del matcher["a/b/c"]
    assert matcher._root.children["a"].children == {}
    for missing in ("a/b", "x"):
        with pytest.raises(KeyError):
            del matcher[missing]


def test_texts() -> None:
    assert mqtt.connack_string(0) == "Connection Accepted."
    assert mqtt.connack_string(mqtt.ReasonCode(2, identifier=135)) == "Not authorized"
    assert mqtt.error_string(mqtt.MQTT_ERR_NO_CONN) != mqtt.error_string(99)
    assert json.dumps(mqtt.MQTT_ERR_NO_CONN) == "4"
