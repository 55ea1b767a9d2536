"""TLS: what is verified, with what errors, and by which of the two implementations."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from iothub_mqtt import client as mqtt
from iothub_mqtt.carrier import DescriptorCarrier, SslCarrier
from peers import PATIENCE, Broker, until

V2 = mqtt.CallbackAPIVersion.VERSION2


def round_trip(client: mqtt.Client, port: int, host: str = "localhost") -> type:
    """Connect, exchange a large message, and return what carried it."""
    received: list[bytes] = []
    client.on_message = lambda _c, _u, message: received.append(message.payload)
    client.connect(host, port)
    carrier = type(client._carrier)
    topic = client._client_id.decode()
    client.subscribe(topic, 1)
    payload = b"0123456789abcdef" * 20_000
    info = client.publish(topic, payload, 1)
    until(lambda: bool(received) and info.is_published(), client.loop)
    assert received == [payload]
    client.disconnect()
    return carrier


def settings(broker: Broker) -> dict[str, dict[str, Any]]:
    ca = str(broker.certificates.ca)
    return {
        "plain": {"ca_certs": ca},
        "required": {"ca_certs": ca, "cert_reqs": ssl.CERT_REQUIRED, "tls_version": ssl.PROTOCOL_TLS_CLIENT},
        "tls12": {"ca_certs": ca, "tls_version": ssl.PROTOCOL_TLSv1_2},
        "ciphers": {"ca_certs": ca, "ciphers": "ECDHE+AESGCM"},
        "alpn": {"ca_certs": ca, "alpn_protocols": ["mqtt"]},
        "unverified": {"cert_reqs": ssl.CERT_NONE},
    }


@pytest.mark.parametrize(
    ("name", "carrier"),
    [
        ("plain", DescriptorCarrier),
        ("required", DescriptorCarrier),
        ("tls12", SslCarrier),
        ("ciphers", SslCarrier),
        ("alpn", SslCarrier),
        ("unverified", SslCarrier),
    ],
)
def test_settings(broker: Broker, name: str, carrier: type) -> None:
    client = mqtt.Client(V2, f"tls-{name}")
    client.tls_set(**settings(broker)[name])
    assert round_trip(client, broker.tls_port) is carrier


def test_a_context_of_the_caller(broker: Broker) -> None:
    context = ssl.create_default_context(cafile=str(broker.certificates.ca))
    client = mqtt.Client(V2, "tls-context")
    client.tls_set_context(context)
    assert round_trip(client, broker.tls_port) is SslCarrier


@pytest.mark.parametrize("kind", ["native", "context", "encrypted"])
def test_client_certificates(broker: Broker, kind: str) -> None:
    certificates = broker.certificates
    client = mqtt.Client(V2, f"tls-client-{kind}")
    if kind == "context":
        context = ssl.create_default_context(cafile=str(certificates.ca))
        context.load_cert_chain(certificates.client, certificates.client_key)
        client.tls_set_context(context)
    elif kind == "encrypted":
        client.tls_set(
            str(certificates.ca),
            str(certificates.client),
            str(certificates.encrypted_key),
            keyfile_password=certificates.password,
        )
    else:
        client.tls_set(str(certificates.ca), str(certificates.client), str(certificates.client_key))
    assert round_trip(client, broker.client_port) is (DescriptorCarrier if kind == "native" else SslCarrier)


def test_one_file_may_hold_certificate_and_key(broker: Broker, tmp_path: Path) -> None:
    certificates = broker.certificates
    both = tmp_path / "both.pem"
    both.write_text(certificates.client.read_text() + certificates.client_key.read_text())
    client = mqtt.Client(V2, "tls-both")
    client.tls_set(str(certificates.ca), str(both))
    assert round_trip(client, broker.client_port) is DescriptorCarrier


@pytest.mark.parametrize("context", [False, True])
def test_an_untrusted_certificate(broker: Broker, context: bool) -> None:
    client = mqtt.Client(V2, "untrusted")
    client.tls_set_context(ssl.create_default_context() if context else None)
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        client.connect("localhost", broker.tls_port)
    assert isinstance(caught.value, OSError) and caught.value.errno == 1
    assert "certificate verify failed" in (caught.value.strerror or "")
    assert "CERTIFICATE_VERIFY_FAILED" in (caught.value.strerror or "")
    assert caught.value.reason == "CERTIFICATE_VERIFY_FAILED"
    assert client.socket() is None


def test_a_certificate_for_another_name(broker: Broker) -> None:
    client = mqtt.Client(V2, "other-name")
    client.tls_set(str(broker.certificates.ca))
    with pytest.raises(ssl.SSLCertVerificationError, match="not for 127.0.0.1"):
        client.connect("127.0.0.1", broker.tls_port)
    client.tls_insecure_set(True)
    assert round_trip(client, broker.tls_port, "127.0.0.1") is SslCarrier
    # Without the name the root still counts.
    unknown = mqtt.Client(V2, "unknown-root")
    unknown.tls_set()
    unknown.tls_insecure_set(True)
    with pytest.raises(ssl.SSLCertVerificationError):
        unknown.connect("127.0.0.1", broker.tls_port)


def test_insecure_false_changes_nothing(broker: Broker) -> None:
    client = mqtt.Client(V2, "secure")
    client.tls_set(str(broker.certificates.ca))
    client.tls_insecure_set(False)
    assert round_trip(client, broker.tls_port) is DescriptorCarrier


@pytest.mark.parametrize("version", ["PROTOCOL_TLSv1", "PROTOCOL_TLSv1_1"])
def test_old_versions_mean_new_ones_and_a_warning(broker: Broker, version: str) -> None:
    client = mqtt.Client(V2, "old-version")
    with pytest.warns(DeprecationWarning, match=version) as caught:
        client.tls_set(str(broker.certificates.ca), tls_version=getattr(ssl, version))
    assert caught[0].filename == __file__
    assert round_trip(client, broker.tls_port) is DescriptorCarrier


def test_versions_that_are_no_clients() -> None:
    with pytest.raises(ValueError, match="tls_version"):
        mqtt.Client().tls_set(tls_version=ssl.PROTOCOL_TLS_SERVER)


def test_files(broker: Broker, tmp_path: Path) -> None:
    ca = str(broker.certificates.ca)
    with pytest.raises(FileNotFoundError):
        mqtt.Client().tls_set("/no/such/file")
    with pytest.raises(FileNotFoundError):
        mqtt.Client().tls_set(ca, "/no/such/file")
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(ssl.SSLError, match="trusted_roots"):
        mqtt.Client().tls_set(str(empty))
    with pytest.raises(ssl.SSLError, match="does not belong"):
        mqtt.Client().tls_set(ca, str(broker.certificates.client), str(broker.certificates.server_key))
    with pytest.raises(ssl.SSLError, match="encrypted"):
        mqtt.Client().tls_set(ca, str(broker.certificates.client), str(broker.certificates.encrypted_key))
    with pytest.raises(ssl.SSLError):
        mqtt.Client().tls_set(ca, ciphers="NO-SUCH-CIPHER")


def test_only_once() -> None:
    client = mqtt.Client()
    client.tls_set()
    for again in (client.tls_set, client.tls_set_context):
        with pytest.raises(ValueError, match="already"):
            again()


@pytest.mark.parametrize("context", [False, True])
def test_the_handshake_has_a_deadline(context: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = mqtt.Client(V2, "deadline")
        client.connect_timeout = 0.05
        client.tls_set_context(ssl.create_default_context() if context else None)
        with pytest.raises(TimeoutError):
            client.connect("localhost", server.getsockname()[1])


@pytest.mark.parametrize("context", [False, True])
def test_a_server_without_tls(context: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        client = mqtt.Client(V2, "no-tls")
        client.tls_set_context(ssl.create_default_context() if context else None)
        with pytest.raises(ssl.SSLError):
            client.connect("localhost", server.getsockname()[1])
        thread.join(PATIENCE)


def test_errors_of_the_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client = mqtt.Client(V2, "errors")
    client.tls_set()
    with pytest.raises(ConnectionRefusedError):
        client.connect("localhost", port)
    with pytest.raises(socket.gaierror):
        client.connect("no-such-host.invalid", 8883)


def test_nothing_is_left_open(broker: Broker) -> None:
    """A client that is dropped closes its socket without a warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client = mqtt.Client(V2, "dropped")
        client.tls_set(str(broker.certificates.ca))
        client.connect("localhost", broker.tls_port)
        del client
    assert caught == []
