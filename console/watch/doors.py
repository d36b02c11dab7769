"""The watch's socket: who may come in, and the two languages spoken at the door.

Binary frames (:mod:`console.wire`) serve the console, the CLI and Python clients; JSON lines serve agents in
any language:

    {"id": 1, "verb": "claim", "args": {"agent": "builder-1"}}
    {"id": 1, "ok": true, "data": {...}, "message": "..."}
    {"id": 1, "ok": false, "error": {"code": 4, "message": "..."}}

Only the user who runs the watch (and root) is let in. Garbage gets a reason and a closed door; a door that
says nothing is closed after :data:`HELLO_TIMEOUT_S`. A door that does not read what it asked for is not read
either until it has: its backlog is bounded by what was under way.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from backends.text import clean
from console.exit_codes import ExitCode
from console.watch.dispatch import Dispatcher, Requester
from console.watch.views import Views
from console.wire import (
    PROTOCOL,
    Ask,
    Failure,
    Follow,
    Frames,
    FromWatch,
    Hello,
    Invoke,
    Refresh,
    Refused,
    Reply,
    Stop,
    Subscribe,
    ToWatch,
    Unsubscribe,
    WireError,
    decode_to_watch,
    frame,
)

if TYPE_CHECKING:
    from console.watch.house import House

log = logging.getLogger(__name__)

HELLO_TIMEOUT_S = 10.0
MAX_LINE_BYTES = 1024 * 1024
MAX_DOORS = 512
#: Above this many unsent bytes a door gets no new pictures until it has read some.
BACKLOG_BYTES = 256 * 1024
#: So many requests of one door run at the same time; the others wait their turn.
MAX_INVOKES = 64


class JsonRequest(msgspec.Struct, frozen=True):
    """One line of an agent."""

    verb: str
    id: int | str | None = None
    args: dict[str, Any] = {}
    target: str = ""
    targets: tuple[str, ...] = ()
    dry_run: bool = False
    confirmed: str = ""
    request_id: str = ""


_json_request = msgspec.json.Decoder(JsonRequest)
_json_encoder = msgspec.json.Encoder()


def peer_uid(sock: socket.socket) -> int | None:
    """The user at the other end, as the kernel knows it. ``None`` where it does not say."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", raw)[1])


def actor_name(uid: int | None) -> str:
    """``uid:1000 alice``."""
    if uid is None:
        return "uid:?"
    try:
        return f"uid:{uid} {clean(pwd.getpwuid(uid).pw_name, 64)}"
    except KeyError:
        return f"uid:{uid}"


def _named(actor: str, says: str) -> str:
    """The user the kernel names and, where it says more, who the client says it is."""
    says = clean(says, 64).strip()
    return actor if not says or actor.endswith(f" {says}") else f"{actor} as {says}"


class Door(asyncio.Protocol):
    """One connection."""

    def __init__(
        self,
        house: House,
        dispatcher: Dispatcher,
        doors: set[Door],
        hello_timeout_s: float = HELLO_TIMEOUT_S,
    ) -> None:
        self._house = house
        self._dispatcher = dispatcher
        self._doors = doors
        self._transport: asyncio.Transport | None = None
        self._receive: Callable[[bytes], None] = self._first_bytes
        self._frames = Frames()
        self._line = bytearray()
        self._requester = Requester("uid:?", "socket")
        self._views: Views | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: dict[int, asyncio.Task[None]] = {}
        self._hello_timeout_s = hello_timeout_s
        self._hello_timer: asyncio.TimerHandle | None = None
        self._turns = asyncio.Semaphore(MAX_INVOKES)
        self._room = asyncio.Event()
        self._room.set()
        self.is_console = False

    # --- the connection ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        uid = peer_uid(transport.get_extra_info("socket"))
        self._requester = Requester(actor_name(uid), "socket")
        if uid not in (None, 0, os.getuid()):
            self._refuse(f"this watch serves uid {os.getuid()} only, not uid {uid}")
        elif len(self._doors) >= MAX_DOORS:
            self._refuse(f"{MAX_DOORS} connections are open already; close some")
        else:
            self._doors.add(self)
            loop = asyncio.get_running_loop()
            self._hello_timer = loop.call_later(
                self._hello_timeout_s, self._refuse, "nothing was said; closing"
            )

    def pause_writing(self) -> None:
        """Much is unsent: take no more requests until the other side has read some of it."""
        self._room.clear()
        assert self._transport is not None
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._room.set()
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._doors.discard(self)
        self._room.set()
        if self._hello_timer is not None:
            self._hello_timer.cancel()
        if self._views is not None:
            self._views.close()
        for task in (*self._tasks, *self._streams.values()):
            # a command that has begun is finished: its door closing is no reason to leave it half done
            if task.get_name() != "invoke":
                task.cancel()
        self._house.doors_changed()

    def data_received(self, data: bytes) -> None:
        try:
            self._receive(data)
        except WireError as error:
            self._refuse(str(error))
            self._receive = _ignore  # whatever else it says before the door is shut

    def _first_bytes(self, data: bytes) -> None:
        if data[:1] in (b"{", b"\n", b" "):
            self._receive = self._json_bytes
            self._greeted()
        else:
            self._receive = self._hello_bytes
        self._receive(data)

    def _greeted(self) -> None:
        if self._hello_timer is not None:
            self._hello_timer.cancel()
            self._hello_timer = None

    def send(self, message: FromWatch) -> None:
        """Queue one frame."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame(message))

    async def _send_when_read(self, message: FromWatch) -> None:
        """Queue one frame once the other side has read most of what is queued."""
        await self._room.wait()
        self.send(message)

    def _is_writable(self) -> bool:
        return self._transport is not None and self._transport.get_write_buffer_size() < BACKLOG_BYTES

    def _refuse(self, reason: str) -> None:
        log.info("refused %s: %s", self._requester.actor, reason)
        if self._transport is None or self._transport.is_closing():
            return
        if self._receive == self._json_bytes:
            self._json_failure(None, ExitCode.USAGE, reason)
        else:
            self.send(Refused(clean(reason)))
        self._transport.close()

    def _spawn(self, work: Any, name: str) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- frames --------------------------------------------------------------------------------------

    def _hello_bytes(self, data: bytes) -> None:
        bodies = self._frames.feed(data)
        if not bodies:
            return
        hello = decode_to_watch(bodies[0])
        if not isinstance(hello, Hello):
            raise WireError("the first frame must be a hello")
        if hello.protocol != PROTOCOL:
            raise WireError(
                f"this watch speaks protocol {PROTOCOL}, you speak {hello.protocol}; "
                "restart the watch with `watchfloor restart` after an upgrade"
            )
        self._greeted()
        self._requester = Requester(_named(self._requester.actor, hello.actor), clean(hello.door, 16))
        self.is_console = hello.door == "tui"
        self._house.doors_changed()
        self.send(self._house.welcome())
        self._receive = self._frame_bytes
        for body in bodies[1:]:
            self._take(decode_to_watch(body))

    def _frame_bytes(self, data: bytes) -> None:
        for body in self._frames.feed(data):
            self._take(decode_to_watch(body))

    def _take(self, message: ToWatch) -> None:
        if isinstance(message, Invoke):
            self._spawn(self._invoke(message), "invoke")
        elif isinstance(message, Subscribe):
            self._subscribe(message)
        elif isinstance(message, Unsubscribe):
            if self._views is not None:
                self._views.unsubscribe(message.id)
            self._stop_stream(message.id)
        elif isinstance(message, Follow):
            self._stream(message.id, self._house.follow_log(message, self._send_when_read))
        elif isinstance(message, Ask):
            self._stream(message.id, self._house.answer(message, self.send))
        elif isinstance(message, Stop):
            self._stop_stream(message.id)
        elif isinstance(message, Refresh):
            self._house.refresh()

    async def _invoke(self, message: Invoke) -> None:
        async with self._turns:
            reply = await self._dispatcher.invoke(message, self._requester)
            self._send_reply(message, reply)
            await self._room.wait()

    def _send_reply(self, message: Invoke, reply: Reply) -> None:
        try:
            self.send(reply)
        except TypeError as error:  # a client must not wait for ever because of a bug in a command's data
            log.exception("the reply to %s cannot be sent", message.command)
            failure = Failure(
                int(ExitCode.FAILED), f"{message.command} ran, but its data cannot be sent: {error}"
            )
            self.send(Reply(message.id, failure=failure))

    def _subscribe(self, message: Subscribe) -> None:
        if message.view.table == "summary":
            self._stream(message.id, self._house.send_summaries(message.id, self._send_when_read))
            return
        if self._views is None:
            self._views = self._house.views(self.send, self._is_writable)
            self._spawn(self._views.run(), "views")
        self._views.subscribe(message.id, message.view)

    def _stream(self, id_: int, work: Any) -> None:
        self._stop_stream(id_)
        stream = self._streams[id_] = self._spawn(work, "stream")
        stream.add_done_callback(lambda ended: self._forget_stream(id_, ended))

    def _forget_stream(self, id_: int, ended: asyncio.Task[None]) -> None:
        if self._streams.get(id_) is ended:
            del self._streams[id_]

    def _stop_stream(self, id_: int) -> None:
        stream = self._streams.pop(id_, None)
        if stream is not None:
            stream.cancel()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def touch_table(self, table: str) -> None:
        """Rows of a table that the Picture does not hold have changed."""
        if self._views is not None:
            self._views.touch_table(table)

    # --- JSON lines ----------------------------------------------------------------------------------

    def _json_bytes(self, data: bytes) -> None:
        self._line += data
        while (end := self._line.find(b"\n")) >= 0:
            line = bytes(self._line[:end]).strip()
            del self._line[: end + 1]
            if line:
                self._json_line(line)
        if len(self._line) > MAX_LINE_BYTES:
            raise WireError(f"a line longer than {MAX_LINE_BYTES} bytes")

    def _json_line(self, line: bytes) -> None:
        try:
            request = _json_request.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._json_failure(None, ExitCode.USAGE, f"not a request: {error}")
            return
        self._spawn(self._json_invoke(request), "invoke")

    async def _json_invoke(self, request: JsonRequest) -> None:
        targets = request.targets or ((request.target,) if request.target else ())
        invoke = Invoke(
            0,
            request.verb,
            targets,
            request.args,
            request.dry_run,
            confirmed=request.confirmed,
            request_id=request.request_id,
        )
        async with self._turns:
            reply = await self._dispatcher.invoke(invoke, self._requester)
            try:
                self._json_reply(request.id, reply)
            except TypeError as error:
                log.exception("the reply to %s cannot be sent", request.verb)
                self._json_failure(
                    request.id, ExitCode.FAILED, f"{request.verb} ran, but its data cannot be sent: {error}"
                )
            await self._room.wait()

    def _json_reply(self, id_: int | str | None, reply: Reply) -> None:
        if reply.failure is not None:
            self._json_failure(id_, reply.failure.code, reply.failure.message, reply.failure.detail)
        elif reply.confirm:
            message = f"needs confirmation: send confirmed = {reply.confirm!r}"
            self._json_failure(id_, ExitCode.USAGE, message, reply.plans)
        elif reply.plans:
            self._json_line_out({"id": id_, "ok": True, "data": reply.plans, "message": "dry run"})
        else:
            data = [outcome.data for outcome in reply.outcomes]
            worst = max(reply.outcomes, key=lambda outcome: outcome.exit_code)
            answer = {
                "id": id_,
                "ok": worst.exit_code == 0,
                "data": data[0] if len(data) == 1 else data,
                "message": worst.message,
            }
            if worst.exit_code:
                answer["error"] = Failure(worst.exit_code, worst.message)
            self._json_line_out(answer)

    def _json_failure(self, id_: int | str | None, code: int, message: str, detail: Any = None) -> None:
        error = {"code": int(code), "message": clean(message)}
        if detail is not None:
            error["detail"] = detail
        self._json_line_out({"id": id_, "ok": False, "error": error})

    def _json_line_out(self, answer: dict[str, Any]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_json_encoder.encode(answer) + b"\n")


def _ignore(data: bytes) -> None:
    """A refused door is not listened to."""
