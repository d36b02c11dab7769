"""The database file: who may open it, whether it is ours, how it is made. A file that is not ours is never
written.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from pathlib import Path

from backends.coordination import schema, statements
from backends.coordination.errors import (
    Corrupt,
    DiskFull,
    ForeignFile,
    Locked,
    NewerSchema,
    StoreError,
    StoreUnusable,
    Unwritable,
)

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_APPLICATION_ID_AT = 68  # offset in the header, see "The Database Header" in SQLite's fileformat2.html
_CHECKED_BYTES = (
    16 << 20
)  # a larger file is not read whole at every start; damage then shows where it is touched

_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_DENIED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}


def as_store_error(path: Path, error: Exception) -> Exception:
    """What a failed operation tells its caller. An error that is neither the caller's nor the disk's stays
    itself.
    """
    if isinstance(error, StoreError):
        return error
    if isinstance(error, sqlite3.Error):
        return _unusable(path, error)
    if isinstance(error, OSError):
        return _from_os(path, error)
    return error


def _unusable(path: Path, error: sqlite3.Error) -> StoreUnusable:
    extended: int = getattr(error, "sqlite_errorcode", 0)
    code = extended & 0xFF
    if extended in _FULL or code == sqlite3.SQLITE_FULL:
        return DiskFull(path, "nothing was changed; free some space and try again")
    if code in _DAMAGED:
        return Corrupt(path, f"{error}; the file is kept as it is: move it away or restore a copy")
    if code in _DENIED:
        return Unwritable(path, f"{error}; check the permissions of the file and its folder")
    if code == sqlite3.SQLITE_IOERR:
        return Unwritable(path, f"{error}; check the disk, nothing was changed")
    return StoreUnusable(path, str(error))


def _from_os(path: Path, error: OSError) -> StoreUnusable:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFull(path, "free some space and try again")
    return Unwritable(path, f"{reason}; check that the folder exists and may be written")


class FileLock:
    """Held from open to close, and let go by the kernel when the process dies."""

    def __init__(self, database: Path) -> None:
        path = database.with_name(database.name + ".lock")
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _from_os(database, error) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            who = f"process {holder}" if holder.isdigit() else "another process"
            raise Locked(database, f"{who} has it open; use that watch or stop it first") from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        os.close(self._fd)


def open_database(path: Path) -> sqlite3.Connection:
    """The writer's connection to ``path``, made first if it is not there.

    Raises a :class:`StoreUnusable` and changes nothing when the file is foreign, damaged, newer or
    unwritable. Call it with the lock held.
    """
    try:
        if _is_absent(path):
            _create(path)
        else:
            _check(path)
        connection = _connect(f"file:{_quoted(path)}?mode=rw", check_same_thread=False)
        for pragma in schema.PRAGMAS:
            connection.execute(pragma)
        _probe_writable(connection)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    except OSError as error:
        raise _from_os(path, error) from error
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read. Sees every commit made before its statement began."""
    connection = _connect(f"file:{_quoted(path)}?mode=rw", check_same_thread=False)
    for pragma in schema.READER_PRAGMAS:
        connection.execute(pragma)
    connection.create_function("fold", 1, _fold, deterministic=True)
    return connection


def _fold(value: object) -> str | None:
    """SQL function: case folding beyond ASCII."""
    return None if value is None else str(value).casefold()


def _connect(uri: str, check_same_thread: bool = True) -> sqlite3.Connection:
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, cached_statements=256, check_same_thread=check_same_thread
    )


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _is_absent(path: Path) -> bool:
    """True when there is nothing to keep: no file, or an empty one."""
    if path.exists() and path.stat().st_size > 0:
        return False
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size > 0:
        raise Corrupt(
            path, f"the file is missing but its log {log.name} is there; restore it, or move the log away"
        )
    return True


def _check(path: Path) -> None:
    """Refuse a file that is not ours, is damaged or is newer, without a write."""
    if not path.is_file():
        raise ForeignFile(path, "it is not a regular file; name another path")
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header.startswith(_MAGIC):
        raise ForeignFile(path, "it is not a SQLite database; move it away or name another path")
    if len(header) < _HEADER_BYTES:
        raise Corrupt(path, "its header is cut short; move it away or restore a copy")
    application = int.from_bytes(header[_APPLICATION_ID_AT : _APPLICATION_ID_AT + 4], "big")
    if application != schema.APPLICATION_ID:
        raise ForeignFile(path, "it belongs to another program; move it away or name another path")
    connection = _connect(f"file:{_quoted(path)}?mode=ro")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > schema.SCHEMA_VERSION:
            raise NewerSchema(
                path, f"schema {version}, this version knows {schema.SCHEMA_VERSION}; upgrade Watchfloor"
            )
        if path.stat().st_size <= _CHECKED_BYTES:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise Corrupt(path, f"{verdict}; the file is kept as it is: move it away or restore a copy")
    finally:
        connection.close()


def _create(path: Path) -> None:
    """Make the file whole under another name, then give it its own: a crash leaves nothing half made."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    connection = _connect(f"file:{_quoted(fresh)}?mode=rw")
    try:
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION}")
        connection.executescript(f"BEGIN; {schema.TABLES} COMMIT;")
    finally:
        connection.close()
    os.replace(fresh, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _probe_writable(connection: sqlite3.Connection) -> None:
    """Find out now, not at the first claim, that nothing can be written."""
    connection.execute(statements.BEGIN)
    connection.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION}")
    connection.execute(statements.COMMIT)
