"""A short form of ``make crash``, and that its checker would see a broken promise."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from crash.kills import kill_again_and_again
from crash.workers import check
from services.watch_process import running


def test_five_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    verdict = kill_again_and_again(tmp_path, 5, seed=1)
    assert not verdict.wrong, verdict.wrong[:20]
    assert verdict.promises["completed"] >= 5


def test_the_checker_sees_every_kind_of_broken_promise(tmp_path: Path) -> None:
    with running(tmp_path) as watch, watch.connect() as client:
        for item in ("a", "b"):
            client.invoke("add-work", args={"type": "t", "title": item, "id": item})
        for _ in range(2):
            (lease,) = client.invoke("claim", args={"agent": "c"}).outcomes[0].data
            args = {"fence": lease["fence"], "result": str(lease["fence"])}
            client.invoke("complete", (lease["item"]["id"],), args)
        watch.end()
    log = tmp_path / "c.log"

    def wrong(*promises: dict[str, object]) -> str:
        log.write_text("".join(json.dumps(promise) + "\n" for promise in promises))
        return "; ".join(check(watch.database, tmp_path).wrong)

    assert wrong({"what": "completed", "item": "a", "fence": 1}) == ""
    assert "lost: " in wrong({"what": "added", "item": "c"})
    assert "lost attempt" in wrong({"what": "claimed", "item": "a", "fence": 9})
    assert "lost end" in wrong({"what": "failed", "item": "a", "fence": 1})
    assert "done twice" in wrong(
        {"what": "completed", "item": "a", "fence": 1}, {"what": "completed", "item": "a", "fence": 2}
    )
    with sqlite3.connect(watch.database) as sql:
        sql.execute("DELETE FROM audit WHERE seq = 2")
    sql.close()
    assert "audit chain" in wrong()
