"""Logs: one JSON object a line, in files of the state directory, rotated, without secrets.

Nothing here writes to the terminal. A process calls :func:`open_log` once; every library that logs, warns or
raises in an event loop then ends up in the file.
"""

from __future__ import annotations

import io
import logging
import logging.handlers
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import IO, Any

import msgspec

from backends.redact import redact, redact_args
from backends.text import clean_lines

FILE_BYTES = 5_000_000
#: The file being written, and this many older ones.
OLDER_FILES = 4
#: A longer message or traceback keeps its end.
TEXT_LIMIT = 20_000

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_encoder = msgspec.json.Encoder(enc_hook=repr)


class JsonLines(logging.Formatter):
    """``{"at": ms, "level": "warning", "log": "watch.gpu", "text": ..., "error": traceback}`` and extras."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": int(record.created * 1000),
            "level": record.levelname.lower(),
            "log": record.name,
            "text": _safe(record.getMessage()),
        }
        if record.exc_info:
            line["error"] = _safe("".join(traceback.format_exception(*record.exc_info)))
        elif record.exc_text:
            line["error"] = _safe(record.exc_text)
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        line |= {key: _safe_value(value) for key, value in extra.items() if key not in line}
        return _encoder.encode(line).decode()


class LogFile(logging.handlers.RotatingFileHandler):
    """A private file, rotated by size. What cannot be written is dropped: a full disk must stop nobody."""

    def __init__(self, file: Path, max_bytes: int = FILE_BYTES, older_files: int = OLDER_FILES) -> None:
        super().__init__(file, maxBytes=max_bytes, backupCount=older_files, encoding="utf-8", delay=True)
        self.setFormatter(JsonLines())

    def _open(self) -> Any:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:
        """The standard one prints a traceback to the terminal."""


def open_log(directory: Path, name: str, level: int = logging.INFO) -> LogFile:
    """Send all logging, warnings and uncaught exceptions of this process to ``directory/name.jsonl``.

    Calling it again replaces the file of the earlier call. Raises ``OSError`` when the directory cannot be
    made; later failures to write are silent.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = LogFile(directory / f"{name}.jsonl")
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(True)
    warnings.simplefilter("default", ResourceWarning)
    logging.lastResort = None  # a logger cut off from the root must not fall back to stderr
    sys.excepthook = _log_uncaught
    return handler


def guard_terminal(directory: Path, name: str) -> IO[bytes]:
    """Point the process's stderr, down to the file descriptor, at ``directory/name.stderr``.

    Libraries written in C, children and a dying interpreter print there; over a full-screen console that
    would garble it. Fatal signals leave their traceback in the same file. Returns the terminal's stderr as it
    was, for messages after the console has ended.
    """
    import faulthandler

    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = directory / f"{name}.stderr"
    if file.exists() and file.stat().st_size > FILE_BYTES:
        file.replace(file.with_suffix(".stderr.1"))
    sys.stderr.flush()
    terminal = os.fdopen(os.dup(2), "wb", buffering=0)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stderr = io.TextIOWrapper(
        io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True
    )
    faulthandler.enable(sys.stderr)
    return terminal


def release_terminal(terminal: IO[bytes]) -> None:
    """Undo :func:`guard_terminal`."""
    import faulthandler

    faulthandler.disable()
    os.dup2(terminal.fileno(), 2)
    terminal.close()
    sys.stderr = sys.__stderr__


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        logging.getLogger("uncaught").critical("%s", kind.__name__, exc_info=(kind, error, trace))


def _safe(text: str) -> str:
    return redact(clean_lines(text, TEXT_LIMIT))[0]


def _safe_value(value: Any) -> Any:
    if isinstance(value, str):
        return _safe(value)
    return redact_args({"": value})[""] if isinstance(value, dict | list | tuple) else value
