"""The end of a log file, and what is added to it."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

from backends.clock import Clock
from backends.text import clean_lines

#: How often a followed file is looked at.
FOLLOW_S = 0.5
#: No more than this is read at a time.
CHUNK_BYTES = 256 * 1024


class LogUnreadable(Exception):
    """The log cannot be read; the message says why."""


def tail(path: Path, lines: int) -> tuple[str, int]:
    """The last ``lines`` lines of a regular file, cleaned, and the offset where they end."""
    fd = _open(path)
    try:
        size = os.fstat(fd).st_size
        start = max(0, size - CHUNK_BYTES)
        data = os.pread(fd, size - start, start)
    finally:
        os.close(fd)
    text = clean_lines(data)
    found = text.splitlines()
    if start and len(found) > 1:
        del found[0]  # it began before what was read
    return "\n".join(found[-lines:]), size


async def follow(path: Path, lines: int, clock: Clock) -> AsyncIterator[str]:
    """The end of the file, then what is added, until the caller stops. Survives rotation and truncation."""
    text, offset = tail(path, lines)
    yield text
    inode = path.stat().st_ino
    while True:
        await clock.sleep(FOLLOW_S)
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue  # between two files of a rotation
        if facts.st_ino != inode or facts.st_size < offset:
            inode, offset = facts.st_ino, 0
        if facts.st_size > offset:
            fd = _open(path)
            try:
                data = os.pread(fd, CHUNK_BYTES, offset)
            finally:
                os.close(fd)
            offset += len(data)
            yield clean_lines(data).rstrip("\n")
        await asyncio.sleep(0)


def _open(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise LogUnreadable(f"cannot read {path}: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise LogUnreadable(f"{path} is not a file")
    return fd
