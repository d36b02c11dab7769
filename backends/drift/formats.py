"""What git prints, as values. Pure. Every path and branch is hostile bytes; ``-z`` output only.

Formats: git-status(1) "Porcelain Format Version 2", git-worktree(1) "Porcelain Format",
git-ls-files(1) ``--stage``. A parser raises ``ValueError`` for what is not in its format.
"""

from __future__ import annotations

from typing import NamedTuple

HEADS = b"refs/heads/"


class Status(NamedTuple):
    """``git status --porcelain=v2 --branch --show-stash -z``."""

    head: bytes | None  # None: no commit yet
    branch: bytes | None  # None: detached
    upstream: bytes | None
    ahead: int | None  # None: no upstream, it is gone, or it was not counted
    behind: int | None
    stashes: int
    staged: int
    dirty: tuple[bytes, ...]  # paths whose working copy differs from the index
    untracked: tuple[bytes, ...] | None  # a folder that is untracked as a whole ends in "/"; None: not asked
    conflicted: int


def parse_status(output: bytes) -> Status:
    head: bytes | None = None
    branch: bytes | None = None
    upstream: bytes | None = None
    ahead: int | None = None
    behind: int | None = None
    stashes = staged = conflicted = 0
    dirty: list[bytes] = []
    untracked: list[bytes] = []
    records = iter(output.split(b"\0"))
    for record in records:
        kind, _, rest = record.partition(b" ")
        if kind == b"#":
            key, _, value = rest.partition(b" ")
            if key == b"branch.oid":
                head = None if value == b"(initial)" else value
            elif key == b"branch.head":
                branch = None if value == b"(detached)" else value
            elif key == b"branch.upstream":
                upstream = value
            elif key == b"branch.ab":
                ahead, behind = _counts(value)
            elif key == b"stash":
                stashes = int(value)
        elif kind in (b"1", b"2"):
            fields = rest.split(b" ", 7 if kind == b"1" else 8)
            if len(fields) < (8 if kind == b"1" else 9) or len(fields[0]) != 2:
                raise ValueError(f"not a status entry: {record[:80]!r}")
            if kind == b"2":
                next(records, None)  # where it was renamed from: a record of its own, of any form
            staged += fields[0][:1] != b"."
            if fields[0][1:] != b".":
                dirty.append(fields[-1])
        elif kind == b"u":
            fields = rest.split(b" ", 9)
            if len(fields) < 10:
                raise ValueError(f"not a conflict entry: {record[:80]!r}")
            conflicted += 1
            dirty.append(fields[-1])
        elif kind == b"?":
            untracked.append(rest)
        elif record and kind != b"!":
            raise ValueError(f"not a status record: {record[:80]!r}")
    return Status(
        head, branch, upstream, ahead, behind, stashes, staged, tuple(dirty), tuple(untracked), conflicted
    )


def _counts(value: bytes) -> tuple[int | None, int | None]:
    """``+1 -2``, or ``+? -?`` when git was told not to count."""
    ahead, _, behind = value.partition(b" ")
    if b"?" in value:
        return None, None
    return abs(int(ahead)), abs(int(behind))


class WorktreeEntry(NamedTuple):
    """One record of ``git worktree list --porcelain -z``. The first one is the main working tree."""

    path: bytes
    head: bytes | None = None
    branch: bytes | None = None
    bare: bool = False
    locked: bool = False
    prunable: bytes | None = None  # the reason


def parse_worktree_list(output: bytes) -> list[WorktreeEntry]:
    entries: list[WorktreeEntry] = []
    for line in output.split(b"\0"):
        key, _, value = line.partition(b" ")
        if key == b"worktree":
            entries.append(WorktreeEntry(value))
            continue
        if not line:
            continue
        if not entries:
            raise ValueError(f"not a list of worktrees: {line[:80]!r}")
        entry = entries[-1]
        if key == b"HEAD":
            entry = entry._replace(head=None if not value.strip(b"0") else value)
        elif key == b"branch":
            entry = entry._replace(branch=value.removeprefix(HEADS))
        elif key == b"bare":
            entry = entry._replace(bare=True)
        elif key == b"locked":
            entry = entry._replace(locked=True)
        elif key == b"prunable":
            entry = entry._replace(prunable=value or b"prunable")
        entries[-1] = entry
    return entries


class IndexEntry(NamedTuple):
    """One record of ``git ls-files -s -z``."""

    mode: bytes
    blob: bytes
    stage: int  # 0, or 1-3 while it is in conflict
    path: bytes


def parse_index(output: bytes) -> list[IndexEntry]:
    entries = []
    for record in output.split(b"\0"):
        if not record:
            continue
        about, tab, path = record.partition(b"\t")
        fields = about.split(b" ")
        if not tab or len(fields) != 3:
            raise ValueError(f"not an index entry: {record[:80]!r}")
        entries.append(IndexEntry(fields[0], fields[1], int(fields[2]), path))
    return entries


def parse_commit_times(output: bytes) -> dict[bytes, int]:
    """``git rev-list --timestamp``: commit id to its time, milliseconds since the epoch."""
    times = {}
    for line in output.splitlines():
        seconds, _, commit = line.partition(b" ")
        times[commit] = int(seconds) * 1000
    return times
