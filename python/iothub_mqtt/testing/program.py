"""The program `iothub-emulator`: where it is, and one run of it."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from .events import Events

_START = 30.0
_END = 10.0


class EmulatorError(Exception):
    """The local hub is not installed, does not start, or did not end well."""


def find_program(program: str | os.PathLike[str] | None = None) -> Path:
    """Return the program: `program`, or else what IOTHUB_EMULATOR names, or else the one in PATH."""
    for wanted, origin in ((program, "program"), (os.environ.get("IOTHUB_EMULATOR"), "IOTHUB_EMULATOR")):
        if wanted:
            found = shutil.which(wanted)
            if found is None:
                raise EmulatorError(f"{origin} names {os.fspath(wanted)}, which is not a program. {_REMEDY}")
            return Path(found)
    found = shutil.which("iothub-emulator")
    if found is None:
        raise EmulatorError(f"There is no iothub-emulator in PATH. {_REMEDY}")
    return Path(found)


_REMEDY = (
    "It is built from a checkout of iothub-mqtt with `cargo install --path emulator`, or with "
    "`cargo build --package iothub-emulator` and IOTHUB_EMULATOR=.../target/debug/iothub-emulator."
)


class Running:
    """A run of the program. It ends with `close`, and also when this process dies, however it dies."""

    def __init__(self, program: Path, arguments: Sequence[str]) -> None:
        self.events = Events()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._ready: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [program, "--events", "-", "--exit-with-stdin", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        assert self._process.stdout is not None
        self._follower = threading.Thread(
            target=self._follow, args=(self._process.stdout,), name="iothub-emulator", daemon=True
        )
        self._follower.start()
        try:
            ready = self._ready.get(timeout=_START)
        except queue.Empty:
            ready = None
        if ready is None:
            said = self._stop()
            raise EmulatorError(f"{program} did not start: {said or 'it did not say why'}")
        self.ready: dict[str, Any] = ready
        """The program's first line."""

    def close(self) -> None:
        """End the program; again, it does nothing. Raises EmulatorError if the program failed meanwhile."""
        if self._process.stdin is None or self._process.stdin.closed:
            return
        early = self._process.poll() is not None
        said = self._stop()
        if early or self._process.returncode != 0:
            why = f": {said}" if said else ""
            raise EmulatorError(f"iothub-emulator failed with {self._process.returncode} before its time{why}")

    def _stop(self) -> str:
        """End the program; return what it wrote on its standard error."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._follower.join()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        self._errors.close()
        return said

    def _follow(self, lines: IO[bytes]) -> None:
        why = "the hub has ended"
        try:
            self._ready.put(json.loads(lines.readline()))
            for line in lines:
                self.events.add(json.loads(line))
        except ValueError as error:
            why = f"the hub wrote what is no event ({error})"
        finally:
            lines.close()
            self._ready.put(None)
            self.events.end(why)
