"""The ``:`` line: what was typed, understood against the registry, and what could come next."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import NamedTuple

from console.commands import REGISTRY
from console.commands.arguments import Words, parameters, parse_words, usage
from console.commands.registry import Command, CommandError, Place
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
    dry_run: bool = False


#: Ids of rows of a table that start with a prefix.
Rows = Callable[[str, str], Sequence[str]]
#: Words that a screen command understands.
Values = Callable[[Command], Sequence[str]]
#: Why a command cannot run now, or "".
Obstacle = Callable[[Command], str]
MAX_OFFERS = 40
DRY_RUN = "--dry-run"


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
    if command.place is Place.CONSOLE:
        return Typed(command, Words((), _rest_of_line(command, line)))
    rest = [word for word in words[1:] if word != DRY_RUN]
    dry_run = len(rest) < len(words) - 1
    if dry_run and not command.mutates:
        raise CommandError(ExitCode.USAGE, f"{command.id} changes nothing; it needs no {DRY_RUN}")
    if command.acts_on and not command.target_optional:
        required = sum(parameter.required for parameter in parameters(command))
        positional = _positional(command, rest)
        if positional <= required:
            targets = chosen(command)
            if not targets and positional < required + 1:
                raise CommandError(ExitCode.USAGE, f"{command.id}: which one? usage: {usage(command)}")
            if targets:
                probe = parse_words(command, [targets[0], *rest])
                return Typed(command, Words(targets, probe.args), dry_run)
    return Typed(command, parse_words(command, rest), dry_run)


def _rest_of_line(command: Command, line: str) -> dict[str, str | tuple[str, ...]]:
    """A screen command takes all that follows as its one parameter: ``theme light``, ``filter !idle``."""
    rest = line.strip().partition(" ")[2].strip()
    known = parameters(command)
    if rest and not known:
        raise CommandError(ExitCode.USAGE, f"{command.id} takes nothing more; got '{rest}'")
    if not rest and not any(parameter.required for parameter in known):
        return {}
    return {known[0].name: rest if known[0].type is str else (rest,)}


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


def offers(line: str, cursor: int, rows: Rows, values: Values, obstacle: Obstacle) -> list[Offer]:
    """What could stand at the cursor, best first."""
    before = line[:cursor]
    start = before.rfind(" ") + 1
    word = before[start:]
    if start == 0:
        return _commands(word, obstacle)
    name = before.split(" ", 1)[0]
    if name not in REGISTRY:
        return []
    command = REGISTRY.get(name)
    if command.place is Place.CONSOLE:
        return [Offer(value, "", start) for value in values(command) if value.startswith(word)]
    if word.startswith("-"):
        flags = [
            ("--" + p.name.replace("_", "-"), p.description) for p in parameters(command) if not p.required
        ]
        if command.mutates:
            flags.append((DRY_RUN, "show what would happen, and stop"))
        return [Offer(flag, help_, start) for flag, help_ in flags if flag.startswith(word)]
    if command.acts_on:
        return [Offer(_quoted(id_), "", start) for id_ in rows(command.acts_on, word)[:MAX_OFFERS]]
    return []


def _commands(prefix: str, obstacle: Obstacle) -> list[Offer]:
    """Commands whose name starts with ``prefix``, then those that hold it; what cannot run now says why."""
    listed = [command for command in REGISTRY if not command.hidden]
    starts = [command for command in listed if command.id.startswith(prefix)]
    holds = [command for command in listed if prefix and prefix in command.id and command not in starts]
    found = []
    for command in (*starts, *holds):
        why = obstacle(command)
        found.append(Offer(command.id, f"{command.help} ({why})" if why else command.help, 0))
    return found[:MAX_OFFERS]


def _quoted(text: str) -> str:
    return shlex.quote(text)
