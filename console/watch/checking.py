"""``doctor``: what the watch needs, and whether it is there."""

from __future__ import annotations

import os
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from console.watch.house import House

#: Before it two connections that write at once can corrupt a WAL (sqlite.org, release 3.51.3); we have one.
WAL_RESET_FIX = (3, 51, 3)
LOW_DISK_BYTES = 256 * 1024 * 1024


def checks(house: House) -> list[dict[str, Any]]:
    """One entry a check: ``what``, ``ok``, ``says``."""
    return [
        _state_dir(house),
        _socket(house),
        _disk(house),
        _sqlite(),
        _program("git", "drift is not read without it"),
        _program("systemctl", "agents declared by unit cannot be read without it", needed=_has_units(house)),
        _analysis(house),
        *_sources(house),
    ]


def _check(what: str, ok: bool, says: str) -> dict[str, Any]:
    return {"what": what, "ok": ok, "says": says}


def _state_dir(house: House) -> dict[str, Any]:
    root = house.paths.root
    mode = root.stat().st_mode & 0o777
    ok = mode & 0o077 == 0 and os.access(root, os.W_OK)
    return _check("state directory", ok, f"{root}, mode {mode:o}" + ("" if ok else "; chmod 700 it"))


def _socket(house: House) -> dict[str, Any]:
    path = house.paths.socket
    if not path.exists():
        return _check("socket", False, f"{path} is gone: nobody can attach; `watchfloor restart`")
    mode = path.stat().st_mode & 0o777
    return _check("socket", mode == 0o600, f"{path}, mode {mode:o}")


def _disk(house: House) -> dict[str, Any]:
    free = shutil.disk_usage(house.paths.root).free
    ok = free > LOW_DISK_BYTES
    says = f"{free // (1 << 20)} MiB free" + ("" if ok else "; the store refuses writes when it is full")
    return _check("disk of the state directory", ok, says)


def _sqlite() -> dict[str, Any]:
    old = sqlite3.sqlite_version_info < WAL_RESET_FIX
    note = "; older than 3.51.3, harmless here because one connection writes" if old else ""
    return _check("sqlite", True, sqlite3.sqlite_version + note)


def _program(name: str, without: str, needed: bool = True) -> dict[str, Any]:
    path = shutil.which(name)
    if path is None:
        return _check(name, not needed, f"not found; {without}" if needed else "not found, not needed")
    return _check(name, True, path)


def _has_units(house: House) -> bool:
    return any(agent.match.unit is not None for agent in house.config.agents.declared)


def _analysis(house: House) -> dict[str, Any]:
    section = house.config.analysis
    if not section.enabled:
        return _check("analysis by model", True, "switched off; the local analyst answers")
    has_key = bool(os.environ.get(section.api_key_env, "").strip())
    says = (
        f"key from ${section.api_key_env}"
        if has_key
        else f"no ${section.api_key_env}; the local analyst answers"
    )
    return _check("analysis by model", True, says)


def _sources(house: House) -> list[dict[str, Any]]:
    found = []
    for (host, source), state in sorted(house.picture.sources.items()):
        cost = f", {state.cost_ms:g} ms a reading" if state.cost_ms is not None else ""
        says = (state.reason or state.status) + cost
        found.append(_check(f"source {source} of {host}", state.ok, says))
    return found
