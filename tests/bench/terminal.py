"""A program in a pseudo-terminal: what it writes, when, and what its screen shows."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import pyte


class Terminal:
    """Runs ``argv`` on a terminal of its own. Use as a context manager."""

    def __init__(
        self, argv: Sequence[str], columns: int, lines: int, env: Mapping[str, str] | None = None
    ) -> None:
        self.bytes_read = 0
        self.started = time.perf_counter()
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ.update(env or {})
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LANG="C.UTF-8")
            os.execvp(argv[0], list(argv))
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the program and wait for it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        deadline = time.perf_counter() + 5
        while time.perf_counter() < deadline:
            self.read(0.05)
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                break
        else:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)

    def send(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def read(self, timeout_s: float, *, draw: bool = True) -> bytes:
        """What arrives within ``timeout_s``; empty when nothing does.

        Drawing the screen takes time of its own: without ``draw`` only the bytes are counted.
        """
        readable, _, _ = select.select([self._fd], [], [], timeout_s)
        if not readable:
            return b""
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:
            return b""
        self.bytes_read += len(data)
        if draw:
            self._stream.feed(data)
        return data

    @property
    def text(self) -> str:
        """The screen as it stands."""
        return "\n".join(self._screen.display)

    def wait_for(self, condition: Callable[[str], bool], timeout_s: float = 20.0) -> float:
        """Read until the screen satisfies ``condition``; seconds since the program was started."""
        deadline = time.perf_counter() + timeout_s
        while time.perf_counter() < deadline:
            self.read(0.02)
            if condition(self.text):
                return time.perf_counter() - self.started
        raise TimeoutError(f"not seen within {timeout_s} s; the screen shows:\n{self.text}")

    def drain(self, seconds: float) -> int:
        """Read for ``seconds``; the number of bytes."""
        before = self.bytes_read
        deadline = time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            self.read(left)
        return self.bytes_read - before
