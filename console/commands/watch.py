"""Commands that manage the watch and this machine's configuration. They run in the calling process."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from backends.model import Danger
from console.commands.registry import Command, Params, Place


class Config(Params, frozen=True):
    show: Annotated[bool, Meta(description="print each value with where it came from")] = False
    validate: Annotated[bool, Meta(description="check the files, print nothing else")] = False
    path: Annotated[bool, Meta(description="print which files are read")] = False
    set: Annotated[tuple[str, ...], Meta(description="KEY=VALUE into your own config.toml")] = ()


FAMILY = "watch"

COMMANDS = (
    Command("start", FAMILY, "start a lasting watch on this machine", mutates=True, place=Place.LOCAL),
    Command(
        "stop",
        FAMILY,
        "end the watch",
        danger=Danger.DISRUPTIVE,
        mutates=True,
        place=Place.LOCAL,
        detail="Agents and their work are not touched; leases keep running in the store.",
    ),
    Command(
        "restart",
        FAMILY,
        "end the watch and start it anew",
        danger=Danger.DISRUPTIVE,
        mutates=True,
        place=Place.LOCAL,
    ),
    Command("config", FAMILY, "show, check or change the configuration", Config, place=Place.LOCAL),
)
