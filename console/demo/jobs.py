"""The work of the demo: small, but really done, on files in the demo's own folder."""

from __future__ import annotations

import json
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from console.demo.agent import Steps
from console.demo.home import Home

#: Results older than this may go.
OLD_S = 10.0
TRAINING_STEPS = 40
LEARNING_RATE = 0.05


def build(home: Home, item: dict[str, Any]) -> Steps:
    """Pack the files of a repository into one result."""
    files = _files(home.root / _payload(item)["source"])
    packed = b""
    for number, file in enumerate(files, 1):
        packed += zlib.compress(file.read_bytes())
        yield 100 * number / len(files), f"packed {file.name}"
    (home.results / f"{item['id']}.pack").write_bytes(packed)


def check(home: Home, item: dict[str, Any]) -> Steps:
    """Compile a script; one that is broken fails as it would anywhere."""
    script = home.root / _payload(item)["script"]
    yield 20, f"reading {script.name}"
    source = script.read_text()
    yield 60, f"{len(source.splitlines())} lines"
    compile(source, script.name, "exec")
    yield 100, "compiles"


def import_feed(home: Home, item: dict[str, Any]) -> Steps:
    """Read a feed, which may not have been delivered yet."""
    feed = home.feeds / _payload(item)["feed"]
    yield 10, f"looking for {feed.name}"
    if not feed.exists():
        raise FileNotFoundError(f"feed {feed.name} has not been delivered")
    rows = json.loads(feed.read_text())
    yield 100, f"{len(rows)} rows"


def train(home: Home, item: dict[str, Any]) -> Steps:
    """Fit a line to points by gradient descent."""
    points = [(x / 10, 3 * x / 10 + 1) for x in range(20)]
    slope = offset = 0.0
    for step in range(1, TRAINING_STEPS + 1):
        errors = [(slope * x + offset - y, x) for x, y in points]
        slope -= LEARNING_RATE * sum(2 * error * x for error, x in errors) / len(points)
        offset -= LEARNING_RATE * sum(2 * error for error, _ in errors) / len(points)
        loss = sum(error * error for error, _ in errors) / len(points)
        yield 100 * step / TRAINING_STEPS, f"step {step}, loss {loss:.3f}"
    (home.results / f"{item['id']}.model").write_text(json.dumps({"slope": slope, "offset": offset}))


def index(home: Home, item: dict[str, Any]) -> Steps:
    """Count the words of every file in the repositories."""
    words: Counter[str] = Counter()
    files = _files(home.code)
    for number, file in enumerate(files, 1):
        words.update(file.read_text(errors="replace").split())
        yield 100 * number / len(files), f"{len(words)} words"
    (home.results / f"{item['id']}.words").write_text(json.dumps(words.most_common(50)))


def crawl(home: Home, item: dict[str, Any]) -> Steps:
    """Walk the demo's folders."""
    folders = sorted(path for path in home.code.rglob("*") if path.is_dir() and ".git" not in path.parts)
    for number, folder in enumerate(folders, 1):
        yield 100 * number / len(folders), f"{folder.name}: {sum(1 for _ in folder.iterdir())} entries"


def report(home: Home, item: dict[str, Any]) -> Steps:
    """Add up what was made."""
    yield 30, "counting"
    sizes = {path.name: path.stat().st_size for path in home.results.iterdir()}
    yield 100, f"{len(sizes)} results, {sum(sizes.values())} bytes"
    (home.results / "report.json").write_text(json.dumps(sizes))


def notify(home: Home, item: dict[str, Any], recipients: list[str]) -> Steps:
    """Write to whom it may concern."""
    for number, recipient in enumerate(recipients, 1):
        with (home.results / "notices.txt").open("a") as notices:
            notices.write(f"to {recipient}: {item['title']}\n")
        yield 100 * number / len(recipients), f"told {recipient}"


def clean(old: list[Path]) -> Steps:
    """Delete results."""
    for number, file in enumerate(old, 1):
        file.unlink(missing_ok=True)
        yield 100 * number / len(old), f"deleted {file.name}"


def old_results(home: Home) -> list[Path]:
    """What :func:`clean` would delete: packs that nobody has touched for a while, oldest first."""
    limit = time.time() - OLD_S
    return sorted(path for path in home.results.glob("*.pack") if path.stat().st_mtime < limit)[:8]


JOBS: dict[str, Callable[[Home, dict[str, Any]], Steps]] = {
    "build": build,
    "test": check,
    "import": import_feed,
    "train": train,
    "index": index,
    "crawl": crawl,
    "report": report,
}


def _payload(item: dict[str, Any]) -> dict[str, str]:
    payload: dict[str, str] = json.loads(item["payload"])
    return payload


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
