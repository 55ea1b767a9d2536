"""iothub_mqtt.testing: the local hub in other people's tests."""

from __future__ import annotations

import errno
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from iothub_mqtt import client as mqtt
from iothub_mqtt.testing import (
    BackendError,
    EmulatorError,
    Events,
    Hub,
    StartHub,
    find_program,
    group_device_key,
    start_hub,
    thumbprint,
)
from peers import PATIENCE, ROOT, until, username

PROGRAM = os.environ.get("IOTHUB_EMULATOR", str(ROOT / "target/debug/iothub-emulator"))
README = ROOT / "python/README.md"


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOTHUB_EMULATOR", PROGRAM)


def send(hub: Hub, device: str, body: str) -> None:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, device, iothub=True)
    client.username_pw_set(username(hub, device), hub.token(device))
    client.tls_set(str(hub.ca))
    client.connect(hub.host, hub.mqtt_port)
    info = client.publish(f"devices/{device}/messages/events/", body, 1)
    until(info.is_published, client.loop)
    client.disconnect()


def test_a_hub_of_the_fixture(iothub_hub: StartHub) -> None:
    key = "a2V5a2V5a2V5a2V5a2V5a2U="
    hub = iothub_hub(devices={"a": key, "b": None}, modules=["a/m"], x509={"c": "AB" * 32})
    assert hub.identities == ["a", "a/m", "b", "c"]
    assert hub.connection_string("a") == f"HostName=localhost;DeviceId=a;SharedAccessKey={key}"
    assert hub.connection_string("a/m").startswith("HostName=localhost;DeviceId=a;ModuleId=m;")
    assert (hub.host, hub.name, hub.key("a")) == ("127.0.0.1", "localhost", key)
    send(hub, "b", "hello")
    assert hub.events.wait(event="telemetry", device="b")["body"] == "hello"
    other = iothub_hub(devices="a")
    assert other.mqtt_port != hub.mqtt_port and other.key("a") != key
    with pytest.raises(KeyError, match="without nobody; it has a'$"):
        other.connection_string("nobody")


def test_a_hub_ends_with_its_block() -> None:
    with start_hub(devices=["a"]) as hub:
        directory = hub.ca.parent
        assert directory.is_dir()
    assert not directory.exists()
    hub.close()
    with pytest.raises(AssertionError, match="the hub has ended"):
        hub.events.wait(event="telemetry")


def test_keys_are_kept_in_a_directory(tmp_path: Path) -> None:
    with start_hub(devices=["a"], directory=tmp_path) as hub:
        first = (hub.key("a"), hub.ca_pem)
    with start_hub(devices=["a"], directory=tmp_path) as hub:
        assert (hub.key("a"), hub.ca_pem) == first


def test_standard_ports_without_the_right_to_open_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """With it, tests/interop uses them all the time."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(EmulatorError, match="port 8883 may not be opened .* CAP_NET_BIND_SERVICE"):
        start_hub(standard_ports=True)


def test_a_program_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match=r"^program names /nowhere, which is not a program\. It is built"):
        start_hub(program="/nowhere")
    monkeypatch.setenv("IOTHUB_EMULATOR", "/nowhere/else")
    with pytest.raises(EmulatorError, match="^IOTHUB_EMULATOR names /nowhere/else"):
        find_program()
    monkeypatch.delenv("IOTHUB_EMULATOR")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmulatorError, match="no iothub-emulator in PATH.*`cargo install"):
        find_program()
    (tmp_path / "iothub-emulator").symlink_to(PROGRAM)
    assert find_program() == tmp_path / "iothub-emulator"


def test_a_program_that_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match="did not start: .*--x509.*must be"):
        start_hub(arguments=["--x509", "nonsense"])
    (tmp_path / "silent").write_text("#!/bin/sh\necho no JSON\n")
    (tmp_path / "silent").chmod(0o700)
    with pytest.raises(EmulatorError, match="did not start"):
        start_hub(program=tmp_path / "silent")


def test_a_program_that_dies_is_noticed() -> None:
    hub = start_hub()
    os.kill(hub._running._process.pid, signal.SIGKILL)
    with pytest.raises(AssertionError, match="the hub has ended"):
        hub.events.wait(event="telemetry", timeout=PATIENCE)
    with pytest.raises(EmulatorError, match="failed with -9 before its time$"):
        hub.close()


def test_nothing_survives_a_process_that_dies(tmp_path: Path) -> None:
    source = """
import os, signal
from iothub_mqtt.testing import start_hub
hub = start_hub(directory=".")
print(hub._running._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    run = subprocess.run([sys.executable, "-c", source], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert run.returncode == -signal.SIGKILL
    descriptor = None
    try:
        descriptor = os.pidfd_open(int(run.stdout))
        # Readable when it has ended.
        assert select.select([descriptor], [], [], PATIENCE)[0]
    except ProcessLookupError:
        pass
    finally:
        if descriptor is not None:
            os.close(descriptor)


def test_waiting_for_events() -> None:
    events = Events()
    for number in range(3):
        events.add({"event": "x", "n": number})
    assert events.wait(event="x") == {"event": "x", "n": 0}
    assert events.wait(lambda e: e["n"] > 0, event="x")["n"] == 1
    assert events.wait(since=2) == {"event": "x", "n": 2}
    assert len(events.wait_many(2, event="x")) == 3
    assert events.all(n=1) == [{"event": "x", "n": 1}]
    with pytest.raises(AssertionError, match=r"0 of 1 events with event='y': waited 0.01 s; (?s:.*)'n': 2"):
        events.wait(event="y", timeout=0.01)
    with pytest.raises(AssertionError, match="3 of 4 events"):
        events.wait_many(4, event="x", timeout=0.01)


def test_what_a_back_end_does(iothub_hub: StartHub) -> None:
    hub = iothub_hub(devices=["a"])
    hub.send("a", {"open": True}, properties={"zone": "2"}, headers={"iothub-messageid": "m"})
    assert hub.update_desired("a", {"interval": 5})["properties"]["desired"]["interval"] == 5
    assert hub.twin("a")["properties"]["desired"]["$version"] == 2
    with pytest.raises(BackendError) as caught:
        hub.call_method("a", "m")
    assert caught.value.status == 404 and "DeviceNotOnline" in caught.value.body
    hub.fault("drop", "a", after_messages=2)
    with pytest.raises(BackendError, match="no fault 'nonsense'"):
        hub.fault("nonsense")


def test_secrets_are_not_shown(iothub_hub: StartHub) -> None:
    hub = iothub_hub(devices=["a"])
    for shown in (repr(hub), repr(hub.events), repr(hub.dps)):
        assert hub.key("a") not in shown and "SharedAccessKey" not in shown


def test_keys_of_groups() -> None:
    group = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw=="
    key = group_device_key(group, "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6")
    assert key == "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="


def test_a_thumbprint(hub: Hub) -> None:
    run = subprocess.run(
        ["openssl", "x509", "-in", hub.ca, "-noout", "-fingerprint", "-sha256"], capture_output=True, text=True
    )
    expected = run.stdout.partition("=")[2].strip().replace(":", "")
    assert thumbprint(hub.ca) == thumbprint(hub.ca_pem) == expected
    with pytest.raises(ValueError, match="PEM"):
        thumbprint("nonsense")


def test_the_client_is_not_loaded() -> None:
    source = "import sys, iothub_mqtt.testing; assert 'iothub_mqtt._native' not in sys.modules"
    subprocess.run([sys.executable, "-c", source], check=True)


def test_the_example_of_the_readme(tmp_path: Path) -> None:
    """In a project of its own, where pytest finds the fixture by itself."""
    section = README.read_text(encoding="utf-8").split("## Testing your own program\n", 1)[1]
    files = re.findall(r"```python\n# (\S+)\n(.*?)```", section, re.DOTALL)
    assert [name for name, _ in files] == ["gauge.py", "test_gauge.py"]
    for name, source in files:
        (tmp_path / name).write_text(source)
    pytest_ = shutil.which("pytest", path=os.path.dirname(sys.executable))
    assert pytest_ is not None
    run = subprocess.run(
        [pytest_, "-q", "-p", "no:cacheprovider"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 passed" in run.stdout
