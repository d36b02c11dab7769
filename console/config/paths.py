"""Where Watchfloor keeps things, by the XDG base directory rules.

The state directory holds everything of one watch: socket, pid file, database, logs. It belongs to one user,
is not readable by others, and two directories never share anything.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: A Unix socket's path may have 108 bytes on Linux and 104 on macOS, with the closing zero.
MAX_SOCKET_PATH_BYTES = 100


class StateDirError(Exception):
    """The state directory cannot be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class StatePaths:
    """The files of one watch."""

    root: Path
    socket: Path

    @property
    def database(self) -> Path:
        return self.root / "watchfloor.db"

    @property
    def pid_file(self) -> Path:
        return self.root / "watch.pid"

    @property
    def logs(self) -> Path:
        return self.root / "logs"


def config_path(environ: Mapping[str, str] | None = None) -> Path:
    """The user's config.toml, existing or not."""
    return _xdg("XDG_CONFIG_HOME", ".config", environ) / "watchfloor" / "config.toml"


def packaged_config() -> Path:
    """The commented default configuration: in our package when installed, else in the checkout's root."""
    package = Path(__file__).parents[1]
    installed = package / "config.toml"
    return installed if installed.exists() else package.parent / "config.toml"


def state_dir(configured: str = "", environ: Mapping[str, str] | None = None) -> Path:
    """``$WATCHFLOOR_STATE``, else what is configured, else the XDG state folder's ``watchfloor``."""
    environ = os.environ if environ is None else environ
    chosen = environ.get("WATCHFLOOR_STATE") or configured
    if chosen:
        return Path(os.path.abspath(os.path.expanduser(chosen)))
    return _xdg("XDG_STATE_HOME", ".local/state", environ) / "watchfloor"


def socket_path(root: Path, configured: str = "", environ: Mapping[str, str] | None = None) -> Path:
    """The watch's socket: in the state directory, or in a short private folder when that path is too long.

    The short one is derived from the state directory alone, so that every process finds the same.
    """
    if configured:
        return Path(os.path.abspath(os.path.expanduser(configured)))
    preferred = root / "watch.sock"
    if len(os.fsencode(preferred)) <= MAX_SOCKET_PATH_BYTES:
        return preferred
    environ = os.environ if environ is None else environ
    import hashlib

    mark = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        short = Path(runtime) / f"watchfloor-{mark}.sock"
        if len(os.fsencode(short)) <= MAX_SOCKET_PATH_BYTES:
            return short
    return Path(f"/tmp/watchfloor-{os.getuid()}-{mark}") / "watch.sock"


def state_paths(
    state: str = "", socket: str = "", environ: Mapping[str, str] | None = None, *, create: bool = False
) -> StatePaths:
    """All paths of one watch. With ``create``, :func:`open_private` makes and checks the directories."""
    root = state_dir(state, environ)
    paths = StatePaths(root, socket_path(root, socket, environ))
    if create:
        open_private(root)
        open_private(paths.logs)
        if not socket and paths.socket.parent != root and paths.socket.parent.name.startswith("watchfloor-"):
            open_private(paths.socket.parent)
    return paths


def open_private(directory: Path) -> None:
    """Make ``directory`` (mode 0700) and be sure that it is ours alone. Raises :class:`StateDirError`."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = os.stat(directory) if directory.parent != Path("/tmp") else os.lstat(directory)
    except OSError as error:
        raise StateDirError(
            f"cannot make the state directory {directory}: {error.strerror}; "
            "set WATCHFLOOR_STATE to a directory you may write to"
        ) from None
    if not stat.S_ISDIR(facts.st_mode):
        raise StateDirError(f"{directory} is not a directory; set WATCHFLOOR_STATE to another place")
    if facts.st_uid != os.getuid():
        raise StateDirError(
            f"{directory} belongs to uid {facts.st_uid}, not to you (uid {os.getuid()}); "
            "set WATCHFLOOR_STATE to a directory of your own"
        )
    if facts.st_mode & 0o077:
        directory.chmod(0o700)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise StateDirError(
            f"cannot write to the state directory {directory}; "
            "chmod u+wx it, or set WATCHFLOOR_STATE to another"
        )


def _xdg(variable: str, fallback: str, environ: Mapping[str, str] | None) -> Path:
    """An XDG base directory; a relative one must be ignored, says the specification."""
    environ = os.environ if environ is None else environ
    value = environ.get(variable, "")
    if os.path.isabs(value):
        return Path(value)
    return Path(environ.get("HOME") or os.path.expanduser("~")) / fallback
