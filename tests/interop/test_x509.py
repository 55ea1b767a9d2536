"""Certificates of devices with azure-iot-device."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.iot.device import X509, exceptions

import certificates
from client import Client, Clients
from iothub_mqtt.testing import Hub, StartHub

METHOD = '{"scope":"device","type":"x509","issuer":"iothub"}'


def connect(hub: Hub, clients: Clients, device: str, issued: certificates.Issued, password: str | None = None) -> Client:
    x509 = X509(str(issued.certificate_file), str(issued.key_file), password)
    client = clients.make(
        "IoTHubDeviceClient",
        "create_from_x509_certificate",
        x509,
        hub.name,
        device,
        server_verification_cert=hub.ca_pem,
        connection_retry=False,
    )
    client.do("connect")
    return client


def test_a_certificate_by_its_thumbprint(start: StartHub, clients: Clients, tmp_path: Path) -> None:
    issued = certificates.device(tmp_path, "gauge", password=b"secret")
    hub = start(x509={"gauge": issued.certificate_file})
    client = connect(hub, clients, "gauge", issued, "secret")
    client.do("send_message", "text")
    event = hub.events.wait(event="telemetry", device="gauge")
    assert event["system"]["iothub-connection-auth-method"] == METHOD
    assert client.do("get_twin")["reported"]["$version"] == 1
    assert hub.connection_string("gauge").endswith(";x509=true")


def test_another_certificate_is_refused(start: StartHub, clients: Clients, tmp_path: Path) -> None:
    known = certificates.device(tmp_path, "gauge")
    other = certificates.device(tmp_path, "other")
    hub = start(x509={"gauge": known.certificate_file})
    with pytest.raises(exceptions.CredentialError):
        connect(hub, clients, "gauge", other)
    assert "thumbprint" in hub.events.wait(event="refused", device="gauge")["reason"].lower()


def test_a_certificate_of_a_trusted_authority(start: StartHub, clients: Clients, tmp_path: Path) -> None:
    root = certificates.authority(tmp_path, "root")
    issued = certificates.device(tmp_path, "gauge", root)
    hub = start(x509_ca=["gauge"], x509_roots=[root.certificate_file])
    client = connect(hub, clients, "gauge", issued)
    client.do("send_message", "text")
    event = hub.events.wait(event="telemetry", device="gauge")
    method = event["system"]["iothub-connection-auth-method"]
    assert method in (METHOD, METHOD.replace("iothub", "external"))


def test_certificates_that_prove_nothing(start: StartHub, clients: Clients, tmp_path: Path) -> None:
    root, stranger = certificates.authority(tmp_path, "root"), certificates.authority(tmp_path, "stranger")
    hub = start(x509_ca=["gauge"], x509_roots=[root.certificate_file])
    (tmp_path / "x").mkdir()
    for issued in (certificates.device(tmp_path, "other", root), certificates.device(tmp_path / "x", "gauge", stranger)):
        with pytest.raises(exceptions.CredentialError):
            connect(hub, clients, "gauge", issued)
    assert len(hub.events.wait_many(2, event="refused", device="gauge")) == 2
