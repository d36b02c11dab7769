"""The watch's socket, spoken to by garbage, by other versions, by too many and by those that do not read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from services.house_inside import opened
from services.watch_process import Watch, running, until

from backends.model import View
from console.watch.doors import MAX_DOORS, MAX_LINE_BYTES, Door
from console.wire import (
    MAX_FRAME_BYTES,
    PROTOCOL,
    Frames,
    FromWatch,
    Hello,
    Invoke,
    Refused,
    Reply,
    Shown,
    Subscribe,
    Totals,
    Welcome,
    decode_from_watch,
    frame,
)


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    with running(tmp_path_factory.mktemp("doors")) as started:
        yield started


class Raw:
    """A socket without manners."""

    def __init__(self, watch: Watch) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(watch.socket))  # blocking: it waits while the queue is full
        self.socket.settimeout(10)
        self._frames = Frames()
        self._bodies: list[bytes] = []
        self._text = b""

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hello(self) -> Welcome:
        self.send(frame(Hello(PROTOCOL, "test")))
        answer = self.frame()
        assert isinstance(answer, Welcome)
        return answer

    def frame(self) -> FromWatch | None:
        """The next frame; ``None`` when the door was closed."""
        while not self._bodies:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._bodies = self._frames.feed(data)
        return decode_from_watch(self._bodies.pop(0))

    def line(self) -> Any:
        """The next JSON line; ``None`` when the door was closed."""
        while b"\n" not in self._text:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._text += data
        line, _, self._text = self._text.partition(b"\n")
        return json.loads(line)

    def ask(self, **request: Any) -> Any:
        """One JSON request and its answer."""
        self.send(json.dumps(request).encode() + b"\n")
        return self.line()


def refused(raw: Raw) -> str:
    """Why the watch closed this door."""
    answer = raw.frame()
    assert isinstance(answer, Refused), answer
    assert raw.frame() is None  # and it is closed
    return answer.reason


def serves(watch: Watch) -> bool:
    """True while the watch answers others."""
    with watch.connect() as client:
        return client.invoke("status").failure is None


# --- frames ------------------------------------------------------------------------------------------


def test_another_version_is_told_which_one_is_spoken_here(watch: Watch) -> None:
    with Raw(watch) as raw:
        raw.send(frame(Hello(PROTOCOL + 1, "tui")))
        reason = refused(raw)
    assert f"protocol {PROTOCOL}" in reason
    assert f"{PROTOCOL + 1}" in reason
    assert "restart" in reason


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00\x00\x05\xc1\xc1\xc1\xc1\xc1",
        b"\x00\x00\x00\x00",
        b"\xff" * 64,
        (MAX_FRAME_BYTES + 1).to_bytes(4, "big"),
        frame(Invoke(1, "status")),  # no hello before it
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,  # TLS
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
    ],
    ids=["http", "not-msgpack", "empty-frame", "ff", "too-long", "no-hello", "tls", "ssh"],
)
def test_garbage_gets_a_reason_and_a_closed_door(watch: Watch, garbage: bytes) -> None:
    with Raw(watch) as raw:
        raw.send(garbage)
        assert refused(raw)
    assert serves(watch)


def test_garbage_after_the_hello_closes_the_door_too(watch: Watch) -> None:
    with Raw(watch) as raw:
        raw.hello()
        raw.send((3).to_bytes(4, "big") + b"\xc1\xc1\xc1")
        assert refused(raw)
    assert serves(watch)


def test_a_byte_at_a_time_is_understood(watch: Watch) -> None:
    with Raw(watch) as raw:
        for byte in frame(Hello(PROTOCOL, "test")) + frame(Invoke(7, "status")):
            raw.send(bytes([byte]))
        assert isinstance(raw.frame(), Welcome)
        reply = raw.frame()
        assert isinstance(reply, Reply)
        assert reply.id == 7


def test_half_a_frame_and_gone_harms_nobody(watch: Watch) -> None:
    for cut in (1, 3, 5, 9):
        with Raw(watch) as raw:
            raw.send(frame(Hello(PROTOCOL, "test"))[:cut])
    with Raw(watch) as raw:
        raw.hello()
        raw.send(frame(Invoke(1, "status"))[:-1])
    assert serves(watch)


def test_requests_in_one_packet_are_all_answered(watch: Watch) -> None:
    with Raw(watch) as raw:
        raw.send(frame(Hello(PROTOCOL, "t")) + b"".join(frame(Invoke(n, "status")) for n in range(200)))
        assert isinstance(raw.frame(), Welcome)
        replies = [raw.frame() for _ in range(200)]
    assert {reply.id for reply in replies if isinstance(reply, Reply)} == set(range(200))


def test_a_private_word_of_the_client_is_recorded_beside_the_uid(watch: Watch) -> None:
    with Raw(watch) as raw:
        raw.send(frame(Hello(PROTOCOL, "test", "builder-7\x1b]0;x\x07")))
        assert isinstance(raw.frame(), Welcome)
        raw.send(frame(Invoke(1, "add-work", (), {"type": "t", "title": "x"})))
        raw.frame()
    with watch.connect() as client:
        records = client.invoke("audit", args={"limit": 1}).outcomes[0].data
    assert records[0]["actor"].startswith(f"uid:{os.getuid()} ")
    assert " as builder-7" in records[0]["actor"]
    assert "\x1b" not in records[0]["actor"]
    assert records[0]["door"] == "test"


# --- JSON lines --------------------------------------------------------------------------------------


def test_an_agent_in_any_language_does_its_work_in_json_lines(watch: Watch) -> None:
    with Raw(watch) as raw:
        added = raw.ask(id=1, verb="add-work", args={"type": "json", "title": "lines"})
        assert added["id"] == 1
        assert added["ok"] is True
        (lease,) = raw.ask(id="two", verb="claim", args={"agent": "j1", "type": ["json"]})["data"]
        item, fence = lease["item"]["id"], lease["fence"]
        assert item == added["data"]["id"]
        assert raw.ask(verb="progress", target=item, args={"percent": 50, "fence": fence})["ok"] is True
        assert raw.ask(verb="complete", target=item, args={"fence": fence})["data"]["state"] == "succeeded"
        lost = raw.ask(id=5, verb="complete", target=item, args={"fence": 10**6})
    assert lost["ok"] is False
    assert lost["error"]["code"] == 4
    assert lost["id"] == 5


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b'{"verb"}',
        b'{"verb": 5}',
        b'{"verb": "status", "args": []}',
        b'{"verb": "status", "targets": "x"}',
        b'{"id": 1}',
        b"{}",
        b'{"verb": "\xff\xfe"}',
        b'{"verb": "claim", "args": {"agent": "\\ud800"}}',
        b'{"verb": "status", "args": {"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}}",
    ],
    ids=["cut", "no-value", "verb-number", "args-list", "targets-text", "no-verb", "empty", "not-utf8",
         "surrogate", "deep"],
)  # fmt: skip
def test_a_bad_line_is_answered_and_the_next_one_is_heard(watch: Watch, line: bytes) -> None:
    with Raw(watch) as raw:
        raw.send(line + b"\n")
        answer = raw.line()
        assert answer["ok"] is False
        assert answer["error"]["code"] == 2, answer
        assert raw.ask(verb="status")["ok"] is True


def test_unknown_verbs_and_wrong_types_are_usage_errors_with_the_nearest_name(watch: Watch) -> None:
    with Raw(watch) as raw:
        answer = raw.ask(verb="stauts")
        assert answer["error"]["code"] == 2
        assert "status" in answer["error"]["message"]
        assert raw.ask(verb="claim", args={"agent": ["x"]})["error"]["code"] == 2
        assert raw.ask(verb="claim", args={})["error"]["code"] == 2
        assert raw.ask(verb="claim", args={"agent": "a", "nosuch": 1})["error"]["code"] == 2
        assert raw.ask(verb="progress", target="w1", args={"percent": None})["error"]["code"] == 2


def test_json_can_ask_confirm_and_try_dry(watch: Watch) -> None:
    with Raw(watch) as raw:
        item = raw.ask(verb="add-work", args={"type": "t", "title": "x"})["data"]["id"]
        dry = raw.ask(verb="cancel", target=item, dry_run=True)
        assert dry["ok"] is True
        assert dry["data"][0]["steps"] == [f"cancel {item}"]
        asked = raw.ask(verb="cancel", target=item)
        assert asked["ok"] is False
        assert "'y'" in asked["error"]["message"]
        assert raw.ask(verb="cancel", target=item, confirmed="y")["ok"] is True


def test_a_line_without_end_closes_the_door(watch: Watch) -> None:
    with Raw(watch) as raw:
        with contextlib.suppress(BrokenPipeError):
            raw.send(b'{"verb": "' + b"x" * (3 * MAX_LINE_BYTES))
        answer = raw.line()
        assert answer is None or answer["ok"] is False
        assert answer is None or raw.line() is None
    assert serves(watch)


def test_a_batch_with_a_lost_lease_is_answered_in_json(watch: Watch) -> None:
    with Raw(watch) as raw:
        answer = raw.ask(verb="complete-many", args={"items": [["nosuch", 1, None]]})
    assert answer["ok"] is False
    assert answer["error"]["code"] == 4
    assert "nosuch" in answer["data"][0]["error"]


# --- who and how many ----------------------------------------------------------------------------------


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_another_user_is_refused_even_where_the_file_would_let_him_in(watch: Watch) -> None:
    opened = [watch.socket, *watch.socket.parents]
    modes = {path: path.stat().st_mode for path in opened if path.stat().st_mode & 0o005 != 0o005}
    code = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
        "s.settimeout(10); sys.stdout.buffer.write(s.recv(4096))"
    )
    try:
        for path in modes:
            path.chmod(0o777)
        watch.socket.chmod(0o777)
        done = subprocess.run(
            ["/usr/bin/env", "python3", "-c", code, str(watch.socket)],
            user=65534,
            group=65534,
            extra_groups=[],
            capture_output=True,
            timeout=20,
            check=False,
            cwd="/",
        )
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
        watch.socket.chmod(0o600)
    answer = decode_from_watch(Frames().feed(done.stdout)[0])
    assert isinstance(answer, Refused), done.stderr
    assert "uid 65534" in answer.reason


def test_the_socket_is_its_owners_alone(watch: Watch) -> None:
    assert watch.socket.stat().st_mode & 0o777 == 0o600


def test_more_connections_than_there_are_doors_are_told_so(watch: Watch) -> None:
    raws = [Raw(watch) for _ in range(600)]
    try:
        for raw in raws[-50:]:
            assert f"{MAX_DOORS} connections" in refused(raw)
        assert raws[0].hello().pid == watch.pid  # the others are served
    finally:
        for raw in raws:
            raw.socket.close()
    until(watch.reachable, "a door is free again")


# --- those that do not read ----------------------------------------------------------------------------


def memory_bytes(watch: Watch) -> int:
    """Resident memory of the watch."""
    return int(Path(f"/proc/{watch.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_ticks(watch: Watch) -> int:
    """Processor time of the watch."""
    fields = Path(f"/proc/{watch.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def rests(watch: Watch) -> bool:
    """True when the watch hardly worked for a while."""
    before = cpu_ticks(watch)
    time.sleep(0.2)
    return cpu_ticks(watch) - before <= 4


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_client_that_asks_and_does_not_read_is_not_read_either(watch: Watch) -> None:
    """Without a limit the answers to these requests would fill some 400 MB."""
    with watch.connect() as client:
        for number in range(300):
            client.invoke("add-work", args={"type": "big", "title": f"{number} " + "x" * 400})
    listing = frame(Invoke(1, "list-work", (), {"limit": 300}))
    before = memory_bytes(watch)
    with Raw(watch) as raw:
        raw.hello()
        raw.socket.setblocking(False)
        sent, deadline = 0, time.monotonic() + 3
        blocked_since = None
        while sent < 2_000 and time.monotonic() < deadline:
            try:
                raw.socket.send(listing)
            except BlockingIOError:
                blocked_since = blocked_since or time.monotonic()
                if time.monotonic() - blocked_since > 0.3:
                    break
            else:
                sent, blocked_since = sent + 1, None
        assert serves(watch)
        until(lambda: rests(watch), "a watch that has done what it can", 30)
        assert memory_bytes(watch) - before < 60 << 20
        raw.socket.settimeout(20)
        assert isinstance(raw.frame(), Reply)  # when it reads, it is answered


def test_a_view_that_is_not_read_is_sent_again_only_when_it_is(watch: Watch) -> None:
    with Raw(watch) as raw:
        raw.hello()
        raw.send(frame(Subscribe(1, View("work", sort="age", descending=True, count=5))))
        raw.send(frame(Subscribe(2, View("summary"))))
        with watch.connect() as client:
            for number in range(200):
                client.invoke("add-work", args={"type": "v", "title": str(number)})
        seen: list[FromWatch] = []

        def newest() -> bool:
            seen.append(raw.frame())  # type: ignore[arg-type]
            shown = [message for message in seen if isinstance(message, Shown)]
            return bool(shown) and any(b"199" in bytes(message.rows) for message in shown)

        until(newest, "the newest item on top")
    assert sum(isinstance(message, Shown) for message in seen) < 60  # not one a change
    assert any(isinstance(message, Totals) for message in seen)


async def test_a_door_that_says_nothing_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with opened(tmp_path / "house") as inside:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(
            lambda: Door(inside.house, inside.dispatcher, set(), hello_timeout_s=0.05), str(path)
        )
        reader, writer = await asyncio.open_unix_connection(str(path))
        async with asyncio.timeout(10):
            data = await reader.read()
        writer.close()
        server.close()
    (body,) = Frames().feed(data)
    answer = decode_from_watch(body)
    assert isinstance(answer, Refused)
    assert "nothing was said" in answer.reason


async def test_half_a_hello_does_not_keep_the_door_open(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with opened(tmp_path / "house") as inside:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(
            lambda: Door(inside.house, inside.dispatcher, set(), hello_timeout_s=0.05), str(path)
        )
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(frame(Hello(PROTOCOL, "test"))[:6])
        async with asyncio.timeout(10):
            assert await reader.read()
        writer.close()
        server.close()
