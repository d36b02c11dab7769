"""Durations and sizes in words."""

from __future__ import annotations

import pytest

from backends.units import count_words, duration_words, size_words


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "0ms"),
        (999, "999ms"),
        (1_000, "1s"),
        (59_999, "59s"),
        (60_000, "1m"),
        (250_000, "4m10s"),
        (3_600_000, "1h"),
        (12_000_000, "3h20m"),
        (187_200_000, "2d4h"),
        (86_400_000 + 59_000, "1d"),
        (-5_000, "-5s"),
    ],
)
def test_durations(ms: int, words: str) -> None:
    assert duration_words(ms) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (1536, "1.50 KiB"),
        (50 << 20, "50.0 MiB"),
        (400 << 20, "400 MiB"),
        (1023 << 20, "1.00 GiB"),
        (23_400 << 20, "22.9 GiB"),
        (5_000 << 40, "5000 TiB"),
        (-2048, "-2.00 KiB"),
    ],
)
def test_sizes(count: int, words: str) -> None:
    assert size_words(count) == words


def test_counts() -> None:
    assert [count_words(number, "item") for number in (0, 1, 2)] == ["0 items", "1 item", "2 items"]
    assert count_words(2, "lease was", "leases were") == "2 leases were"
