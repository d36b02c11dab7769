"""The client side of the socket: blocking for the CLI and scripts, a coroutine for the console."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from msgspec.structs import replace

from console.wire import (
    PROTOCOL,
    Frames,
    FromWatch,
    Hello,
    Invoke,
    Refused,
    Reply,
    ToWatch,
    Welcome,
    WireError,
    decode_from_watch,
    frame,
)


class WatchUnreachable(Exception):
    """No watch answers on the socket; the message says what to do."""


class WatchLost(WatchUnreachable):
    """The watch was there and went away, or talks nonsense: what was asked last may or may not be done."""


def door_actor() -> str:
    """Who the client says it is; the watch adds the uid it sees."""
    return os.environ.get("WATCHFLOOR_AGENT", "")


class Connection:
    """A blocking connection to a watch.

    >>> with Connection(path, "socket") as watch:  # doctest: +SKIP
    ...     reply = watch.invoke("claim", args={"agent": "builder-1"})
    """

    def __init__(self, path: Path, door: str, timeout_s: float = 30.0) -> None:
        self._next_id = 1
        self._frames = Frames()
        self._ready: list[bytes] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._connect(path, timeout_s)
            self.welcome = self._greet(door)
        except (OSError, WireError, WatchLost) as error:
            self._socket.close()
            raise WatchUnreachable(f"no watch answers at {path} ({_why(error)})") from None
        except BaseException:
            self._socket.close()
            raise

    def _connect(self, path: Path, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return self._socket.connect(os.fspath(path))
            except BlockingIOError:  # many come at once and the queue before the door is full
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _greet(self, door: str) -> Welcome:
        self.send(Hello(PROTOCOL, door, door_actor()))
        answer = self.receive()
        if isinstance(answer, Refused):
            raise WireError(answer.reason)
        if not isinstance(answer, Welcome):
            raise WireError("it did not greet")
        return answer

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, message: ToWatch) -> None:
        """Send one frame. Raises :class:`WatchLost`."""
        self._send_bytes(frame(message))

    def _send_bytes(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise WatchLost(f"the connection to the watch broke ({_why(error)})") from None

    def receive(self) -> FromWatch:
        """The next frame. Raises :class:`WatchLost`."""
        while not self._ready:
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                raise WatchLost("the watch does not answer in time; see its log") from None
            except OSError as error:
                raise WatchLost(f"the connection to the watch broke ({_why(error)})") from None
            if not data:
                raise WatchLost("the watch closed the connection")
            self._ready = self._take(data)
        body = self._ready.pop(0)
        try:
            return decode_from_watch(body)
        except WireError as error:
            raise WatchLost(f"the watch sent what cannot be understood ({error})") from None

    def _take(self, data: bytes) -> list[bytes]:
        try:
            return self._frames.feed(data)
        except WireError as error:
            raise WatchLost(f"the watch sent what cannot be understood ({error})") from None

    def invoke(
        self,
        command: str,
        targets: tuple[str, ...] = (),
        args: dict[str, Any] | None = None,
        *,
        dry_run: bool = False,
        plan_ids: tuple[str, ...] = (),
        confirmed: str = "",
        request_id: str = "",
    ) -> Reply:
        """Run a command and wait for its reply."""
        invoke = Invoke(0, command, targets, args or {}, dry_run, plan_ids, confirmed, request_id)
        return self.invoke_all([invoke])[0]

    def invoke_all(self, invokes: Sequence[Invoke]) -> list[Reply]:
        """Send all requests at once and wait for all replies, in the order of the requests.

        The watch commits what arrives together in one transaction. Ids are given here.
        """
        first = self._next_id
        self._next_id += len(invokes)
        numbered = [replace(invoke, id=first + n) for n, invoke in enumerate(invokes)]
        self._send_bytes(b"".join(map(frame, numbered)))
        replies: dict[int, Reply] = {}
        while len(replies) < len(invokes):
            message = self.receive()
            if isinstance(message, Reply) and message.id >= first:
                replies[message.id] = message
        return [replies[invoke.id] for invoke in numbered]


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no socket"
    if isinstance(error, ConnectionRefusedError):
        return "the socket is left over from a watch that died"
    if isinstance(error, PermissionError):
        return "it belongs to another user"
    return str(error) or type(error).__name__
