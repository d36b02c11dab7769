"""Claude Code's session registry: one small file a process, in which it says whether it is busy.

The format is not documented; every field is optional here, and a file whose process start does not match the
process that has its pid now is left aside.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from backends.agents.facts import Session
from backends.clock import Clock
from backends.fleet import in_abandonable_thread
from backends.model import SourceState
from backends.picture import Reading
from backends.text import clean

FILE_LIMIT = 64 * 1024
FILES_LIMIT = 1_000
READ_TIMEOUT_S = 5.0


def sessions_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the registry lies: in the first of ``$CLAUDE_CONFIG_DIR``, or in ``~/.claude``."""
    configured = environ.get("CLAUDE_CONFIG_DIR", "").split(",")[0].strip()
    return (Path(configured) if configured else Path.home() / ".claude") / "sessions"


def parse_session(data: bytes, observed_at: int) -> Session | None:
    """One session file; ``None`` when it is not one."""
    try:
        raw = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(raw, dict):
        return None
    pid = _whole(raw.get("pid"))
    if pid is None or pid <= 0:
        return None
    return Session(
        pid=pid,
        start_ticks=_whole(raw.get("procStart")),
        status=_text(raw.get("status"), 20),
        observed_at=observed_at,
        status_at=_whole(raw.get("statusUpdatedAt")),
        name=_text(raw.get("name"), 80),
        cwd=_text(raw.get("cwd"), 300),
        session_id=_text(raw.get("sessionId"), 80),
    )


def read_sessions(folder: Path, observed_at: int) -> list[Session]:
    """All sessions in ``folder``; an absent folder has none. Raises ``OSError`` when it cannot be listed."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))[:FILES_LIMIT]
    except FileNotFoundError:
        return []
    sessions = (parse_session(_read(folder / name), observed_at) for name in names)
    return [session for session in sessions if session is not None]


class SessionReader:
    """Reader of the session registry; hands what it finds to ``tell``."""

    source = "sessions"

    def __init__(
        self, host: str, clock: Clock, tell: Callable[[list[Session]], None], folder: Path | None = None
    ) -> None:
        self.host = host
        self._clock = clock
        self._tell = tell
        self._folder = folder or sessions_folder()

    async def read(self) -> Reading:
        now = self._clock.now_ms()
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                sessions = await in_abandonable_thread(lambda: read_sessions(self._folder, now), "sessions")
        except TimeoutError:
            reason = f"{self._folder} does not answer; is it on a network filesystem whose server is gone?"
            return Reading(SourceState(self.host, self.source, ok=False, status="hung", reason=clean(reason)))
        except OSError as error:
            reason = clean(f"cannot list {self._folder}: {error.strerror or error}; check its permissions")
            return Reading(SourceState(self.host, self.source, ok=False, status="unreadable", reason=reason))
        self._tell(sessions)
        return Reading(SourceState(self.host, self.source, ok=True, observed_at=now))

    async def close(self) -> None:
        """Nothing is held open between two reads."""


def _read(path: Path) -> bytes:
    """The start of a regular file; empty when it is anything else or cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, FILE_LIMIT) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1 << 53 else None


def _text(value: object, limit: int) -> str:
    return clean(value, limit) if isinstance(value, str) else ""
