"""Who runs here: registered, declared and discovered agents, merged; the two axes and the cause."""

from __future__ import annotations

from backends.agents.declared import DeclaredAgent, DiscoverPattern, Match
from backends.agents.limits import Limits, Stall

__all__ = ["DeclaredAgent", "DiscoverPattern", "Limits", "Match", "Stall"]
