"""What travels between the watch and its doors.

A frame is a 4-byte big-endian length and that many bytes of MessagePack: one tagged struct below. The first
frame of a client is :class:`Hello`; the watch answers :class:`Welcome` or :class:`Refused` and closes. A
connection whose first byte is ``{`` speaks JSON lines instead (see :mod:`console.watch.doors`).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from backends.model import (
    Agent,
    AuditRecord,
    CopyGroup,
    Finding,
    Gpu,
    Host,
    Outcome,
    Plan,
    Process,
    Summary,
    View,
    WorkItem,
    Worktree,
)

#: Raised whenever a frame changes meaning. Both sides must have the same one.
PROTOCOL = 1
#: No frame is longer; a longer length is garbage or an attack.
MAX_FRAME_BYTES = 8 * 1024 * 1024

#: The noun in the rows of each table.
ROW_TYPES: dict[str, type] = {
    "agents": Agent,
    "work": WorkItem,
    "gpus": Gpu,
    "hosts": Host,
    "processes": Process,
    "worktrees": Worktree,
    "copies": CopyGroup,
    "findings": Finding,
    "audit": AuditRecord,
}


class WireError(Exception):
    """The other side sent what cannot be a frame of this protocol."""


# --- from a client -----------------------------------------------------------------------------------


class Hello(msgspec.Struct, tag="hello", frozen=True):
    protocol: int
    door: str  # "tui", "cli", "socket"
    actor: str = ""  # who says so; the watch adds the uid it sees itself


class Invoke(msgspec.Struct, tag="invoke", frozen=True, omit_defaults=True):
    """Plan and run a command. Without ``confirmed`` a command that needs it answers with its plans."""

    id: int
    command: str
    targets: tuple[str, ...] = ()
    args: dict[str, Any] = {}
    dry_run: bool = False
    plan_ids: tuple[str, ...] = ()  # what was shown and agreed to; a changed plan is refused
    confirmed: str = ""
    request_id: str = ""  # the same id again returns the first answer


class Subscribe(msgspec.Struct, tag="subscribe", frozen=True):
    """Show a view, or change the one with this id. ``summary`` is a table without rows."""

    id: int
    view: View


class Unsubscribe(msgspec.Struct, tag="unsubscribe", frozen=True):
    id: int


class Follow(msgspec.Struct, tag="follow", frozen=True):
    """Stream an agent's log: its last ``lines`` lines, then what is added."""

    id: int
    agent: str
    lines: int = 200


class Ask(msgspec.Struct, tag="ask", frozen=True):
    """Ask the analyst; the answer is streamed."""

    id: int
    question: str


class Stop(msgspec.Struct, tag="stop", frozen=True):
    """End the Follow or Ask with this id."""

    id: int


class Refresh(msgspec.Struct, tag="refresh", frozen=True):
    """Read every source now."""


ToWatch: TypeAlias = Hello | Invoke | Subscribe | Unsubscribe | Follow | Ask | Stop | Refresh


# --- from the watch ----------------------------------------------------------------------------------


class Welcome(msgspec.Struct, tag="welcome", frozen=True):
    protocol: int
    pid: int
    host: str
    version: str
    started_at: int
    read_only: bool = False
    demo: bool = False


class Refused(msgspec.Struct, tag="refused", frozen=True):
    reason: str
    protocol: int = PROTOCOL


class Failure(msgspec.Struct, frozen=True):
    """Why an Invoke did not run. ``code`` is an exit code (see console.exit_codes)."""

    code: int
    message: str
    detail: Any = None


class Reply(msgspec.Struct, tag="reply", frozen=True, omit_defaults=True):
    """The answer to an Invoke: outcomes, or plans (dry run, confirmation needed), or why not."""

    id: int
    outcomes: tuple[Outcome, ...] = ()
    plans: tuple[Plan, ...] = ()
    confirm: str = ""  # what must be confirmed to run the plans; "" with plans = a dry run
    failure: Failure | None = None


class Shown(msgspec.Struct, tag="shown", frozen=True, omit_defaults=True):
    """What a view shows now. ``rows`` holds only those that differ from what was sent before."""

    id: int
    table: str
    start: int
    order: tuple[str, ...]  # ids of the rows of the window, in order
    rows: msgspec.Raw  # list of nouns of the table
    total: int
    total_is_exact: bool = True
    counts: dict[str, int] = {}
    table_total: int | None = None
    followed: int | None = None
    follow: str | None = None  # what ``followed`` is about: a view may have changed since
    problem: str = ""
    observed_at: int | None = None


class Totals(msgspec.Struct, tag="totals", frozen=True):
    id: int
    summary: Summary


class Lines(msgspec.Struct, tag="lines", frozen=True):
    """More of a followed log. ``ended`` says why there will be no more."""

    id: int
    text: str
    ended: str = ""


class Answer(msgspec.Struct, tag="answer", frozen=True, omit_defaults=True):
    """More of an answer. ``text`` is added to what came before unless ``replace`` is set."""

    id: int
    text: str = ""
    replace: bool = False
    status: str = ""  # one line: which engine, what it costs, what went wrong
    done: bool = False


FromWatch: TypeAlias = Welcome | Refused | Reply | Shown | Totals | Lines | Answer

_encoder = msgspec.msgpack.Encoder()
_to_watch: msgspec.msgpack.Decoder[ToWatch] = msgspec.msgpack.Decoder(ToWatch)
_from_watch: msgspec.msgpack.Decoder[FromWatch] = msgspec.msgpack.Decoder(FromWatch)
_row_decoders: dict[str, msgspec.msgpack.Decoder[list[Any]]] = {
    table: msgspec.msgpack.Decoder(list.__class_getitem__(noun)) for table, noun in ROW_TYPES.items()
}


def frame(message: ToWatch | FromWatch) -> bytes:
    """One frame, length first."""
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "big") + body


def raw_rows(rows: list[Any]) -> msgspec.Raw:
    """Rows as they travel in :class:`Shown`."""
    return msgspec.Raw(_encoder.encode(rows))


def decode_rows(table: str, rows: msgspec.Raw) -> list[Any]:
    """The nouns of ``table`` in ``rows``."""
    return _row_decoders[table].decode(rows)


def rows_of(table: str, rows: Any) -> list[Any]:
    """The nouns of ``table`` in what a reply's data holds of them."""
    return msgspec.convert(rows, list.__class_getitem__(ROW_TYPES[table]))  # type: ignore[no-any-return]


class Frames:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies completed by ``data``. Raises :class:`WireError` on a length that cannot be."""
        buffer = self._buffer
        buffer += data
        bodies = []
        while len(buffer) >= 4:
            length = int.from_bytes(buffer[:4], "big")
            if length > MAX_FRAME_BYTES:
                raise WireError(f"a frame of {length} bytes; this is not Watchfloor's protocol")
            if len(buffer) < 4 + length:
                break
            bodies.append(bytes(buffer[4 : 4 + length]))
            del buffer[: 4 + length]
        return bodies


def decode_to_watch(body: bytes) -> ToWatch:
    """A client's message. Raises :class:`WireError`."""
    try:
        return _to_watch.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(str(error)) from None


def decode_from_watch(body: bytes) -> FromWatch:
    """The watch's message. Raises :class:`WireError`."""
    try:
        return _from_watch.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(str(error)) from None
