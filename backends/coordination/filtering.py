"""The filter language as SQL: the same terms that match rows in memory, over columns."""

from __future__ import annotations

from collections.abc import Sequence

from backends.fields import FIELDS, SEARCHED, Kind
from backends.filter import Term, parse_filter, resolve_times


def compile_filter(table: str, terms: Sequence[Term]) -> tuple[str, list[str | int | float]]:
    """A WHERE condition (empty: everything) and its parameters. Times must have been resolved to instants.

    Unknown values match no comparison and every negated term, as in :mod:`backends.filter`. Case is ignored
    in ASCII only, unless the term itself is not ASCII.
    """
    conditions: list[str] = []
    params: list[str | int | float] = []
    for term in terms:
        condition, values = _condition(table, term)
        conditions.append(condition)
        params += values
    return " AND ".join(conditions), params


def compile_text(table: str, text: str, now_ms: int) -> tuple[str, list[str | int | float]]:
    """:func:`compile_filter` of filter text. Raises :class:`backends.filter.FilterError`."""
    return compile_filter(table, resolve_times(table, parse_filter(table, text), now_ms))


def _condition(table: str, term: Term) -> tuple[str, list[str | int | float]]:
    if term.field is None:
        columns = [FIELDS[table][name].attribute for name in SEARCHED[table]]
        parts = [_contains(column, str(term.value)) for column in columns]
        condition = "(" + " OR ".join(part for part, _ in parts) + ")"
        return _not(condition, term.negated), [value for _, value in parts]
    field = FIELDS[table][term.field]
    column = field.attribute
    if term.op == "contains":
        condition, value = _contains(column, str(term.value))
        return _not(condition, term.negated), [value]
    subject = column
    if field.kind is Kind.TEXT:
        subject = f"lower({column})" if str(term.value).isascii() else f"fold({column})"
    if term.op == "!=":  # unknown differs from every value, however it is asked
        op = "=" if term.negated else "<>"
        return f"({subject} {op} ? OR {column} IS NULL)", [term.value]
    return _not(f"({subject} {term.op} ?)", term.negated), [term.value]


def _not(condition: str, negated: bool) -> str:
    return f"NOT coalesce({condition}, 0)" if negated else condition


def _contains(column: str, needle: str) -> tuple[str, str]:
    subject = column if needle.isascii() else f"fold({column})"
    return f"coalesce({subject} LIKE ? ESCAPE '\\', 0)", f"%{escape_like(needle)}%"


def escape_like(text: str) -> str:
    """``text`` with LIKE's wildcards taken literally (escape character: backslash)."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
