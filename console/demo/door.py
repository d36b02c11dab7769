"""How an agent speaks to a watch: lines of JSON through its Unix socket. Standard library only.

This is all a client needs, so it also serves as the example for one:

>>> door = Door(path)  # doctest: +SKIP
>>> door.call("register-agent", "builder-1", pid=os.getpid())  # doctest: +SKIP
>>> door.call("claim", agent="builder-1", type=["build"])  # doctest: +SKIP
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

#: A watch that restarts is back within moments; one that is away for longer has gone.
PATIENCE_S = 10.0
RETRY_S = 0.25
REPLY_TIMEOUT_S = 30.0

#: Error codes an agent can do something about.
NOT_FOUND, CONFLICT = 3, 4


class Refused(Exception):
    """The watch said no; ``code`` is its exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class WatchGone(Exception):
    """Nobody has answered on the socket for :data:`PATIENCE_S`."""


class Door:
    """A connection that comes back by itself when the watch restarts."""

    def __init__(self, path: Path, patience_s: float = PATIENCE_S) -> None:
        self._path = path
        self._patience_s = patience_s
        self._ids = itertools.count(1)
        self._socket: socket.socket | None = None
        self._rest = b""

    def call(self, verb: str, target: str = "", **args: Any) -> Any:
        """Run one command and return its data.

        The request id makes a repetition harmless: a watch that did it already answers the same again.
        Raises :class:`Refused`, or :class:`WatchGone` after trying for a while.
        """
        id_ = next(self._ids)
        request = {"id": id_, "verb": verb, "target": target, "args": args}
        request["request_id"] = f"{os.getpid()}-{time.time_ns()}-{id_}"
        line = json.dumps(request).encode() + b"\n"
        until = time.monotonic() + self._patience_s
        while True:
            try:
                reply = self._exchange(line)
                break
            except OSError as error:
                self.close()
                if time.monotonic() >= until:
                    raise WatchGone(f"no watch answers at {self._path}: {error}") from None
                time.sleep(RETRY_S)
        if not reply["ok"]:
            raise Refused(reply["error"]["code"], reply["error"]["message"])
        return reply["data"]

    def close(self) -> None:
        """Hang up; the next call connects again."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest = None, b""

    def _exchange(self, line: bytes) -> dict[str, Any]:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(REPLY_TIMEOUT_S)
            self._socket.connect(os.fspath(self._path))
        self._socket.sendall(line)
        while b"\n" not in self._rest:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("it hung up")
            self._rest += data
        answer, _, self._rest = self._rest.partition(b"\n")
        reply: dict[str, Any] = json.loads(answer)
        return reply
