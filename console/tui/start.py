"""Opening the console: find or start its watch, then draw.

The watch process is started, and the frame of the floor drawn, before textual is imported: all three then go
on at the same time.
"""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from console.cli.lifecycle import WatchArguments, running_pid
from console.cli.main import Options, fail, load_config
from console.config.paths import StateDirError, config_path, state_paths
from console.exit_codes import ExitCode
from console.tui.colours import colours_of
from console.tui.first_frame import LEAVE, first_frame
from console.tui.private_watch import PrivateWatch
from console.tui.screen_size import MIN_COLUMNS, MIN_LINES

if TYPE_CHECKING:
    from console.config.keymap import Keymap
    from console.config.layers import Loaded
    from console.demo.fleet import DemoFleet


def open_console(options: Options) -> int:
    """Run the console until it is left. Returns the exit code."""
    loaded = load_config(options)
    keymap = keymap_of(loaded)
    _check_terminal()
    demo = None
    if "--demo" in options.flags:
        from console.demo.fleet import DemoFleet

        demo = DemoFleet.prepare()
        os.environ["WATCHFLOOR_STATE"] = os.fspath(demo.state)
        loaded = demo.configured(loaded)
    try:
        paths = state_paths(loaded.config.watch.state_dir, loaded.config.watch.socket, create=True)
    except StateDirError as error:
        fail(ExitCode.FAILED, str(error))
    own_watch = None
    if running_pid(paths) is None:
        own_watch = PrivateWatch(_arguments(options, paths.root, loaded, demo))
        atexit.register(own_watch.leave)
    _set_terminal_defaults()
    ascii_only = wants_ascii(loaded)
    _draw_first_frame(loaded, ascii_only)
    try:
        from console.logs import guard_terminal, open_log, release_terminal
        from console.tui.app import WatchfloorApp
        from console.tui.terminal import TerminalDriver
    except BaseException:
        sys.stdout.write(LEAVE)  # textual, which leaves the second screen at the end, never came to it
        sys.stdout.flush()
        raise

    log_file = open_log(paths.logs, "console")
    terminal = guard_terminal(paths.logs, "console")
    app = WatchfloorApp(
        TerminalDriver,
        loaded.config,
        keymap,
        paths.socket,
        own_watch=own_watch,
        ascii_only=ascii_only,
        settings_file=None if demo is not None else config_path(),
        history_file=paths.root / "history",
    )
    try:
        if demo is not None:
            demo.start_when_ready(paths.socket)
        app.run(mouse=wants_mouse(loaded))
    finally:
        release_terminal(terminal)
        log_file.close()
        if demo is not None:
            demo.close()
    if app.problem:
        print(f"watchfloor: {app.problem}", file=sys.stderr)
        return int(ExitCode.FAILED)
    return int(app.return_code or 0)


def _draw_first_frame(loaded: Loaded, ascii_only: bool) -> None:
    columns, lines = os.get_terminal_size(sys.stdout.fileno())
    if not columns or not lines:
        return
    section = loaded.config.console
    many_colours = os.environ.get("COLORTERM", "") in ("truecolor", "24bit")
    colours = colours_of(section.theme if many_colours else "ansi")
    frame = first_frame(columns, lines, section.startup_pane, colours, ascii_only=ascii_only)
    sys.stdout.write(frame)
    sys.stdout.flush()


def keymap_of(loaded: Loaded) -> Keymap:
    """The key bindings in effect. Ends the process with a clear error when the keymap is broken."""
    from console.config.decode import ConfigError
    from console.config.keymap import build_keymap
    from console.tui.key_defaults import default_keys

    try:
        return build_keymap(
            default_keys(),
            loaded.config.keys,
            lambda command: loaded.where(f"keys.{command}"),
        )
    except ConfigError as error:
        fail(ExitCode.USAGE, str(error))


def wants_ascii(loaded: Loaded) -> bool:
    """True when glyphs beyond ASCII would not be drawn: the locale is not UTF-8, or the operator says so."""
    choice = loaded.config.console.ascii
    if choice != "auto":
        return choice
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or ""
    return "utf" not in locale.lower()


def wants_mouse(loaded: Loaded) -> bool:
    """Mouse reports cost bytes on a thin line: off over SSH unless asked for."""
    choice = loaded.config.console.mouse
    return not os.environ.get("SSH_CONNECTION") if choice == "auto" else choice


def _arguments(options: Options, state: Path, loaded: Loaded, demo: DemoFleet | None) -> WatchArguments:
    settings = list(options.values.get("--set", ()))
    if demo is not None:
        return WatchArguments(state, os.fspath(demo.config_file), (*settings, *demo.settings), demo=True)
    if loaded.config.console.read_only:
        settings.append("console.read_only=true")
    return WatchArguments(state, options.value("--config"), tuple(settings))


def _check_terminal() -> None:
    size = os.get_terminal_size(sys.stdout.fileno())
    if size.columns and (size.columns < MIN_COLUMNS or size.lines < MIN_LINES):
        fail(
            ExitCode.FAILED,
            f"the terminal has {size.columns}x{size.lines} cells; it needs {MIN_COLUMNS}x{MIN_LINES}",
        )


def _set_terminal_defaults() -> None:
    """What textual reads when it is imported. Frames are drawn only when something changed, so the ceiling
    costs nothing; no animation.
    """
    os.environ.setdefault("TEXTUAL_FPS", "60")
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
