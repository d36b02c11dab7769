"""What pages say: a row in full, an explanation, the help of a pane. Pure functions to lines of cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from backends.model import Explanation
from console.commands.registry import Command, Place
from console.config.keymap import Keymap
from console.tui.hinting import readable_key
from widgets.columns import Cell, Now
from widgets.lines import PageLine
from widgets.quantities import UNKNOWN, age, size
from widgets.wrapping import wrap

_LABEL = 22
#: What tables and pages answer to, whatever the keymap says.
MOVEMENT = (
    ("up down k j", "move"),
    ("pageup pagedown", "a page"),
    ("home end g G", "first, last"),
    ("left right", "columns that did not fit"),
    ("tab shift+tab", "next, previous table or pane"),
)


def row_lines(row: Any, width: int, now: Now) -> list[PageLine]:
    """Every field of a row; times also as ages, sizes also in units. Unknown is said, never left out."""
    lines: list[PageLine] = []
    for field in msgspec.structs.fields(row):
        value = getattr(row, field.name)
        if value == () or value == {}:
            continue
        for index, text in enumerate(wrap(_value(field.name, value, now), max(10, width - _LABEL)) or [""]):
            label = field.name.replace("_", " ") if index == 0 else ""
            style = "dim" if value is None else ""
            lines.append((Cell(f"{label:<{_LABEL}}", "dim"), Cell(text, style)))
    return lines


def _value(name: str, value: Any, now: Now) -> str:
    if value is None:
        return UNKNOWN
    if name.endswith(("_at", "_until")) and isinstance(value, int):
        if value > now.ms:
            return f"in {(value - now.ms) // 1000} s"
        return f"{age(value, now.ms)} ago ({_iso(value)})"
    if name.endswith("_bytes") and isinstance(value, int):
        return f"{size(value)} ({value:,} bytes)"
    if name.endswith("history"):
        return f"{len(value)} samples"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (tuple, list)) and value and isinstance(value[0], msgspec.Struct):
        return "\n".join(_one_line(item) for item in value)
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    if isinstance(value, msgspec.Struct):
        return _one_line(value)
    return str(value)


def _one_line(item: msgspec.Struct) -> str:
    fields: Mapping[str, Any] = msgspec.to_builtins(item)
    return " ".join(f"{name}={value}" for name, value in fields.items() if value not in (None, "", (), []))


def _iso(ms: int) -> str:
    import datetime

    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def explanation_lines(explanation: Explanation, width: int, now: Now) -> list[PageLine]:
    """The verdict, all evidence with what won on top, and the next step."""
    lines: list[PageLine] = [(Cell(line, "strong"),) for line in wrap(explanation.verdict, width)]
    lines.append(())
    winner = "*" if now.ascii else "▸"
    for evidence in sorted(explanation.evidence, key=lambda e: not e.won):
        mark = winner if evidence.won else " "
        when = f"{age(evidence.observed_at, now.ms)}" if evidence.observed_at else UNKNOWN
        head = f"{mark} {evidence.source}"
        for index, text in enumerate(wrap(evidence.says, max(10, width - 36)) or [""]):
            first = f"{head:<28}{when:>6}  " if index == 0 else " " * 36
            lines.append((Cell(first, "accent" if evidence.won else "dim"), Cell(text)))
    if explanation.next_step:
        lines.append(())
        lines.append((Cell("next: ", "dim"), Cell(explanation.next_step, "accent")))
    return lines


def help_lines(
    commands: Sequence[Command],
    keymap: Keymap,
    scope: str,
    pane: str,
    width: int,
    obstacles: Mapping[str, str],
) -> list[PageLine]:
    """The keys of a pane, those that work everywhere, and how to move; commands without a key by name.

    ``obstacles`` say why a command cannot run now.
    """
    own = [command for command in commands if scope and command.acts_on in (scope, "any")]
    everywhere = [command for command in commands if command.place is Place.CONSOLE and not command.hidden]
    lines: list[PageLine] = []
    if own:
        lines += _section(f"on a row of {pane}", own, keymap, obstacles)[1:]
    lines += _section("everywhere", everywhere, keymap, obstacles)[0 if own else 1 :]
    lines += [(), (Cell("moving", "strong"),)]
    lines += [(Cell(f"  {keys:<18}", "accent"), Cell(what)) for keys, what in MOVEMENT]
    panes = [command for command in commands if command.id.startswith("pane-")]
    for command in panes:
        keys = " ".join(readable_key(key) for key in keymap.keys_of(command.id))
        lines.append((Cell(f"  {keys:<18}", "accent"), Cell(command.help)))
    unbound = [c.id for c in commands if not keymap.keys_of(c.id) and not c.hidden]
    lines += [(), (Cell("by name, on the : line", "strong"),)]
    lines += [(Cell(f"  {text}", "dim"),) for text in wrap("  ".join(unbound), max(20, width - 4))]
    return lines


def _section(
    title: str, commands: Sequence[Command], keymap: Keymap, obstacles: Mapping[str, str]
) -> list[PageLine]:
    lines: list[PageLine] = [(), (Cell(title, "strong"),)]
    for command in commands:
        keys = " ".join(readable_key(key) for key in keymap.keys_of(command.id))
        danger = f"  ({command.danger})" if command.danger.value != "safe" else ""
        if not keys:
            continue
        if why := obstacles.get(command.id):
            lines.append((Cell(f"  {keys:<18}", "dim"), Cell(f"{command.help}: {why}", "dim")))
        else:
            lines.append((Cell(f"  {keys:<18}", "accent"), Cell(command.help), Cell(danger, "dim")))
    return lines
