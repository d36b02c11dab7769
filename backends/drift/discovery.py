"""Finding git repositories under folders, by reading folders only."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

#: Folders that hold other people's code, caches or build results.
IGNORED = frozenset(
    os.fsencode(name)
    for name in (
        *(
            ".git",
            ".hg",
            ".svn",
            ".venv",
            "venv",
            ".tox",
            ".nox",
            "node_modules",
            "site-packages",
            "__pycache__",
        ),
        *(".cache", ".npm", ".cargo", ".rustup", ".gradle", ".m2", ".pyenv", ".nvm", ".local", ".conda"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".terraform", "bower_components", "miniconda3"),
    )
)


class Found(NamedTuple):
    """A working tree on disk."""

    path: bytes
    git_dir: bytes  # its own: holds HEAD and index
    common_dir: bytes  # the repository's: shared by all its worktrees


@dataclass
class Discovery:
    """What a walk found, and what it could not look into."""

    found: list[Found] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)  # reason -> folders
    example: bytes | None = None  # one folder that was skipped

    def skip(self, reason: str, path: bytes) -> None:
        self.skipped[reason] += 1
        self.example = self.example or path


def discover(
    roots: Sequence[bytes], depth: int = 5, ignored: Collection[bytes] = IGNORED, limit: int = 50_000
) -> Discovery:
    """Walk ``roots`` down to ``depth`` folders, at most ``limit`` in all. Symbolic links are not followed.

    A folder reached twice (overlapping roots, bind mounts) counts once. Repositories inside repositories
    are found too. Blocks: call it in a thread.
    """
    result = Discovery()
    seen: set[tuple[int, int]] = set()
    queue = [(os.path.realpath(root), depth) for root in roots]
    for path, left in queue:  # grows while it is walked: breadth first
        if len(seen) >= limit:
            result.skip(f"more than {limit} folders", path)
            break
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                listing = list(entries)
        except OSError as error:
            result.skip((error.strerror or "unreadable").lower(), path)
            continue
        if any(entry.name == b".git" for entry in listing):
            found = examine(path)
            if found is not None:
                result.found.append(found)
        if left > 0:
            queue += [
                (entry.path, left - 1)
                for entry in listing
                if entry.name not in ignored and entry.is_dir(follow_symlinks=False)
            ]
    return result


def examine(path: bytes) -> Found | None:
    """The working tree at ``path``; ``None`` when its ``.git`` is none.

    ``.git`` is a folder, or a file that names one; a linked worktree's names the shared one in ``commondir``
    (gitrepository-layout(5)).
    """
    git_dir = os.path.join(path, b".git")
    if not os.path.isdir(git_dir):
        line = _first_line(git_dir)
        if line is None or not line.startswith(b"gitdir: "):
            return None
        git_dir = os.path.normpath(os.path.join(path, line[len(b"gitdir: ") :]))
    common = _first_line(os.path.join(git_dir, b"commondir"))
    common_dir = git_dir if common is None else os.path.join(git_dir, common)
    return Found(path, git_dir, os.path.realpath(common_dir))


def _first_line(path: bytes) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return os.read(descriptor, 8192).split(b"\n", 1)[0].rstrip(b"\r")
        finally:
            os.close(descriptor)
    except OSError:
        return None
