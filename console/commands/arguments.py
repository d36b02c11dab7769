"""From words to a command's target and typed parameters, for the CLI and the ``:`` line alike.

A parameter without a default is positional, in the order of its Struct; one with a default is ``--option``.
A command that acts on rows takes their ids first.
"""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn, get_args, get_type_hints

import msgspec

from console.commands.registry import Command, CommandError
from console.exit_codes import ExitCode

#: What a target is called in usage lines, by the table it is a row of.
TARGET_NAMES = {
    "agents": "AGENT",
    "work": "ITEM",
    "processes": "PID",
    "hosts": "HOST",
    "any": "ID",
}


class Parameter(NamedTuple):
    """One parameter as usage and help show it."""

    name: str
    type: Any
    required: bool
    default: Any
    description: str


class Words(NamedTuple):
    """What was typed, understood."""

    targets: tuple[str, ...]
    args: dict[str, Any]


def parameters(command: Command) -> list[Parameter]:
    """The command's parameters, positional ones first."""
    hints = get_type_hints(command.params, include_extras=True)
    found = []
    for field in msgspec.structs.fields(command.params):
        hint = hints[field.name]
        description = ""
        extras = getattr(hint, "__metadata__", ())
        for extra in extras:
            if isinstance(extra, msgspec.Meta) and extra.description:
                description = extra.description
        bare = get_args(hint)[0] if extras else hint
        found.append(Parameter(field.name, bare, field.required, field.default, description))
    return sorted(found, key=lambda parameter: not parameter.required)


def usage(command: Command) -> str:
    """``progress ITEM PERCENT [--fence N] ...``, without the program's name."""
    words = [command.id]
    if command.acts_on:
        name = TARGET_NAMES[command.acts_on]
        words.append(f"[{name} ...]" if command.target_optional else f"{name} ...")
    for parameter in parameters(command):
        flag = _flag(parameter)
        if parameter.required:
            words.append(parameter.name.upper())
        elif parameter.type is bool:
            words.append(f"[{flag}]")
        else:
            words.append(f"[{flag} {parameter.name.upper()}]")
    return " ".join(words)


def parse_words(command: Command, words: list[str]) -> Words:
    """Understand ``words``. Raises :class:`CommandError` (usage) that names what is wrong."""
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise CommandError(ExitCode.USAGE, f"{command.id}: {message}; usage: {usage(command)}")

    parser = Parser(prog=command.id, add_help=False, allow_abbrev=False)
    positional = [parameter for parameter in parameters(command) if parameter.required]
    if command.acts_on:
        one = "?" if command.target_optional else None
        many = "*" if command.target_optional else "+"
        # with further positionals only one target can be told apart from them
        parser.add_argument("targets", nargs=one if positional else many)
    for parameter in parameters(command):
        if parameter.required:
            parser.add_argument(parameter.name)
        elif parameter.type is bool:
            parser.add_argument(_flag(parameter), action="store_true", dest=parameter.name)
        elif get_args(parameter.type)[1:] == (...,):
            parser.add_argument(_flag(parameter), action="append", dest=parameter.name)
        else:
            parser.add_argument(_flag(parameter), dest=parameter.name)
    known = vars(parser.parse_args(_joined(command, words)))
    targets = known.pop("targets", None) or ()
    if isinstance(targets, str):
        targets = (targets,)
    args = {name: value for name, value in known.items() if value is not None and value is not False}
    return Words(tuple(targets), args)


def _joined(command: Command, words: list[str]) -> list[str]:
    """``--sort -age`` as ``--sort=-age``: only long options exist, so one dash begins a value."""
    takes_value = {_flag(p) for p in parameters(command) if not p.required and p.type is not bool}
    joined: list[str] = []
    for position, word in enumerate(words):
        if word == "--":
            return joined + words[position:]
        if joined and joined[-1] in takes_value and word.startswith("-") and not word.startswith("--"):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _flag(parameter: Parameter) -> str:
    return "--" + parameter.name.replace("_", "-")
