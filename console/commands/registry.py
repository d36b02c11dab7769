"""What a Command is, and the one registry of them.

The registry alone produces the key bindings, the footer, the palette, the ``:`` line, the help screen, the
CLI and its ``--help`` and docs/commands.md. Only :mod:`console.watch.dispatch` calls ``plan``, ``run`` and
``verify``. Modules of commands stay light: the CLI imports all of them for its help.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

from backends.model import Danger, OutcomeStatus, Precondition
from console.exit_codes import ExitCode

if TYPE_CHECKING:
    from backends.coordination import Caller
    from console.watch.house import House


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every command's typed parameters. Fields without a default are required."""


class NoParams(Params, frozen=True):
    """A command that takes none."""


class Place(Enum):
    """Which process runs a command."""

    WATCH = "watch"
    LOCAL = "local"  # the CLI or console itself: starting a watch, printing the configuration
    CONSOLE = "console"  # the console's own screen: panes, filters, themes


@dataclass(frozen=True, slots=True)
class Call:
    """One command on one target, with decoded parameters and who asks."""

    target: str
    params: Any
    caller: Caller


@dataclass(frozen=True, slots=True)
class Draft:
    """What ``plan`` found: the steps that would be taken and the facts they rest on."""

    steps: tuple[str, ...]
    preconditions: tuple[Precondition, ...] = ()
    refusal: str = ""
    refusal_code: ExitCode = ExitCode.CONFLICT
    confirm: str | None = None  # overrides what the command's danger asks for


@dataclass(frozen=True, slots=True)
class Act:
    """How a run or a verification ended."""

    message: str
    status: OutcomeStatus = OutcomeStatus.VERIFIED
    data: Any = None
    exit_code: ExitCode = ExitCode.OK
    before: str = ""
    after: str = ""
    audited: bool = False  # the store wrote the audit record in the transaction that did the work


class CommandError(Exception):
    """A command could not run: which exit code, and why in words."""

    def __init__(self, code: ExitCode, message: str, detail: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail


PlanFunction = Callable[["House", Call], Awaitable[Draft]]
RunFunction = Callable[["House", Call], Awaitable[Act]]
VerifyFunction = Callable[["House", Call, Act], Awaitable[Act]]


@dataclass(frozen=True, slots=True)
class Command:
    """Everything the doors need to know of one thing an operator can do."""

    id: str
    family: str
    help: str  # one line, no full stop
    params: type[Params] = NoParams
    acts_on: str = ""  # the table whose row ids are its targets; "" = none
    target_optional: bool = False
    danger: Danger = Danger.SAFE
    key: str = ""  # default key; "" = none
    mutates: bool = False  # read-only mode removes it
    by_agents: bool = False  # agents say it of themselves: read-only mode is for operators
    atomic: bool = False  # touches only the store, which audits it in the same transaction
    place: Place = Place.WATCH
    aliases: tuple[str, ...] = ()
    detail: str = ""  # more than one line, for help
    plan: PlanFunction | None = None
    run: RunFunction | None = None
    verify: VerifyFunction | None = None
    table: str = ""  # a listing: its data are rows of this table
    hidden: bool = False  # a key without a name worth listing


@dataclass
class Registry:
    """Commands by id, in the order of their registration."""

    _commands: dict[str, Command] = field(default_factory=dict)
    _aliases: dict[str, str] = field(default_factory=dict)

    def add(self, *commands: Command) -> None:
        """Register; a second command of the same id or alias is a bug."""
        for command in commands:
            for name in (command.id, *command.aliases):
                if name in self._commands or name in self._aliases:
                    raise ValueError(f"command '{name}' is registered twice")
            self._commands[command.id] = command
            self._aliases.update(dict.fromkeys(command.aliases, command.id))

    def __iter__(self) -> Iterator[Command]:
        return iter(self._commands.values())

    def __contains__(self, name: str) -> bool:
        return name in self._commands or name in self._aliases

    def get(self, name: str) -> Command:
        """The command of that id or alias. Raises :class:`CommandError` with the nearest names."""
        command = self._commands.get(self._aliases.get(name, name))
        if command is None:
            import difflib

            near = difflib.get_close_matches(name, [*self._commands, *self._aliases], 3)
            hint = f"; did you mean {' or '.join(near)}?" if near else "; see `watchfloor --help`"
            raise CommandError(ExitCode.USAGE, f"unknown command '{name}'{hint}")
        return command

    def families(self) -> dict[str, list[Command]]:
        """Listed commands by family."""
        families: dict[str, list[Command]] = {}
        for command in self:
            if not command.hidden:
                families.setdefault(command.family, []).append(command)
        return families

    def of(self, places: Iterable[Place]) -> list[Command]:
        """Commands that run in one of ``places``."""
        wanted = set(places)
        return [command for command in self if command.place in wanted]
