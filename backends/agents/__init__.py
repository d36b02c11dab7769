"""Who runs here: registered, declared and discovered agents, merged; the two axes and the cause.

Names load on first use: the configuration needs only the structs that config.toml is decoded into, and the
CLI that reads it has no time for the readers' network code.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backends.agents.declared import DeclaredAgent as DeclaredAgent
    from backends.agents.declared import DiscoverPattern as DiscoverPattern
    from backends.agents.declared import Match as Match
    from backends.agents.declared_reader import DeclaredReader as DeclaredReader
    from backends.agents.derive import next_step as next_step
    from backends.agents.facts import Facts as Facts
    from backends.agents.facts import ProbeReport as ProbeReport
    from backends.agents.facts import Session as Session
    from backends.agents.limits import Limits as Limits
    from backends.agents.limits import Stall as Stall
    from backends.agents.roster import Changes as Changes
    from backends.agents.roster import Roster as Roster
    from backends.agents.sessions import SessionReader as SessionReader
    from backends.agents.urgency import ATTENTION as ATTENTION

_MODULE_OF = {
    "ATTENTION": "urgency",
    "Changes": "roster",
    "DeclaredAgent": "declared",
    "DeclaredReader": "declared_reader",
    "DiscoverPattern": "declared",
    "Facts": "facts",
    "Limits": "limits",
    "Match": "declared",
    "ProbeReport": "facts",
    "Roster": "roster",
    "Session": "facts",
    "SessionReader": "sessions",
    "Stall": "limits",
    "next_step": "derive",
}


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
