"""The demo's fleet, as the console handles it: prepared, started when the watch is ready, ended with it."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.config.paths import MAX_SOCKET_PATH_BYTES, socket_path
from console.demo.cast import CAST, Member
from console.demo.ending import end_demo
from console.demo.home import Home
from console.demo.repositories import make_repositories
from console.demo.supervisor import worker_argv, worker_environment

if TYPE_CHECKING:
    from console.config.layers import Loaded

PREFIX = "watchfloor-demo-"
#: How long the supervisor may take to end everything before we do it ourselves.
END_S = 5.0


@dataclass(frozen=True, slots=True)
class Tempo:
    """How fast things go wrong, in seconds."""

    stalled_warn_s: float = 20.0
    stalled_critical_s: float = 60.0
    ttl_s: float = 6.0
    crash_pause_s: float = 2.0  # before the first restart of what crashed


class DemoFleet:
    """Real worker processes in a folder of their own."""

    def __init__(self, home: Home, tempo: Tempo) -> None:
        self._home = home
        self._tempo = tempo
        self._supervisor: subprocess.Popen[bytes] | None = None

    @classmethod
    def prepare(cls, tempo: Tempo | None = None, parent: Path | None = None) -> DemoFleet:
        """Make the folder with configuration and repositories; nothing runs yet.

        ``parent``: where the folder is made, instead of the system's place for temporary files.
        """
        fleet = cls(Home(_make_folder(parent)), tempo or Tempo())
        atexit.register(fleet.close)
        home = fleet._home
        home.make()
        make_repositories(home)
        for member in CAST:
            home.settings(member.name).write_text(member.settings)
        (home.root / "crawler.lock").write_text("left by an earlier run\n")
        fleet._write_config()
        return fleet

    @property
    def root(self) -> Path:
        """The folder that holds all of it."""
        return self._home.root

    @property
    def state(self) -> Path:
        """The watch's state directory."""
        return self._home.state

    @property
    def config_file(self) -> Path:
        """What the watch is given as ``--config``."""
        return self._home.config

    @property
    def settings(self) -> tuple[str, ...]:
        """What the watch is given as ``--set``.

        A configured socket would be somebody else's. A read-only console still looks at agents that work.
        """
        return ("watch.socket=", f"watch.state_dir={self.state}", "console.read_only=false")

    def configured(self, loaded: Loaded) -> Loaded:
        """The demo's configuration, with the user's own looks and keys."""
        from msgspec.structs import replace

        from console.config.layers import Loaded, load

        flags = dict(setting.partition("=")[::2] for setting in self.settings)
        demo = load(self.config_file, flags=flags)
        mine = loaded.config
        config = replace(demo.config, console=mine.console, keys=mine.keys, analysis=mine.analysis)
        return Loaded(config, demo.provenance, demo.files, demo.warnings)

    def start_when_ready(self, socket: Path) -> None:
        """Start the supervisor; it starts the workers as soon as the watch listens on ``socket``."""
        self._supervisor = subprocess.Popen(
            [
                sys.executable, "-m", "console.demo.supervisor",
                os.fspath(self.root), os.fspath(socket), str(self._tempo.crash_pause_s),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **worker_environment()},
            start_new_session=True,
        )  # fmt: skip

    def close(self) -> None:
        """End the watch and all workers, and remove the folder. May be called again."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            assert supervisor.stdin is not None
            supervisor.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                supervisor.wait(END_S)
        end_demo(self._home)
        atexit.unregister(self.close)

    def _write_config(self) -> None:
        import tomli_w

        tempo = self._tempo
        config: dict[str, Any] = {
            "watch": {"idle_factor": 1},
            "queue": {"backoff_base": "2s", "backoff_cap": "20s", "max_attempts": 4},
            "agents": {
                "stalled_warn": _seconds(tempo.stalled_warn_s),
                "stalled_critical": _seconds(tempo.stalled_critical_s),
                "ttl": _seconds(tempo.ttl_s),
                # an emergency stop in the demo must not freeze anybody's real agents
                "recognise": False,
                "discover": [],
                "declared": [self._declaration(member) for member in CAST],
            },
            "drift": {"roots": [os.fspath(self._home.code)], "max_depth": 2},
            "gpu": {"enabled": True},
        }
        self.config_file.write_text(tomli_w.dumps(config))

    def _declaration(self, member: Member) -> dict[str, Any]:
        socket = socket_path(self.state)
        folder = re.escape(f"console.demo.worker {member.name} --home {self.root} ")
        return {
            "name": member.name,
            "match": {"command": folder},
            "team": member.team,
            "layer": member.layer,
            # the supervisor's own restarts do not repair: an operator's do
            "start": [*worker_argv(member.name, self._home, socket), "--repair"],
            "cwd": os.fspath(self.root),
            "env": worker_environment(),
            "log": os.fspath(self._home.log(member.name)),
        }


def _make_folder(parent: Path | None) -> Path:
    """A new folder, below ``/tmp`` where the usual place is too deep for a socket."""
    place = os.fspath(parent or tempfile.gettempdir())
    if len(os.fsencode(place)) + len(PREFIX) + len("/12345678/state/watch.sock") > MAX_SOCKET_PATH_BYTES:
        place = "/tmp"
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=place)).resolve()


def _seconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
