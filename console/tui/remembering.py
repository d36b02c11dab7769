"""What the console keeps from one run to the next: the lines typed after ``:``, and a few choices."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from backends.redact import redact
from backends.text import clean

log = logging.getLogger(__name__)

#: So many lines are offered; the file is cut back to them when it has grown to four times as many.
MAX_LINES = 200
MAX_LINE_CHARACTERS = 1_000


class History:
    """The lines typed after ``:``, oldest first, in a private file that several consoles may add to."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._lines: list[str] | None = None

    @property
    def lines(self) -> list[str]:
        """Each line once, where it was typed last."""
        if self._lines is None:
            self._lines = self._read()
        return self._lines

    def add(self, line: str) -> None:
        """Keep a line. One that holds a secret is kept in memory only."""
        line = clean(line.strip(), MAX_LINE_CHARACTERS)
        lines = self.lines
        if not line or (lines and lines[-1] == line):
            return
        self._lines = [*(kept for kept in lines if kept != line), line][-MAX_LINES:]
        if self._file is not None and not redact(line)[1]:
            try:
                self._append(self._file, line)
            except OSError as error:
                log.warning("cannot keep the history in %s: %s", self._file, error.strerror)

    def _read(self) -> list[str]:
        if self._file is None:
            return []
        try:
            text = self._file.read_text(encoding="utf-8", errors="replace")
        except OSError:  # there is none yet, or it cannot be read: nothing to offer
            return []
        written = [clean(line, MAX_LINE_CHARACTERS) for line in text.splitlines() if line.strip()]
        kept = list(dict.fromkeys(reversed(written)))[:MAX_LINES][::-1]
        if len(written) > 4 * MAX_LINES:
            self._rewrite(self._file, kept)
        return kept

    @staticmethod
    def _append(file: Path, line: str) -> None:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    @staticmethod
    def _rewrite(file: Path, lines: list[str]) -> None:
        shorter = file.with_name(file.name + ".new")
        try:
            shorter.touch(mode=0o600)
            shorter.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
            os.replace(shorter, file)
        except OSError as error:
            log.warning("cannot shorten %s: %s", file, error.strerror)


class Choices:
    """What the operator chose on screen, written to their own config.toml."""

    def __init__(self, file: Path | None) -> None:
        self._file = file  # None: nothing is kept, as in the demo

    def keep(self, key: str, value: str) -> str:
        """Write a dotted key; why that failed, or ""."""
        if self._file is None:
            return ""
        from console.config.decode import ConfigError
        from console.config.edit import set_value

        try:
            set_value(self._file, key, value)
        except (OSError, ConfigError) as error:
            log.warning("cannot keep %s in %s: %s", key, self._file, error)
            return f"not remembered: {error}"
        return ""
