"""Running another program on this machine: argument lists only, bounded in time and output, no terminal."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from backends.clock import Clock

Ending = Literal["exited", "timeout", "too much output"]


class CommandResult(NamedTuple):
    """How a program ended. ``code`` is ``None`` when it was killed by us; ``ended`` says why.

    A negative code is the number of the signal that ended it.
    """

    ended: Ending
    code: int | None
    stdout: bytes
    stderr: bytes


async def run_command(
    argv: Sequence[str | bytes],
    clock: Clock,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    limit_bytes: int = 16 << 20,
) -> CommandResult:
    """Run ``argv`` to its end, or kill it and its children after ``timeout_s`` or ``limit_bytes`` of output.

    ``env`` is the whole environment; without it, ours. Raises ``OSError`` when it cannot be started.
    """
    loop = asyncio.get_running_loop()
    transport, run = await loop.subprocess_exec(
        lambda: _Run(limit_bytes),
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        env=env,
        start_new_session=True,  # a group of its own, to be killed as one
    )
    deadline = asyncio.ensure_future(clock.sleep(timeout_s))
    try:
        await asyncio.wait((run.ended, deadline), return_when=asyncio.FIRST_COMPLETED)
        ended: Ending = run.ended.result() if run.ended.done() else "timeout"
        code = transport.get_returncode() if ended == "exited" else None
        return CommandResult(ended, code, bytes(run.output[1]), bytes(run.output[2]))
    finally:
        deadline.cancel()
        if transport.get_returncode() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(transport.get_pid(), signal.SIGKILL)
        transport.close()


class _Run(asyncio.SubprocessProtocol):
    """Collects what a program writes. It ended when it exited and nobody holds its pipes any more."""

    def __init__(self, limit_bytes: int) -> None:
        self.output = {1: bytearray(), 2: bytearray()}
        self.ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._limit_bytes = limit_bytes

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if len(self.output[fd]) + len(data) > self._limit_bytes:
            self._end("too much output")
        else:
            self.output[fd] += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("exited")

    def _end(self, ending: Ending) -> None:
        if not self.ended.done():
            self.ended.set_result(ending)
