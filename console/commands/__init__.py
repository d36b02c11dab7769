"""Everything an operator can do, one module a family."""

from console.commands import agents, look, recovery, screen, watch, work
from console.commands.registry import Registry

REGISTRY = Registry()
for _family in (look, work, agents, recovery, watch, screen):
    REGISTRY.add(*_family.COMMANDS)

__all__ = ["REGISTRY"]
