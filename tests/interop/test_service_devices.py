"""Device identities through azure-iot-hub."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.iot.device import X509, IoTHubDeviceClient, exceptions
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import ExportImportDevice

import certificates
from iothub_mqtt.testing import Hub, StartHub, thumbprint
from service import Refused, new_key


def connect(hub: Hub, device: str, key: str) -> IoTHubDeviceClient:
    client = IoTHubDeviceClient.create_from_symmetric_key(
        key, hub.name, device, server_verification_cert=hub.ca_pem, connection_retry=False
    )
    try:
        client.connect()
    except BaseException:
        client.shutdown()
        raise
    return client


def test_a_device_lives_and_dies(hub: Hub, registry: IoTHubRegistryManager) -> None:
    primary, secondary = new_key(), new_key()
    made = registry.create_device_with_sas("new", primary, secondary, "enabled")
    assert (made.device_id, made.status, made.connection_state) == ("new", "enabled", "Disconnected")
    assert made.authentication.type == "sas"
    assert made.authentication.symmetric_key.primary_key == primary
    assert made.generation_id and made.etag
    assert made.cloud_to_device_message_count == 0
    for key in (primary, secondary):
        client = connect(hub, "new", key)
        assert registry.get_device("new").connection_state == "Connected"
        client.shutdown()
    registry.delete_device("new")
    with Refused(404, "DeviceNotFound"):
        registry.get_device("new")
    with pytest.raises(exceptions.CredentialError):
        connect(hub, "new", primary)


def test_keys_are_made_up(hub: Hub, registry: IoTHubRegistryManager) -> None:
    made = registry.create_device_with_sas("new", None, None, "enabled")
    key = made.authentication.symmetric_key.primary_key
    assert key and key != made.authentication.symmetric_key.secondary_key
    connect(hub, "new", key).shutdown()


def test_a_device_is_made_once(registry: IoTHubRegistryManager) -> None:
    registry.create_device_with_sas("new", None, None, "enabled")
    with Refused(409, "DeviceAlreadyExists"):
        registry.create_device_with_sas("new", None, None, "enabled")


def test_disabling_cuts_the_connection(hub: Hub, registry: IoTHubRegistryManager) -> None:
    made = registry.create_device_with_sas("new", None, None, "enabled")
    keys = made.authentication.symmetric_key
    client = connect(hub, "new", keys.primary_key)
    changed = registry.update_device_with_sas(
        "new", made.etag, keys.primary_key, keys.secondary_key, "disabled", status_reason="lost"
    )
    assert (changed.status, changed.status_reason) == ("disabled", "lost")
    assert changed.etag != made.etag and changed.generation_id == made.generation_id
    hub.events.wait(event="disconnected", device="new")
    client.shutdown()
    with pytest.raises(exceptions.CredentialError):
        connect(hub, "new", keys.primary_key)
    registry.update_device_with_sas("new", changed.etag, keys.primary_key, keys.secondary_key, "enabled")
    connect(hub, "new", keys.primary_key).shutdown()


def test_an_old_etag_changes_nothing(registry: IoTHubRegistryManager) -> None:
    made = registry.create_device_with_sas("new", None, None, "enabled")
    keys = made.authentication.symmetric_key
    arguments = (keys.primary_key, keys.secondary_key, "enabled")
    registry.update_device_with_sas("new", made.etag, *arguments, status_reason="first")
    with Refused(412, "PreconditionFailed"):
        registry.update_device_with_sas("new", made.etag, *arguments, status_reason="second")
    with Refused(412, "PreconditionFailed"):
        registry.delete_device("new", made.etag)
    assert registry.get_device("new").status_reason == "first"
    registry.update_device_with_sas("new", None, *arguments, status_reason="forced")
    assert registry.get_device("new").status_reason == "forced"


def test_a_device_with_a_certificate(hub: Hub, registry: IoTHubRegistryManager, tmp_path: Path) -> None:
    issued = certificates.device(tmp_path, "gauge")
    print_ = thumbprint(issued.certificate_file)
    made = registry.create_device_with_x509("gauge", print_, None, "enabled")
    assert made.authentication.type == "selfSigned"
    assert made.authentication.x509_thumbprint.primary_thumbprint == print_
    client = IoTHubDeviceClient.create_from_x509_certificate(
        X509(str(issued.certificate_file), str(issued.key_file)),
        hub.name,
        "gauge",
        server_verification_cert=hub.ca_pem,
    )
    client.send_message("by certificate")
    hub.events.wait(event="telemetry", device="gauge")
    client.shutdown()


def test_other_kinds_of_devices(registry: IoTHubRegistryManager) -> None:
    by_authority = registry.create_device_with_certificate_authority("ca", "enabled")
    assert by_authority.authentication.type == "certificateAuthority"
    edge = registry.create_device_with_sas("edge", None, None, "enabled", iot_edge=True)
    assert edge.capabilities.iot_edge is True
    assert {d.device_id for d in registry.get_devices()} == {"d", "ca", "edge"}
    assert len(registry.get_devices(2)) == 2


def test_many_at_once(registry: IoTHubRegistryManager) -> None:
    auth = registry.create_device_with_sas("model", None, None, "enabled").authentication
    make = [
        ExportImportDevice(id=f"b{n}", import_mode="create", status="enabled", authentication=auth)
        for n in range(3)
    ]
    assert registry.bulk_create_or_update_devices(make).is_successful is True
    assert {d.device_id for d in registry.get_devices()} >= {"b0", "b1", "b2"}
    mixed = [
        ExportImportDevice(id="b0", import_mode="delete"),
        ExportImportDevice(id="b1", import_mode="create", status="enabled", authentication=auth),
    ]
    result = registry.bulk_create_or_update_devices(mixed)
    assert result.is_successful is False
    assert [error.device_id for error in result.errors] == ["b1"]
    assert "b0" not in {d.device_id for d in registry.get_devices()}


def test_statistics(hub: Hub, registry: IoTHubRegistryManager) -> None:
    made = registry.create_device_with_sas("new", None, None, "disabled")
    assert made.status == "disabled"
    counts = registry.get_device_registry_statistics()
    assert (counts.total_device_count, counts.enabled_device_count, counts.disabled_device_count) == (2, 1, 1)
    client = connect(hub, "d", hub.key("d"))
    assert registry.get_service_statistics().connected_device_count == 1
    client.shutdown()


@pytest.mark.parametrize("device", ["", "a/b", "a b", "x" * 129])
def test_ids_that_may_not_be(registry: IoTHubRegistryManager, device: str) -> None:
    if device == "":
        pytest.raises(Exception, registry.create_device_with_sas, device, None, None, "enabled")
        return
    with Refused(400):
        registry.create_device_with_sas(device, None, None, "enabled")


def test_a_key_of_a_lesser_policy(start: StartHub, trusted: Hub) -> None:
    wrong = trusted.service_connection_string.replace("iothubowner", "nobody")
    with Refused(401, "IotHubUnauthorizedAccess"):
        IoTHubRegistryManager.from_connection_string(wrong).get_device("d")
