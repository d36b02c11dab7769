"""What config.toml declares, what systemd prints, what session files hold: decoding, judged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.agents.declared import DeclaredAgent, DiscoverPattern
from backends.agents.declared_reader import combine
from backends.agents.limits import Limits, Stall
from backends.agents.probe_network import listening_inodes
from backends.agents.probe_process import Found, check_pid_file
from backends.agents.probe_unit import judge_unit, parse_units
from backends.agents.sessions import parse_session, read_sessions, sessions_folder
from backends.model import Process, ProcessRef

NOW = 1_700_000_000_000


def decode(**raw: Any) -> DeclaredAgent:
    return msgspec.convert(raw, DeclaredAgent)


def test_a_declaration_decodes() -> None:
    agent = decode(name="a", match={"unit": "a.service", "port": 80}, start=["a", "--now"], unit_user=True)
    assert agent.match.kinds() == ("unit", "port")
    assert agent.can_start
    assert not decode(name="a", match={"port": 80}).can_start
    assert decode(name="a", match={"unit": "a.service"}).can_start


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"name": "a", "match": {}}, "at least one of"),
        ({"name": "a", "match": {"address": "::1"}}, "at least one of"),
        ({"name": " ", "match": {"port": 1}}, "name is empty"),
        ({"name": "a", "match": {"port": 0}}, "port 0"),
        ({"name": "a", "match": {"port": 65536}}, "port 65536"),
        ({"name": "a", "match": {"command": "(a+)+"}}, "exponential"),
        ({"name": "a", "match": {"unit": "--version"}}, "not a unit name"),
        ({"name": "a", "match": {"health_url": "ftp://x"}}, "not an http"),
        ({"name": "a", "match": {"health_url": "http://x:99999"}}, "health_url"),
        ({"name": "a", "match": {"health_url": "http://x/\r\nHost: y"}}, "percent-encode"),
        ({"name": "a", "match": {"port": 1}, "start": []}, "start is empty"),
        ({"name": "a", "match": {"port": 1}, "start": "a --now"}, "array"),
        ({"name": "a", "match": {"port": 1}, "unit_user": True}, "match.unit is not"),
        ({"name": "a", "match": {"port": 1}, "restart_policy": "sometimes"}, "sometimes"),
        ({"name": "a", "match": {"prot": 1}}, "prot"),
        ({"name": "a", "match": {"port": 1}, "probe_timeout_s": 0}, "probe_timeout_s"),
    ],
)
def test_a_wrong_declaration_says_what_is_wrong(raw: dict[str, Any], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        decode(**raw)


def test_patterns_and_limits_are_checked() -> None:
    with pytest.raises(ValueError, match="empty"):
        DiscoverPattern(name="x", command="")
    with pytest.raises(ValueError, match="warn_s"):
        Stall(warn_s=10, critical_s=5)
    with pytest.raises(ValueError, match="at least 1"):
        Limits(crash_loop_starts=0)
    assert Limits(stall_by_kind={"fast": Stall(warn_s=1, critical_s=2)}).stall_of("fast").warn_s == 1
    assert Limits().stall_of("other") == Stall()


SHOWN = b"""Id=a.service
LoadState=loaded
ActiveState=failed
SubState=failed
MainPID=0
NRestarts=4
Result=exit-code
ExecMainStatus=3
ExecMainCode=1

Id=b.service
LoadState=loaded
ActiveState=active
SubState=running
MainPID=77
NRestarts=0
Result=success
ExecMainStatus=0
ExecMainCode=0

Id=c.service
LoadState=not-found
ActiveState=inactive
SubState=dead
"""


def test_units_are_read_in_the_order_asked_for() -> None:
    units = parse_units(["a.service", "b.service", "c.service"], SHOWN)
    assert (units["a.service"].restarts, units["a.service"].exit_status, units["a.service"].killed) == (
        4,
        3,
        False,
    )
    assert judge_unit(units["a.service"]) == Found(False, "a.service is failed (failed)")
    assert judge_unit(units["b.service"]) == Found(True, "b.service is active (running)", (77,))
    assert judge_unit(units["c.service"]).says == "there is no unit c.service"


@given(st.binary(max_size=300))
def test_whatever_systemctl_prints(output: bytes) -> None:
    for unit in parse_units(["a", "b"], output).values():
        judge_unit(unit)


def test_running_means_every_process_probe_agrees() -> None:
    yes, no, unknown = Found(True, "y", (1,)), Found(False, "n"), Found(None, "?")
    cases = [
        ({"command": yes, "health_url": no}, True, False),
        ({"command": yes, "unit": no}, False, None),
        ({"command": yes, "unit": unknown}, None, None),
        ({"unit": unknown, "command": no}, False, None),
        ({"port": yes}, True, True),
        ({"port": yes, "health_url": no}, False, False),
        ({"port": unknown}, None, None),
    ]
    for found, running, responding in cases:
        report = combine("a", found, None, NOW)
        assert (report.running, report.responding) == (running, responding), found


def named(pid: int, started_at: int) -> dict[int, Process]:
    return {
        pid: Process(f"h:{pid}:1", "h", ProcessRef(pid, 1), 1, "x", "x", "u", "S", started_at, 0.0, 1, NOW)
    }


def test_pid_files(tmp_path: Path) -> None:
    path = tmp_path / "a.pid"
    assert check_pid_file(str(path), {}).ok is False
    path.write_text("123\n")
    os.utime(path, (NOW / 1000, NOW / 1000))
    assert check_pid_file(str(path), named(123, NOW - 5_000)) == Found(
        True, f"{path} names process 123", (123,)
    )
    reused = check_pid_file(str(path), named(123, NOW + 60_000))
    assert (reused.ok, reused.abandoned) == (False, True)
    assert "started 1m after the file was written" in reused.says
    gone = check_pid_file(str(path), {})
    assert (gone.ok, gone.abandoned) == (False, True)
    for content in ("", "x", "-1", "9" * 30, "\x00"):
        path.write_text(content)
        assert check_pid_file(str(path), {}).ok is None
    assert check_pid_file(str(tmp_path), {}).ok is None
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert check_pid_file(str(fifo), {}).ok is None


def test_listening_sockets() -> None:
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1\n"
        "   1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 4243 1\n"
        "   2: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4244 1\n"
        "garbage\n"
    )
    assert listening_inodes([table, ""], 0x1F90) == {"4242"}


def test_sessions_are_read_from_regular_files_only(tmp_path: Path) -> None:
    good = {
        "pid": 5,
        "procStart": "77",
        "status": "busy",
        "statusUpdatedAt": NOW,
        "name": "fix\x1b[2J",
        "cwd": "/w",
        "sessionId": "s",
    }
    (tmp_path / "5.json").write_bytes(msgspec.json.encode(good))
    (tmp_path / "pid-6.json").write_text('{"pid": 6}')
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "no.txt").write_text('{"pid": 9}')
    (tmp_path / "7.json").symlink_to(tmp_path / "5.json")
    os.mkfifo(tmp_path / "8.json")
    sessions = {session.pid: session for session in read_sessions(tmp_path, NOW)}
    assert set(sessions) == {5, 6}
    assert (sessions[5].start_ticks, sessions[5].status, sessions[5].name) == (77, "busy", "fix␛[2J")
    assert (sessions[6].start_ticks, sessions[6].status) == (None, "")
    assert read_sessions(tmp_path / "absent", NOW) == []


def test_sessions_folder_follows_the_environment() -> None:
    assert sessions_folder({"CLAUDE_CONFIG_DIR": "/x,/y"}) == Path("/x/sessions")
    assert sessions_folder({}) == Path.home() / ".claude" / "sessions"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["pid", "procStart", "status", "statusUpdatedAt", "name", "cwd", "sessionId"]),
        json_values,
    )
)
def test_whatever_a_session_file_holds(raw: dict[str, Any]) -> None:
    parse_session(msgspec.json.encode(raw), NOW)


@given(st.binary(max_size=100))
def test_whatever_bytes_a_session_file_holds(data: bytes) -> None:
    parse_session(data, NOW)
