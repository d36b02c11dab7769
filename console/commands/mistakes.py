"""A wrong argument in words, with the values that would be right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args, get_type_hints

import msgspec

from backends.text import clean
from console.commands.registry import Command

_WRONG = re.compile(r"Invalid enum value (?P<value>.*) - at `\$\.(?P<name>\w+)", re.DOTALL)


def mistake_words(command: Command, error: msgspec.ValidationError) -> str:
    """The mistake in words: ``heartbeat: activity 'sleeping' is none of starting, working ...``."""
    wrong = _WRONG.match(str(error))
    if wrong is not None:
        choices = list(_choices(get_type_hints(command.params)[wrong["name"]]))
        value = clean(wrong["value"], 60)
        return f"{command.id}: {wrong['name']} {value} is none of: {', '.join(choices)}"
    return f"{command.id}: {clean(str(error))}"


def _choices(hint: Any) -> Iterator[str]:
    """The values of every enum inside a type, in the order of their definition."""
    if isinstance(hint, type) and issubclass(hint, Enum):
        yield from (str(member.value) for member in hint)
    for part in get_args(hint):
        yield from _choices(part)
