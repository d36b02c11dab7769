"""Asking a declared agent over the network: does its port accept, does its health URL answer?"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from backends.agents.probe_process import Found
from backends.text import clean

_LISTEN = "0A"
#: Longest status line read from a health URL.
LINE_LIMIT = 4_096


async def check_port(address: str, port: int, timeout_s: float) -> Found:
    """Connect and hang up. ``ok`` when somebody accepts within ``timeout_s``."""
    where = f"{address}:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            _reader, writer = await asyncio.open_connection(address, port)
    except TimeoutError:
        return Found(False, f"{where} did not accept within {timeout_s:g}s")
    except OSError as error:
        return Found(False, clean(f"{where}: {_words(error)}"))
    await _hang_up(writer)
    return Found(True, f"{where} accepts connections")


async def check_health(url: str, timeout_s: float) -> Found:
    """``GET url``; 2xx is well. Redirects are not followed, the body is not read."""
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if is_tls else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = (
        f"GET {target} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\nUser-Agent: watchfloor\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n"
    )
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port, ssl=is_tls or None, limit=LINE_LIMIT)
            writer.write(request.encode("ascii"))
            await writer.drain()
            line = await reader.readline()
    except TimeoutError:
        return Found(False, f"{url} did not answer within {timeout_s:g}s")
    except OSError as error:
        return Found(False, clean(f"{url}: {_words(error)}"))
    except ValueError:
        return Found(False, f"{url} answered with something that is not HTTP")
    finally:
        if writer is not None:
            await _hang_up(writer)
    return _judge(url, line)


def _judge(url: str, line: bytes) -> Found:
    """What a status line says."""
    words = line.split(maxsplit=2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit() or len(words[1]) != 3:
        said = clean(line.strip(), 60) or "nothing"
        return Found(False, f"{url} answered with something that is not HTTP: {said}")
    status = clean(b" ".join(words[1:]).strip(), 60)
    return Found(words[1].startswith(b"2"), f"{url} answered {status}")


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


def _words(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: nothing listens there"
    return error.strerror or str(error) or type(error).__name__


def listening_inodes(tables: Iterable[str], port: int) -> set[str]:
    """Socket inodes that listen on ``port``, from the text of ``/proc/net/tcp`` and ``tcp6``."""
    wanted = f":{port:04X}"
    inodes: set[str] = set()
    for table in tables:
        for line in table.splitlines()[1:]:
            columns = line.split()
            if (
                len(columns) > 9
                and columns[3] == _LISTEN
                and columns[1].endswith(wanted)
                and columns[9] != "0"
            ):
                inodes.add(columns[9])
    return inodes


def listener(port: int, pids: Iterable[int], proc: str = "/proc") -> int | None:
    """The first of ``pids`` that listens on ``port``; ``None`` when that cannot be seen (another user's)."""
    tables = []
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            tables.append(Path(f"{proc}/net/{name}").read_text(encoding="ascii", errors="replace"))
    sockets = {f"socket:[{inode}]" for inode in listening_inodes(tables, port)}
    if not sockets:
        return None
    for pid in pids:
        folder = f"{proc}/{pid}/fd"
        with suppress(OSError):
            for descriptor in os.listdir(folder):
                with suppress(OSError):
                    if os.readlink(f"{folder}/{descriptor}") in sockets:
                        return pid
    return None
