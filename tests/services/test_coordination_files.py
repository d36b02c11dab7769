"""The database file: foreign, damaged, newer, locked, unwritable, full. What is not ours stays as it is."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.clock import ManualClock
from backends.coordination import (
    Caller,
    Corrupt,
    DiskFull,
    ForeignFile,
    Locked,
    NewerSchema,
    NewWork,
    Store,
    StoreUnusable,
    Unwritable,
)
from backends.coordination.checkpoints import checkpoint_path
from backends.model import WorkState

BY = Caller("uid:1000 ann", "cli")
ROOT = Path(__file__).parents[2]


async def made(path: Path, items: int = 0) -> None:
    store = await Store.open(path, ManualClock())
    for _ in range(items):
        await store.add([NewWork(kind="k", title="t", payload='"' + "x" * 200 + '"')], BY)
    await store.close()


def text_file(path: Path) -> None:
    path.write_text("dear diary\n" * 100)


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as sql:
        sql.execute("CREATE TABLE item (id)")
    sql.close()


def other_application(path: Path) -> None:
    asyncio.run(made(path))
    with sqlite3.connect(path, isolation_level=None) as sql:
        sql.execute("PRAGMA journal_mode = DELETE")
        sql.execute("PRAGMA application_id = 7")
    sql.close()


def newer(path: Path) -> None:
    asyncio.run(made(path))
    with sqlite3.connect(path, isolation_level=None) as sql:
        sql.execute("PRAGMA journal_mode = DELETE")
        sql.execute("PRAGMA user_version = 99")
    sql.close()


def overwritten_middle(path: Path) -> None:
    asyncio.run(made(path, 100))
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 8192 * 4096)
        file.write(os.urandom(8192))


def cut_short(path: Path) -> None:
    asyncio.run(made(path, 100))
    os.truncate(path, path.stat().st_size // 2)


def header_only(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + bytes(20))


@pytest.mark.parametrize(
    ("damage", "error", "word"),
    [
        (text_file, ForeignFile, "foreign"),
        (other_database, ForeignFile, "another program"),
        (other_application, ForeignFile, "another program"),
        (newer, NewerSchema, "upgrade"),
        (overwritten_middle, Corrupt, "corrupt"),
        (cut_short, Corrupt, "corrupt"),
        (header_only, Corrupt, "cut short"),
    ],
)
def test_a_file_that_is_not_usable_is_kept(
    tmp_path: Path, damage: Callable[[Path], None], error: type[StoreUnusable], word: str
) -> None:
    path = tmp_path / "store.db"
    damage(path)
    before = path.read_bytes()
    for _ in range(2):  # and refused again: nothing was repaired behind the operator's back
        with pytest.raises(error, match=word) as caught:
            asyncio.run(made(path))
        assert str(path) in str(caught.value)
    assert path.read_bytes() == before


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    with pytest.raises(ForeignFile):
        asyncio.run(made(tmp_path / "store.db"))


def test_an_empty_file_is_no_loss(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    asyncio.run(made(tmp_path / "store.db", 1))


def test_a_log_without_its_file_is_not_guessed_at(tmp_path: Path) -> None:
    log = tmp_path / "store.db-wal"
    log.write_bytes(b"precious")
    with pytest.raises(Corrupt, match="missing"):
        asyncio.run(made(tmp_path / "store.db"))
    assert log.read_bytes() == b"precious"
    assert not (tmp_path / "store.db").exists()


def test_a_crash_while_making_it_leaves_nothing_half_made(tmp_path: Path) -> None:
    (tmp_path / "store.db.new").write_bytes(b"half")
    asyncio.run(made(tmp_path / "store.db", 1))
    assert not (tmp_path / "store.db.new").exists()


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    asyncio.run(made(tmp_path / "store.db", 1))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["with space", "per%41cent", "question?mode=ro", "hash#tag", "ünï"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    asyncio.run(made(tmp_path / name, 1))
    assert (tmp_path / name).stat().st_size > 0


async def test_two_watches_cannot_share_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await Store.open(path, ManualClock())
    with pytest.raises(Locked, match=str(os.getpid())):
        await Store.open(path, ManualClock())
    await store.add([NewWork(kind="k", title="t")], BY)  # the first is none the worse
    await store.close()
    again = await Store.open(path, ManualClock())
    assert again.counts()[WorkState.READY] == 1
    await again.close()


def test_a_refused_open_lets_go_of_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    text_file(path)
    with pytest.raises(ForeignFile):
        asyncio.run(made(path))
    path.unlink()
    asyncio.run(made(path))


@pytest.mark.parametrize("path", ["/nonexistent/store.db", "/proc/store.db"])
def test_a_place_that_cannot_be_written_is_named(path: str) -> None:
    with pytest.raises(Unwritable, match=path):
        asyncio.run(made(Path(path)))


def as_nobody(act: Callable[[], None]) -> int:
    """Run ``act`` in a child without privileges; 0 when it passed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("lock_too", [False, True])
def test_a_read_only_store_is_refused_and_kept(lock_too: bool) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        path = folder / "store.db"
        asyncio.run(made(path, 3))
        before = path.read_bytes()
        path.chmod(0o444)
        (folder / "store.db.lock").chmod(0o444 if lock_too else 0o666)
        folder.chmod(0o555)

        def act() -> None:
            with pytest.raises(Unwritable):
                asyncio.run(made(path))

        assert as_nobody(act) == 0
        assert path.read_bytes() == before
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


FULL_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
from backends.clock import SystemClock
from backends.coordination import Caller, DiskFull, NewWork, Store

async def main():
    by = Caller("uid:0 root", "test")
    store = await Store.open(Path(sys.argv[1]), SystemClock())
    acknowledged = []
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    refused = 0
    while refused < 3:
        work = NewWork(kind="k", title="t", payload='"' + "x" * 5000 + '"')
        replies = await asyncio.gather(*(store.add([work], by) for _ in range(4)), return_exceptions=True)
        for reply in replies:
            if isinstance(reply, DiskFull):
                refused += 1
            elif isinstance(reply, BaseException):
                raise reply
            else:
                acknowledged.append(reply[0].id)
    assert len(acknowledged) > 10
    assert sum(store.counts().values()) == len(acknowledged)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    acknowledged.append((await store.add([work], by))[0].id)
    for item_id in acknowledged:
        await store.item(item_id)
    checked = await store.verify_audit()
    assert checked.bad_seq is None, checked
    assert checked.records == len(acknowledged)
    assert len(await store.events_since(0, 10**6)) == len(acknowledged)
    await store.close()

asyncio.run(main())
"""


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "store.db")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_no_room_to_begin_with(tmp_path: Path) -> None:
    def act() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
        with pytest.raises(DiskFull):
            asyncio.run(made(tmp_path / "store.db"))

    tmp_path.chmod(0o777)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not (tmp_path / "store.db").exists()
    asyncio.run(made(tmp_path / "store.db", 1))


# --- audit chain on disk -----------------------------------------------------------------------------------


@pytest.fixture
def audited(tmp_path: Path) -> Path:
    """A closed store with 150 audit records."""
    path = tmp_path / "store.db"
    asyncio.run(made(path, 150))
    return path


def tamper(path: Path, *texts: str) -> None:
    with sqlite3.connect(path) as sql:
        for text in texts:
            sql.execute(text)
    sql.close()


async def verdict(path: Path) -> tuple[int | None, str]:
    store = await Store.open(path, ManualClock())
    checked = await store.verify_audit()
    await store.close()
    return checked.bad_seq, checked.reason


@pytest.mark.parametrize(
    ("texts", "seq"),
    [
        (["UPDATE audit SET actor = 'uid:0 nobody' WHERE seq = 70"], 70),
        (["UPDATE audit SET at_us = at_us + 1 WHERE seq = 1"], 1),
        (["UPDATE audit SET hash = prev WHERE seq = 150"], 150),
        (["DELETE FROM audit WHERE seq = 20"], 20),
        (["DELETE FROM audit WHERE seq <= 20"], 1),
        (["DELETE FROM audit WHERE seq > 149"], 150),
        (["DELETE FROM audit WHERE seq > 40"], 41),
        (["DELETE FROM audit"], 1),
        (
            [
                "UPDATE audit SET seq = 1000 WHERE seq = 30",
                "UPDATE audit SET seq = 30 WHERE seq = 31",
                "UPDATE audit SET seq = 31 WHERE seq = 1000",
            ],
            30,
        ),
    ],
)
def test_tampering_with_the_file_is_found(audited: Path, texts: list[str], seq: int) -> None:
    assert asyncio.run(verdict(audited)) == (None, "")
    tamper(audited, *texts)
    found, reason = asyncio.run(verdict(audited))
    assert found == seq, reason


def test_a_cut_tail_is_found_even_after_new_records(audited: Path) -> None:
    tamper(audited, "DELETE FROM audit WHERE seq > 100")
    asyncio.run(made(audited, 80))
    found, reason = asyncio.run(verdict(audited))
    assert found == 128, reason  # checkpoints at 64 and 128, and at 150 when it was closed


def test_no_record_can_be_forked(audited: Path) -> None:
    columns = (
        "at_us, actor, door, command, target, args, before, after, outcome, message, request_id, prev, hash"
    )
    with pytest.raises(sqlite3.IntegrityError):
        tamper(audited, f"INSERT INTO audit SELECT 200, {columns} FROM audit WHERE seq = 7")


def test_checkpoints_that_were_changed_or_removed_are_noticed(audited: Path) -> None:
    marks = checkpoint_path(audited)
    lines = marks.read_text().splitlines(keepends=True)
    marks.write_text("".join(["garbage\n", *lines]))
    found, reason = asyncio.run(verdict(audited))
    assert (found, "line 1" in reason) == (1, True)
    marks.write_text("".join(lines) + "150 0000")  # cut short by a power loss: dropped
    assert asyncio.run(verdict(audited)) == (None, "")
    marks.unlink()
    assert asyncio.run(verdict(audited)) == (None, "")

    async def newest() -> str:
        store = await Store.open(audited, ManualClock())
        records = await store.audit(5, "target:checkpoints")
        await store.close()
        return records[0].message

    assert "cannot be vouched for" in asyncio.run(newest())
