"""The probe's process, seen from here: lines in, commands out, and an end that waits for no driver."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from backends.gpu.protocol import LineBuffer, command

_ROOT = Path(__file__).resolve().parents[2]
_BINDING = "pynvml"

GRACE_S = 0.25  # for a probe that still listens, at the end


def probe_arguments(library: str | None, root: str, interval_s: float, processes: bool) -> list[str]:
    """The argument list that starts the probe. No site, no user folder, not the working folder: it stays
    small and nothing lying around can stand in for a module."""
    options = {"interval_s": interval_s, "processes": processes, "library": library, "root": root}
    return [sys.executable, "-S", "-P", "-m", "backends.gpu.probe", json.dumps(options)]


def search_path() -> str:
    """``PYTHONPATH`` for the probe: this package, and wherever ``pynvml`` would be imported from here."""
    folders = [str(_ROOT)]
    spec = importlib.util.find_spec(_BINDING)
    if spec is not None and spec.origin:
        origin = Path(spec.origin)
        folders.append(str(origin.parent.parent if origin.name == "__init__.py" else origin.parent))
    return os.pathsep.join(dict.fromkeys(folders))


class ProbeProcess(asyncio.Protocol):
    """One running probe. ``on_line`` gets each line, ``on_end`` is called once when its output ends."""

    def __init__(self, on_line: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._on_line = on_line
        self._on_end = on_end
        self._buffer = LineBuffer()
        self._ended = asyncio.Event()
        self._transport: asyncio.ReadTransport | None = None
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, arguments: Sequence[str]) -> None:
        """Start the process. Raises ``OSError`` when that fails."""
        environment = {**os.environ, "PYTHONPATH": search_path(), "MALLOC_ARENA_MAX": "1"}
        self._process = subprocess.Popen(  # noqa: ASYNC220 - returns once exec succeeded, in about a millisecond
            list(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # what is no message may still say why it died
            env=environment,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: self, self._process.stdout)
        self._transport = transport

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def send(self, **values: object) -> None:
        """One command. A probe that hangs or ended does not hear it, and that is no error."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                os.write(self._process.stdin.fileno(), command(**values))

    def exit_code(self) -> int | None:
        """Reap the process if it ended. ``None`` while it lives, or waits in the kernel to die."""
        return None if self._process is None else self._process.poll()

    def abandon(self) -> None:
        """Kill it and stop listening; never waits. In an uninterruptible call the kill only counts later."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        self._close_pipes()

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Ask it to end, kill it after ``grace_s``. Takes little more than that, whatever the driver does."""
        self.send(quit=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), grace_s)
        for _ in range(10):  # its pipe closes a moment before it can be reaped
            if not self._ended.is_set() or self.exit_code() is not None:
                break
            await asyncio.sleep(0.005)
        self.abandon()
        await asyncio.sleep(0)
        self.exit_code()

    def data_received(self, data: bytes) -> None:
        for line in self._buffer.feed(data):
            self._on_line(line)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()
        self._on_end()

    def _close_pipes(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if self._transport is not None:
            self._transport.close()
