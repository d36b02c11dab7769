"""The filter language as SQL: the same terms that match rows in memory, over columns."""

from __future__ import annotations

from collections.abc import Sequence

from backends.fields import FIELDS, SEARCHED, Kind
from backends.filter import Term, parse_filter, resolve_times

Value = str | int | float


def compile_filter(table: str, terms: Sequence[Term]) -> tuple[str, list[Value]]:
    """A WHERE condition (empty: everything) and its parameters. Times must have been resolved to instants.

    Unknown values match no comparison and every negated term, as in :mod:`backends.filter`. Case is ignored
    in ASCII only, unless the term itself is not ASCII.
    """
    conditions: list[str] = []
    params: list[Value] = []
    for term in terms:
        condition, values = _condition(table, term)
        conditions.append(condition)
        params += values
    return " AND ".join(conditions), params


def compile_text(table: str, text: str, now_ms: int) -> tuple[str, list[Value]]:
    """:func:`compile_filter` of filter text. Raises :class:`backends.filter.FilterError`."""
    return compile_filter(table, resolve_times(table, parse_filter(table, text), now_ms))


def _condition(table: str, term: Term) -> tuple[str, list[Value]]:
    if term.field is None:
        columns = [FIELDS[table][name].attribute for name in SEARCHED[table]]
        parts = [_contains(column, str(term.value)) for column in columns]
        condition = "(" + " OR ".join(part for part, _ in parts) + ")"
        return _not(condition, term.negated), [value for _, values in parts for value in values]
    field = FIELDS[table][term.field]
    column = field.attribute
    if term.op == "unknown":
        return _not(f"({column} IS NULL)", term.negated), []
    if term.op == "contains":
        condition, values = _contains(column, str(term.value))
        return _not(condition, term.negated), values
    subject = column
    if field.kind is Kind.TEXT:
        subject = f"lower({column})" if _is_plain(str(term.value)) else f"fold({column})"
    if term.op == "!=":  # unknown differs from every value, however it is asked
        op = "=" if term.negated else "<>"
        return f"({subject} {op} ? OR {column} IS NULL)", [term.value]
    return _not(f"({subject} {term.op} ?)", term.negated), [term.value]


def _not(condition: str, negated: bool) -> str:
    return f"NOT coalesce({condition}, 0)" if negated else condition


def _contains(column: str, needle: str) -> tuple[str, list[Value]]:
    if needle.isascii():
        patterns = dict.fromkeys((needle, needle.replace("ss", "ß")))  # the two spellings fold to one
        condition = " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for _ in patterns)
        return f"coalesce({condition}, 0)", [f"%{escape_like(pattern)}%" for pattern in patterns]
    return f"coalesce(instr(fold({column}), ?) > 0, 0)", [needle]


def _is_plain(needle: str) -> bool:
    return needle.isascii() and "ss" not in needle


def escape_like(text: str) -> str:
    """``text`` with LIKE's wildcards taken literally (escape character: backslash)."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
