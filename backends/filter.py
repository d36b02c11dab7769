"""The filter language of panes, the CLI and the socket.

    web !idle state:dead cpu>50 vram>=8G age>15m lease<1m type="image build"

Terms are separated by spaces and must all hold. A bare word is searched in the table's text fields without
regard to case. ``field:value`` is "contains", ``=`` ``!=`` ``<`` ``<=`` ``>`` ``>=`` compare. ``!`` before a
term turns it round. Quotes keep spaces together. ``field=?`` finds rows whose field is unknown; they match no
other comparison.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from backends.fields import FIELDS, SEARCHED, Field, Kind

_TERM = re.compile(
    r"""\s*(?P<not>!?)
    (?:(?P<field>[A-Za-z_]+)(?P<op><=|>=|!=|[:=<>]))?
    (?:"(?P<quoted>[^"]*)"?|(?P<bare>[^\s"]*))""",
    re.VERBOSE,
)
_DURATION_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_SIZE = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_MAX_INT = 2**62  # what a store can compare with
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}


class FilterError(ValueError):
    """The filter cannot be read; the message says which term and why."""


class Term(NamedTuple):
    """One condition. ``field`` is ``None`` for a bare word; ``value`` is in the field's own unit."""

    field: str | None
    op: str  # contains, =, !=, <, <=, >, >=, unknown
    value: str | float | int
    negated: bool


def parse_duration_ms(text: str) -> int:
    """``90s``, ``15m``, ``1h30m``; a bare number is seconds."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return _whole(text, float(text) * 1000, "duration")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", text.lower())
    if not parts or "".join(number + unit for number, unit in parts) != text.lower():
        raise FilterError(f"'{text}' is not a duration; write 90s, 15m, 2h or 1d")
    return _whole(text, sum(float(number) * _DURATION_MS[unit] for number, unit in parts), "duration")


def parse_size(text: str) -> int:
    """``512M``, ``8G``, ``1.5GiB``: powers of 1024. A bare number is bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgtb]?)(?:i?b)?", text.lower())
    if match is None:
        raise FilterError(f"'{text}' is not a size; write 512M or 8G")
    return _whole(text, float(match[1]) * _SIZE[match[2]], "size")


def _whole(text: str, value: float, what: str) -> int:
    if value > _MAX_INT:
        raise FilterError(f"'{text}' is too large for a {what}")
    return int(value)


def parse_filter(table: str, text: str) -> list[Term]:
    """The terms of ``text``. Raises :class:`FilterError`."""
    terms = []
    position = 0
    text = text.strip()
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None or match.end() == position:
            raise FilterError(f"cannot read '{text[position:]}'")
        position = match.end()
        value = match["quoted"] if match["quoted"] is not None else match["bare"]
        negated = bool(match["not"])
        if match["field"] is None:
            if not value:
                raise FilterError("'!' needs a word after it")
            terms.append(Term(None, "contains", value.casefold(), negated))
        else:
            terms.append(_field_term(table, match["field"].lower(), match["op"], value, negated))
    return terms


def _field_term(table: str, name: str, op: str, value: str, negated: bool) -> Term:
    field = FIELDS[table].get(name)
    if field is None:
        near = difflib.get_close_matches(name, FIELDS[table], 1)
        hint = f"did you mean '{near[0]}'?" if near else "known: " + " ".join(FIELDS[table])
        raise FilterError(f"no field '{name}' in {table}; {hint}")
    if not value:
        raise FilterError(f"'{name}{op}' needs a value")
    if value == "?" and op in (":", "="):
        return Term(name, "unknown", value, negated)
    if field.kind is Kind.TEXT:
        if op not in (":", "=", "!="):
            raise FilterError(f"'{name}' is text; use {name}:{value} or {name}={value}")
        return Term(name, "contains" if op == ":" else op, value.casefold(), negated)
    return Term(name, "=" if op == ":" else op, _number(field, value), negated)


def _number(field: Field, value: str) -> float | int:
    if field.kind in (Kind.AGE, Kind.LEFT):
        return parse_duration_ms(value)
    if field.kind is Kind.BYTES:
        return parse_size(value)
    try:
        number = float(value.rstrip("%"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FilterError(f"'{field.name}' is a number; '{value}' is not")
    return number


def resolve_times(table: str, terms: Sequence[Term], now_ms: int) -> list[Term]:
    """The same terms with ages and times left turned into instants: ``age>15m`` -> at < now - 15m."""
    resolved = []
    for term in terms:
        kind = FIELDS[table][term.field].kind if term.field else Kind.TEXT
        if term.op == "unknown":
            pass
        elif kind is Kind.AGE:
            term = term._replace(op=_MIRRORED[term.op], value=now_ms - int(term.value))
        elif kind is Kind.LEFT:
            term = term._replace(value=now_ms + int(term.value))
        resolved.append(term)
    return resolved


def matcher(table: str, terms: Sequence[Term], now_ms: int) -> Callable[[Any], bool]:
    """A predicate over rows of ``table``."""
    tests = [_test(table, term) for term in resolve_times(table, terms, now_ms)]
    return lambda row: all(test(row) for test in tests)


def _test(table: str, term: Term) -> Callable[[Any], bool]:
    wanted = not term.negated
    if term.field is None:
        getters = [FIELDS[table][name].get for name in SEARCHED[table]]
        needle = str(term.value)

        def found(row: Any) -> bool:
            return (
                any(needle in str(value).casefold() for get in getters if (value := get(row)) is not None)
                == wanted
            )

        return found
    field = FIELDS[table][term.field]
    if term.op == "unknown":
        return lambda row: (field.get(row) is None) == wanted
    if field.kind is Kind.TEXT:
        compare = operator.contains if term.op == "contains" else _COMPARE[term.op]
    else:
        compare = _COMPARE[term.op]
    get, value = field.get, term.value
    as_text = field.kind is Kind.TEXT

    def holds(row: Any) -> bool:
        actual = get(row)
        if actual is None:
            return term.negated or term.op == "!="
        return compare(str(actual).casefold() if as_text else actual, value) == wanted

    return holds
