"""``start``, ``stop``, ``restart`` and ``config``: what the calling process does itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from console.cli import Options, fail, load_config
from console.commands.arguments import Words
from console.commands.registry import Command
from console.exit_codes import ExitCode

if TYPE_CHECKING:
    from console.lifecycle import WatchArguments
    from console.paths import StatePaths


def run_local(command: Command, words: Words, options: Options) -> None:
    """Run a local command; ends the process."""
    {"start": _start, "stop": _stop, "restart": _restart, "config": _config}[command.id](words, options)


def state_of(options: Options) -> tuple[StatePaths, WatchArguments]:
    """The state directory in effect, and the arguments for a watch on it."""
    from console.lifecycle import WatchArguments
    from console.paths import StateDirError, state_paths

    section = load_config(options).config.watch
    try:
        paths = state_paths(section.state_dir, section.socket, create=True)
    except StateDirError as error:
        fail(ExitCode.FAILED, str(error), "--json" in options.flags)
    settings = list(options.values.get("--set", ()))
    if "--read-only" in options.flags:
        settings.append("console.read_only=true")
    return paths, WatchArguments(paths.root, options.value("--config"), tuple(settings))


def _say(options: Options, message: str, **data: object) -> None:
    if "--json" in options.flags:
        from console.one_shot import print_json

        print_json(data)
    else:
        print(message)


def _start(words: Words, options: Options) -> None:
    from console.lifecycle import LifecycleError, running_pid, spawn, wait_ready

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
        fail(ExitCode.FAILED, str(error), "--json" in options.flags)
    _say(options, f"watch started, pid {process.pid}, state in {paths.root}", pid=process.pid)


def _stop(words: Words, options: Options) -> None:
    from console.lifecycle import LifecycleError, running_pid, stop

    paths, _ = state_of(options)
    pid = running_pid(paths)
    if "--dry-run" in options.flags:
        _say(options, f"would end the watch (pid {pid})" if pid else "no watch is running", pid=pid)
        return
    if pid is None:
        fail(ExitCode.NOT_FOUND, f"no watch is running on {paths.root}", "--json" in options.flags)
    _agree("end the watch", options)
    try:
        stop(paths)
    except LifecycleError as error:
        fail(ExitCode.UNVERIFIED, str(error), "--json" in options.flags)
    _say(options, f"watch ended (pid {pid})", pid=pid)


def _restart(words: Words, options: Options) -> None:
    from console.lifecycle import LifecycleError, running_pid, stop

    paths, _ = state_of(options)
    if running_pid(paths) is not None and "--dry-run" not in options.flags:
        _agree("end the watch and start it anew", options)
        try:
            stop(paths)
        except LifecycleError as error:
            fail(ExitCode.UNVERIFIED, str(error), "--json" in options.flags)
    if "--dry-run" in options.flags:
        _say(options, f"would end the watch (pid {running_pid(paths)}) and start it anew")
        return
    _start(words, options)


def _agree(what: str, options: Options) -> None:
    """Stopping a watch touches no agent; a yes is asked for at a terminal only."""
    if "--yes" in options.flags or not sys.stdin.isatty():
        return
    print(f"{what}? type y: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "y":
        fail(ExitCode.DENIED, "not confirmed; nothing was changed")


def _config(words: Words, options: Options) -> None:
    from console.config_decode import ConfigError
    from console.config_edit import render, set_value, settings
    from console.paths import config_path

    as_json = "--json" in options.flags
    for pair in words.args.get("set", ()):
        key, equals, value = pair.partition("=")
        if not equals:
            fail(ExitCode.USAGE, f"--set {pair}: write KEY=VALUE", as_json)
        try:
            if "--dry-run" not in options.flags:
                set_value(config_path(), key, value)
        except (ConfigError, OSError) as error:
            fail(ExitCode.USAGE, str(error), as_json)
        print(f"{key} = {value} in {config_path()}", file=sys.stderr)
    loaded = load_config(options)
    if words.args.get("path"):
        for file in loaded.files:
            print(file)
    elif words.args.get("validate"):
        print("the configuration is good" + (f" ({len(loaded.files)} files)" if loaded.files else ""))
    elif as_json:
        from console.one_shot import print_json

        print_json([{"key": s.key, "value": s.value, "where": s.where} for s in settings(loaded)])
    elif not words.args.get("set"):
        print(render(loaded), end="")
