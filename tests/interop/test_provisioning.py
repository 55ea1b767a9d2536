"""The device provisioning service with azure-iot-device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from azure.iot.device import X509, exceptions

import certificates
from client import Client, Clients
from iothub_mqtt.testing import Hub, StartHub, thumbprint

KIND = "ProvisioningDeviceClient"


@pytest.fixture
def hub(start: StartHub) -> Hub:
    return start(dps_scope="0ne00000001", enrollments=["gauge-1"], enrollment_groups=["gauges"])


def by_key(hub: Hub, clients: Clients, registration: str, key: str) -> Client:
    assert hub.dps is not None
    return clients.make(
        KIND,
        "create_from_symmetric_key",
        hub.name,
        registration,
        hub.dps.id_scope,
        key,
        server_verification_cert=hub.ca_pem,
    )


def send(hub: Hub, clients: Clients, device: str, host: str, key: str) -> None:
    """Connect as an application does once it is provisioned."""
    client = clients.make(
        "IoTHubDeviceClient",
        "create_from_symmetric_key",
        key,
        host,
        device,
        server_verification_cert=hub.ca_pem,
    )
    client.do("send_message", "provisioned")
    assert hub.events.wait(event="telemetry", device=device)["body"] == "provisioned"


def test_an_enrollment_of_its_own(hub: Hub, clients: Clients) -> None:
    assert hub.dps is not None
    key = hub.dps.key("gauge-1")
    result = by_key(hub, clients, "gauge-1", key).do("register")
    assert result.status == "assigned"
    state = result.registration_state
    assert (state.assigned_hub, state.device_id, state.sub_status) == (hub.name, "gauge-1", "initialAssignment")
    assert state.created_date_time and state.last_update_date_time and state.etag
    send(hub, clients, state.device_id, state.assigned_hub, key)


def test_an_enrollment_of_a_group(hub: Hub, clients: Clients) -> None:
    assert hub.dps is not None
    for registration in ("gauge-7", "gauge-8"):
        key = hub.dps.key(registration, group="gauges")
        result = by_key(hub, clients, registration, key).do("register")
        assert (result.status, result.registration_state.device_id) == ("assigned", registration)
        send(hub, clients, registration, result.registration_state.assigned_hub, key)


def test_a_payload(hub: Hub, clients: Clients) -> None:
    assert hub.dps is not None
    client = by_key(hub, clients, "gauge-1", hub.dps.key("gauge-1"))
    client.sdk.provisioning_payload = {"modelId": "dtmi:com:example:Gauge;1"}
    result = client.do("register")
    assert result.status == "assigned"
    # Only a custom allocation, or the enrollment here, gives an answer a payload.
    assert json.loads(result.registration_state.response_payload) is None


def test_registering_again_is_the_same_device(hub: Hub, clients: Clients) -> None:
    assert hub.dps is not None
    key = hub.dps.key("gauge-1")
    first = by_key(hub, clients, "gauge-1", key).do("register").registration_state
    again = by_key(hub, clients, "gauge-1", key).do("register").registration_state
    assert (again.device_id, again.assigned_hub) == (first.device_id, first.assigned_hub)
    assert again.created_date_time == first.created_date_time


def test_a_wrong_key(hub: Hub, clients: Clients) -> None:
    assert hub.dps is not None
    with pytest.raises(exceptions.ClientError) as caught:
        by_key(hub, clients, "gauge-1", hub.dps.key("gauge-1", group="gauges")).do("register")
    assert isinstance(caught.value.__cause__, exceptions.ServiceError)
    assert "401" in str(caught.value.__cause__)


def test_nobody_enrolled_it(hub: Hub, clients: Clients) -> None:
    assert hub.dps is not None
    with pytest.raises(exceptions.ClientError):
        by_key(hub, clients, "stranger", hub.dps.key("gauge-1")).do("register")


def by_certificate(hub: Hub, clients: Clients, registration: str, x509: X509) -> Client:
    assert hub.dps is not None
    return clients.make(
        KIND,
        "create_from_x509_certificate",
        hub.name,
        registration,
        hub.dps.id_scope,
        x509,
        server_verification_cert=hub.ca_pem,
    )


def test_certificates(start: StartHub, clients: Clients, tmp_path: Path) -> None:
    """One by its thumbprint, another by the authority of its group."""
    root = certificates.authority(tmp_path, "root")
    issued = {
        "gauge-1": certificates.device(tmp_path, "gauge-1"),
        "gauge-9": certificates.device(tmp_path, "gauge-9", root),
    }
    config = tmp_path / "hub.toml"
    config.write_text(
        f"""
        [[dps.enrollments]]
        registration = "gauge-1"
        thumbprint = "{thumbprint(issued["gauge-1"].certificate_file)}"
        [[dps.groups]]
        name = "gauges"
        roots = ["{root.certificate_file.name}"]
        """
    )
    hub = start(config=config)
    for registration, files in issued.items():
        x509 = X509(str(files.certificate_file), str(files.key_file))
        state = by_certificate(hub, clients, registration, x509).do("register").registration_state
        assert (state.device_id, state.assigned_hub) == (registration, hub.name)
        device = clients.make(
            "IoTHubDeviceClient",
            "create_from_x509_certificate",
            x509,
            state.assigned_hub,
            state.device_id,
            server_verification_cert=hub.ca_pem,
        )
        device.do("send_message", "provisioned")
        hub.events.wait(event="telemetry", device=registration)
