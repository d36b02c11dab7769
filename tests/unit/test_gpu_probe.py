"""The probe's own rules: who may be named, what may be touched, which driver may be believed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backends.gpu.probe import library
from backends.gpu.probe.library import Trouble, load, parse_kernel_module_version
from backends.gpu.probe.processes import ProcessNames
from backends.gpu.probe.sampler import host_memory
from backends.gpu.probe.slots import PciPower, scrambles_pids, sysfs_address

FIRST_NAMESPACE = "pid:[4026531836]"


def proc(root: Path, namespace: str = FIRST_NAMESPACE) -> Path:
    (root / "proc/self/ns").mkdir(parents=True)
    (root / "proc/self/ns/pid").symlink_to(namespace)
    return root / "proc"


def add_process(folder: Path, pid: int, command: bytes, uid: int = 0) -> None:
    (folder / str(pid)).mkdir()
    (folder / str(pid) / "cmdline").write_bytes(command)
    (folder / str(pid) / "status").write_text(f"Name:\tx\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")


def test_a_process_has_its_user_and_command(tmp_path: Path) -> None:
    add_process(proc(tmp_path), 1234, b"python\0train.py\0")
    assert ProcessNames(str(tmp_path)).of(1234, 0.0) == ("root", "python train.py")


def test_a_user_without_an_account_is_a_number(tmp_path: Path) -> None:
    add_process(proc(tmp_path), 1234, b"x\0", uid=3_999_999)
    assert ProcessNames(str(tmp_path)).of(1234, 0.0)[0] == "3999999"


def test_a_vanished_process_has_no_name(tmp_path: Path) -> None:
    proc(tmp_path)
    assert ProcessNames(str(tmp_path)).of(1234, 0.0) == (None, None)


def test_inside_a_pid_namespace_nobody_is_named(tmp_path: Path) -> None:
    """The driver counts host pids: here the same number is somebody else."""
    add_process(proc(tmp_path, "pid:[4026532999]"), 1234, b"innocent\0")
    assert ProcessNames(str(tmp_path)).of(1234, 0.0) == (None, None)


def test_a_pid_that_ended_is_not_remembered(tmp_path: Path) -> None:
    folder = proc(tmp_path)
    add_process(folder, 1234, b"first\0")
    names = ProcessNames(str(tmp_path))
    names.of(1234, 0.0)
    names.keep_only(set())
    (folder / "1234/cmdline").write_bytes(b"second\0")
    assert names.of(1234, 0.1)[1] == "second"


def pci(root: Path, address: str, **files: str) -> None:
    folder = root / "sys/bus/pci/devices" / address
    (folder / "power").mkdir(parents=True)
    for name, text in {"vendor": "0x10de", "class": "0x030200", **files}.items():
        (folder / name.replace("power_", "power/")).write_text(text + "\n")


def test_a_suspended_gpu_is_seen_without_touching_it(tmp_path: Path) -> None:
    pci(tmp_path, "0000:01:00.0", power_runtime_status="suspended", power_control="auto")
    pci(tmp_path, "0000:02:00.0", power_runtime_status="active", power_control="on")
    pci(tmp_path, "0000:01:00.1", **{"class": "0x040300"})  # its sound device
    pci(tmp_path, "0000:00:02.0", vendor="0x8086")
    power = PciPower(str(tmp_path))
    assert power.gpus() == ["0000:01:00.0", "0000:02:00.0"]
    assert power.suspended("0000:01:00.0")
    assert power.may_sleep("0000:01:00.0")
    assert not power.suspended("0000:02:00.0")
    assert not power.may_sleep("0000:02:00.0")
    assert not power.suspended("0000:77:00.0")


def test_a_sleeping_gpus_model_comes_from_the_kernel_module(tmp_path: Path) -> None:
    folder = tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0"
    folder.mkdir(parents=True)
    (folder / "information").write_text("Model: \t\t NVIDIA GeForce RTX 4090\nIRQ:   \t\t 180\n")
    assert PciPower(str(tmp_path)).model("0000:01:00.0") == "NVIDIA GeForce RTX 4090"
    assert PciPower(str(tmp_path)).model("0000:02:00.0") == ""


def test_nvml_addresses_are_found_in_sysfs() -> None:
    assert sysfs_address("00000000:0A:00.0") == "0000:0a:00.0"
    assert sysfs_address("00010000:01:00.0") == "10000:01:00.0"
    assert sysfs_address("0000:01:00.0") == "0000:01:00.0"


@pytest.mark.parametrize(
    ("driver", "scrambled"),
    [
        ("535.43.02", True),
        ("535.86.10", True),
        ("535.98", False),
        ("535.104.05", False),
        ("575.57", False),
        ("", False),
    ],
)
def test_drivers_with_scrambled_process_lists_are_known(driver: str, scrambled: bool) -> None:
    assert scrambles_pids(driver) is scrambled


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar 5 2024\n", "550.54.15"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release\n", "570.86.15"),
        ("garbage", None),
        ("", None),
    ],
)
def test_the_kernel_modules_version_is_found(text: str, version: str | None) -> None:
    assert parse_kernel_module_version(text) == version


def test_no_library_anywhere_is_told_from_a_bad_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(library, "SONAME", "libnvidia-ml-that-is-nowhere.so.1")
    with pytest.raises(Trouble) as none:
        load(None, elsewhere=())
    assert none.value.why == "no-library"
    not_a_library = tmp_path / "libnvidia-ml.so.1"
    not_a_library.write_text("text")
    with pytest.raises(Trouble) as bad:
        load(os.fspath(not_a_library))
    assert bad.value.why == "bad-library"


def test_host_memory_is_unknown_without_meminfo(tmp_path: Path) -> None:
    assert host_memory(str(tmp_path)) == (None, None)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n")
    assert host_memory(str(tmp_path)) == (1000 * 1024, 600 * 1024)
