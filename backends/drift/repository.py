"""One repository: its worktrees as rows, and the scripts they hold."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from backends.clock import Clock
from backends.drift.copies import Script, hash_script, tracked_scripts
from backends.drift.discovery import Found, examine
from backends.drift.formats import (
    IndexEntry,
    Status,
    WorktreeEntry,
    parse_commit_times,
    parse_index,
    parse_status,
    parse_worktree_list,
)
from backends.drift.git import Git, GitError, GitTimeout, status_arguments
from backends.drift.paths import shown
from backends.fleet import in_abandonable_thread
from backends.model import Worktree
from backends.text import clean, clean_optional

HASHED_AT_MOST = 2_000  # untracked or changed files looked at in one worktree


@dataclass
class Seen:
    """What one look at a repository found."""

    rows: list[Worktree] = field(default_factory=list)
    scripts: list[Script] = field(default_factory=list)
    not_hashed: int = 0  # files beyond HASHED_AT_MOST


class FileStamp(NamedTuple):
    """When this is the same, so is the file."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class RepositoryLook:
    """Looks at repositories, and remembers what cannot have changed since the look before.

    Status is asked anew each time: an edit shows nowhere else. The list of tracked scripts is asked only
    when the index file changed; a commit's time never changes; an untracked file is hashed again when its
    stamp changed.
    """

    def __init__(self, git: Git, clock: Clock) -> None:
        self._git = git
        self._clock = clock
        self._commit_times: dict[bytes, int] = {}
        self._tracked: dict[bytes, tuple[FileStamp, list[IndexEntry]]] = {}
        self._hashes: dict[bytes, tuple[FileStamp, str | None]] = {}

    async def look(self, found: Sequence[Found]) -> Seen:
        """All worktrees of the repository that ``found`` are working trees of, also those elsewhere."""
        seen = Seen()
        try:
            listing = await self._git.ask(found[0].path, "worktree", "list", "--porcelain", "-z")
            entries = _complete(parse_worktree_list(listing), found)
        except (GitError, ValueError) as error:
            now = self._clock.now_ms()
            seen.rows = [
                _row(WorktreeEntry(one.path), one.path, now, error=clean(str(error)))
                for one in found
                if os.path.lexists(one.path)
            ]
            return seen
        await self._learn_commit_times(found[0].path, entries)
        main = entries[0].path
        await asyncio.gather(*(self._worktree(entry, main, seen) for entry in entries if not entry.bare))
        seen.rows.sort(key=lambda row: (row.linked, row.id))
        return seen

    async def _worktree(self, entry: WorktreeEntry, main: bytes, seen: Seen) -> None:
        if entry.prunable is not None:
            seen.rows.append(self._described(entry, main, None, clean(entry.prunable)))
            return
        try:
            status, problem = await self._status(entry.path)
        except (GitError, ValueError) as error:
            seen.rows.append(self._described(entry, main, None, clean(str(error))))
            return
        try:
            await self._add_scripts(entry, main, status, seen)
        except (GitError, ValueError) as error:
            problem = problem or clean(f"scripts not compared: {error}")
        seen.rows.append(self._described(entry, main, status, problem))

    async def _status(self, path: bytes) -> tuple[Status, str | None]:
        """The status, whole or, when that takes too long, without what makes it slow."""
        try:
            return parse_status(await self._git.ask(path, *status_arguments(partial=False))), None
        except GitTimeout as timeout:
            status = parse_status(await self._git.ask(path, *status_arguments(partial=True)))
            status = status._replace(untracked=None)
            return status, f"untracked files and commits ahead and behind not counted: {timeout}"

    def _described(
        self, entry: WorktreeEntry, main: bytes, status: Status | None, error: str | None
    ) -> Worktree:
        committed_at = self._commit_times.get(entry.head) if entry.head else None
        return _row(entry, main, self._clock.now_ms(), status, committed_at, error)

    async def _learn_commit_times(self, path: bytes, entries: Iterable[WorktreeEntry]) -> None:
        unknown = {entry.head for entry in entries if entry.head and entry.head not in self._commit_times}
        if not unknown:
            return
        try:
            output = await self._git.ask(
                path,
                "rev-list",
                "--no-walk=unsorted",
                "--timestamp",
                "--ignore-missing",
                *sorted(unknown),
                "--",
            )
            self._commit_times |= parse_commit_times(output)
        except (GitError, ValueError):
            return  # the age stays unknown; a broken repository says so in its status

    async def _add_scripts(self, entry: WorktreeEntry, main: bytes, status: Status, seen: Seen) -> None:
        tracked = await self._tracked_scripts(entry.path)
        changed = set(status.dirty)
        seen.scripts += [
            Script(one.blob.decode("ascii"), main, entry.path, one.path)
            for one in tracked
            if one.path not in changed
        ]
        candidates = [one.path for one in tracked if one.path in changed]
        untracked = status.untracked or ()
        if any(path.endswith(b"/") for path in untracked):
            output = await self._git.ask(entry.path, "ls-files", "--others", "--exclude-standard", "-z")
            candidates += [path for path in output.split(b"\0") if path]
        else:
            candidates += untracked
        seen.not_hashed += max(0, len(candidates) - HASHED_AT_MOST)
        candidates = candidates[:HASHED_AT_MOST]
        if candidates:
            algorithm = "sha256" if status.head is not None and len(status.head) == 64 else "sha1"
            hashing = partial(self._hash_all, entry.path, candidates, algorithm)
            blobs = await in_abandonable_thread(hashing, "hash scripts")
            seen.scripts += [Script(blob, main, entry.path, path) for path, blob in blobs.items()]

    async def _tracked_scripts(self, path: bytes) -> list[IndexEntry]:
        stamp = await in_abandonable_thread(partial(_index_stamp, path), "index stamp")
        known = self._tracked.get(path)
        if known is not None and stamp == known[0]:
            return known[1]
        tracked = tracked_scripts(parse_index(await self._git.ask(path, "ls-files", "-s", "-z")))
        if stamp is not None:
            self._tracked[path] = (stamp, tracked)
        return tracked

    def _hash_all(self, worktree: bytes, paths: Iterable[bytes], algorithm: str) -> dict[bytes, str]:
        blobs = {}
        for path in paths:
            full = os.path.join(worktree, path)
            stamp = _stamp(full)
            if stamp is None:
                continue
            known = self._hashes.get(full)
            if known is None or known[0] != stamp:
                known = self._hashes[full] = (stamp, hash_script(full, algorithm))
            if known[1] is not None:
                blobs[path] = known[1]
        return blobs

    def forget(self, worktrees: set[bytes]) -> None:
        """Keep what is remembered of these worktrees only."""
        self._tracked = {path: known for path, known in self._tracked.items() if path in worktrees}
        prefixes = tuple(path + b"/" for path in worktrees)
        self._hashes = {path: known for path, known in self._hashes.items() if path.startswith(prefixes)}


def _complete(entries: list[WorktreeEntry], found: Sequence[Found]) -> list[WorktreeEntry]:
    """Git's list, corrected by what is on disk.

    Of a submodule, and of a repository made with --separate-git-dir, git lists the folder of its data.
    """
    if not entries:
        raise ValueError("git lists no worktree")
    for one in found:
        if os.path.realpath(one.git_dir) == one.common_dir and entries[0].path != one.path:
            entries[0] = entries[0]._replace(path=one.path, bare=False)
    listed = {entry.path for entry in entries}
    return entries + [WorktreeEntry(one.path) for one in found if one.path not in listed]


def _row(
    entry: WorktreeEntry,
    main: bytes,
    now_ms: int,
    status: Status | None = None,
    committed_at: int | None = None,
    error: str | None = None,
) -> Worktree:
    """The row of one worktree. Without a status, what git's list says of it."""
    head = entry.head if status is None else status.head
    return Worktree(
        id=shown(entry.path),
        repository=shown(main),
        name=clean(os.path.basename(entry.path), limit=100),
        branch=clean_optional(entry.branch if status is None else status.branch, limit=200),
        head=clean_optional(head, limit=64),
        upstream=None if status is None else clean_optional(status.upstream, limit=200),
        ahead=None if status is None else status.ahead,
        behind=None if status is None else status.behind,
        staged=None if status is None else status.staged,
        dirty=None if status is None else len(status.dirty) - status.conflicted,
        untracked=None if status is None or status.untracked is None else len(status.untracked),
        conflicted=None if status is None else status.conflicted,
        stashes=None if status is None else status.stashes,
        committed_at=committed_at,
        linked=entry.path != main,
        locked=entry.locked,
        prunable=entry.prunable is not None,
        error=error,
        observed_at=now_ms,
    )


def _index_stamp(path: bytes) -> FileStamp | None:
    found = examine(path)
    return None if found is None else _stamp(os.path.join(found.git_dir, b"index"))


def _stamp(path: bytes) -> FileStamp | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return FileStamp(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
