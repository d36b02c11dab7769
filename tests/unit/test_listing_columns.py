"""Rows as text columns: unknown is a dash and never a zero."""

from __future__ import annotations

import time

import pytest

from backends.model import Agent, AuditRecord, Process, ProcessRef, Reach, WorkItem, WorkState
from console.cli.listing import COLUMNS, MAX_CELL, table_text
from console.wire import ROW_TYPES


def test_every_column_is_a_field_of_its_noun() -> None:
    for table, columns in COLUMNS.items():
        for _, field in columns:
            assert field in ROW_TYPES[table].__struct_fields__ or (table, field) == ("processes", "pid")


def test_unknown_is_a_dash_and_zero_is_zero() -> None:
    now = time.time_ns() // 1_000_000
    item = WorkItem(
        "w1", "default", "build", "", WorkState.READY, 0, now - 90_000, attempt=0, progress_pct=0.0
    )
    heading, row = table_text("work", [item]).splitlines()
    cells = dict(zip(heading.split(), row.split(), strict=True))
    assert cells["PRI"] == cells["PCT"] == cells["ATTEMPTS"] == "0"
    assert cells["HOLDER"] == cells["TITLE"] == cells["ERROR"] == "-"
    assert cells["AGE"] == "1m"


def test_columns_are_aligned_and_long_cells_are_cut() -> None:
    agents = [
        Agent("a", "a", "h", Reach.LIVE, rss_bytes=0),
        Agent("b" * 200, "b", "h", Reach.STALE, rss_bytes=3 << 30),
    ]
    lines = table_text("agents", agents).splitlines()
    assert len({line.index(word) for line, word in zip(lines, ("REACH", "live", "stale"), strict=True)}) == 1
    assert "b" * MAX_CELL not in lines[2]
    assert "…" in lines[2]
    assert "0B" in lines[1]
    assert "3.0G" in lines[2]


def test_processes_show_their_pid_and_records_their_instant() -> None:
    process = Process("h:7:9", "h", ProcessRef(7, 9), 1, "x", "x --y", "u", "S", 0, None, None, 0)
    assert table_text("processes", [process]).splitlines()[1].startswith("7 ")
    record = AuditRecord(1, 0, "uid:0", "cli", "cancel", "w1", "{}", "", "", "verified", "", "", "0", "0")
    assert "1970-01-01T00:00:00Z" in table_text("audit", [record])


@pytest.mark.parametrize("table", list(COLUMNS))
def test_an_empty_table_is_its_heading(table: str) -> None:
    assert table_text(table, []).split() == [heading for heading, _ in COLUMNS[table]]
