"""From the data of one TOML text or variable to checked values, with errors an operator can act on."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from backends.text import clean
from console.config.durations import Duration, format_duration, parse_duration
from console.config.settings import Config
from console.config.toml_lines import Path, TomlLines

_BOOLEANS = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(
    ("0", "false", "no", "off"), False
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    where: str  # "/etc/watchfloor/config.toml:12", "env WATCHFLOOR_CONSOLE_THEME", "--set console.theme"
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class ConfigError(Exception):
    """The configuration cannot be used. ``problems`` names each mistake; ``str()`` is one line for each."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def dotted(path: Path) -> str:
    """``agents.declared[0].name``, with keys quoted as TOML would need them."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = part.isascii() and part.replace("-", "").replace("_", "").isalnum()
            text += ("." if text else "") + (part if bare else f'"{clean(part, 80)}"')
    return text


def fields_of(struct: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """Fields by the key they have in TOML."""
    return {info.encode_name: info for info in msgspec.structs.fields(struct)}


def type_at(path: Path) -> Any:
    """The type of one setting. Raises ``KeyError`` in words when there is none."""
    to: Any = Config
    for part in path:
        if typing.get_origin(to) is dict:
            to = typing.get_args(to)[1]
        elif _is_struct(to) and part in fields_of(to):
            to = fields_of(to)[str(part)].type
        else:
            known = fields_of(to) if _is_struct(to) else {}
            raise KeyError(f"unknown key '{dotted(path)}'{suggestion(str(part), known)}")
    return to


def leaf_paths(struct: type[msgspec.Struct] = Config, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every setting that is not itself a table of settings, with its type."""
    for key, info in fields_of(struct).items():
        if _is_struct(info.type):
            yield from leaf_paths(info.type, (*path, key))
        else:
            yield (*path, key), info.type


def check(data: Mapping[str, Any], locate: TomlLines, file: str) -> Iterator[Problem]:
    """Unknown keys and values of the wrong type in the data of one file."""
    for path, message in _mistakes(data, Config, ()):
        line = locate.line_of(path)
        yield Problem(file if line is None else f"{file}:{line}", message)


def convert(value: Any, to: Any, *, lax: bool = False) -> Any:
    """``value`` as type ``to``. Raises ``ValueError`` in words. ``lax`` reads numbers out of text."""
    try:
        return msgspec.convert(value, to, strict=not lax, dec_hook=decode_hook)
    except msgspec.ValidationError as error:
        raise ValueError(_in_words(str(error))) from None


def to_toml(value: Any) -> Any:
    """``value`` in the types TOML has; the reverse of :func:`convert`."""
    if isinstance(value, Duration):
        return format_duration(value)
    if isinstance(value, msgspec.Struct):
        known = fields_of(type(value))
        pairs = ((key, getattr(value, info.name)) for key, info in known.items())
        return {key: to_toml(item) for key, item in pairs if item is not None}
    if isinstance(value, tuple | list):
        return [to_toml(item) for item in value]
    if isinstance(value, dict):
        return {key: to_toml(item) for key, item in value.items()}
    return value


def from_text(text: str, to: Any) -> Any:
    """A value out of an environment variable or a flag, for a setting of type ``to``."""
    if typing.get_origin(to) is tuple:
        return convert(tuple(part.strip() for part in text.split(",") if part.strip()), to, lax=True)
    if bool in (to, *typing.get_args(to)) and text.strip().lower() in _BOOLEANS:
        return _BOOLEANS[text.strip().lower()]
    return convert(text, to, lax=True)


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """``; did you mean 'interval'?``, or all that is known when nothing is near."""
    import difflib

    known = sorted(known)
    near = difflib.get_close_matches(wrong, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(known)}" if len(known) <= 12 else ""


def decode_hook(to: type, value: Any) -> Any:
    """What msgspec does not know: durations."""
    if to is Duration:
        if not isinstance(value, str):
            raise ValueError('a duration is text with a unit, such as "500ms", "2s" or "15m"')
        return parse_duration(value)
    raise NotImplementedError(to)


def _mistakes(data: Any, to: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Walk data and types side by side, so that each mistake is found and none hides another."""
    if _is_struct(to):
        yield from _table_mistakes(data, to, path)
        return
    item = _struct_item(to)
    if item is not None and isinstance(data, list):
        for index, row in enumerate(data):
            yield from _row_mistakes(row, item, (*path, index))
    elif typing.get_origin(to) is dict and isinstance(data, dict):
        for key, value in data.items():
            yield from _mistakes(value, typing.get_args(to)[1], (*path, key))
    else:
        try:
            convert(data, to)
        except ValueError as error:
            yield path, f"{dotted(path)}: {error}"


def _row_mistakes(row: Any, to: type[msgspec.Struct], path: Path) -> Iterator[tuple[Path, str]]:
    """A row of a list is complete in itself, so whether its values fit together can be told here."""
    mistakes = list(_table_mistakes(row, to, path))
    yield from mistakes
    if not mistakes:
        try:
            msgspec.convert(row, to, dec_hook=decode_hook)
        except msgspec.ValidationError as error:
            inside = str(error).partition(" - at `$")[2]
            yield (*path, *re.findall(r"\.(\w+)", inside)), f"{dotted(path)}: {_in_words(str(error))}"


def _table_mistakes(data: Any, to: type[msgspec.Struct], path: Path) -> Iterator[tuple[Path, str]]:
    if not isinstance(data, dict):
        yield path, f"{dotted(path)} must be a table, not {_kind(data)}"
        return
    known = fields_of(to)
    place = f" in [{dotted(path)}]" if path else ""
    for key, value in data.items():
        if key not in known:
            yield (*path, key), f"unknown key '{clean(key, 80)}'{place}{suggestion(key, known)}"
        else:
            yield from _mistakes(value, known[key].type, (*path, key))
    for key, info in known.items():
        if info.required and key not in data and any(isinstance(part, int) for part in path):
            yield path, f"{dotted(path)} needs a '{key}'"


def is_one_value(to: Any) -> bool:
    """Can a variable or a flag hold it? Not a free table, nor a list of tables."""
    return typing.get_origin(to) is not dict and _struct_item(to) is None


def _is_struct(to: Any) -> bool:
    return isinstance(to, type) and issubclass(to, msgspec.Struct)


def _struct_item(to: Any) -> type[msgspec.Struct] | None:
    """``X`` of ``tuple[X, ...]`` when it is a struct."""
    if typing.get_origin(to) is tuple and _is_struct(typing.get_args(to)[0]):
        item: type[msgspec.Struct] = typing.get_args(to)[0]
        return item
    return None


def _kind(value: Any) -> str:
    names = {
        dict: "a table",
        list: "an array",
        str: "text",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "a date")


def _in_words(message: str) -> str:
    """msgspec's message in the words of TOML, without its own notation for the place."""
    message = message.split(" - at `$")[0]
    for theirs, ours in (
        ("`str`", "text"),
        ("`int`", "a whole number"),
        ("`float`", "a number"),
        ("`bool`", "true or false"),
        ("`array`", "an array"),
        ("`object`", "a table"),
        ("`str | array`", "text or an array"),
        ("Expected", "expected"),
        ("Invalid enum value", "not one of the choices:"),
    ):
        message = message.replace(theirs, ours)
    return message
