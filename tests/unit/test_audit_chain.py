"""The audit chain: every tampering is found, at its place."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backends.audit import GENESIS, AuditDraft, Checkpoint, canonical, link, verify
from backends.model import AuditRecord

FIELDS = AuditRecord.__struct_fields__


def draft(n: int) -> AuditDraft:
    return AuditDraft(
        at_us=1_700_000_000_000_000 + n,
        actor="uid:1000 ann",
        door="cli",
        command="cancel",
        target=f"w{n}",
        args=canonical({"n": n}),
        before="ready",
        after="cancelled",
        outcome="verified",
        message=f"gone {n}",
        request_id=f"r{n}",
    )


def chain(length: int, start: str = GENESIS) -> list[AuditRecord]:
    records: list[AuditRecord] = []
    for n in range(1, length + 1):
        records.append(link(n, records[-1].hash if records else start, draft(n)))
    return records


def relinked(records: list[AuditRecord], first: int) -> list[AuditRecord]:
    """The chain rebuilt from index ``first`` on, as someone with write access would."""
    rebuilt = records[:first]
    for record in records[first:]:
        again = AuditDraft(**{name: getattr(record, name) for name in AuditDraft.__struct_fields__})
        rebuilt.append(link(len(rebuilt) + 1, rebuilt[-1].hash if rebuilt else GENESIS, again))
    return rebuilt


def test_a_chain_as_written_is_whole() -> None:
    assert verify([]) is None
    assert verify(chain(50)) is None


def test_the_hash_is_the_documented_one() -> None:
    record = chain(1)[0]
    fields = {name: getattr(record, name) for name in FIELDS if name not in ("prev", "hash")}
    body = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    prefix = b"audit.v1\0" + bytes(32) + len(body).to_bytes(4, "big")
    assert record.hash == sha256(prefix + body).hexdigest()


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("at", [0, 7, 19])
def test_a_changed_field_is_found(field: str, at: int) -> None:
    records = chain(20)
    value = getattr(records[at], field)
    changed: Any = (
        value + 1 if isinstance(value, int) else "0" + value[1:] if value[0] != "0" else "1" + value[1:]
    )
    records[at] = replace(records[at], **{field: changed})
    broken = verify(records)
    assert broken is not None
    # a changed seq shows as a gap where it was
    assert broken.seq == at + 1


@pytest.mark.parametrize("at", range(19))
def test_a_removed_record_is_found(at: int) -> None:
    records = chain(20)
    del records[at]
    broken = verify(records)
    assert broken is not None
    assert broken.seq == at + 1
    assert "missing" in broken.reason


@pytest.mark.parametrize("at", range(1, 19))
def test_an_inserted_record_is_found(at: int) -> None:
    records = chain(20)
    records.insert(at, link(at + 1, records[at - 1].hash, draft(99)))
    broken = verify(records)
    assert broken is not None
    assert broken.seq == at + 2


@pytest.mark.parametrize("at", range(19))
def test_swapped_records_are_found(at: int) -> None:
    records = chain(20)
    records[at], records[at + 1] = records[at + 1], records[at]
    broken = verify(records)
    assert broken is not None
    assert broken.seq == at + 1


def test_a_cut_head_is_found() -> None:
    broken = verify(chain(20)[5:])
    assert broken is not None
    assert (broken.seq, broken.reason) == (1, "records 1 to 5 are missing")


def test_a_chain_that_starts_elsewhere_is_found() -> None:
    broken = verify(chain(20, start="ab" * 32))
    assert broken is not None
    assert broken.seq == 1


def test_a_cut_tail_is_found_down_to_the_last_checkpoint() -> None:
    records = chain(20)
    mark = Checkpoint(15, records[14].hash, 0)
    assert verify(records[:15], [mark]) is None  # what came after is beyond proof
    broken = verify(records[:12], [mark])
    assert broken is not None
    assert broken.seq == 13
    assert "checkpoint" in broken.reason


@pytest.mark.parametrize("at", range(15))
def test_a_rebuilt_tail_is_found_by_its_checkpoint(at: int) -> None:
    records = chain(20)
    mark = Checkpoint(15, records[14].hash, 0)
    records[at] = replace(records[at], actor="uid:0 nobody")
    forged = relinked(records, at)
    assert verify(forged) is None  # the chain alone cannot tell
    broken = verify(forged, [mark])
    assert broken is not None
    assert broken.seq == 15


def test_checkpoints_that_disagree_are_found() -> None:
    records = chain(3)
    broken = verify(records, [Checkpoint(2, records[1].hash, 0), Checkpoint(2, "00" * 32, 0)])
    assert broken is not None
    assert broken.seq == 2


def test_a_value_no_record_was_written_with_is_a_fault_not_a_crash() -> None:
    for bad in ({"prev": "zz"}, {"args": "\ud800"}, {"at_us": 1.5}):
        records = chain(3)
        records[1] = replace(records[1], **bad)
        broken = verify(records)
        assert broken is not None
        assert broken.seq == 2


@pytest.mark.parametrize(
    "bad", [1.5, {"a": {"b": 1.0}}, {1: "a"}, 2**63, "\ud800", {"\udfff": 1}, b"x", {1, 2}]
)
def test_ambiguous_values_have_no_canonical_form(bad: Any) -> None:
    with pytest.raises(ValueError, match="audit"):
        canonical(bad)


def test_depth_is_limited() -> None:
    value: Any = 1
    for _ in range(16):
        value = [value]
    canonical(value)
    with pytest.raises(ValueError, match="deep"):
        canonical([value])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_canonical_form_is_plain_sorted_json(value: Any) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert json.loads(text) == json.loads(canonical(json.loads(text)))
    assert canonical(json.loads(text)) == text


def test_link_refuses_what_is_neither_integer_nor_string() -> None:
    for bad in ({"at_us": 1.0}, {"actor": None}, {"message": "\ud800"}, {"at_us": True}):
        with pytest.raises(ValueError, match="audit"):
            link(1, GENESIS, replace(draft(1), **bad))
