"""Module identities through azure-iot-hub."""

from __future__ import annotations

from azure.iot.device import IoTHubModuleClient
from azure.iot.hub import IoTHubRegistryManager

from iothub_mqtt.testing import Hub
from service import Refused, new_key


def test_a_module_lives_and_dies(hub: Hub, registry: IoTHubRegistryManager) -> None:
    primary, secondary = new_key(), new_key()
    made = registry.create_module_with_sas("d", "m", "somebody", primary, secondary)
    assert (made.device_id, made.module_id, made.managed_by) == ("d", "m", "somebody")
    assert made.authentication.symmetric_key.primary_key == primary
    text = f"HostName={hub.name};DeviceId=d;ModuleId=m;SharedAccessKey={primary}"
    client = IoTHubModuleClient.create_from_connection_string(text, server_verification_cert=hub.ca_pem)
    client.send_message("from the module")
    hub.events.wait(event="telemetry", device="d", module="m")
    assert registry.get_module("d", "m").connection_state == "Connected"
    client.shutdown()
    assert [m.module_id for m in registry.get_modules("d")] == ["m"]
    registry.delete_module("d", "m")
    with Refused(404, "ModuleNotFound"):
        registry.get_module("d", "m")
    assert registry.get_modules("d") == []


def test_changes_and_etags(registry: IoTHubRegistryManager) -> None:
    made = registry.create_module_with_sas("d", "m", "a", None, None)
    keys = made.authentication.symmetric_key
    changed = registry.update_module_with_sas("d", "m", "b", made.etag, keys.primary_key, keys.secondary_key)
    assert changed.managed_by == "b"
    with Refused(412, "PreconditionFailed"):
        registry.update_module_with_sas("d", "m", "c", made.etag, keys.primary_key, keys.secondary_key)
    with Refused(409, "ModuleAlreadyExistsOnDevice"):
        registry.create_module_with_sas("d", "m", "a", None, None)
    registry.delete_module("d", "m", changed.etag)


def test_a_module_needs_its_device(registry: IoTHubRegistryManager) -> None:
    with Refused(404, "DeviceNotFound"):
        registry.create_module_with_sas("nobody", "m", "", None, None)


def test_modules_go_with_their_device(registry: IoTHubRegistryManager) -> None:
    registry.create_module_with_sas("d", "m", "", None, None)
    registry.delete_device("d")
    with Refused(404):
        registry.get_module("d", "m")
