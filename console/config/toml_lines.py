"""Where each key of a TOML text stands.

``tomllib`` says what a text means but not where, and an operator with a typing mistake needs the line.
This scans a text that ``tomllib`` has already accepted, so it only has to find where keys and values begin
and end.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field

#: A way into nested tables and arrays: ``("agents", "declared", 0, "name")``.
Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_BARE = re.compile(r"[^,\]}\n#]*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key stands, and the value after it."""

    line: int  # 1-based
    value_start: int  # offsets into the text
    value_end: int


@dataclass(slots=True)
class TomlLines:
    """Places of the keys and tables of one text. A table's value is empty."""

    text: str
    places: dict[Path, Place] = field(default_factory=dict)
    bodies: dict[Path, int] = field(default_factory=dict)  # offset right after each table's header line
    _at: int = 0
    _array_lengths: dict[Path, int] = field(default_factory=dict)

    def line_of(self, path: Path) -> int | None:
        """The line of ``path``, or of the nearest table around it."""
        while path:
            if place := self.places.get(path):
                return place.line
            path = path[:-1]
        return None

    # --- scanning ---------------------------------------------------------------------------------

    def scan(self) -> None:
        table: Path = ()
        while self._skip(_BLANK):
            table = self._header() if self._peek() == "[" else self._pair(table)

    def _header(self) -> Path:
        """``[a.b]`` or ``[[a.b]]``; returns the path of the table it opens."""
        start = self._at
        is_array = self.text.startswith("[[", start)
        self._at += 2 if is_array else 1
        path = self._inside_arrays(self._key())
        self._at += 2 if is_array else 1
        if is_array:
            index = self._array_lengths.get(path, 0)
            self._array_lengths[path] = index + 1
            self._put(path, start, self._at, self._at)
            path = (*path, index)
        end_of_line = self.text.find("\n", self._at)
        self.bodies[path] = len(self.text) if end_of_line < 0 else end_of_line + 1
        self._put(path, start, self._at, self._at)
        return path

    def _inside_arrays(self, key: Path) -> Path:
        """A header below an array of tables means the array's latest table."""
        path: Path = ()
        for count, part in enumerate(key, 1):
            path = (*path, part)
            if count < len(key) and path in self._array_lengths:
                path = (*path, self._array_lengths[path] - 1)
        return path

    def _pair(self, table: Path) -> Path:
        start = self._at
        path = (*table, *self._key())
        self._at += 1  # "="
        self._skip(_SPACE)
        value_start = self._at
        self._value(path)
        self._put(path, start, value_start, self._at)
        return table

    def _key(self) -> Path:
        """A dotted key, with the blanks around it."""
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            found = _KEY_PART.match(self.text, self._at)
            if found is None:
                raise ValueError(f"no key at offset {self._at}")
            self._at = found.end()
            parts.append(_unquoted(found.group()))
            self._skip(_SPACE)
            if self._peek() != ".":
                return tuple(parts)
            self._at += 1

    def _value(self, path: Path) -> None:
        opener = self._peek()
        if opener == "{":
            self._items("}", lambda _index: self._pair(path))
        elif opener == "[":
            self._items("]", lambda index: self._element((*path, index)))
        elif found := _STRING.match(self.text, self._at):
            self._at = found.end()
        else:
            found = _BARE.match(self.text, self._at)
            assert found is not None  # it matches the empty string
            self._at += len(found.group().rstrip())

    def _element(self, path: Path) -> Path:
        start = self._at
        self._value(path)
        self._put(path, start, start, self._at)
        return path

    def _items(self, closer: str, item: Callable[[int], Path]) -> None:
        self._at += 1
        index = 0
        while self._skip(_BLANK) and self._peek() != closer:
            item(index)
            index += 1
            self._skip(_BLANK)
            if self._peek() == ",":
                self._at += 1
        self._at += 1

    def _put(self, path: Path, key_start: int, value_start: int, value_end: int) -> None:
        line = self.text.count("\n", 0, key_start) + 1
        self.places.setdefault(path, Place(line, value_start, value_end))
        for length in range(1, len(path)):  # tables that only a dotted key or a longer header names
            self.places.setdefault(path[:length], Place(line, value_end, value_end))

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        """Move past ``pattern``. False at the end of the text."""
        found = pattern.match(self.text, self._at)
        assert found is not None  # both patterns match the empty string
        self._at = found.end()
        return self._at < len(self.text)

    def _peek(self) -> str:
        return self.text[self._at : self._at + 1]


def _unquoted(key: str) -> str:
    if key[0] == "'":
        return key[1:-1]
    if key[0] == '"':
        value = tomllib.loads(f"k = {key}")["k"]
        return str(value)
    return key


def locate(text: str) -> TomlLines:
    """Places of all keys in ``text``, which must be valid TOML."""
    lines = TomlLines(text)
    lines.scan()
    return lines
