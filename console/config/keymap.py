"""From the registry's default keys and the user's [keys] table to bindings, or errors that name file and key.

Pure, and without textual: key names are Textual's, from a table of our own.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from backends.text import clean
from console.config.decode import ConfigError, Problem, suggestion

#: Bindings of this scope work in every pane.
GLOBAL = ""
#: The command that no keymap may take away.
QUIT = "quit"


@dataclass(frozen=True, slots=True)
class DefaultKeys:
    """The keys a command has before the user has a say."""

    command: str
    keys: tuple[str, ...]
    scope: str = GLOBAL  # the pane it belongs to


@dataclass(frozen=True, slots=True)
class Binding:
    """One key that runs one command in one scope."""

    key: str  # in canonical form: "question_mark", "ctrl+r", "R"
    command: str
    scope: str


@dataclass(frozen=True, slots=True)
class Keymap:
    """All bindings in effect."""

    bindings: tuple[Binding, ...]

    def keys_of(self, command: str) -> tuple[str, ...]:
        """Canonical keys of one command; none when it is unbound."""
        return tuple(binding.key for binding in self.bindings if binding.command == command)

    def command_at(self, key: str, scope: str = GLOBAL) -> str | None:
        """What ``key`` runs in ``scope``. The scope's own bindings come before the global ones."""
        found = {binding.scope: binding.command for binding in self.bindings if binding.key == key}
        return found.get(scope, found.get(GLOBAL))


class KeyNameError(ValueError):
    """There is no such key; the text says what to write."""


_NAMED = frozenset(
    ["up", "down", "left", "right", "home", "end", "pageup", "pagedown", "insert", "delete", "backspace"]
    + ["enter", "escape", "tab", "space"]
    + [f"f{number}" for number in range(1, 25)]
)
_ALSO_CALLED = {
    "esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown", "pgdown": "pagedown",
    "del": "delete", "ins": "insert", " ": "space", "spacebar": "space",
}  # fmt: skip
#: Where Textual's name for a character is not the one Unicode gives it.
_UNICODE_TO_KEY = {
    "solidus": "slash", "reverse_solidus": "backslash", "commercial_at": "at", "hyphen_minus": "minus",
    "plus_sign": "plus", "low_line": "underscore",
}  # fmt: skip
_UNUSABLE = {
    "ctrl+c": "it interrupts programs",
    "ctrl+z": "it suspends programs",
    "ctrl+s": "terminals stop their output on it",
    "ctrl+q": "terminals resume their output on it",
    "ctrl+b": "it is the prefix of tmux",
    "ctrl+i": "terminals send the same for tab",
    "ctrl+j": "terminals send the same for enter",
    "ctrl+m": "terminals send the same for enter",
    "ctrl+h": "terminals send the same for backspace",
}


def key_name(text: str) -> str:
    """The canonical name of a key: ``?`` and ``question_mark`` are one. Raises :class:`KeyNameError`."""
    *modifiers, base = [text] if len(text) == 1 else _split(text)
    wrong = [modifier for modifier in modifiers if modifier not in ("ctrl", "alt", "shift")]
    if wrong:
        raise KeyNameError(f"'{clean(wrong[0], 20)}' is not a modifier; there are ctrl, alt and shift")
    name = _base_name(base)
    if len(name) == 1 and "ctrl" in modifiers:
        name = name.lower()
    if "shift" in modifiers and name not in _NAMED:
        raise KeyNameError(
            f"write the character that shift makes, such as 'A', instead of '{clean(text, 20)}'"
        )
    ordered = [modifier for modifier in ("alt", "ctrl", "shift") if modifier in modifiers]
    return "+".join((*ordered, name))


def build_keymap(
    defaults: Iterable[DefaultKeys],
    overrides: Mapping[str, str | tuple[str, ...]],
    where: Callable[[str], str] = lambda command: f"[keys] {command}",
) -> Keymap:
    """Bindings in effect. ``where`` tells the file and line of the override of a command.

    Raises :class:`ConfigError` with every mistake: an unknown command or key, a key that terminals do not
    deliver, two commands on one key, no way left to quit. Two *defaults* may share a key when one is
    global: the pane's own then comes first.
    """
    commands = {entry.command: entry for entry in defaults}
    problems = []
    chosen: list[Binding] = []
    for command in overrides:
        if command not in commands:
            message = f"unknown command '{clean(command, 60)}'{suggestion(command, commands)}"
            problems.append(Problem(where(command), message))
    for command, entry in commands.items():
        override = overrides.get(command)
        given = entry.keys if override is None else _listed(override)
        try:
            chosen += [Binding(key, command, entry.scope) for key in _usable(command, given)]
        except KeyNameError as error:
            problems.append(Problem(where(command), f"{command}: {error}"))
    problems += _clashes(chosen, overrides, where)
    if problems:
        raise ConfigError(*problems)
    return Keymap(tuple(chosen))


def _split(text: str) -> list[str]:
    """``ctrl++`` is ctrl and plus."""
    if text.endswith("++"):
        return [*text[:-2].lower().split("+"), "+"]
    *modifiers, base = text.split("+")
    return [*(modifier.lower() for modifier in modifiers), base]


def _base_name(base: str) -> str:
    if len(base) == 1 and base != " ":
        if base.isalnum():
            return base
        try:
            name = unicodedata.name(base).lower().replace("-", "_").replace(" ", "_")
        except ValueError:
            raise KeyNameError("a control character is not a key") from None
        return _UNICODE_TO_KEY.get(name, name)
    name = _ALSO_CALLED.get(base.lower(), base.lower())
    if name in _NAMED or _is_character_name(name):
        return name
    raise KeyNameError(
        f"unknown key '{clean(base, 20)}'{suggestion(name, [*_NAMED, 'slash', 'question_mark'])}"
    )


def _is_character_name(name: str) -> bool:
    """Is it what :func:`_base_name` makes of some ASCII character?"""
    return name in {_base_name(chr(code)) for code in range(0x21, 0x7F) if not chr(code).isalnum()}


def _listed(override: str | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(override, str):
        return (override,) if override else ()
    return override


def _usable(command: str, given: tuple[str, ...]) -> list[str]:
    keys = list(dict.fromkeys(key_name(key) for key in given))
    if command == QUIT and not keys:
        raise KeyNameError("must keep a key, or there is no way out")
    if keys and all(key in _UNUSABLE for key in keys):
        raise KeyNameError(f"'{keys[0]}' cannot be its only key: {_UNUSABLE[keys[0]]}")
    return keys


def _clashes(
    bindings: list[Binding], overrides: Mapping[str, object], where: Callable[[str], str]
) -> list[Problem]:
    by_key = defaultdict(list)
    for binding in bindings:
        by_key[binding.key].append(binding)
    problems = []
    for key, rivals in by_key.items():
        for one, other in combinations(rivals, 2):
            same = one.scope == other.scope
            overlap = same or GLOBAL in (one.scope, other.scope)
            involves_user = one.command in overrides or other.command in overrides
            hides_quit = QUIT in (one.command, other.command)
            if overlap and (same or involves_user or hides_quit):
                culprit, victim = (one, other) if one.command in overrides else (other, one)
                message = (
                    f"{culprit.command}: the key '{key}' already runs '{victim.command}'; "
                    f"choose another, or give '{victim.command}' a key of its own"
                )
                problems.append(Problem(where(culprit.command), message))
    return problems
