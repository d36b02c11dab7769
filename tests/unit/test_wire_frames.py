"""The wire: every message travels unharmed, garbage is refused in words."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.model import (
    Agent,
    Danger,
    Outcome,
    OutcomeStatus,
    Plan,
    Precondition,
    Reach,
    Summary,
    View,
    WorkItem,
    WorkState,
)
from console import wire
from console.wire import (
    MAX_FRAME_BYTES,
    PROTOCOL,
    Frames,
    WireError,
    decode_from_watch,
    decode_rows,
    decode_to_watch,
    frame,
    raw_rows,
    rows_of,
)

PLAN = Plan(
    "id",
    "cancel",
    "w1",
    {"a": [1, None]},
    Danger.DISRUPTIVE,
    ("cancel w1",),
    (Precondition("w", "f", 3),),
    "y",
)
TO_WATCH = [
    wire.Hello(PROTOCOL, "tui", "alice"),
    wire.Invoke(
        1, "claim", ("a", "b"), {"limit": 2, "deep": {"x": [1.5, None, "é"]}}, True, ("p",), "y", "r"
    ),
    wire.Subscribe(2, View("work", "state:dead", "age", True, 5, 10, "w1", 3)),
    wire.Unsubscribe(2),
    wire.Follow(3, "builder", 10),
    wire.Ask(4, "why?"),
    wire.Stop(4),
    wire.Refresh(),
]
FROM_WATCH = [
    wire.Welcome(PROTOCOL, 1, "h", "0.1", 5, True, False),
    wire.Refused("no"),
    wire.Reply(1, (Outcome("claim", "", OutcomeStatus.UNKNOWN, "?", 7, [1]),), (PLAN,), "y"),
    wire.Reply(1, failure=wire.Failure(4, "lost", {"fence": 3})),
    wire.Shown(
        2, "work", 0, ("w1",), raw_rows([]), 1, False, {"dead": 1}, 9, 0, problem="old", observed_at=3
    ),
    wire.Totals(3, Summary(agents={"idle": 2})),
    wire.Lines(3, "text", "gone"),
    wire.Answer(4, "text", True, "model", True),
]


@pytest.mark.parametrize("message", TO_WATCH, ids=lambda message: type(message).__name__)
def test_every_message_to_the_watch_travels(message: Any) -> None:
    (body,) = Frames().feed(frame(message))
    assert decode_to_watch(body) == message


@pytest.mark.parametrize("message", FROM_WATCH, ids=lambda message: type(message).__name__)
def test_every_message_from_the_watch_travels(message: Any) -> None:
    (body,) = Frames().feed(frame(message))
    assert decode_from_watch(body) == message


def test_every_message_type_is_tried_here() -> None:
    from typing import get_args

    assert {type(message) for message in TO_WATCH} == set(get_args(wire.ToWatch))
    assert {type(message) for message in FROM_WATCH} == set(get_args(wire.FromWatch))


def test_rows_travel_as_the_nouns_of_their_table() -> None:
    rows = [Agent("a", "a", "h", Reach.LIVE, cpu_pct=None), Agent("b", "b", "h", Reach.STALE, cpu_pct=1.5)]
    assert decode_rows("agents", raw_rows(rows)) == rows
    items = [WorkItem("w", "q", "k", "t", WorkState.DEAD, 0, 0)]
    assert rows_of("work", msgspec.to_builtins(items)) == items


@given(st.lists(st.sampled_from([*TO_WATCH]), max_size=6), st.data())
def test_frames_come_whole_however_the_bytes_are_cut(messages: list[Any], data: st.DataObject) -> None:
    stream = b"".join(map(frame, messages))
    frames, found, position = Frames(), [], 0
    while position < len(stream):
        size = data.draw(st.integers(1, len(stream) - position))
        found += frames.feed(stream[position : position + size])
        position += size
    assert [decode_to_watch(body) for body in found] == messages


def test_a_byte_at_a_time_and_half_a_frame() -> None:
    frames = Frames()
    stream = frame(TO_WATCH[1])
    for byte in stream[:-1]:
        assert frames.feed(bytes([byte])) == []
    assert len(frames.feed(stream[-1:])) == 1


def test_a_length_that_cannot_be_is_refused_before_anything_is_kept() -> None:
    with pytest.raises(WireError, match="not Watchfloor's protocol"):
        Frames().feed((MAX_FRAME_BYTES + 1).to_bytes(4, "big"))
    with pytest.raises(WireError):
        Frames().feed(b"GET / HTTP/1.1\r\n\r\n")


@given(st.binary(max_size=200))
def test_any_body_is_a_message_or_refused_in_words(body: bytes) -> None:
    for decode in (decode_to_watch, decode_from_watch):
        try:
            decode(body)
        except WireError as error:
            assert str(error)  # noqa: PT017


@given(st.sampled_from(TO_WATCH), st.data())
def test_a_flipped_byte_is_another_message_or_refused(message: Any, data: st.DataObject) -> None:
    body = bytearray(frame(message)[4:])
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(WireError):
        decode_to_watch(bytes(body))


def test_nesting_without_end_is_refused() -> None:
    for decode in (decode_to_watch, decode_from_watch):
        with pytest.raises(WireError):
            decode(b"\x91" * 100_000)
    args = b"\x84\xa4type\xa6invoke\xa2id\x01\xa7command\xa1x\xa4args\x81\xa1a"
    with pytest.raises(WireError):
        decode_to_watch(args + b"\x91" * 100_000 + b"\x01")
