"""Codes in, words out."""

from __future__ import annotations

import pytest

from backends.gpu import words


def test_throttle_reasons_are_named_and_idle_is_none() -> None:
    assert words.throttle(None) is None
    assert words.throttle(0) == ()
    assert words.throttle(0x1) == ()
    assert words.throttle(0x4 | 0x40) == ("power cap", "hardware thermal limit")
    assert words.throttle(0x8000) == ("other (0x8000)",)


def test_advice_is_none_when_unknown_and_says_none_when_there_is_none() -> None:
    assert words.recovery_action(None) is None
    assert words.recovery_action(0) == "none"
    assert words.recovery_action(2) == "reboot the host"
    assert words.recovery_action(99) == "unknown advice 99"


@pytest.mark.parametrize("code", [13, 31, 43, 45, 68, 109])
def test_xids_that_applications_cause_are_called_so(code: int) -> None:
    assert words.xid_class(code) == words.APPLICATION
    assert words.xid(code).endswith("(application)")


@pytest.mark.parametrize("code", [48, 64, 74, 79, 95])
def test_xids_of_broken_hardware_are_called_so(code: int) -> None:
    assert words.xid_class(code) == words.HARDWARE


def test_an_unknown_xid_is_not_guessed() -> None:
    assert words.xid_class(999) is None
    assert "999" in words.xid(999)


def test_each_trouble_has_its_own_word_and_next_step() -> None:
    mismatch = words.trouble("nvml", code=18, kernel="550.54.15", library="550.90.07")
    assert mismatch.status == "driver mismatch"
    for part in ("550.54.15", "550.90.07", "reboot", "reload"):
        assert part in mismatch.reason
    troubles = [
        mismatch,
        words.trouble("no-library"),
        words.trouble("no-binding"),
        words.trouble("wrong-binding", path="/x/pynvml.py"),
        words.trouble("nvml", code=4),
        words.trouble("nvml", code=9),
        words.trouble("nvml", code=999),
    ]
    assert len({trouble.status for trouble in troubles}) == len(troubles)
    assert all(trouble.reason for trouble in troubles)


def test_gpu_errors_are_told_apart() -> None:
    states = {words.gpu_error(code).status for code in (4, 15, 16, 17, 999)}
    assert states == {"no permission", "lost", "reset required", "blocked", "error"}
