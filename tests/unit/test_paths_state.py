"""Where things are kept, and directories that must not be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from console.config.paths import (
    MAX_SOCKET_PATH_BYTES,
    StateDirError,
    config_path,
    open_private,
    packaged_config,
    socket_path,
    state_dir,
    state_paths,
)

HOME = {"HOME": "/home/op"}


def test_state_dir_order() -> None:
    assert state_dir("", HOME) == Path("/home/op/.local/state/watchfloor")
    assert state_dir("", HOME | {"XDG_STATE_HOME": "/x"}) == Path("/x/watchfloor")
    assert state_dir("/configured", HOME | {"XDG_STATE_HOME": "/x"}) == Path("/configured")
    assert state_dir("/configured", HOME | {"WATCHFLOOR_STATE": "/env"}) == Path("/env")


def test_relative_xdg_directories_are_ignored() -> None:
    assert config_path(HOME | {"XDG_CONFIG_HOME": "relative"}) == Path(
        "/home/op/.config/watchfloor/config.toml"
    )


def test_packaged_config_exists() -> None:
    assert packaged_config().is_file()


def test_socket_is_in_the_state_directory_when_its_path_fits() -> None:
    assert socket_path(Path("/s"), "", HOME) == Path("/s/watch.sock")
    assert socket_path(Path("/s"), "/run/w.sock", HOME) == Path("/run/w.sock")


@pytest.mark.parametrize(
    "environ", [HOME, HOME | {"XDG_RUNTIME_DIR": "/run/user/1000"}, HOME | {"XDG_RUNTIME_DIR": "/r" * 60}]
)
def test_long_state_directories_get_a_short_socket_of_their_own(environ: dict[str, str]) -> None:
    one, other = Path("/s" + "é" * 60 + "/one"), Path("/s" + "é" * 60 + "/two")
    sockets = {socket_path(root, "", environ) for root in (one, one, other)}
    assert len(sockets) == 2
    assert all(len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES for path in sockets)


def test_create_makes_private_directories(tmp_path: Path) -> None:
    paths = state_paths(str(tmp_path / "a" / "b"), environ=HOME, create=True)
    assert paths.root.stat().st_mode & 0o777 == 0o700
    assert paths.logs.is_dir()
    assert paths.database.parent == paths.pid_file.parent == paths.socket.parent == paths.root


def test_a_directory_open_to_others_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    open_private(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StateDirError, match=r"state.*set WATCHFLOOR_STATE"):
        open_private(tmp_path / "state")
    with pytest.raises(StateDirError, match="Not a directory"):
        open_private(tmp_path / "state" / "below")


def test_a_directory_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(StateDirError, match="belongs to uid"):
        open_private(tmp_path)


def test_an_unwritable_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_args: False)
    with pytest.raises(StateDirError, match=r"cannot write .* set WATCHFLOOR_STATE"):
        open_private(tmp_path)
    with pytest.raises(StateDirError, match="cannot make the state directory"):
        open_private(Path("/proc/watchfloor"))
