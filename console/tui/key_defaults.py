"""The registry's default keys, each in the scope where its command means something."""

from __future__ import annotations

from console.commands import REGISTRY
from console.commands.registry import Command
from console.config.keymap import GLOBAL, DefaultKeys


def scope_of(command: Command) -> str:
    """Row commands belong to the panes that show such rows; everything else works everywhere."""
    return command.acts_on if command.acts_on not in ("", "any") else GLOBAL


def default_keys() -> list[DefaultKeys]:
    """Every command that may have a key."""
    return [
        DefaultKeys(command.id, (command.key,) if command.key else (), scope_of(command))
        for command in REGISTRY
    ]
