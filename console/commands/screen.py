"""What keys do on the console's own screen. Each id is an action of :mod:`console.tui.app`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from console.commands.registry import Command, NoParams, Params, Place

FAMILY = "screen"


class PaneName(Params, frozen=True):
    name: Annotated[str, Meta(description="agents, queue, gpu, drift or analysis")]


class FilterText(Params, frozen=True):
    text: Annotated[str, Meta(description="such as state:dead age>15m; empty clears")] = ""


class SortField(Params, frozen=True):
    field: Annotated[str, Meta(description="field to sort by; '-field' turns it round")] = ""


class ThemeName(Params, frozen=True):
    name: Annotated[str, Meta(description="dark, light, ansi or colour-blind")] = ""


class Question(Params, frozen=True):
    question: Annotated[tuple[str, ...], Meta(description="in your own words")] = ()


def _screen(id_: str, help_: str, key: str, params: type[Params] = NoParams, hidden: bool = False) -> Command:
    return Command(id_, FAMILY, help_, params, key=key, place=Place.CONSOLE, hidden=hidden)


COMMANDS = (
    _screen("pane-agents", "go to the agents", "1", hidden=True),
    _screen("pane-queue", "go to the work queue", "2", hidden=True),
    _screen("pane-gpu", "go to the GPUs", "3", hidden=True),
    _screen("pane-drift", "go to drift", "4", hidden=True),
    _screen("pane-analysis", "go to the analysis", "5", hidden=True),
    _screen("next-pane", "go to the next pane", "tab", hidden=True),
    _screen("previous-pane", "go to the previous pane", "shift+tab", hidden=True),
    _screen("counters", "go to the counters of the header; each is a filter", "h"),
    _screen("command-line", "type a command", ":"),
    _screen("palette", "find a command by name", "ctrl+p"),
    _screen("filter", "filter the pane", "/", FilterText),
    _screen("sort", "sort by the next column", "s", SortField),
    _screen("reverse", "turn the order round", "r"),
    _screen("mark", "mark the row", "space"),
    _screen("mark-all", "mark every row that is shown", "*"),
    _screen("clear-marks", "forget the marks", "-"),
    _screen("open", "everything about the row", "enter"),
    _screen("copy", "copy the row as text", "y"),
    _screen("copy-json", "copy the row as JSON", "Y"),
    _screen("problem-list", "what is wrong, across panes", "p"),
    _screen("propose", "run what the finding proposes", "w"),
    _screen("zoom", "give the pane the whole screen", "z"),
    Command(
        "claude-stream",
        "analysis",
        "ask about what is on screen; the answer is streamed",
        Question,
        key="A",
        place=Place.CONSOLE,
        aliases=("ask",),
        detail="Without a key for the model, or when it fails, the local analyst answers.",
    ),
    _screen("theme", "choose a theme", "", ThemeName),
    _screen("refresh", "read everything now", "ctrl+r"),
    _screen("freeze", "stop repainting; again to go on", "f"),
    _screen("help", "help for the focused pane", "?"),
    _screen("back", "close, or clear the filter", "escape", hidden=True),
    _screen("quit", "leave; a lasting watch stays", "q"),
)
