"""Asking systemd about the units of declared agents: one ``systemctl show`` for all of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from backends.agents.facts import Unit
from backends.agents.probe_process import Found
from backends.clock import Clock
from backends.fleet import run_command
from backends.text import clean

_PROPERTIES = (
    "Id", "Names", "LoadState", "ActiveState", "SubState", "MainPID", "NRestarts", "Result",
    "ExecMainStatus", "ExecMainCode",
)  # fmt: skip
_KILLED, _DUMPED = "2", "3"  # CLD_KILLED, CLD_DUMPED of siginfo_t


class UnitsUnreadable(Exception):
    """systemd could not be asked; the message says why and what to do."""


async def show_units(names: Sequence[str], user: bool, clock: Clock, timeout_s: float) -> dict[str, Unit]:
    """Every unit of ``names`` as systemd knows it. Raises :class:`UnitsUnreadable`."""
    argv = ["systemctl", *(["--user"] if user else []), "--no-pager", "show"]
    argv += [f"--property={','.join(_PROPERTIES)}", "--", *names]
    try:
        result = await run_command(
            argv, clock, timeout_s, env={**os.environ, "LC_ALL": "C"}, limit_bytes=1 << 20
        )
    except OSError:
        raise UnitsUnreadable("systemctl is not on this machine; match this agent another way") from None
    if result.ended != "exited":
        raise UnitsUnreadable(f"systemctl show: {result.ended} (limit {timeout_s:g}s)")
    if result.code != 0:
        said = clean(result.stderr.strip(), 200) or f"exit code {result.code}"
        raise UnitsUnreadable(f"systemctl show: {said}")
    return parse_units(names, result.stdout)


def parse_units(names: Sequence[str], output: bytes) -> dict[str, Unit]:
    """Blocks of ``key=value`` lines, one a unit, in the order in which they were asked for."""
    blocks = [block for block in output.decode("utf-8", "replace").split("\n\n") if block.strip()]
    units: dict[str, Unit] = {}
    for name, block in zip(names, blocks, strict=False):
        values = dict(line.partition("=")[::2] for line in block.splitlines())
        units[name] = Unit(
            name=name,
            load=clean(values.get("LoadState", ""), 40),
            active=clean(values.get("ActiveState", ""), 40),
            sub=clean(values.get("SubState", ""), 40),
            main_pid=_whole(values.get("MainPID")) or None,
            restarts=_whole(values.get("NRestarts")),
            result=clean(values.get("Result", ""), 40),
            exit_status=_whole(values.get("ExecMainStatus")),
            killed=values.get("ExecMainCode") in (_KILLED, _DUMPED),
        )
    return units


def judge_unit(unit: Unit) -> Found:
    """Does the unit run? Starting and stopping count as running; waiting to be restarted does not."""
    if unit.load == "not-found":
        return Found(False, f"there is no unit {unit.name}")
    says = f"{unit.name} is {unit.active} ({unit.sub})"
    pids = (unit.main_pid,) if unit.main_pid else ()
    is_up = (
        unit.active in ("active", "reloading", "activating", "deactivating") and unit.sub != "auto-restart"
    )
    if unit.active == "active" and unit.sub == "exited":
        is_up, says = False, f"{says}: nothing of it is left running"
    return Found(is_up, says, pids)


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 18 else None
