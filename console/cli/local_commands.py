"""``start``, ``stop``, ``restart`` and ``config``: what the calling process does itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from backends.units import count_words
from console.cli.main import Options, fail, load_config
from console.commands.arguments import Words
from console.commands.registry import Command
from console.exit_codes import ExitCode

if TYPE_CHECKING:
    from console.cli.lifecycle import WatchArguments
    from console.config.layers import Loaded
    from console.config.paths import StatePaths


def run_local(command: Command, words: Words, options: Options) -> None:
    """Run a local command; ends the process."""
    {"start": _start, "stop": _stop, "restart": _restart, "config": _config}[command.id](words, options)


def state_of(options: Options) -> tuple[StatePaths, WatchArguments]:
    """The state directory in effect, and the arguments for a watch on it. A dry run does not make it."""
    from console.cli.lifecycle import WatchArguments
    from console.config.paths import StateDirError, state_paths

    section = load_config(options).config.watch
    try:
        create = "--dry-run" not in options.flags
        paths = state_paths(section.state_dir, section.socket, create=create)
    except StateDirError as error:
        fail(ExitCode.FAILED, str(error), "--json" in options.flags)
    settings = list(options.values.get("--set", ()))
    if "--read-only" in options.flags:
        settings.append("console.read_only=true")
    return paths, WatchArguments(paths.root, options.value("--config"), tuple(settings))


def _say(options: Options, message: str, **data: object) -> None:
    if "--json" in options.flags:
        from console.cli.one_shot import print_json

        print_json(data)
    else:
        print(message)


def _start(words: Words, options: Options) -> None:
    from console.cli.lifecycle import LifecycleError, running_pid, spawn, wait_ready

    paths, arguments = state_of(options)
    pid = running_pid(paths)
    if pid is not None:
        fail(
            ExitCode.CONFLICT, f"a watch runs already on {paths.root} (pid {pid})", "--json" in options.flags
        )
    if "--dry-run" in options.flags:
        import shlex

        _say(options, "would run " + shlex.join(arguments.argv(private=False)), argv=arguments.argv(False))
        return
    process = spawn(arguments, private=False)
    try:
        wait_ready(process)
    except LifecycleError as error:
        fail(error.code, str(error), "--json" in options.flags)
    _say(options, f"watch started, pid {process.pid}, state in {paths.root}", pid=process.pid)


def _stop(words: Words, options: Options) -> None:
    from console.cli.lifecycle import LifecycleError, running_pid, stop

    paths, _ = state_of(options)
    pid = running_pid(paths)
    if pid is None:
        fail(ExitCode.NOT_FOUND, f"no watch is running on {paths.root}", "--json" in options.flags)
    if "--read-only" in options.flags:
        fail(
            ExitCode.DENIED, "'stop' changes things and you asked for --read-only", "--json" in options.flags
        )
    if "--dry-run" in options.flags:
        _say(options, f"would end the watch (pid {pid})", pid=pid)
        return
    _agree("end the watch", options)
    try:
        stop(paths)
    except LifecycleError as error:
        fail(error.code, str(error), "--json" in options.flags)
    _say(options, f"watch ended (pid {pid})", pid=pid)


def _restart(words: Words, options: Options) -> None:
    from console.cli.lifecycle import LifecycleError, running_pid, stop

    paths, arguments = state_of(options)
    pid = running_pid(paths)
    if "--dry-run" in options.flags:
        end = f"end the watch (pid {pid}) and " if pid is not None else ""
        _say(options, f"would {end}start a new one", pid=pid, argv=arguments.argv(False))
        return
    if pid is not None:
        _agree("end the watch and start it anew", options)
        try:
            stop(paths)
        except LifecycleError as error:
            fail(error.code, str(error), "--json" in options.flags)
    _start(words, options)


def _agree(what: str, options: Options) -> None:
    """Stopping a watch touches no agent; a yes is asked for at a terminal only."""
    if "--yes" in options.flags or not sys.stdin.isatty():
        return
    print(f"{what}? type y: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "y":
        fail(ExitCode.DENIED, "not confirmed; nothing was changed", "--json" in options.flags)


def _config(words: Words, options: Options) -> None:
    from console.config.edit import render, settings

    as_json = "--json" in options.flags
    for pair in words.args.get("set", ()):
        _set(pair, options)
    loaded = load_config(options)
    files = [str(file) for file in loaded.files]
    if words.args.get("path"):
        _say(options, "\n".join(files) or "no file is read; the defaults hold", files=files)
    elif words.args.get("validate"):
        _check_keys(loaded, as_json)
        count = f" ({count_words(len(files), 'file')})" if files else ""
        _say(options, "the configuration is good" + count, files=files)
    elif as_json:
        from console.cli.one_shot import print_json

        print_json([{"key": s.key, "value": s.value, "where": s.where} for s in settings(loaded)])
    elif not words.args.get("set"):
        print(render(loaded), end="")


def _check_keys(loaded: Loaded, as_json: bool) -> None:
    """End the process when [keys] cannot be bound. Only the console binds them; a check must say so too."""
    from console.config.decode import ConfigError
    from console.config.keymap import build_keymap
    from console.tui.key_defaults import default_keys

    try:
        build_keymap(default_keys(), loaded.config.keys, lambda command: loaded.where(f"keys.{command}"))
    except ConfigError as error:
        fail(ExitCode.USAGE, str(error), as_json)


def _set(pair: str, options: Options) -> None:
    """Write one KEY=VALUE into the user's own file."""
    from console.config.decode import ConfigError
    from console.config.edit import set_value
    from console.config.paths import config_path

    as_json = "--json" in options.flags
    key, equals, value = pair.partition("=")
    if not equals:
        fail(ExitCode.USAGE, f"--set {pair}: write KEY=VALUE", as_json)
    if "--read-only" in options.flags:
        fail(ExitCode.DENIED, "'config --set' changes things and you asked for --read-only", as_json)
    file = config_path()
    if "--dry-run" in options.flags:
        print(f"would set {key} = {value} in {file}", file=sys.stderr)
        return
    try:
        set_value(file, key, value)
    except ConfigError as error:
        fail(ExitCode.USAGE, str(error), as_json)
    except OSError as error:
        fail(ExitCode.FAILED, f"cannot write {file}: {error.strerror}; nothing was changed", as_json)
    print(f"{key} = {value} in {file}", file=sys.stderr)
