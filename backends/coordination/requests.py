"""Idempotent requests: a client that lost a reply repeats the call with the same request id and gets the
same reply.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from backends.coordination import statements
from backends.coordination.errors import Conflict
from backends.coordination.journal import Journal
from backends.coordination.nouns import Caller

KEPT_MS = 3_600_000
"""How long a reply is kept."""

T = TypeVar("T")


def replayed(journal: Journal, by: Caller, operation: str, kind: type[T]) -> T | None:
    """The first reply to this request, or ``None`` when it is new."""
    if not by.request_id:
        return None
    row = journal.row(statements.FIND_REQUEST, by.actor, by.request_id, journal.now_ms)
    if row is None:
        return None
    if row[0] != operation:
        raise Conflict(
            f"request id {by.request_id} was used for '{row[0]}' before; use a new one for '{operation}'"
        )
    return msgspec.msgpack.decode(row[1], type=kind)


def remember(journal: Journal, by: Caller, operation: str, reply: object) -> None:
    """Keep the reply in the transaction that did the work."""
    if by.request_id:
        text = msgspec.msgpack.encode(reply)
        journal.sql.execute(
            statements.ADD_REQUEST, (by.actor, by.request_id, operation, text, journal.now_ms + KEPT_MS)
        )
