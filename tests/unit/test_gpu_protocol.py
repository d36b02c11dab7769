"""Whatever comes down the probe's pipe, only well-formed messages get in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.gpu.protocol import Frame, GpuPart, Hello, LineBuffer, Trouble, Xid, parse


def test_each_message_is_told_by_its_kind() -> None:
    assert parse(b'{"k":"hello","version":1,"driver":"575.57.08","nvml":"12","count":2}') == Hello(
        1, "575.57.08", "12", 2
    )
    assert parse(b'{"k":"xid","index":1,"code":79}') == Xid(1, 79)
    assert parse(b'{"k":"trouble","why":"nvml","code":18}') == Trouble("nvml", 18)
    frame = parse(b'{"k":"frame","gpus":[{"index":0,"utilisation":null}],"driver_us":12}')
    assert frame == Frame((GpuPart(0),), 12)


def test_a_field_that_a_newer_probe_adds_is_ignored() -> None:
    assert parse(b'{"k":"xid","index":1,"code":79,"since":"tomorrow"}') == Xid(1, 79)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"frame"',
        b"Traceback (most recent call last):",
        b'{"k":"frame"}',
        b'{"k":"unheard of"}',
        b'{"k":"frame","gpus":{}}',
        b'{"k":"frame","gpus":[{"index":"0"}]}',
        b'{"k":"frame","gpus":[{"index":-1}]}',
        b'{"k":"frame","gpus":[{"index":0,"utilisation":"97"}]}',
        b'{"k":"frame","gpus":[{"index":0,"memory_used":-5}]}',
        b'{"k":"frame","gpus":[{"index":0,"memory_used":1e30}]}',
        b'{"k":"frame","gpus":[{"index":0,"processes":[{"vram":5}]}]}',
        b'{"k":"frame","gpus":[{"index":0,"name":7}]}',
        b'{"k":"frame","gpus":[{"index":0}]',
        b'{"k":"frame","gpus":[{"index":0,"name":"\xff\xfe"}]}',
        b'{"k":"xid","index":0,"code":184467440737095516150}',
        b"[" * 100_000,
    ],
)
def test_a_line_of_another_shape_is_no_message(line: bytes) -> None:
    assert parse(line) is None


@given(st.binary(max_size=300))
def test_no_bytes_raise(line: bytes) -> None:
    parse(line)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x), max_leaves=8)
)
def test_no_value_in_a_frame_raises(value: object) -> None:
    parse(
        json.dumps({"k": "frame", "gpus": [{"index": 0, "memory_used": value, "processes": value}]}).encode()
    )


@given(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")), max_size=10), st.integers(1, 7))
def test_lines_survive_any_cut_of_the_stream(lines: list[bytes], cut: int) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    buffer = LineBuffer()
    got = [line for i in range(0, len(stream), cut) for line in buffer.feed(stream[i : i + cut])]
    assert got == lines


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_a_huge_line_is_dropped_and_the_next_one_counts(chunk: int) -> None:
    stream = b"a\n" + b"x" * 500 + b"\nb\n"
    buffer = LineBuffer(longest=100)
    got = [line for i in range(0, len(stream), chunk) for line in buffer.feed(stream[i : i + chunk])]
    assert got == [b"a", b"b"]
