"""``python -m console.cli.reference`` prints docs/commands.md. The registry is its only source."""

from __future__ import annotations

import types
from collections.abc import Iterator
from enum import Enum
from typing import Any, Union, get_args, get_origin

from console.commands import REGISTRY
from console.commands.arguments import Parameter, parameters, usage
from console.commands.registry import Command, Place
from console.exit_codes import ExitCode

INTRODUCTION = """\
# Commands

This page is generated from the command registry (`make docs`); a test fails when it is stale.

Everything an operator can do is one of these commands. In the console each has its key, its place in the
palette and its `:` line; in the shell it is `watchfloor COMMAND`; on the socket it is a verb. Commands of the
family *screen* exist in the console only.

Options of every command in the shell: `--json` prints `{"schema_version":1,"data":...}` (errors are JSON on
stderr), `--dry-run` says what would happen and changes nothing, `--yes` agrees to a disruptive command,
`--confirm WORD` to a destructive one by its target's name, or to many targets by their count. `--state DIR`,
`--config FILE` and `--set KEY=VALUE` choose the watch and its configuration. `--` ends the options.
`$WATCHFLOOR_AGENT` stands in for an agent that was not named.
"""

EXIT_CODES = {
    ExitCode.OK: "ok",
    ExitCode.FAILED: "tried, and it failed",
    ExitCode.USAGE: "unknown command or argument, broken configuration, not confirmed; nothing was tried",
    ExitCode.NOT_FOUND: "the target does not exist",
    ExitCode.CONFLICT: "somebody else holds it, the lease is lost, or the state has changed",
    ExitCode.UNREACHABLE: "the watch, host or service does not answer",
    ExitCode.DENIED: "not permitted: read-only, a no, or not your process",
    ExitCode.UNVERIFIED: "done, but the effect could not be confirmed: look before repeating it",
}

SOCKET = """\
## Agents in any language

The watch's socket (`watch.sock` in the state directory, see `watchfloor status --json`) speaks JSON lines.
One request is one line; its reply carries its `id`. The verbs are the commands above and the batch verbs
below; `args` are their parameters by name.

    {"id": 1, "verb": "claim", "args": {"agent": "builder-1", "type": ["build"]}}
    {"id": 1, "ok": true, "data": [{"item": {...}, "fence": 7, "lease_until": 170...}], "message": "..."}

    {"id": 2, "verb": "complete", "target": "w1", "args": {"fence": 7, "result": "{}"}}
    {"id": 2, "ok": false, "error": {"code": 4, "message": "lease of w1 is lost: ..."}}

`target` (or `targets`) is what a command acts on, `dry_run` and `confirmed` are as in the shell, and `code`
is the exit code. `add-work`, `claim` and `complete` repeated with the same `request_id` get the first reply.
Every write of a holder carries the fence that its claim returned; when a reply says the lease is lost, drop
the work.
"""


def reference() -> str:
    """The whole page, ending in a newline."""
    parts = [INTRODUCTION]
    for family, commands in REGISTRY.families().items():
        parts.append(f"## {family}\n")
        parts += [_section(command) for command in commands]
    parts.append("## Exit codes\n")
    rows = "\n".join(f"| {code.value} | {EXIT_CODES[code]} |" for code in ExitCode)
    parts.append(f"| code | meaning |\n| --- | --- |\n{rows}\n")
    parts.append(SOCKET)
    batches = [command for command in REGISTRY if command.hidden and command.place is Place.WATCH]
    parts += [_section(command) for command in batches]
    return "\n".join(parts)


def _section(command: Command) -> str:
    lines = [f"### {command.id}\n", f"{_sentence(command.help)}\n"]
    if command.place is not Place.CONSOLE and not command.hidden:
        lines.append(f"    watchfloor {usage(command)}\n")
    if command.detail:
        lines.append(f"{command.detail}\n")
    rows = [_row(parameter, command) for parameter in parameters(command)]
    if rows:
        lines += ["| parameter | takes | meaning |", "| --- | --- | --- |", *rows, ""]
    lines.append(" · ".join(_facts(command)) + "\n")
    return "\n".join(lines)


def _row(parameter: Parameter, command: Command) -> str:
    flag = parameter.name.replace("_", "-")
    named = f"`{parameter.name.upper()}`" if parameter.required else f"`--{flag}`"
    if command.hidden or command.place is Place.CONSOLE:
        named = f"`{parameter.name}`"
    meaning = parameter.description
    if not parameter.required and parameter.default not in (None, "", (), False):
        meaning += f"; default {parameter.default}"
    return f"| {named} | {_takes(parameter.type)} | {meaning.replace('|', '&#124;')} |"


def _takes(kind: Any) -> str:
    """What a parameter of this type takes, for people."""
    if get_origin(kind) in (Union, types.UnionType):
        return _takes(next(inner for inner in get_args(kind) if inner is not type(None)))
    if get_origin(kind) in (tuple, list):
        return "any number of texts" if get_args(kind)[0] is str else "a list"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(str(member.value) for member in kind)
    return {bool: "nothing", int: "a whole number", float: "a number", str: "text"}.get(kind, "text")


def _facts(command: Command) -> Iterator[str]:
    yield str(command.danger.value) + ("; changes things" if command.mutates else "; only looks")
    if command.key:
        yield f"key `{command.key}`"
    if command.aliases:
        yield "also " + ", ".join(f"`{alias}`" for alias in command.aliases)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


if __name__ == "__main__":
    print(reference(), end="")
