"""Fields: every name leads to something the noun has."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest

from backends.fields import FIELDS, SEARCHED, Kind
from console.wire import ROW_TYPES


def type_of(table: str, attribute: str) -> Any:
    noun: Any = ROW_TYPES[table]
    for part in attribute.split("."):
        noun = get_type_hints(noun)[part]
    return noun


@pytest.mark.parametrize("table", list(FIELDS))
def test_every_field_is_one_of_the_noun_and_of_its_kind(table: str) -> None:
    assert table in ROW_TYPES
    for name, field in FIELDS[table].items():
        said = str(type_of(table, field.attribute))
        assert field.name == name
        numeric = "int" in said or "float" in said
        assert numeric is (field.kind is not Kind.TEXT), (table, name, said)
        if field.kind in (Kind.AGE, Kind.LEFT):
            assert field.attribute.endswith(("_at", "_until"))
        if field.kind is Kind.BYTES:
            assert field.attribute.endswith("_bytes")


@pytest.mark.parametrize("table", list(FIELDS))
def test_a_bare_word_searches_text_fields_only(table: str) -> None:
    assert SEARCHED[table]
    for name in SEARCHED[table]:
        assert FIELDS[table][name].kind is Kind.TEXT


def test_every_table_of_the_wire_has_fields() -> None:
    assert set(FIELDS) == set(SEARCHED) == set(ROW_TYPES)
