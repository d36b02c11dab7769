"""The audit chain: canonical form, link, verify. Pure; the store keeps the records.

Every record is hashed together with the hash before it, so a changed, removed, inserted or reordered record
breaks the chain at its place::

    hash = SHA-256("audit.v1\\0" || prev (32 bytes) || length of canonical (4 bytes, big-endian) || canonical)

``canonical`` is JSON in UTF-8 with sorted keys, no white space, and integers and strings only: a float has
more than one spelling across languages. Every field but ``prev`` and ``hash`` is in it.

A chain alone cannot show that its tail was cut off, or that it was cut and rebuilt. Checkpoints (a sequence
number and its hash, kept in another file) can, down to the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from backends.model import AuditRecord

GENESIS = "0" * 64
"""``prev`` of the first record."""

MAX_DEPTH = 16
_PREFIX = b"audit.v1\0"
_INT_MAX = 2**63 - 1


class AuditDraft(Struct, frozen=True):
    """A record before it has its place in the chain. Meanings as in :class:`backends.model.AuditRecord`."""

    at_us: int
    actor: str
    door: str
    command: str
    target: str = ""
    args: str = "{}"
    before: str = ""
    after: str = ""
    outcome: str = ""
    message: str = ""
    request_id: str = ""


class Checkpoint(Struct, frozen=True):
    """What the chain's head was once: proof that the records up to ``seq`` existed."""

    seq: int
    hash: str
    at_us: int


class Broken(Struct, frozen=True):
    """The first record that is not as it was written, and why."""

    seq: int
    reason: str


class _Hashed(Struct, frozen=True):
    """The hashed fields. Declared in sorted order: msgspec writes them as declared."""

    actor: str
    after: str
    args: str
    at_us: int
    before: str
    command: str
    door: str
    message: str
    outcome: str
    request_id: str
    seq: int
    target: str


_TEXTS = tuple(name for name in AuditDraft.__struct_fields__ if name != "at_us")
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def canonical(value: Any) -> str:
    """Canonical JSON text of a value made of mappings, lists, strings, integers, booleans and null.

    For ``args``, ``before`` and ``after`` of a draft. Raises ``ValueError`` for a float, any other type, an
    integer beyond 64 bits, a lone surrogate, or nesting deeper than :data:`MAX_DEPTH`.
    """
    _refuse_ambiguous(value, 0)
    return _encode_sorted(value).decode()


def _refuse_ambiguous(value: Any, depth: int) -> None:
    kind = type(value)
    if kind is str:
        if not value.isascii():
            _refuse_surrogates(value)
    elif kind is int:
        if not -_INT_MAX - 1 <= value <= _INT_MAX:
            raise ValueError(f"an audit value must fit 64 bits: {value}")
    elif depth >= MAX_DEPTH:
        raise ValueError(f"an audit value may be nested {MAX_DEPTH} deep at most")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if type(key) is not str:
                raise ValueError(f"an audit key must be a string, not {type(key).__name__}: {key!r}")
            _refuse_ambiguous(key, depth)
            _refuse_ambiguous(inner, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_ambiguous(inner, depth + 1)
    elif value is not None and kind is not bool:
        raise ValueError(f"an audit value cannot be a {kind.__name__}: {value!r}; write it as a string")


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"an audit text must be valid Unicode: {text!r}") from None


def _digest(seq: int, draft: AuditDraft | AuditRecord, prev: str) -> str:
    body = _encode(
        _Hashed(
            draft.actor,
            draft.after,
            draft.args,
            draft.at_us,
            draft.before,
            draft.command,
            draft.door,
            draft.message,
            draft.outcome,
            draft.request_id,
            seq,
            draft.target,
        )
    )
    return sha256(_PREFIX + bytes.fromhex(prev) + len(body).to_bytes(4, "big") + body).hexdigest()


def link(seq: int, prev: str, draft: AuditDraft) -> AuditRecord:
    """The record that follows the one whose hash is ``prev``, as number ``seq``.

    Raises ``ValueError`` for a field that is not exactly an integer or a string, or not valid Unicode.
    """
    for name in _TEXTS:
        text = getattr(draft, name)
        if type(text) is not str:
            raise ValueError(f"an audit record holds integers and strings only, not {name}={text!r}")
        if not text.isascii():
            _refuse_surrogates(text)
    if type(draft.at_us) is not int:
        raise ValueError(f"an audit record holds integers and strings only, not at_us={draft.at_us!r}")
    d = draft
    return AuditRecord(
        seq, d.at_us, d.actor, d.door, d.command, d.target, d.args, d.before, d.after, d.outcome, d.message,
        d.request_id, prev, _digest(seq, d, prev),
    )  # fmt: skip


def verify(records: Iterable[AuditRecord], checkpoints: Iterable[Checkpoint] = ()) -> Broken | None:
    """Check a whole chain, first record first. ``None``: every record is as it was written.

    With ``checkpoints`` the chain must also pass through each of them, which shows a cut or rebuilt tail.
    """
    marks: dict[int, str] = {}
    for mark in checkpoints:
        if marks.setdefault(mark.seq, mark.hash) != mark.hash:
            return Broken(mark.seq, f"two checkpoints name different hashes for record {mark.seq}")
    prev, expected = GENESIS, 1
    for record in records:
        if record.seq != expected:
            return Broken(expected, _gap(expected, record.seq))
        if record.prev != prev:
            return Broken(record.seq, f"record {record.seq} does not continue record {record.seq - 1}")
        if not _matches(record):
            return Broken(record.seq, f"record {record.seq} was changed: its content does not match its hash")
        if marks.get(record.seq, record.hash) != record.hash:
            return Broken(record.seq, f"record {record.seq} is not the one its checkpoint saw: rebuilt chain")
        prev, expected = record.hash, expected + 1
    cut = min((seq for seq in marks if seq >= expected), default=None)
    if cut is not None:
        return Broken(expected, f"records {expected} to {max(marks)} are missing: a checkpoint saw them")
    return None


def _gap(expected: int, found: int) -> str:
    if found > expected:
        last = found - 1
        return (
            f"record {expected} is missing"
            if last == expected
            else f"records {expected} to {last} are missing"
        )
    return f"record {found} stands where record {expected} should be"


def _matches(record: AuditRecord) -> bool:
    try:
        return _digest(record.seq, record, record.prev) == record.hash
    except (ValueError, TypeError, OverflowError):
        return False  # a field of a type or a text that no record was ever written with
