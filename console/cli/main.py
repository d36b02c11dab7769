"""The ``watchfloor`` command. Light by design: textual is imported only to open the console."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

from console.exit_codes import ExitCode

if TYPE_CHECKING:
    from console.config.layers import Loaded

USAGE = """\
watchfloor                     open the console on this machine
watchfloor --demo              open it on a living example
watchfloor --read-only         open it without anything that changes things
watchfloor COMMAND [...]       run one command; `watchfloor COMMAND --help` explains it
"""

OPTIONS = """\
options before or after a command:
  --json                 print {"schema_version":1,"data":...}
  --dry-run              say what would happen, change nothing
  --yes                  agree to a disruptive command
  --confirm WORD         agree to a destructive command by its target's name, or to many by their count
  --config FILE          one more configuration file
  --state DIR            the state directory, instead of $WATCHFLOOR_STATE
  --set KEY=VALUE        one configuration value, such as console.theme=light
  --version
"""

_FLAGS = {"--json", "--dry-run", "--yes", "--demo", "--read-only", "--version", "--help", "-h", "--ascii"}
_VALUES = {"--confirm", "--config", "--state", "--set", "--request-id"}


class Options:
    """What was said before and after the command."""

    def __init__(self) -> None:
        self.flags: set[str] = set()
        self.values: dict[str, list[str]] = {}
        self.words: list[str] = []

    def value(self, name: str) -> str:
        return self.values.get(name, [""])[-1]


def split(argv: list[str]) -> Options:
    """Our options from the command's own words. ``--`` ends ours."""
    options = Options()
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if word == "--":
            options.words += ("--", *words) if options.words else tuple(words)
        elif name == "--set" and options.words[:1] == ["config"]:
            options.words.append(word)  # config's own: it writes what we would only assume
        elif word in _FLAGS:
            options.flags.add(word)
        elif name in _VALUES:
            if not equals:
                value = next(words, "")
                if not value:
                    fail(ExitCode.USAGE, f"{name} needs a value")
            options.values.setdefault(name, []).append(value)
        else:
            options.words.append(word)
    return options


def fail(code: ExitCode | int, message: str, as_json: bool = False) -> NoReturn:
    """One error on stderr, and out."""
    if as_json:
        import msgspec

        body = msgspec.json.encode({"error": message, "code": int(code)}).decode()
        print(body, file=sys.stderr)
    else:
        print(f"watchfloor: {message}", file=sys.stderr)
    raise SystemExit(int(code))


def help_text() -> str:
    """The whole command's help, from the registry."""
    from console.commands import REGISTRY

    lines = [USAGE]
    for family, commands in REGISTRY.families().items():
        shown = [
            command
            for command in commands
            if command.place.value != "console" or command.family == "analysis"
        ]
        if shown:
            lines.append(f"{family}:")
            lines += [f"  {command.id:<16} {command.help}" for command in shown]
            lines.append("")
    lines.append(OPTIONS)
    return "\n".join(lines)


def command_help(name: str) -> str:
    """One command's help, from the registry."""
    from console.commands import REGISTRY
    from console.commands.arguments import parameters, usage

    command = REGISTRY.get(name)
    lines = [f"watchfloor {usage(command)}", "", f"  {command.help}"]
    if command.detail:
        lines += ["", command.detail]
    rows = [(p.name, p.description) for p in parameters(command)]
    if rows:
        lines.append("")
        lines += [f"  {name.replace('_', '-'):<14} {text}" for name, text in rows]
    lines += ["", f"  danger: {command.danger}" + ("; changes things" if command.mutates else "; only looks")]
    return "\n".join(lines)


def load_config(options: Options) -> Loaded:
    """The layered configuration. Ends the process with a clear error when it is broken."""
    from pathlib import Path

    from console.config.decode import ConfigError
    from console.config.layers import load

    flags: dict[str, object] = {}
    for pair in options.values.get("--set", ()):
        key, equals, value = pair.partition("=")
        if not equals:
            fail(ExitCode.USAGE, f"--set {pair}: write KEY=VALUE, such as console.theme=light")
        flags[key] = value
    if "--read-only" in options.flags:
        flags["console.read_only"] = True
    if "--ascii" in options.flags:
        flags["console.ascii"] = True
    explicit = options.value("--config")
    try:
        return load(Path(explicit) if explicit else None, flags=flags)
    except ConfigError as error:
        fail(ExitCode.USAGE, str(error), "--json" in options.flags)


def main(argv: list[str] | None = None) -> None:
    """Entry point of the distribution."""
    options = split(sys.argv[1:] if argv is None else argv)
    if options.value("--state"):
        os.environ["WATCHFLOOR_STATE"] = options.value("--state")
    if "--version" in options.flags:
        from console.version import version

        print(f"watchfloor {version()}")
        return
    if options.flags & {"--help", "-h"} or options.words[:1] == ["help"]:
        words = options.words[1:] if options.words[:1] == ["help"] else options.words
        _help(words)
        return
    try:
        if options.words:
            from console.cli.one_shot import run_command

            run_command(options)
        else:
            _open_console(options)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # the reader of our output has gone; nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


def _help(words: list[str]) -> None:
    from console.commands.registry import CommandError

    if not words:
        print(help_text(), end="")
        return
    try:
        print(command_help(words[0]))
    except CommandError as error:
        fail(error.code, error.message)


def _open_console(options: Options) -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        fail(ExitCode.USAGE, "the console needs a terminal; for scripts use `watchfloor status --json`")
    from console.tui.start import open_console

    raise SystemExit(open_console(options))
