"""Real repositories, in every state an operator meets."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from backends.clock import ManualClock, SystemClock
from backends.drift import DriftReader
from backends.drift.discovery import discover
from backends.model import CopyGroup, Worktree
from backends.picture import Reading

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
}


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    command = ["git", "-c", "init.defaultBranch=main", "-C", str(folder), *arguments]
    return subprocess.run(command, env=ENV, check=check, capture_output=True, text=True).stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(os.path.realpath(tmp_path))


def repository(path: Path, name: str = "file", content: str = "one\n") -> Path:
    path.mkdir(parents=True)
    git(path, "init", "-q")
    commit(path, name, content)
    return path


def commit(path: Path, name: str, content: str) -> None:
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_text(content)
    git(path, "add", "--", name)
    git(path, "commit", "-q", "-m", "change")


async def read(*roots: Path, **options: object) -> Reading:
    reading = await DriftReader("h", roots, SystemClock(), **options).read()  # type: ignore[arg-type]
    assert reading.state.ok, reading.state.reason
    return reading


async def worktrees(*roots: Path) -> dict[str, Worktree]:
    return {row.name: row for row in (await read(*roots)).tables["worktrees"]}


async def copies(*roots: Path) -> list[CopyGroup]:
    return list((await read(*roots)).tables["copies"])


async def test_a_clean_repository(root: Path) -> None:
    path = repository(root / "r")
    row = (await worktrees(root))["r"]
    assert row.id == row.repository == str(path)
    assert (row.branch, row.head) == ("main", git(path, "rev-parse", "HEAD").strip())
    assert (row.staged, row.dirty, row.untracked, row.conflicted, row.stashes) == (0, 0, 0, 0, 0)
    assert (row.upstream, row.ahead, row.behind) == (None, None, None)
    assert row.committed_at == 1_700_000_000_000
    assert (row.linked, row.locked, row.prunable, row.error) == (False, False, False, None)


async def test_ahead_and_behind_its_upstream(root: Path) -> None:
    bare = root / "origin.git"
    bare.mkdir()
    git(bare, "init", "-q", "--bare")
    one = repository(root / "one")
    git(one, "remote", "add", "origin", str(bare))
    git(one, "push", "-q", "-u", "origin", "main")
    git(root, "clone", "-q", str(bare), "two")
    commit(root / "two", "other", "x")
    git(root / "two", "push", "-q")
    for number in range(2):
        commit(one, "file", f"{number}\n")
    git(one, "fetch", "-q")
    row = (await worktrees(root))["one"]
    assert (row.upstream, row.ahead, row.behind) == ("origin/main", 2, 1)


async def test_staged_dirty_untracked_and_stash(root: Path) -> None:
    path = repository(root / "r")
    commit(path, "second", "x\n")
    (path / "file").write_text("stashed\n")
    git(path, "stash", "-q")
    (path / "file").write_text("staged\n")
    git(path, "add", "file")
    (path / "second").write_text("dirty\n")
    (path / "new\nline \x1b[2J").write_text("")
    (path / "folder").mkdir()
    (path / "folder" / "a").write_text("")
    (path / "folder" / "b").write_text("")
    row = (await worktrees(root))["r"]
    assert (row.staged, row.dirty, row.untracked, row.stashes) == (1, 1, 2, 1)


async def test_a_conflict(root: Path) -> None:
    path = repository(root / "r")
    git(path, "checkout", "-q", "-b", "side")
    commit(path, "file", "side\n")
    git(path, "checkout", "-q", "main")
    commit(path, "file", "main\n")
    git(path, "merge", "side", check=False)
    row = (await worktrees(root))["r"]
    assert (row.conflicted, row.dirty) == (1, 0)


async def test_no_commit_yet(root: Path) -> None:
    (root / "r").mkdir()
    git(root / "r", "init", "-q")
    row = (await worktrees(root))["r"]
    assert (row.branch, row.head, row.committed_at, row.error) == ("main", None, None, None)


async def test_linked_detached_locked_and_prunable_worktrees(root: Path) -> None:
    path = repository(root / "roots" / "r")
    elsewhere = root / "elsewhere"
    git(path, "worktree", "add", "-q", "--detach", str(elsewhere / "detached"))
    git(path, "worktree", "add", "-q", "-b", "locked", str(path.parent / "locked"))
    git(path, "worktree", "lock", str(path.parent / "locked"))
    git(path, "worktree", "add", "-q", "-b", "gone", str(path.parent / "gone"))
    shutil.rmtree(path.parent / "gone")
    rows = await worktrees(root / "roots")
    assert set(rows) == {"r", "detached", "locked", "gone"}
    assert {row.repository for row in rows.values()} == {str(path)}
    assert [rows[name].linked for name in ("r", "detached", "locked", "gone")] == [False, True, True, True]
    assert rows["detached"].branch is None
    assert rows["detached"].committed_at is not None
    assert (rows["locked"].locked, rows["locked"].branch, rows["locked"].dirty) == (True, "locked", 0)
    assert (rows["gone"].prunable, rows["gone"].dirty) == (True, None)
    assert "non-existent" in (rows["gone"].error or "")


async def test_worktrees_of_a_bare_repository(root: Path) -> None:
    repository(root / "r")
    git(root, "clone", "-q", "--bare", str(root / "r"), "bare.git")
    git(root / "bare.git", "worktree", "add", "-q", str(root / "w"), "main")
    rows = await worktrees(root)
    assert set(rows) == {"r", "w"}
    assert rows["w"].repository == str(root / "bare.git")
    assert rows["w"].linked


async def test_a_submodule_is_a_repository_of_its_own(root: Path) -> None:
    repository(root / "inner")
    outer = repository(root / "outer")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(root / "inner"), "sub")
    row = (await worktrees(root))["sub"]
    assert row.id == row.repository == str(outer / "sub")
    assert not row.linked


@pytest.mark.parametrize("branch", ["feature/ünïcode", "a;b`c$(d)", "@click=app.quit]", "x'\"|&"])
async def test_odd_branch_names_are_data(root: Path, branch: str) -> None:
    path = repository(root / "r")
    git(path, "checkout", "-q", "-b", branch)
    assert (await worktrees(root))["r"].branch == branch


async def test_an_invisible_branch_name_is_made_visible(root: Path) -> None:
    path = repository(root / "r")
    git(path, "checkout", "-q", "-b", "a\u202eb")
    assert (await worktrees(root))["r"].branch == "a\N{REPLACEMENT CHARACTER}b"


async def test_a_broken_repository_keeps_its_row_with_the_reason(root: Path) -> None:
    repository(root / "good")
    path = repository(root / "broken")
    (path / ".git" / "HEAD").write_text("nonsense")
    orphan = root / "orphan"
    orphan.mkdir()
    (orphan / ".git").write_text("gitdir: /nowhere/.git/worktrees/orphan\n")
    rows = await worktrees(root)
    assert rows["good"].error is None
    assert "not a git repository" in (rows["broken"].error or "")
    assert "not a git repository" in (rows["orphan"].error or "")
    assert (rows["broken"].dirty, rows["broken"].ahead) == (None, None)


async def test_a_repository_of_another_user_is_refused_in_words(root: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give a repository away")
    path = repository(root / "theirs")
    for folder, folders, files in os.walk(path):
        for name in (".", *folders, *files):
            os.chown(os.path.join(folder, name), 12345, 12345)
    assert "safe.directory" in ((await worktrees(root))["theirs"].error or "")


async def test_a_repository_cannot_make_git_run_its_programs(root: Path) -> None:
    path = repository(root / "r")
    ran = root / "ran"
    trap = path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {ran}\n")
    trap.chmod(0o755)
    hooks = path / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    shutil.copy(trap, hooks / "post-index-change")
    for setting in ("core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "gpg.program"):
        git(path, "config", setting, str(trap))
    git(path, "config", "log.showSignature", "true")
    (path / "file").write_text("changed\n")
    assert (await worktrees(root))["r"].dirty == 1
    assert not ran.exists()


async def test_reading_takes_no_lock_and_writes_nothing(root: Path) -> None:
    path = repository(root / "r")
    os.utime(path / "file", (1, 1))  # git would like to refresh its index
    before = (path / ".git" / "index").stat()
    assert (await worktrees(root))["r"].error is None
    assert (path / ".git" / "index").stat().st_mtime_ns == before.st_mtime_ns


async def test_identical_scripts_across_repositories(root: Path) -> None:
    one = repository(root / "one", "tools/run.sh", "#!/bin/sh\necho hi\n")
    two = repository(root / "two", "run.sh", "#!/bin/sh\necho hi\n")
    repository(root / "three", "run.sh", "#!/bin/sh\necho other\n")
    git(one, "worktree", "add", "-q", "-b", "side", str(root / "one-side"))
    (found,) = await copies(root)
    assert (found.name, found.repositories, found.size_bytes) == ("run.sh", 2, 18)
    assert found.paths == (str(one / "tools/run.sh"), str(two / "run.sh"))
    assert found.id == git(one, "rev-parse", "HEAD:tools/run.sh").strip()


async def test_untracked_and_edited_scripts_count_as_what_they_hold_now(root: Path) -> None:
    one = repository(root / "one", "run.sh", "#!/bin/sh\necho hi\n")
    two = repository(root / "two", "run.sh", "#!/bin/sh\necho hi\n")
    (two / "run.sh").write_text("#!/bin/sh\necho edited\n")
    assert await copies(root) == []
    (one / "new").mkdir()
    (one / "new" / "copied").write_text("#!/bin/sh\necho edited\n")
    (one / ".gitignore").write_text("ignored/\n")
    (one / "ignored").mkdir()
    (one / "ignored" / "copied").write_text("#!/bin/sh\necho edited\n")
    (found,) = await copies(root)
    assert found.paths == (str(one / "new/copied"), str(two / "run.sh"))


async def test_a_second_read_sees_what_changed_and_keeps_what_did_not(root: Path) -> None:
    one = repository(root / "one", "run.sh", "#!/bin/sh\n")
    two = repository(root / "two", "run.sh", "#!/bin/sh\n")
    clock = ManualClock()
    reader = DriftReader("h", [root], clock)
    first = await reader.read()
    second = await reader.read()
    assert first.tables == second.tables, "an unchanged tree gives equal rows"
    (two / "run.sh").write_text("#!/bin/bash\n")
    third = await reader.read()
    assert third.tables["copies"] == []
    commit(one, "run.sh", "#!/bin/bash\n")
    fourth = await reader.read()
    assert [row.paths for row in fourth.tables["copies"]] == [(str(one / "run.sh"), str(two / "run.sh"))]
    repository(root / "three", "run.sh", "#!/bin/bash\n")
    assert len((await reader.read()).tables["worktrees"]) == 2, "the roots are not walked at every read"
    clock.advance(60_000)
    assert len((await reader.read()).tables["worktrees"]) == 3


def test_what_discovery_enters_and_what_it_leaves_out(root: Path) -> None:
    repository(root / "a" / "nested")
    repository(root / "node_modules" / "package")
    repository(root / "1" / "2" / "3" / "4" / "deep")
    repository(root / "outside")
    (root / "a" / "link").symlink_to(root / "outside")
    result = discover([os.fsencode(root / "a"), os.fsencode(root / "a" / "nested")])
    assert [one.path for one in result.found] == [os.fsencode(root / "a" / "nested")], "once, and no links"
    found = {one.path for one in discover([os.fsencode(root)], depth=4).found}
    assert found == {os.fsencode(root / "a" / "nested"), os.fsencode(root / "outside")}


async def test_what_cannot_be_looked_into_is_counted_with_its_reason(root: Path) -> None:
    reading = await read(root / "absent")
    assert reading.state.reason == f"1 skipped: no such file or directory ({root}/absent)"
    assert (await read()).state.reason.startswith("no folders are watched")


async def test_no_git_is_a_failure_with_the_next_step(root: Path) -> None:
    repository(root / "r")
    reading = await DriftReader("h", [root], SystemClock(), git="/no/git").read()
    assert (reading.state.ok, reading.state.status) == (False, "no git")
    assert "install git" in reading.state.reason


def slow_git(folder: Path, slow_when: str) -> str:
    """The real git, except that it hangs when its arguments match."""
    program = folder / "git"
    program.write_text(f'#!/bin/sh\ncase "$*" in {slow_when}) exec sleep 600;; esac\nexec git "$@"\n')
    program.chmod(0o755)
    return str(program)


async def read_with_time_passing(reader: DriftReader, clock: ManualClock) -> Reading:
    reading = asyncio.ensure_future(reader.read())
    while not reading.done():
        await asyncio.wait((reading,), timeout=0.5)
        clock.advance(10_000)
    return await reading


async def test_a_status_that_takes_too_long_is_asked_for_less(root: Path) -> None:
    repository(root / "roots" / "r")
    clock = ManualClock()
    reader = DriftReader("h", [root / "roots"], clock, git=slow_git(root, "*-unormal*"))
    (row,) = (await read_with_time_passing(reader, clock)).tables["worktrees"]
    assert (row.branch, row.dirty, row.untracked) == ("main", 0, None)
    assert "did not answer within 10s" in row.error


async def test_a_git_that_hangs_costs_its_row_alone(root: Path) -> None:
    repository(root / "roots" / "good")
    repository(root / "roots" / "bad")
    clock = ManualClock()
    reader = DriftReader("h", [root / "roots"], clock, git=slow_git(root, "*/bad*status*"))
    rows = {row.name: row for row in (await read_with_time_passing(reader, clock)).tables["worktrees"]}
    assert rows["good"].error is None
    assert rows["bad"].error == "git status did not answer within 10s"
    assert rows["bad"].dirty is None
