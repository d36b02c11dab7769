"""One command from the shell: parse, ask the watch, confirm, print, exit with an honest code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from console.cli.main import Options, fail, load_config
from console.commands import REGISTRY
from console.commands.arguments import Words, parameters, parse_words
from console.commands.registry import Command, CommandError, Place
from console.exit_codes import ExitCode

if TYPE_CHECKING:
    from console.client import Connection
    from console.wire import Reply


def run_command(options: Options) -> None:
    """Run ``options.words``; ends the process with the outcome's exit code."""
    as_json = "--json" in options.flags
    try:
        command = REGISTRY.get(options.words[0])
        if command.id == "claude-stream":
            _ask(" ".join(options.words[1:]), options)
            return
        words = parse_words(command, _with_environment(command, options.words[1:]))
    except CommandError as error:
        fail(error.code, error.message, as_json)
    if command.place is Place.CONSOLE:
        fail(ExitCode.USAGE, f"'{command.id}' belongs to the console's screen", as_json)
    if command.place is Place.LOCAL:
        from console.cli.local_commands import run_local

        run_local(command, words, options)
        return
    _run_in_watch(command, words, options)


def _ask(question: str, options: Options) -> None:
    from console.cli.ask import ask
    from console.client import WatchUnreachable

    if not question.strip():
        fail(ExitCode.USAGE, "claude-stream: ask something, such as: why is builder-1 stalled", False)
    try:
        print(ask(_socket(options), question), file=sys.stderr)
    except WatchUnreachable as error:
        fail(ExitCode.UNREACHABLE, f"{error}; start one with `watchfloor start`", False)


def _socket(options: Options) -> Path:
    """Where the watch that is meant listens."""
    from console.config.paths import state_paths

    section = load_config(options).config.watch if _needs_config(options) else None
    return state_paths(section.state_dir if section else "", section.socket if section else "").socket


def _with_environment(command: Command, words: list[str]) -> list[str]:
    """``$WATCHFLOOR_AGENT`` stands in for an agent that was not named."""
    agent = os.environ.get("WATCHFLOOR_AGENT", "")
    if not agent:
        return words
    if command.id in ("register-agent", "heartbeat"):  # what an agent says of itself
        return [agent, *words] if not words or words[0].startswith("-") else words
    names = {parameter.name: parameter for parameter in parameters(command)}
    if "agent" not in names or any(word == "--agent" or word.startswith("--agent=") for word in words):
        return words
    if names["agent"].required:
        return [agent, *words] if not words or words[0].startswith("-") else words
    return words if any(word.startswith("--fence") for word in words) else [*words, "--agent", agent]


def _run_in_watch(command: Command, words: Words, options: Options) -> None:
    from console.client import Connection, WatchLost, WatchUnreachable

    as_json = "--json" in options.flags
    if command.mutates and "--read-only" in options.flags:
        fail(ExitCode.DENIED, f"'{command.id}' changes things and you asked for --read-only", as_json)
    try:
        with Connection(_socket(options), "cli", timeout_s=90.0) as watch:
            reply = watch.invoke(
                command.id,
                words.targets,
                words.args,
                dry_run="--dry-run" in options.flags,
                confirmed="y" if "--yes" in options.flags else options.value("--confirm"),
                request_id=options.value("--request-id"),
            )
            if reply.confirm:
                reply = _confirm(watch, command, words, reply, options.value("--request-id"), as_json)
    except WatchLost as error:
        if command.mutates and "--dry-run" not in options.flags:
            fail(ExitCode.UNVERIFIED, f"{error}; it may have run: look before repeating it", as_json)
        fail(ExitCode.UNREACHABLE, str(error), as_json)
    except WatchUnreachable as error:
        fail(ExitCode.UNREACHABLE, f"{error}; start one with `watchfloor start`", as_json)
    _print_reply(command, reply, as_json)


def _needs_config(options: Options) -> bool:
    """A state directory named outright needs no configuration, unless that may move the socket."""
    from console.config.layers import SYSTEM_FILE
    from console.config.paths import config_path

    return (
        not os.environ.get("WATCHFLOOR_STATE")
        or bool(options.values.keys() & {"--config", "--set"})
        or "WATCHFLOOR_WATCH_SOCKET" in os.environ
        or config_path().exists()
        or SYSTEM_FILE.exists()
    )


def _confirm(
    watch: Connection, command: Command, words: Words, reply: Reply, request_id: str, as_json: bool
) -> Reply:
    for plan in reply.plans if not as_json else ():
        for step in plan.steps:
            print(f"  {step}", file=sys.stderr)
    how = "--yes" if reply.confirm == "y" else f"--confirm {reply.confirm}"
    if not sys.stdin.isatty():
        fail(ExitCode.USAGE, f"'{command.id}' needs confirmation; look at --dry-run, then add {how}", as_json)
    if as_json:
        fail(ExitCode.USAGE, f"'{command.id}' needs confirmation; add {how}", as_json)
    wanted = "y" if reply.confirm == "y" else f"'{reply.confirm}'"
    print(f"type {wanted} to run {command.id}: ", end="", file=sys.stderr, flush=True)
    typed = sys.stdin.readline().strip()
    if typed != reply.confirm:
        fail(ExitCode.DENIED, "not confirmed; nothing was changed", as_json)
    return watch.invoke(
        command.id,
        words.targets,
        words.args,
        plan_ids=tuple(plan.id for plan in reply.plans),
        confirmed=typed,
        request_id=request_id,
    )


def _print_reply(command: Command, reply: Reply, as_json: bool) -> None:
    if reply.failure is not None:
        fail(reply.failure.code, reply.failure.message, as_json)
    if reply.plans:
        if as_json:
            print_json(reply.plans)
        for plan in reply.plans if not as_json else ():
            print(f"{plan.command} {plan.target} ({plan.danger})".replace("  ", " "))
            for step in plan.steps:
                print(f"  would {step}")
            if plan.refusal:
                print(f"  cannot run now: {plan.refusal}")
        raise SystemExit(ExitCode.OK if not any(plan.refusal for plan in reply.plans) else ExitCode.CONFLICT)
    worst = max((outcome.exit_code for outcome in reply.outcomes), default=0)
    if as_json:
        data = [outcome.data for outcome in reply.outcomes]
        print_json(data[0] if len(data) == 1 else data)
        if worst:
            message = "; ".join(outcome.message for outcome in reply.outcomes)
            fail(worst, message, as_json)
        raise SystemExit(worst)
    for outcome in reply.outcomes:
        _print_outcome(command, outcome.message, outcome.data, outcome.exit_code)
    raise SystemExit(worst)


def _print_outcome(command: Command, message: str, data: Any, exit_code: int) -> None:
    if command.table and exit_code == 0:
        from console.cli.listing import table_text
        from console.wire import rows_of

        rows = data.get("rows") if isinstance(data, dict) else data
        if isinstance(rows, (list, tuple)):
            print(table_text(command.table, rows_of(command.table, rows)))
            print(message, file=sys.stderr)
            return
    if command.id == "claim" and data:
        for lease in data:
            print(f"{lease['item']['id']}\t{lease['fence']}\t{lease['item'].get('title', '')}")
        return
    print(message, file=sys.stderr if exit_code else sys.stdout)


def print_json(data: Any) -> None:
    """The envelope every ``--json`` prints."""
    body = msgspec.json.encode({"schema_version": 1, "data": data})
    sys.stdout.write(msgspec.json.format(body, indent=2).decode() + "\n")
