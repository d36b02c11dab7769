"""Which scripts are copies of each other, by the rule."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from backends.drift.copies import SIZE_LIMIT, Script, group, hash_script, tracked_scripts
from backends.drift.formats import IndexEntry
from backends.drift.git import environment, in_words
from backends.drift.paths import shown


def script(root: Path, repository: str, path: str, worktree: str | None = None, blob: str = "b1") -> Script:
    file = root / (worktree or repository) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("hello\n")
    return Script(
        blob,
        os.fsencode(root / repository),
        os.fsencode(root / (worktree or repository)),
        os.fsencode(path),
    )


def test_the_same_script_in_two_repositories_is_a_group(tmp_path: Path) -> None:
    (found,) = group([script(tmp_path, "a", "run.sh"), script(tmp_path, "b", "tools/run.sh")], 7)
    assert (found.id, found.name, found.size_bytes, found.repositories) == ("b1", "run.sh", 6, 2)
    assert found.paths == (f"{tmp_path}/a/run.sh", f"{tmp_path}/b/tools/run.sh")


def test_two_folders_of_one_repository_are_a_group(tmp_path: Path) -> None:
    (found,) = group([script(tmp_path, "a", "x/run.sh"), script(tmp_path, "a", "y/run.sh")], 7)
    assert found.repositories == 1


def test_the_worktrees_of_one_repository_are_not_copies(tmp_path: Path) -> None:
    scripts = [script(tmp_path, "a", "run.sh"), script(tmp_path, "a", "run.sh", worktree="a-feature")]
    assert group(scripts, 7) == []


def test_a_place_is_shown_in_its_main_working_tree(tmp_path: Path) -> None:
    scripts = [
        script(tmp_path, "a", "run.sh", worktree="a-feature"),
        script(tmp_path, "a", "run.sh"),
        script(tmp_path, "b", "run.sh"),
    ]
    (found,) = group(scripts, 7)
    assert found.paths == (f"{tmp_path}/a/run.sh", f"{tmp_path}/b/run.sh")


def test_one_folder_is_not_enough(tmp_path: Path) -> None:
    assert group([script(tmp_path, "a", "x.sh"), script(tmp_path, "a", "y.sh")], 7) == []


def test_empty_files_are_not_copies(tmp_path: Path) -> None:
    empty = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert group([script(tmp_path, name, "__init__.py", blob=empty) for name in "ab"], 7) == []


@pytest.mark.parametrize(
    ("mode", "path", "is_script"),
    [
        (b"100755", b"bin/tool", True),
        (b"100644", b"a.SH", True),
        (b"100644", b"a.py", True),
        (b"100644", b"README.md", False),
        (b"120000", b"link.sh", False),
        (b"160000", b"submodule.py", False),
    ],
)
def test_tracked_scripts_are_known_by_mode_and_name(mode: bytes, path: bytes, is_script: bool) -> None:
    assert bool(tracked_scripts([IndexEntry(mode, b"0" * 40, 0, path)])) is is_script
    assert not tracked_scripts([IndexEntry(mode, b"0" * 40, 2, path)]), "in conflict: no one content"


def test_a_hash_is_gits_own(tmp_path: Path) -> None:
    file = tmp_path / "a.sh"
    file.write_bytes(b"#!/bin/sh\necho \xff\n" * 1000)
    git = subprocess.run(["git", "hash-object", file], capture_output=True, text=True, check=True)
    assert hash_script(os.fsencode(file)) == git.stdout.strip()


def test_only_scripts_of_bounded_size_are_read(tmp_path: Path) -> None:
    def made(name: str, content: bytes, mode: int = 0o644) -> bytes:
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(mode)
        return os.fsencode(tmp_path / name)

    assert hash_script(made("by-shebang", b"#!/bin/sh\n"))
    assert hash_script(made("by-mode", b"x", 0o755))
    assert hash_script(made("text", b"hello")) is None
    assert hash_script(made("empty.sh", b"")) is None
    assert hash_script(made("big.sh", b"x" * (SIZE_LIMIT + 1))) is None
    assert hash_script(os.fsencode(tmp_path / "absent.sh")) is None
    (tmp_path / "link.sh").symlink_to(tmp_path / "by-shebang")
    assert hash_script(os.fsencode(tmp_path / "link.sh")) is None
    os.mkfifo(tmp_path / "pipe.sh")
    assert hash_script(os.fsencode(tmp_path / "pipe.sh")) is None


def test_no_path_can_pose_as_another() -> None:
    assert shown(b"/srv/repo") == "/srv/repo"
    forged = {
        shown(b"/srv/a\n"),
        shown(b"/srv/a\t"),
        shown(b"/srv/a "),
        shown(b"/srv/\xff"),
        shown(b"/srv/\xfe"),
    }
    assert len(forged) == 5
    assert all(text.isprintable() for text in forged)


def test_git_is_told_nothing_of_another_repository() -> None:
    env = environment(
        {"GIT_DIR": "/other/.git", "GIT_INDEX_FILE": "/x", "HOME": "/home/a", "LC_ALL": "de_DE"}
    )
    assert "GIT_DIR" not in env
    assert "GIT_INDEX_FILE" not in env
    assert (env["HOME"], env["LC_ALL"], env["GIT_TERMINAL_PROMPT"], env["GIT_OPTIONAL_LOCKS"]) == (
        "/home/a",
        "C",
        "0",
        "0",
    )


def test_git_errors_are_words() -> None:
    owner = b"fatal: detected dubious ownership in repository at '/x'\nTo add an exception ...\n"
    assert "safe.directory" in in_words(owner, 128)
    assert (
        in_words(b"warning: x\nfatal: not a git repository: \x1b[2J\n", 128)
        == "fatal: not a git repository: ␛[2J"
    )
    assert in_words(b"", -9) == "git ended with code -9"
