"""Who runs here: registered, declared and discovered agents, merged; the two axes and the cause."""

from __future__ import annotations

from backends.agents.declared import DeclaredAgent, DiscoverPattern, Match
from backends.agents.declared_reader import DeclaredReader
from backends.agents.derive import derive, next_step
from backends.agents.facts import Facts, ProbeReport, Session
from backends.agents.limits import Limits, Stall
from backends.agents.roster import Changes, Roster
from backends.agents.sessions import SessionReader
from backends.agents.urgency import ATTENTION, urgency

__all__ = [
    "ATTENTION",
    "Changes",
    "DeclaredAgent",
    "DeclaredReader",
    "DiscoverPattern",
    "Facts",
    "Limits",
    "Match",
    "ProbeReport",
    "Roster",
    "Session",
    "SessionReader",
    "Stall",
    "derive",
    "next_step",
    "urgency",
]
