"""Files of devices: azure-iot-device asks the hub for a place, azure-storage-blob uploads to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.iot.device import X509, exceptions
from azure.storage.blob import BlobClient

import certificates
from client import Client, Clients
from iothub_mqtt.testing import Hub, StartHub

MakeDevice = Callable[..., Client]


def blob_client(hub: Hub, info: dict[str, str], **options: int) -> BlobClient:
    url = f"https://{info['hostName']}/{info['containerName']}/{info['blobName']}{info['sasToken']}"
    return BlobClient.from_blob_url(url, connection_verify=str(hub.ca), **options)


def test_a_file_is_uploaded(hub: Hub, device: MakeDevice) -> None:
    client = device()
    info = client.do("get_storage_info_for_blob", "logs/today 1.txt")
    assert info["blobName"] == "d/logs/today 1.txt"
    assert info["correlationId"] and info["sasToken"].startswith("?")
    content = os.urandom(100_000)
    with blob_client(hub, info) as blob:
        blob.upload_blob(content)
        assert blob.download_blob().readall() == content
        properties = blob.get_blob_properties()
        assert (properties.size, str(properties.blob_type)) == (len(content), "BlobType.BLOCKBLOB")
    client.do("notify_blob_upload_status", info["correlationId"], True, 200, "OK")
    event = hub.events.wait(event="file", device="d")
    assert (event["blob"], event["size"]) == ("d/logs/today 1.txt", len(content))


def test_a_large_file_goes_in_blocks(hub: Hub, device: MakeDevice) -> None:
    info = device().do("get_storage_info_for_blob", "large")
    content = os.urandom(1_000_000)
    with blob_client(hub, info, max_single_put_size=65_536, max_block_size=100_000) as blob:
        blob.upload_blob(content, max_concurrency=4, overwrite=True)
        assert blob.download_blob().readall() == content


def test_a_failure_is_told(hub: Hub, device: MakeDevice) -> None:
    client = device()
    info = client.do("get_storage_info_for_blob", "never")
    client.do("notify_blob_upload_status", info["correlationId"], False, 500, "gave up")
    with pytest.raises(exceptions.ClientError) as caught:
        client.do("notify_blob_upload_status", info["correlationId"], True, 200, "again")
    assert "400" in str(caught.value.__cause__)


def test_a_place_is_for_one_file(hub: Hub, device: MakeDevice) -> None:
    client = device()
    one = client.do("get_storage_info_for_blob", "one")
    other = client.do("get_storage_info_for_blob", "other")
    with blob_client(hub, {**one, "blobName": other["blobName"]}) as blob, pytest.raises(HttpResponseError) as caught:
        blob.upload_blob(b"x")
    assert caught.value.status_code == 403


def test_a_device_with_a_certificate(start: StartHub, clients: Clients, tmp_path: Path) -> None:
    issued = certificates.device(tmp_path, "gauge")
    hub = start(x509={"gauge": issued.certificate_file})
    client = clients.make(
        "IoTHubDeviceClient",
        "create_from_x509_certificate",
        X509(str(issued.certificate_file), str(issued.key_file)),
        hub.name,
        "gauge",
        server_verification_cert=hub.ca_pem,
    )
    info = client.do("get_storage_info_for_blob", "one")
    with blob_client(hub, info) as blob:
        blob.upload_blob(b"content")
    client.do("notify_blob_upload_status", info["correlationId"], True, 200, "OK")


def test_a_wrong_key_gets_no_place(hub: Hub, clients: Clients) -> None:
    wrong = hub.connection_string("d").replace(hub.key("d"), "d3JvbmcgYnV0IGdvb2QgYmFzZTY0IQ==")
    with pytest.raises(exceptions.ClientError) as caught:
        clients.device(wrong, hub.ca_pem).do("get_storage_info_for_blob", "one")
    assert "401" in str(caught.value.__cause__)
