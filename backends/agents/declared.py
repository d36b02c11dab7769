"""What an operator declares about agents in config.toml: how to find one, start it, and judge it.

These are decoded strictly by msgspec; a :class:`ValueError` raised here becomes an error that names the key.

.. code-block:: toml

    [[agents]]
    name = "indexer"
    match.unit = "indexer.service"
    match.health_url = "http://127.0.0.1:8080/healthz"
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from backends.agents.pattern import compile_pattern


class Match(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to find a declared agent. At least one; with several, all must agree that it runs."""

    command: str | None = None  # regular expression searched in the command lines of processes
    unit: str | None = None  # systemd unit
    pid_file: str | None = None
    port: int | None = None  # something listens on this TCP port ...
    address: str = "127.0.0.1"  # ... of this address
    health_url: str | None = None  # answers an HTTP GET with 2xx

    def __post_init__(self) -> None:
        if not self.kinds():
            raise ValueError("needs at least one of: command, unit, pid_file, port, health_url")
        if self.command is not None:
            compile_pattern(self.command)
        if self.unit is not None and (not self.unit.strip() or self.unit.startswith("-")):
            raise ValueError(f"unit {self.unit!r} is not a unit name")
        if self.pid_file is not None and not self.pid_file.strip():
            raise ValueError("pid_file is empty")
        if self.port is not None and not 0 < self.port < 65_536:
            raise ValueError(f"port {self.port} is not between 1 and 65535")
        if self.health_url is not None:
            _check_url(self.health_url)

    def kinds(self) -> tuple[str, ...]:
        """Which of the five ways are set, in the order they are probed."""
        ways = ("command", "unit", "pid_file", "port", "health_url")
        return tuple(way for way in ways if getattr(self, way) is not None)


class DeclaredAgent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[agents]]`` entry."""

    name: str
    match: Match
    kind: str = "agent"
    team: str = ""
    layer: str = ""
    start: list[str] | None = None  # argument list that starts it; never a shell line
    unit_user: bool = False  # ``match.unit`` belongs to the user's systemd, not the system's
    cwd: str | None = None
    env: dict[str, str] = {}
    log: str | None = None  # file its output goes to
    restart_policy: Literal["never", "on-failure", "always"] = "never"
    start_timeout_s: float = 30.0  # how long it may be up without answering before that is a fault
    probe_timeout_s: float = 2.0

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("name is empty")
        if self.start is not None and (not self.start or not self.start[0].strip()):
            raise ValueError(f"agent {self.name!r}: start is empty; name a program or leave it out")
        if self.unit_user and self.match.unit is None:
            raise ValueError(f"agent {self.name!r}: unit_user is set but match.unit is not")
        if self.start_timeout_s < 0:
            raise ValueError(f"agent {self.name!r}: start_timeout_s is negative")
        if not 0 < self.probe_timeout_s <= 30:
            raise ValueError(f"agent {self.name!r}: probe_timeout_s must be above 0 and at most 30")

    @property
    def can_start(self) -> bool:
        """True when there is something to start it with: a command or a unit."""
        return self.start is not None or self.match.unit is not None


class DiscoverPattern(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[discover]]`` entry: processes whose command line matches are agents of this kind."""

    name: str
    command: str
    kind: str = ""  # empty: the name
    team: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("name is empty")
        compile_pattern(self.command)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"health_url {url!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"health_url {url!r} is not an http:// or https:// URL with a host")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(
            f"health_url {url!r} holds a space, a control or a non-ASCII character; percent-encode it"
        )
