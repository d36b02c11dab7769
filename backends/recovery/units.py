"""Agents that systemd runs."""

from __future__ import annotations

import re
from typing import Literal

from backends.clock import Clock
from backends.fleet import run_command
from backends.recovery.act import Act, Refused, failed, unknown, verified
from backends.text import clean

Verb = Literal["start", "stop", "restart"]

_UNIT = re.compile(r"[A-Za-z0-9_:.@\\][A-Za-z0-9_:.@\\-]{0,254}")
_DONE = {"start": ("active",), "restart": ("active",), "stop": ("inactive", "failed")}


def systemctl_argv(unit: str, verb: str, user: bool, systemctl: str = "systemctl") -> list[str]:
    """The exact command. Raises :class:`Refused` for what cannot be a unit's name (see systemd.unit(5))."""
    if not _UNIT.fullmatch(unit):
        raise Refused("denied", f"{clean(unit, 80)!r} is not the name of a systemd unit")
    scope = ["--user"] if user else []
    return [systemctl, *scope, "--no-ask-password", verb, "--", unit]


async def run_unit(
    unit: str, verb: Verb, user: bool, clock: Clock, timeout_s: float = 30, systemctl: str = "systemctl"
) -> Act:
    """Start, stop or restart a unit and ask systemd whether it came to be. A timeout is ``unknown``.

    Raises :class:`Refused` for a bad unit name.
    """
    argv = systemctl_argv(unit, verb, user, systemctl)
    try:
        result = await run_command(argv, clock, timeout_s)
    except OSError as error:
        return failed(f"cannot run {systemctl}: {error.strerror}; is this machine run by systemd?")
    if result.ended != "exited":
        return unknown(
            f"systemctl {verb} {unit} did not return within {timeout_s:g}s; look at the unit's state"
        )
    if result.code != 0:
        return failed(f"systemctl {verb} {unit} failed: {_last_words(result.stderr, result.code)}")
    return await _confirm(unit, verb, user, clock, timeout_s, systemctl)


async def _confirm(unit: str, verb: Verb, user: bool, clock: Clock, timeout_s: float, systemctl: str) -> Act:
    result = await run_command(systemctl_argv(unit, "is-active", user, systemctl), clock, timeout_s)
    state = clean(result.stdout.strip(), limit=40)
    if result.ended != "exited" or not state:
        return unknown(f"systemctl {verb} {unit} returned, but the unit's state could not be read")
    if state in _DONE[verb]:
        return verified(f"{unit} is {state}")
    if state in ("activating", "deactivating", "reloading"):
        return unknown(f"{unit} is still {state}")
    return failed(f"{unit} is {state} after {verb}")


def _last_words(stderr: bytes, code: int | None) -> str:
    lines = stderr.strip().splitlines()
    return clean(lines[-1], limit=200) if lines else f"exit code {code}"
