"""What /proc says, including what hostile programs make it say."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.fleet import procfs
from backends.model import Pressure

TAIL = (
    b" S 7 1 1 0 -1 4194560 37 33 0 0 26 17 346 84 20 0 13 0 8123 48533504 4262 1844674407370955 1 1 0 0 0 0"
)
LONG_TAIL = TAIL + b" 0 4096 1256 0 0 0 17 1 0 0 0 0 0 11 12 13 140737 140800 140801 140900 0"


def test_a_stat_line() -> None:
    stat = procfs.parse_stat(b"42 (python)" + LONG_TAIL + b"\n")
    assert (stat.pid, stat.name, stat.state, stat.parent_pid) == (42, b"python", "S", 7)
    assert stat.cpu_ticks == 26 + 17
    assert (stat.threads, stat.start_ticks) == (13, 8123)
    assert stat.rss_bytes == 4262 * procfs.PAGE_BYTES
    assert stat.arguments_at == b"140737"


@pytest.mark.parametrize(
    "name",
    [
        b") S 1 (",
        b"a) R 1 1",
        b"((((",
        b"))))",
        b"new\nline",
        b"\x1b]52;c;AAAA\x07",
        b"\xff\xfe\x80",
        b"",
        b" ",
    ],
)
def test_a_process_cannot_forge_its_fields_through_its_name(name: bytes) -> None:
    stat = procfs.parse_stat(b"42 (" + name + b")" + TAIL)
    assert (stat.name, stat.state, stat.parent_pid, stat.start_ticks) == (name, "S", 7, 8123)


@given(st.binary(max_size=15))
def test_any_name_of_the_kernels_length_is_told_from_the_fields(name: bytes) -> None:
    assert procfs.parse_stat(b"1 (" + name + b")" + TAIL)[1:4] == (name, "S", 7)


@given(st.binary(max_size=200))
def test_garbage_is_a_value_error_and_nothing_else(line: bytes) -> None:
    with suppress(ValueError):
        procfs.parse_stat(line)


def test_a_command_line_is_joined_for_reading() -> None:
    assert procfs.join_command(b"python\0-m\0agent\0") == b"python -m agent"
    assert procfs.join_command(b"postgres: writer\0\0\0\0") == b"postgres: writer"
    assert procfs.join_command(b"") == b""


def test_cpu_counts_waiting_for_disks_as_idle() -> None:
    ticks, boot_at = procfs.parse_cpu(
        b"cpu  10 1 5 70 14 0 0 0 3 0\ncpu0 1 1 1 1\nintr 5\nbtime 1700000000\n"
    )
    assert ticks == procfs.CpuTicks(busy=16, total=100)
    assert boot_at == 1_700_000_000


def test_memory_used_is_what_cannot_be_given_away() -> None:
    memory = procfs.parse_meminfo(
        b"MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable:  60 kB\nSwapTotal: 10 kB\nSwapFree: 4 kB\n"
    )
    assert memory == procfs.Memory(40 * 1024, 100 * 1024, 6 * 1024, 10 * 1024)


def test_memory_without_swap_lines_says_unknown_not_zero() -> None:
    memory = procfs.parse_meminfo(b"MemTotal: 100 kB\nMemAvailable: 60 kB\n")
    assert memory.swap_total_bytes is None
    assert memory.swap_used_bytes is None


@pytest.mark.parametrize("bad", [b"", b"MemTotal: lots kB\n", b"MemFree: 1 kB\n"])
def test_meminfo_without_its_figures_is_refused(bad: bytes) -> None:
    with pytest.raises(ValueError, match="MemTotal"):
        procfs.parse_meminfo(bad)


def test_a_containers_limit_leaves_out_droppable_cache() -> None:
    assert procfs.parse_cgroup_memory(b"1000\n", b"700\n", b"anon 300\ninactive_file 250\n") == (450, 1000)
    assert procfs.parse_cgroup_memory(b"max\n", b"700\n", b"") is None


def test_pressure() -> None:
    memory = b"some avg10=1.50 avg60=0 avg300=0 total=1\nfull avg10=0.25 avg60=0 avg300=0 total=1\n"
    assert procfs.parse_pressure(None, memory, None) == Pressure(memory_some_pct=1.5, memory_full_pct=0.25)
    assert procfs.parse_pressure(None, None, None) is None


def test_disk_traffic_counts_each_byte_once() -> None:
    diskstats = (
        b"8 0 sda 1 0 100 0 1 0 200 0 0 0 0\n"
        b"8 1 sda1 1 0 100 0 1 0 200 0 0 0 0\n"
        b"253 0 dm-0 1 0 100 0 1 0 200 0 0 0 0\n"
        b"short line\n"
    )
    assert procfs.parse_diskstats(diskstats, lambda name: name == "sda") == (100 * 512, 200 * 512)


NET_DEV = (
    b"Inter-|   Receive |  Transmit\n face |bytes packets\n"
    b"    lo: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n"
    b"  eth0:100 0 0 0 0 0 0 0 20 0 0 0 0 0 0 0\n"
    b"docker0: 50 0 0 0 0 0 0 0 5 0 0 0 0 0 0 0\n"
)


def test_net_traffic_leaves_out_bridges_where_there_is_a_card() -> None:
    assert procfs.parse_net_dev(NET_DEV, lambda name: name == "eth0") == (100, 20)


def test_net_traffic_in_a_container_is_everything_but_the_loopback() -> None:
    assert procfs.parse_net_dev(NET_DEV, lambda name: False) == (150, 25)


def test_only_real_filesystems_and_each_device_once() -> None:
    mountinfo = (
        b"22 27 0:21 / /proc rw - proc proc rw\n"
        b"27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        b"28 27 254:0 /home /srv/bind rw - ext4 /dev/vda rw\n"
        b"29 27 254:16 / /mnt/my\\040disk rw shared:2 master:1 - xfs /dev/vdb rw\n"
        b"30 27 0:45 / /mnt/nfs rw - nfs4 server:/x rw\n"
        b"31 27 0:46 / /run rw - tmpfs tmpfs rw\n"
        b"garbage\n"
    )
    assert procfs.parse_mounts(mountinfo) == ["/", "/mnt/my disk", "/mnt/nfs"]
