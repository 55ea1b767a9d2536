"""`make demo`: a local hub, a device in C and a device in Python, over TLS, and what each of them saw.

Usage: demo.py EMULATOR C_DEVICE PYTHON
"""

import json
import os
import subprocess
import sys
import tempfile
import threading

PATIENCE = 60


def device(command, hub, connection_string):
    """Starts a device; its output is read at the end."""
    environment = os.environ | {
        "IOTHUB_CONNECTION_STRING": connection_string,
        "IOTHUB_PORT": str(hub["mqtt_port"]),
        "IOTHUB_TRUSTED_ROOTS": hub["ca"],
    }
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    )


def main():
    emulator, c_device, python = sys.argv[1:]
    commands = {
        "c-device": [c_device],
        "python-device": [python, os.path.join(os.path.dirname(__file__), "python", "telemetry.py")],
    }
    certs = tempfile.TemporaryDirectory()
    arguments = ["--mqtt-port", "0", "--https-port", "0", "--certs", certs.name, "--events", "-", "--exit-with-stdin"]
    for name in commands:
        arguments += ["--device", name]
    hub_process = subprocess.Popen(
        [emulator, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    watchdog = threading.Timer(PATIENCE, hub_process.kill)
    watchdog.daemon = True
    watchdog.start()
    hub = json.loads(hub_process.stdout.readline())
    print(f"The local hub listens on {hub['host']}:{hub['mqtt_port']} (MQTT over TLS).\n")
    strings = {entry["id"]: entry["connection_string"] for entry in hub["devices"]}
    devices = {name: device(command, hub, strings[name]) for name, command in commands.items()}

    print("What the hub received")
    missing = {name: 3 for name in commands}
    waiting = set(commands)
    for line in hub_process.stdout:
        event = json.loads(line)
        name = event["device"]
        if event["event"] == "telemetry":
            print(f"  {name:14} {event['body']}")
            stamped = {key: value for key, value in event["system"].items() if key.startswith("iothub-")}
            own = {key: value for key, value in event["system"].items() if key not in stamped}
            print(f"  {'':14} system: {json.dumps(own)}, and from the hub: {', '.join(stamped)}")
            print(f"  {'':14} properties: {json.dumps(event['properties'])}")
            missing[name] -= 1
        elif event["event"] == "subscribed":
            send = [emulator, "send", name, f"hello, {name}", "--property", "from=the back-end"]
            send += ["--service", hub["service_connection_string"], "--https-port", str(hub["https_port"]), "--ca", hub["ca"]]
            subprocess.run(send, check=True, stdout=subprocess.DEVNULL)
        elif event["event"] == "c2d" and event["state"] == "completed":
            waiting.discard(name)
        if not waiting and not any(missing.values()):
            break
    failed = bool(waiting) or any(missing.values())

    for name, process in devices.items():
        output, _ = process.communicate(timeout=PATIENCE)
        print(f"\nWhat {name} saw")
        print("".join(f"  {line}\n" for line in output.splitlines()), end="")
        failed |= process.returncode != 0
    hub_process.stdin.close()
    hub_process.wait(PATIENCE)
    watchdog.cancel()
    if failed:
        sys.exit("\nSomething did not arrive.")
    print("\nBoth devices sent three messages and received one.")


if __name__ == "__main__":
    main()
