"""Checkpoints of the audit chain, in an append-only file beside the database: lines of ``seq hash at_us``.

The chain shows a changed record; only something outside the database can show that its tail was cut off.
Written after the commit, so the file is never ahead of the database.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from backends.audit import AuditDraft, Broken, Checkpoint
from backends.coordination.journal import Journal

EVERY = 64
"""Records between two checkpoints: what a cut tail can hide at most."""

_LINE = re.compile(r"([0-9]{1,18}) ([0-9a-f]{64}) ([0-9]{1,18})")


def checkpoint_path(database: Path) -> Path:
    return database.with_name(database.name + ".audit-checkpoints")


class Checkpoints:
    """The file, open for appending. A line cut short by a power loss is dropped when it is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._drop_torn_line()
        marks, _ = read_checkpoints(path)
        self.last: Checkpoint | None = max(marks, key=lambda mark: mark.seq, default=None)

    def reached(self, seq: int, digest: str, now_ms: int) -> None:
        """The chain's head is now ``seq``: write a checkpoint if one is due."""
        if seq - (self.last.seq if self.last else 0) >= EVERY:
            self.write(seq, digest, now_ms)

    def write(self, seq: int, digest: str, now_ms: int) -> None:
        """Append a checkpoint. A full disk is let pass: the next record tries again."""
        with contextlib.suppress(OSError):
            os.write(self._fd, f"{seq} {digest} {now_ms * 1000}\n".encode())
            self.last = Checkpoint(seq, digest, now_ms * 1000)

    def close(self, seq: int, digest: str, now_ms: int) -> None:
        """Write the head if it is news, sync and close."""
        if seq > (self.last.seq if self.last else 0):
            self.write(seq, digest, now_ms)
        with contextlib.suppress(OSError):
            os.fsync(self._fd)
        os.close(self._fd)

    def _drop_torn_line(self) -> None:
        size = os.fstat(self._fd).st_size
        tail = os.pread(self._fd, 4096, max(0, size - 4096))
        if tail and not tail.endswith(b"\n"):
            os.ftruncate(self._fd, size - len(tail) + tail.rfind(b"\n") + 1)


def report_lost_checkpoints(journal: Journal, checkpoints: Checkpoints, now_ms: int) -> None:
    """Put on record, at open, that the file is gone: a new one must not look as if it had always been
    there.
    """
    if checkpoints.last is None and journal.audit_seq > EVERY:
        journal.now_ms = now_ms
        journal.sql.execute("BEGIN IMMEDIATE")
        message = (
            f"no checkpoints found at open for {journal.audit_seq} records: the tail cannot be vouched for"
        )
        journal.append_audit(
            AuditDraft(
                now_ms * 1000, "watch", "watch", "audit", "checkpoints", outcome="failed", message=message
            )
        )
        journal.sql.execute("COMMIT")


def read_checkpoints(path: Path) -> tuple[list[Checkpoint], Broken | None]:
    """All checkpoints, and the first unreadable line as a fault. A missing file has none."""
    try:
        lines = path.read_text("utf-8", "replace").split("\n")
    except FileNotFoundError:
        return [], None
    marks: list[Checkpoint] = []
    for number, line in enumerate(lines[:-1], 1):
        match = _LINE.fullmatch(line)
        if match is None:
            seq = marks[-1].seq + 1 if marks else 1
            return marks, Broken(
                seq, f"line {number} of {path.name} is not a checkpoint: the file was changed"
            )
        marks.append(Checkpoint(int(match[1]), match[2], int(match[3])))
    return marks, None
