"""What git prints, whatever the repository's authors put into it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.drift.formats import (
    parse_commit_times,
    parse_index,
    parse_status,
    parse_worktree_list,
)

OID = b"a" * 40
HEADERS = b"# branch.oid " + OID + b"\0# branch.head main\0"
ENTRY = b"N... 100644 100644 100644 " + OID + b" " + OID + b" "


def test_a_clean_branch_without_upstream_knows_no_distance() -> None:
    status = parse_status(HEADERS)
    assert (status.head, status.branch, status.upstream) == (OID, b"main", None)
    assert (status.ahead, status.behind, status.stashes) == (None, None, 0)
    assert (status.staged, status.dirty, status.untracked, status.conflicted) == (0, (), (), 0)


def test_distance_and_stash() -> None:
    status = parse_status(HEADERS + b"# branch.upstream origin/main\0# branch.ab +3 -12\0# stash 4\0")
    assert (status.upstream, status.ahead, status.behind, status.stashes) == (b"origin/main", 3, 12, 4)


def test_a_distance_git_did_not_count_is_unknown() -> None:
    status = parse_status(HEADERS + b"# branch.upstream o/m\0# branch.ab +? -?\0")
    assert (status.ahead, status.behind) == (None, None)


def test_detached_and_unborn() -> None:
    status = parse_status(b"# branch.oid (initial)\0# branch.head (detached)\0")
    assert (status.head, status.branch) == (None, None)


def test_each_kind_of_change_is_counted_once() -> None:
    status = parse_status(
        HEADERS
        + b"1 M. "
        + ENTRY
        + b"staged\0"
        + b"1 .M "
        + ENTRY
        + b"dirty\0"
        + b"1 MM "
        + ENTRY
        + b"both\0"
        + b"2 R. "
        + ENTRY
        + b"R100 new name\0old name\0"
        + b"u UU N... 1 2 3 4 "
        + OID
        + b" "
        + OID
        + b" "
        + OID
        + b" torn\0"
        + b"? new file\0? folder/\0! ignored\0"
    )
    assert status.staged == 3
    assert status.dirty == (b"dirty", b"both", b"torn")
    assert status.untracked == (b"new file", b"folder/")
    assert status.conflicted == 1


@pytest.mark.parametrize("old", [b"? fake", b"1 M. x", b"# branch.head evil", b"u UU", b"", b"\xff\n\x1b[2J"])
def test_where_a_file_was_renamed_from_cannot_pose_as_a_record(old: bytes) -> None:
    status = parse_status(HEADERS + b"2 R. " + ENTRY + b"R100 new\0" + old + b"\0? real\0")
    assert (status.staged, status.untracked, status.branch) == (1, (b"real",), b"main")


def test_paths_keep_every_byte() -> None:
    path = b"a b\n\t\xff\x1b]52;c;\x07 # branch.head x"
    status = parse_status(HEADERS + b"1 .M " + ENTRY + path + b"\0? " + path + b"\0")
    assert status.dirty == status.untracked == (path,)


@given(st.binary(max_size=300))
def test_garbage_is_a_value_error_and_nothing_else(output: bytes) -> None:
    for parse in (parse_status, parse_worktree_list, parse_index, parse_commit_times):
        with suppress(ValueError):
            parse(output)


def test_worktrees() -> None:
    main, linked, gone, bare = parse_worktree_list(
        b"worktree /r\0HEAD " + OID + b"\0branch refs/heads/feature/x\0\0"
        b"worktree /w one\nline\0HEAD " + OID + b"\0detached\0locked by me\0\0"
        b"worktree /gone\0HEAD " + b"0" * 40 + b"\0branch refs/heads/y\0locked\0"
        b"prunable gitdir file points to non-existent location\0\0"
        b"worktree /bare\0bare\0\0"
    )
    assert (main.path, main.head, main.branch, main.locked) == (b"/r", OID, b"feature/x", False)
    assert (linked.path, linked.branch, linked.locked) == (b"/w one\nline", None, True)
    assert gone.prunable == b"gitdir file points to non-existent location"
    assert (gone.head, gone.locked) == (None, True)
    assert bare.bare


def test_index_entries() -> None:
    script, torn = parse_index(b"100755 " + OID + b" 0\ta\tb\n.sh\0" + b"100644 " + OID + b" 2\tx\0")
    assert (script.mode, script.blob, script.stage, script.path) == (b"100755", OID, 0, b"a\tb\n.sh")
    assert torn.stage == 2


def test_commit_times_are_milliseconds() -> None:
    assert parse_commit_times(b"1700000000 " + OID + b"\n") == {OID: 1_700_000_000_000}
