"""Every way to loop, and the ends of a program that loops."""

from __future__ import annotations

import asyncio
import contextlib
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iothub_mqtt import client as mqtt
from peers import PATIENCE, Broker, take_interrupts, until
from recorder import Recorder

V2 = mqtt.CallbackAPIVersion.VERSION2


def test_loop_by_hand(broker: Broker) -> None:
    client = mqtt.Client(V2, "by-hand")
    recorder = Recorder(client)
    assert client.loop() == mqtt.MQTT_ERR_NO_CONN
    client.connect("localhost", broker.port)
    until(lambda: not recorder.is_empty("connect"), lambda: client.loop(timeout=0.1))
    client.disconnect()
    assert client.loop() == mqtt.MQTT_ERR_NO_CONN


def test_read_write_and_misc_with_select(broker: Broker) -> None:
    client = mqtt.Client(V2, "select")
    recorder = Recorder(client)
    client.connect("localhost", broker.port, keepalive=1)
    sock = client.socket()
    assert isinstance(sock, socket.socket)

    def turn() -> None:
        readable, writable, _ = select.select([sock], [sock] if client.want_write() else [], [], 0.1)
        if readable:
            assert client.loop_read() == mqtt.MQTT_ERR_SUCCESS
        if writable:
            assert client.loop_write() == mqtt.MQTT_ERR_SUCCESS
        assert client.loop_misc() == mqtt.MQTT_ERR_SUCCESS

    until(client.is_connected, turn)
    client.subscribe("select", 1)
    until(lambda: not recorder.is_empty("subscribe"), turn)
    client.publish("select", "x", 1)
    until(lambda: not recorder.is_empty("message") and not recorder.is_empty("publish"), turn)
    # Longer than one and a half times the keep-alive, after which the broker gives up on the silent.
    end = time.monotonic() + 2.5
    until(lambda: time.monotonic() > end, turn)
    assert client.is_connected()
    client.disconnect()
    assert client.socket() is None


def test_asyncio(broker: Broker) -> None:
    async def run() -> list[str]:
        loop = asyncio.get_running_loop()
        client = mqtt.Client(V2, "asyncio")
        calls: list[str] = []
        done = loop.create_future()

        def on_socket_open(client: mqtt.Client, userdata: Any, sock: socket.socket) -> None:
            calls.append("open")
            loop.add_reader(sock, client.loop_read)

        def on_socket_close(client: mqtt.Client, userdata: Any, sock: socket.socket) -> None:
            calls.append("close")
            loop.remove_reader(sock)

        def register(client: mqtt.Client, userdata: Any, sock: socket.socket) -> None:
            calls.append("register")
            loop.add_writer(sock, client.loop_write)

        def unregister(client: mqtt.Client, userdata: Any, sock: socket.socket) -> None:
            calls.append("unregister")
            loop.remove_writer(sock)

        client.on_socket_open = on_socket_open
        client.on_socket_close = on_socket_close
        client.on_socket_register_write = register
        client.on_socket_unregister_write = unregister
        client.on_connect = lambda *_: client.subscribe("asyncio", 1)
        client.on_subscribe = lambda *_: client.publish("asyncio", "x", 1)
        client.on_message = lambda *_: done.set_result(None)
        ended = loop.create_future()
        client.on_disconnect = lambda *_: ended.set_result(None)
        client.connect("localhost", broker.port)
        await asyncio.wait_for(done, PATIENCE)
        client.disconnect()
        await asyncio.wait_for(ended, PATIENCE)
        return calls

    calls = asyncio.run(run())
    assert calls[0] == "open" and calls[-1] == "close"
    assert calls.count("register") == calls.count("unregister") >= 3


def test_start_and_stop(broker: Broker) -> None:
    client = mqtt.Client(V2, "start-stop")
    recorder = Recorder(client)
    assert client.loop_stop() == mqtt.MQTT_ERR_INVAL
    assert client.loop_start() == mqtt.MQTT_ERR_SUCCESS
    assert client.loop_start() == mqtt.MQTT_ERR_INVAL
    client.connect("localhost", broker.port)
    recorder.wait("connect")
    assert client.loop_stop() == mqtt.MQTT_ERR_SUCCESS
    assert client.is_connected()
    assert client.loop_start() == mqtt.MQTT_ERR_SUCCESS
    client.publish("start-stop", qos=1)
    recorder.wait("publish")
    assert len(recorder.threads) == 2 and threading.current_thread() not in recorder.threads
    client.disconnect()
    recorder.wait("disconnect")
    client.loop_stop()
    for thread in recorder.threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert recorder.order.count("connect") == 1


def test_stop_inside_a_callback_does_not_wait_for_itself(broker: Broker) -> None:
    client = mqtt.Client(V2, "stop-inside")
    done = threading.Event()

    def on_connect(*_: Any) -> None:
        assert client.disconnect() == mqtt.MQTT_ERR_SUCCESS
        assert client.loop_stop() == mqtt.MQTT_ERR_SUCCESS
        done.set()

    client.on_connect = on_connect
    client.connect("localhost", broker.port)
    client.loop_start()
    assert done.wait(PATIENCE)


def test_loop_forever_returns_0_after_disconnect(broker: Broker) -> None:
    client = mqtt.Client(V2, "forever")
    client.on_connect = lambda *_: client.disconnect()
    client.connect("localhost", broker.port)
    assert client.loop_forever() == mqtt.MQTT_ERR_SUCCESS


def test_connect_async(broker: Broker) -> None:
    client = mqtt.Client(V2, "async")
    client.on_connect = lambda *_: client.disconnect()
    client.connect_async("localhost", broker.port)
    assert client.socket() is None
    assert client.loop_forever() == mqtt.MQTT_ERR_SUCCESS


def test_the_first_connection_is_tried_again_on_request() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client = mqtt.Client(V2, "first")
    failures = threading.Event()
    client.on_connect_fail = lambda *_: failures.set()
    client.connect_async("localhost", port)
    with pytest.raises(ConnectionRefusedError):
        client.loop_forever()
    assert failures.is_set()
    failures.clear()
    client.reconnect_delay_set(0.01, 0.01)  # type: ignore[arg-type]
    client.connect_async("localhost", port)
    client.loop_start()
    assert failures.wait(PATIENCE)
    client.loop_stop()


def test_an_exception_in_a_callback_leaves_the_loop(broker: Broker) -> None:
    client = mqtt.Client(V2, "raising")

    def on_connect(*_: Any) -> None:
        raise LookupError("mine")

    client.on_connect = on_connect
    client.connect("localhost", broker.port)
    with pytest.raises(LookupError, match="mine"):
        client.loop_forever()
    client.suppress_exceptions = True
    client.on_disconnect = on_connect
    client.disconnect()
    assert client.loop_forever() == mqtt.MQTT_ERR_SUCCESS


def test_context_manager(broker: Broker) -> None:
    with mqtt.Client(V2, "context") as client:
        recorder = Recorder(client)
        client.connect("localhost", broker.port)
        client.loop_start()
        recorder.wait("connect")
    assert recorder.wait("disconnect")[1] == 0
    assert client.socket() is None


PROGRAM = """
import sys
from iothub_mqtt import client as mqtt
client = mqtt.Client("program")
def say(text):
    # One write: print() makes two, and another thread's may come between them.
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()
client.on_connect = lambda *_: say("connected")
client.connect("localhost", {port})
"""


@contextlib.contextmanager
def start(path: Path, port: int, rest: str) -> Iterator[subprocess.Popen[str]]:
    path.write_text(PROGRAM.format(port=port) + rest)
    program = subprocess.Popen(
        # Newer Pythons warn of a fork while threads run.
        [sys.executable, "-W", "ignore::DeprecationWarning", path],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=take_interrupts,
    )
    with program:
        try:
            yield program
        finally:
            program.kill()


@pytest.mark.parametrize("timeout", ["", "60", "0.5"])
def test_control_c_leaves_loop_forever_at_once(broker: Broker, tmp_path: Path, timeout: str) -> None:
    with start(tmp_path / "p.py", broker.port, f"client.loop_forever({timeout})\n") as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "connected\n"
        program.send_signal(signal.SIGINT)
        # Far less than the longest time that the loop was given to wait.
        _, errors = program.communicate(timeout=PATIENCE)
        assert errors.rstrip().endswith("KeyboardInterrupt")


def test_control_c_leaves_wait_for_publish(broker: Broker, tmp_path: Path) -> None:
    rest = """
client.loop_start()
info = mqtt.MQTTMessageInfo(1)
say("waiting")
info.wait_for_publish()
"""
    with start(tmp_path / "p.py", broker.port, rest) as program:
        assert program.stdout is not None
        seen = {program.stdout.readline(), program.stdout.readline()}
        assert seen == {"connected\n", "waiting\n"}
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=PATIENCE)
        assert errors.rstrip().endswith("KeyboardInterrupt")


def test_the_program_may_end_while_connected_and_busy(broker: Broker, tmp_path: Path) -> None:
    rest = """
client.loop_start()
for n in range(20_000):
    client.publish("busy", "x" * 100, n % 2)
"""
    for _ in range(5):
        with start(tmp_path / "p.py", broker.port, rest) as program:
            _, errors = program.communicate(timeout=PATIENCE)
            assert (program.returncode, errors) == (0, "")


def test_a_client_does_not_survive_a_fork(broker: Broker, tmp_path: Path) -> None:
    rest = """
import os
client.loop_start()
client.publish("before", qos=1).wait_for_publish()
child = os.fork()
if child == 0:
    for use in (client.loop, client.disconnect, client.reconnect, lambda: client.publish("x")):
        try:
            use()
            os._exit(2)
        except RuntimeError as error:
            if "fork" not in str(error):
                os._exit(3)
    other = mqtt.Client("child")
    other.connect("localhost", {port})
    other.loop_start()
    other.publish("child", qos=1).wait_for_publish()
    other.disconnect()
    os._exit(7)
_, status = os.waitpid(child, 0)
client.publish("after", qos=1).wait_for_publish()
print("ended", os.waitstatus_to_exitcode(status), client.is_connected())
""".replace("{port}", str(broker.port))
    with start(tmp_path / "p.py", broker.port, rest) as program:
        output, errors = program.communicate(timeout=PATIENCE)
        assert (output.splitlines()[-1], errors) == ("ended 7 True", "")


def test_waiting_for_a_slow_server_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = mqtt.Client(V2, "slow")
        client.connect("localhost", server.getsockname()[1])
        connection, _ = server.accept()
        connection.recv(1024)
        connection.sendall(b"\x20\x02\x00\x00")
        until(client.is_connected, client.loop)
        client.publish("slow", b"x" * 20_000_000)
        waits = 0
        wait = client._wakeup.wait

        def counted(*arguments: Any, **keywords: Any) -> bool:
            nonlocal waits
            waits += 1
            return wait(*arguments, **keywords)

        monkeypatch.setattr(client._wakeup, "wait", counted)
        client.loop_start()
        threading.Event().wait(0.2)
        assert client.want_write() and waits < 10
        with connection:
            received = 0
            while received < 20_000_000:
                received += len(connection.recv(1 << 20))
            client.disconnect()
            while connection.recv(1 << 20):
                connection.close()
                break
        client.loop_stop()


def test_a_race_of_disconnect_and_reconnect(broker: Broker) -> None:
    """Whenever it is called, disconnect() leaves no connection behind."""
    for n in range(50):
        client = mqtt.Client(V2, f"race-{n}")
        recorder = Recorder(client)
        client.reconnect_delay_set(0, 0)
        client.connect_async("localhost", broker.port)
        client.loop_start()
        if n % 2:
            recorder.wait("connect")
            sock = client.socket()
            if sock is not None:
                sock.shutdown(socket.SHUT_RDWR)
        client.disconnect()
        client.loop_stop()
        assert client.socket() is None and not client.is_connected()
