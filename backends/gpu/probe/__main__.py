"""The probe's main loop: open the driver, then a frame at each beat until told to stop.

    python -m backends.gpu.probe '{"interval_s": 1.0, "processes": true, "library": null, "root": "/"}'

Options are one JSON object, all of them optional: what a command may set, the library file to load, and where
``/proc`` and ``/sys`` are.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from backends.gpu.probe import VERSION
from backends.gpu.probe.library import (
    LIBRARY_VARIABLE,
    Trouble,
    bind,
    initialise,
    library_version,
    load,
)
from backends.gpu.probe.slots import Machine
from backends.gpu.probe.xid import XidWatch

Command = dict[str, Any]

_DEAD_PARENT = 0


class Lines:
    """Whole lines to standard output, from any thread."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def write(self, kind: str, **values: Any) -> None:
        data = json.dumps({"k": kind, **values}, separators=(",", ":")).encode("ascii") + b"\n"
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._fd, data) :]
            except BrokenPipeError:
                os._exit(_DEAD_PARENT)


def read_commands(fd: int, inbox: SimpleQueue[Command]) -> None:
    """Put commands into ``inbox`` until the parent is gone; then end the process, hung call or not."""
    rest = b""
    while data := os.read(fd, 4096):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            try:
                command = json.loads(line)
            except ValueError:
                continue
            if isinstance(command, dict):
                inbox.put(command)
    os._exit(_DEAD_PARENT)


class Beat:
    """When the next frame is due, and what commands make of that."""

    def __init__(self, interval_s: float, processes: bool) -> None:
        self.interval_s = interval_s
        self.processes = processes
        self.stop = False

    def obey(self, command: Command) -> None:
        self.interval_s = float(command.get("interval_s", self.interval_s))
        self.processes = bool(command.get("processes", self.processes))
        self.stop = bool(command.get("quit", self.stop))

    def wait(self, started_s: float, inbox: SimpleQueue[Command]) -> None:
        """Return when the beat after ``started_s`` is due; commands change it while it waits."""
        while not self.stop:
            left_s = started_s + self.interval_s - time.monotonic()
            if left_s <= 0:
                return
            try:
                self.obey(inbox.get(timeout=left_s))
            except Empty:
                return


def run(beat: Beat, inbox: SimpleQueue[Command], machine: Machine, lines: Lines) -> None:
    while not beat.stop:
        started_s = time.monotonic()
        gpus, driver_s = machine.read(started_s, beat.processes)
        lines.write("frame", gpus=gpus, driver_us=round(driver_s * 1e6))
        beat.wait(started_s, inbox)


def open_machine(library: str | None, root: str, lines: Lines) -> Machine:
    """Load, bind, initialise, greet. Raises :class:`Trouble`."""
    nvml = bind(load(library))
    initialise(nvml, root)
    driver = _answer(nvml, nvml.nvmlSystemGetDriverVersion)
    lines.write(
        "hello",
        version=VERSION,
        driver=driver,
        nvml=_answer(nvml, nvml.nvmlSystemGetNVMLVersion) or library_version() or "",
        count=int(nvml.nvmlDeviceGetCount()),
    )
    xids = XidWatch(nvml, lambda index, code: lines.write("xid", index=index, code=code))
    return Machine(nvml, root, driver, lambda index: lines.write("opening", index=index), xids.add)


def _answer(nvml: Any, call: Callable[[], Any]) -> str:
    try:
        return str(call())
    except nvml.NVMLError:
        return ""


def main() -> int:
    options: Command = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    library = options.get("library") or os.environ.get(LIBRARY_VARIABLE)
    lines = Lines(sys.stdout.fileno())
    inbox: SimpleQueue[Command] = SimpleQueue()
    threading.Thread(target=read_commands, args=(sys.stdin.fileno(), inbox), daemon=True).start()
    try:
        machine = open_machine(library, options.get("root", "/"), lines)
    except Trouble as trouble:
        lines.write("trouble", why=trouble.why, **trouble.details)
        return 0
    beat = Beat(1.0, True)
    beat.obey(options)
    run(beat, inbox, machine, lines)
    return 0


if __name__ == "__main__":
    code = main()
    os._exit(code)  # a thread may wait inside the driver; nothing here needs an orderly end
