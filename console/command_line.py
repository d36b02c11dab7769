"""The ``:`` line: what was typed, understood against the registry, and what could come next."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import NamedTuple

from console.commands import REGISTRY
from console.commands.arguments import Words, parameters, parse_words, usage
from console.commands.registry import Command, CommandError
from console.exit_codes import ExitCode


class Offer(NamedTuple):
    """One completion: ``text`` replaces what stands between ``start`` and the cursor."""

    text: str
    help: str
    start: int


class Typed(NamedTuple):
    """A line that names a command."""

    command: Command
    words: Words


#: Ids of rows of a table that start with a prefix.
Rows = Callable[[str, str], Sequence[str]]
MAX_OFFERS = 40


def understand(line: str, chosen: Callable[[Command], tuple[str, ...]]) -> Typed:
    """The command of a line. Where it acts on rows and names none, the ``chosen`` ones are meant.

    Raises :class:`CommandError`.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise CommandError(ExitCode.USAGE, f"cannot read the line: {error}") from None
    if not words:
        raise CommandError(ExitCode.USAGE, "no command")
    command = REGISTRY.get(words[0])
    rest = words[1:]
    if command.acts_on and not command.target_optional:
        required = sum(parameter.required for parameter in parameters(command))
        positional = _positional(command, rest)
        if positional <= required:
            targets = chosen(command)
            if not targets and positional < required + 1:
                raise CommandError(ExitCode.USAGE, f"{command.id}: which one? usage: {usage(command)}")
            if targets:
                probe = parse_words(command, [targets[0], *rest])
                return Typed(command, Words(targets, probe.args))
    return Typed(command, parse_words(command, rest))


def _positional(command: Command, words: Sequence[str]) -> int:
    """How many of ``words`` are not options or their values."""
    flags = {"--" + p.name.replace("_", "-") for p in parameters(command) if p.type is bool}
    count = 0
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("--"):
            skip = "=" not in word and word not in flags
        else:
            count += 1
    return count


def offers(line: str, cursor: int, rows: Rows) -> list[Offer]:
    """What could stand at the cursor, best first."""
    before = line[:cursor]
    start = before.rfind(" ") + 1
    word = before[start:]
    if start == 0:
        return _commands(word)
    name = before.split(" ", 1)[0]
    if name not in REGISTRY:
        return []
    command = REGISTRY.get(name)
    if word.startswith("-"):
        return [
            Offer(flag, parameter.description, start)
            for parameter in parameters(command)
            if not parameter.required and (flag := "--" + parameter.name.replace("_", "-")).startswith(word)
        ]
    if command.acts_on:
        return [Offer(_quoted(id_), "", start) for id_ in rows(command.acts_on, word)[:MAX_OFFERS]]
    return []


def _commands(prefix: str) -> list[Offer]:
    starts = [command for command in REGISTRY if command.id.startswith(prefix) and not command.hidden]
    holds = [
        command
        for command in REGISTRY
        if prefix and prefix in command.id and not command.id.startswith(prefix) and not command.hidden
    ]
    return [Offer(command.id, command.help, 0) for command in (*starts, *holds)][:MAX_OFFERS]


def _quoted(text: str) -> str:
    return shlex.quote(text)
