"""Regular expressions an operator writes and hostile command lines are matched against.

Python's engine backtracks, so a careless pattern on a crafted command line could hold the watch for minutes.
Patterns that can take exponential time are refused when the configuration is read, and the text that is
searched is cut to :data:`SUBJECT_LIMIT` characters, so the worst that is left is a small polynomial.
"""

from __future__ import annotations

import re
from functools import cache

#: Longest pattern accepted, in characters.
PATTERN_LIMIT = 300
#: Only this many characters of a command line are searched; half of them by patterns with many repeats.
SUBJECT_LIMIT = 512
#: How many open repeats (``*``, ``+``, ``{n,m}``) one pattern may hold.
REPEAT_LIMIT = 3

_REPEAT = re.compile(r"[*+]|\{\d*,\d*\}|\{\d+\}")
_OPEN_REPEAT = re.compile(r"[*+]|\{\d*,\d*\}")
_CLASS = re.compile(r"\[\^?\]?[^\]]*\]")


def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile ``text``, or raise :class:`ValueError` saying what is wrong with it.

    Refused: what does not compile or is empty or long, a repeated group that itself repeats or alternates
    (``(a+)+``, ``(a|ab)*``: exponential), back references, and more than :data:`REPEAT_LIMIT` open repeats.
    """
    if not text.strip():
        raise ValueError("the pattern is empty and would match everything")
    if len(text) > PATTERN_LIMIT:
        raise ValueError(f"the pattern is longer than {PATTERN_LIMIT} characters")
    try:
        compiled = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    if compiled.search("") is not None:
        raise ValueError(f"{text!r} matches the empty string and would match every process")
    _refuse_runaway(text)
    return compiled


def matches(pattern: re.Pattern[str], command: str) -> bool:
    """True when ``pattern`` occurs in the beginning of ``command`` (see :data:`SUBJECT_LIMIT`)."""
    return pattern.search(command[: _subject_limit(pattern.pattern)]) is not None


@cache
def _subject_limit(pattern: str) -> int:
    """The worst case grows with the length to the power of (open repeats + 1)."""
    return SUBJECT_LIMIT // 2 if len(_OPEN_REPEAT.findall(pattern)) > 2 else SUBJECT_LIMIT


def _refuse_runaway(text: str) -> None:
    if re.search(r"(?<!\\)(?:\\\\)*\\[1-9]|\(\?P=", text):
        raise ValueError(f"{text!r} holds a back reference, which can take exponential time")
    skeleton = _CLASS.sub("c", re.sub(r"\\.", "e", text)).replace("(?", "(")
    repeats = 0
    branching = [False]  # per open group: does it repeat or alternate inside?
    at = 0
    while at < len(skeleton):
        character, repeat = skeleton[at], _REPEAT.match(skeleton, at)
        if repeat:
            branching[-1] = True
            repeats += "," in repeat.group() or repeat.group() in "*+"
            at = repeat.end()
            continue
        if character == "(":
            branching.append(False)
        elif character == "|":
            branching[-1] = True
        elif character == ")" and len(branching) > 1:
            inner = branching.pop()
            branching[-1] |= inner
            if inner and _REPEAT.match(skeleton, at + 1):
                raise ValueError(
                    f"{text!r} repeats a group that repeats or alternates: that can take exponential time"
                )
        at += 1
    if repeats > REPEAT_LIMIT:
        raise ValueError(f"{text!r} holds {repeats} open repeats; at most {REPEAT_LIMIT} are allowed")
