"""Identical scripts: which files are scripts, what their git blob id is, and which of them are copies.

The rule: a *place* is a path inside a repository. All worktrees of one repository hold the same places, so
they are counted once. A group is shown when one content has at least two places in at least two different
folders, be they in one repository or in several. Empty files are left out.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from backends.drift.formats import IndexEntry
from backends.drift.paths import shown
from backends.model import CopyGroup

EXTENSIONS = (b".sh", b".bash", b".py", b".pl", b".rb", b".js", b".ts")
SIZE_LIMIT = 1 << 20  # an untracked script larger than this is not read
EMPTY = {hashlib.sha1(b"blob 0\0").hexdigest(), hashlib.sha256(b"blob 0\0").hexdigest()}


class Script(NamedTuple):
    """One script in one worktree."""

    blob: str
    repository: bytes  # its main working tree
    worktree: bytes
    path: bytes  # inside the worktree


def tracked_scripts(index: Iterable[IndexEntry]) -> list[IndexEntry]:
    """Regular files without conflict that are executable or named like a script. Reads no content."""
    return [
        entry
        for entry in index
        if entry.stage == 0
        and (entry.mode == b"100755" or (entry.mode == b"100644" and entry.path.lower().endswith(EXTENSIONS)))
    ]


def hash_script(path: bytes, algorithm: str = "sha1") -> str | None:
    """The blob id git would give the file's bytes; ``None`` when it is no script, too large or unreadable.

    A script has a script's extension, an execute bit or a ``#!`` line. Symbolic links are not followed.
    Where attributes rewrite a file on its way into git (line ends, LFS), git's id would differ.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= SIZE_LIMIT:
            return None
        content = os.read(descriptor, 2)
        if not (path.lower().endswith(EXTENSIONS) or status.st_mode & 0o111 or content == b"#!"):
            return None
        while chunk := os.read(descriptor, SIZE_LIMIT + 1 - len(content)):
            content += chunk
        if len(content) > SIZE_LIMIT:
            return None
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return hashlib.new(algorithm, b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def group(scripts: Iterable[Script], now_ms: int) -> list[CopyGroup]:
    """The groups of copies, most places first. Sizes come from the files; a vanished file's is tried next."""
    by_blob: dict[str, dict[tuple[bytes, bytes], Script]] = defaultdict(dict)
    for script in scripts:
        if script.blob not in EMPTY:
            place = (script.repository, script.path)
            known = by_blob[script.blob].get(place)
            if known is None or script.worktree == script.repository:  # the main working tree stands for all
                by_blob[script.blob][place] = script
    groups = []
    for blob, places in by_blob.items():
        folders = {(repository, os.path.dirname(path)) for repository, path in places}
        if len(folders) < 2:
            continue
        full = sorted(os.path.join(script.worktree, script.path) for script in places.values())
        size = next((size for path in full if (size := _size(path)) is not None), None)
        if size is None:
            continue
        names = Counter(os.path.basename(path) for path in full)
        groups.append(
            CopyGroup(
                id=blob,
                name=shown(min(names, key=lambda name: (-names[name], name))),
                size_bytes=size,
                paths=tuple(shown(path) for path in full),
                repositories=len({repository for repository, _ in places}),
                observed_at=now_ms,
            )
        )
    return sorted(groups, key=lambda row: (-len(row.paths), row.name, row.id))


def _size(path: bytes) -> int | None:
    try:
        return os.lstat(path).st_size
    except OSError:
        return None
