"""Reading the configuration in layers, saying where each value came from, and changing the user's file.

Later layers win: defaults < /etc < the user's file < ``--config`` < environment < flags. Tables are merged
key by key; a list replaces the list of the layer below it.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from console.config import decode
from console.config.decode import ConfigError, Problem
from console.config.paths import config_path
from console.config.settings import Config
from console.config.toml_lines import Path as KeyPath
from console.config.toml_lines import TomlLines, locate

__all__ = ["ConfigError", "Loaded", "Problem", "check_file", "load", "parse", "read_text", "variables"]

SYSTEM_FILE = Path("/etc/watchfloor/config.toml")
DEFAULT = "default"
MAX_FILE_BYTES = 1 << 20

#: Short names of variables people set most.
_ALIASES: dict[str, KeyPath] = {"WATCHFLOOR_STATE": ("watch", "state_dir")}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and for every key that is not at its default the layer that set it."""

    config: Config
    provenance: Mapping[str, str]  # dotted key -> "FILE:LINE", "env NAME" or "flag"
    files: tuple[Path, ...] = ()  # that were read, in order
    warnings: tuple[str, ...] = ()

    def where(self, key: str) -> str:
        """Where the value of a dotted ``key`` came from."""
        return self.provenance.get(key, DEFAULT)


def load(
    explicit: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    system_file: Path = SYSTEM_FILE,
) -> Loaded:
    """All layers as one configuration. ``flags`` maps dotted keys to values; text is read like a variable.

    Raises :class:`ConfigError` with every mistake of every layer.
    """
    environ = os.environ if environ is None else environ
    layers = _Layers()
    for file in (system_file, config_path(environ)):
        layers.add_file(file, must_exist=False)
    if explicit is not None:
        layers.add_file(explicit, must_exist=True)
    layers.add_environment(environ)
    layers.add_flags(flags or {})
    return layers.result()


def check_file(file: Path) -> tuple[Problem, ...]:
    """Everything wrong with one file by itself; empty when it is good."""
    layers = _Layers()
    layers.add_file(file, must_exist=True)
    try:
        layers.result()
    except ConfigError as error:
        return error.problems
    return ()


class _Layers:
    """Layers as they are added: merged data, where each key came from, what is wrong."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = decode.to_toml(Config())
        self.origin: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []
        self.files: list[Path] = []
        self.warnings: list[str] = []

    def add_file(self, file: Path, *, must_exist: bool) -> None:
        try:
            text = read_text(file)
        except FileNotFoundError:
            if must_exist:
                self.problems.append(Problem(str(file), "there is no such file"))
            return
        except ConfigError as error:
            self.problems.extend(error.problems)
            return
        try:
            data, lines = parse(text, str(file))
        except ConfigError as error:
            self.problems.extend(error.problems)
            return
        self.files.append(file)
        mistakes = list(decode.check(data, lines, str(file)))
        self.problems.extend(mistakes)
        if not mistakes:
            for path, value in _leaves(data):
                line = lines.line_of(path)
                self._set(path, value, f"{file}:{line}" if line else str(file))

    def add_environment(self, environ: Mapping[str, str]) -> None:
        names = variables()
        sections = tuple(f"WATCHFLOOR_{name.upper()}_" for name in decode.fields_of(Config))
        for name in sorted(environ):
            if name in names:
                path = names[name]
                self._set_text(path, decode.type_at(path), environ[name], f"env {name}")
            elif name.startswith(sections):
                hint = decode.suggestion(name, names)
                self.warnings.append(f"environment variable {name} is not a setting{hint}")

    def add_flags(self, flags: Mapping[str, Any]) -> None:
        known = {decode.dotted(path): path for path, to in decode.leaf_paths() if decode.is_one_value(to)}
        for key, value in flags.items():
            if key not in known:
                hint = decode.suggestion(key, known)
                self.problems.append(Problem("flag", f"unknown key '{key}'{hint}"))
            elif isinstance(value, str):
                self._set_text(known[key], decode.type_at(known[key]), value, "flag")
            else:
                self._set(known[key], value, "flag")

    def _set_text(self, path: KeyPath, to: Any, text: str, where: str) -> None:
        try:
            value = decode.from_text(text, to)
        except ValueError as error:
            self.problems.append(Problem(where, f"{decode.dotted(path)}: {error}"))
        else:
            self._set(path, decode.to_toml(value), where)

    def _set(self, path: KeyPath, value: Any, where: str) -> None:
        _put(self.data, path, value)
        self.origin[path] = where

    def result(self) -> Loaded:
        if self.problems:
            raise ConfigError(*self.problems)
        try:
            config = msgspec.convert(self.data, Config, dec_hook=decode.decode_hook)
        except msgspec.ValidationError as error:
            raise ConfigError(self._conflict(str(error))) from None
        provenance = {decode.dotted(path): where for path, where in self.origin.items()}
        return Loaded(config, provenance, tuple(self.files), tuple(self.warnings))

    def _conflict(self, message: str) -> Problem:
        """Values that are fine alone but not together: blame the last layer that touched their table."""
        statement, _, place = message.partition(" - at `$.")
        table = place.rstrip("`")
        path = tuple(table.split("."))
        touched = [where for key, where in self.origin.items() if key[: len(path)] == path]
        return Problem(touched[-1] if touched else "configuration", f"[{table}] {statement}")


def variables() -> dict[str, KeyPath]:
    """The environment variable of each setting that fits into one."""
    names: dict[str, KeyPath] = {
        "WATCHFLOOR_" + "_".join(str(part) for part in path).upper(): path
        for path, to in decode.leaf_paths()
        if decode.is_one_value(to)
    }
    return names | _ALIASES


def _leaves(data: Mapping[str, Any], path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _put(data: dict[str, Any], path: KeyPath, value: Any) -> None:
    for part in path[:-1]:
        data = data.setdefault(str(part), {})
    data[str(path[-1])] = value


# --- reading one file ------------------------------------------------------------------------------


def read_text(file: Path) -> str:
    """The text of a configuration file. Raises ``FileNotFoundError``, or :class:`ConfigError`."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ConfigError(
                Problem(str(file), f"larger than {MAX_FILE_BYTES} bytes; is this a configuration?")
            )
        return content.decode()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(file) from None
    except OSError as error:
        raise ConfigError(Problem(str(file), f"cannot be read: {error.strerror}")) from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(Problem(f"{file}:{line}", "is not UTF-8 text")) from None


def parse(text: str, file: str) -> tuple[dict[str, Any], TomlLines]:
    """The data of a TOML text and where its keys stand. Raises :class:`ConfigError` with the line."""
    try:
        return tomllib.loads(text), locate(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at line (\d+), column (\d+)\)", str(error))
        if found is None:
            message = str(error).removesuffix(" (at end of document)")
            last_line = len(text.rstrip().splitlines())
            raise ConfigError(Problem(f"{file}:{last_line}", f"not TOML: {message}")) from None
        message = str(error).replace(found.group(), f" in column {found.group(2)}")
        raise ConfigError(Problem(f"{file}:{found.group(1)}", f"not TOML: {message}")) from None
