"""kill -9 of the watch at random under load: ``make crash`` (WATCHFLOOR_KILLS, default 200)."""

from __future__ import annotations

import os
from pathlib import Path

from crash.kills import kill_again_and_again

KILLS = int(os.environ.get("WATCHFLOOR_KILLS", "200"))


def test_nothing_acknowledged_is_lost_and_nothing_done_twice(tmp_path: Path) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    verdict = kill_again_and_again(tmp_path, KILLS, seed)
    print(f"\n{KILLS} kills, seed {seed}; acknowledged: {dict(verdict.promises)}")
    assert not verdict.wrong, (seed, verdict.wrong[:20])
    assert verdict.promises["completed"] >= KILLS
