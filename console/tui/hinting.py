"""The bottom line: the keys that matter where the focus is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from console.commands import REGISTRY
from console.commands.registry import Command

#: Commands worth a place in the bottom line, by what they act on; "" is every pane.
WORTH_SHOWING = {
    "": (
        "help", "command-line", "filter", "explain", "open", "problem-list", "sort", "counters", "zoom",
        "quit",
    ),
    "agents": ("restart-agent", "pause-agent", "requeue-agent", "approve", "logs"),
    "work": ("retry", "release", "cancel"),
    "processes": ("kill-process",),
}  # fmt: skip
#: Shown before all others in the analysis pane, whatever its findings are about.
OF_FINDINGS = ("propose", "claude-stream")
OF_COUNTERS = (("left right", "choose a counter"), ("enter", "show its rows"), ("esc", "back"))
OF_LINES = (("tab", "complete"), ("up down", "earlier, later"), ("enter", "take it"), ("esc", "leave"))
_SHORT = {
    "command-line": "command",
    "open": "details",
    "problem-list": "problems",
    "restart-agent": "restart",
    "pause-agent": "pause",
    "requeue-agent": "requeue",
    "kill-process": "kill",
    "propose": "do it",
    "claude-stream": "ask",
}
#: Keys that Textual names otherwise than people write them.
_READABLE = {
    "question_mark": "?", "slash": "/", "colon": ":", "asterisk": "*", "minus": "-", "escape": "esc",
}  # fmt: skip


def readable_key(key: str) -> str:
    """``?`` for ``question_mark``."""
    return _READABLE.get(key, key)


def hints(
    scope: str, *, on_findings: bool, key_of: Callable[[str], str], obstacle: Callable[[Command], str]
) -> list[tuple[str, str]]:
    """Key and short name of what can be done on a row of ``scope``, the most useful first."""
    first, *rest = WORTH_SHOWING[""]
    ids: Iterable[str] = (
        first,
        *(OF_FINDINGS if on_findings else ()),
        *(WORTH_SHOWING.get(scope, ()) if scope else ()),
        *rest,
    )
    found = []
    for id_ in ids:
        command = REGISTRY.get(id_)
        key = key_of(id_)
        if key and not (command.mutates and obstacle(command)):
            found.append((key, _SHORT.get(id_, id_)))
    return found
