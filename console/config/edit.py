"""Showing the configuration in effect, and changing one value in the user's file."""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.config import decode
from console.config.decode import ConfigError, Problem
from console.config.layers import Loaded, parse, read_text
from console.config.toml_lines import Path as KeyPath
from console.config.toml_lines import TomlLines


@dataclass(frozen=True, slots=True)
class Setting:
    """One value in effect."""

    key: str  # dotted
    value: Any  # in the types TOML has: a duration is text
    where: str  # see Loaded.provenance


def settings(loaded: Loaded) -> list[Setting]:
    """Every value in effect, in the order of the packaged file."""
    return [
        Setting(decode.dotted(path), value, loaded.where(decode.dotted(path)))
        for path, value in _values(decode.to_toml(loaded.config))
    ]


def render(loaded: Loaded) -> str:
    """`config --show`: one line for each value, ``key = value  # where``; each line is TOML by itself."""
    rows = [(_assignment(setting.key, setting.value), setting.where) for setting in settings(loaded)]
    width = min(max(len(line) for line, _ in rows), 60)
    return "\n".join(f"{line:<{width}}  # {where}" for line, where in rows) + "\n"


def set_value(file: Path, key: str | KeyPath, value: Any) -> None:
    """Give one key of ``file`` a value, keeping the file's other lines and comments.

    The file is replaced in one step and made when missing. Raises :class:`ConfigError`, and changes nothing,
    when the file is broken, the key is unknown, the value is of the wrong type or the file cannot be written.
    """
    path: KeyPath = tuple(key.split(".")) if isinstance(key, str) else key
    try:
        decode.convert(decode.to_toml(value), decode.type_at(path))
    except KeyError as error:
        raise ConfigError(Problem(str(file), str(error.args[0]))) from None
    except ValueError as error:
        raise ConfigError(Problem(str(file), f"{decode.dotted(path)}: {error}")) from None
    try:
        text = read_text(file)
    except FileNotFoundError:
        text = ""
    data, lines = parse(text, str(file))
    wanted = _with(data, path, decode.to_toml(value))
    changed = _edited(text, lines, path, decode.to_toml(value))
    try:
        kept = tomllib.loads(changed) == wanted
    except tomllib.TOMLDecodeError:
        kept = False
    _write(file, changed if kept else _dumps(wanted))


def _values(data: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from _values(value, (*path, key))
        elif not isinstance(value, dict):
            yield (*path, key), value


def _assignment(name: str, value: Any) -> str:
    """``name = value`` on one line, however deep the value is."""
    return f"{name} = {_inline(value)}"


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{decode.dotted((key,))} = {_inline(item)}" for key, item in value.items())
        return "{ " + ", ".join(pairs) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return _dumps({"k": value}).removeprefix("k = ").rstrip("\n")


def _dumps(data: dict[str, Any]) -> str:
    import tomli_w

    return tomli_w.dumps(data)


def _with(data: dict[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    head, rest = str(path[0]), path[1:]
    inner = data.get(head)
    return data | {head: _with(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}


def _edited(text: str, lines: TomlLines, path: KeyPath, value: Any) -> str:
    """``text`` with the value put where an operator would have put it."""
    place = lines.places.get(path)
    if place is not None and place.value_end > place.value_start:
        return text[: place.value_start] + _inline(value) + text[place.value_end :]
    line = _assignment(decode.dotted(path[-1:]), value) + "\n"
    body = lines.bodies.get(path[:-1])
    if body is not None:
        before = text[:body]
        return before + ("" if before.endswith("\n") else "\n") + line + text[body:]
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}[{decode.dotted(path[:-1])}]\n{line}"


def _write(file: Path, text: str) -> None:
    target = Path(os.path.realpath(file))  # a link into a dotfiles folder stays a link
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
        descriptor, temporary = tempfile.mkstemp(prefix=".config-", dir=target.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise ConfigError(Problem(str(file), f"cannot be written: {error.strerror}")) from None
