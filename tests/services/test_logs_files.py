"""Logs of real processes: one JSON object a line, rotated, redacted, and nothing on the terminal."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.logs import LogFile, open_log

SECRET = "sk-" + "ant-" + "api03-" + "a1B2" * 20


def run(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(directory)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_everything_goes_to_the_file_and_nothing_to_the_terminal(tmp_path: Path) -> None:
    done = run(
        f"""
        import asyncio, logging, sys, warnings
        from pathlib import Path
        from console.logs import open_log
        open_log(Path(sys.argv[1]), "watch")
        log = logging.getLogger("watch.gpu")
        log.debug("not wanted")
        log.info("hello %s", "there", extra={{"host": "a\\x1b[31m", "args_of": {{"api_key": "k"}}, "n": 3}})
        log.error("key {SECRET}")
        warnings.warn("old")
        try:
            1 / 0
        except ZeroDivisionError:
            log.exception("failed\\x1b]52;c;eA==\\x07")
        async def main():
            asyncio.get_running_loop().create_task(broken())
            await asyncio.sleep(0)
        async def broken():
            raise ValueError("lost in a task")
        asyncio.run(main())
        raise RuntimeError("uncaught")
        """,
        tmp_path,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 1)
    file = tmp_path / "watch.jsonl"
    text = file.read_text()
    assert SECRET not in text
    assert "\x1b" not in text
    records = lines(file)
    assert [record["level"] for record in records[:2]] == ["info", "error"]
    assert records[0] == records[0] | {
        "log": "watch.gpu",
        "text": "hello there",
        "host": "a␛[31m",
        "args_of": {"api_key": "[redacted]"},
        "n": 3,
    }
    assert "[redacted:anthropic-key]" in records[1]["text"]
    assert any("old" in record["text"] and record["log"] == "py.warnings" for record in records)
    assert any("ZeroDivisionError" in record.get("error", "") for record in records)
    assert any("lost in a task" in record.get("error", "") for record in records)
    assert any("uncaught" in record.get("error", "") for record in records)
    assert file.stat().st_mode & 0o777 == 0o600


def test_guard_sends_even_c_level_output_to_a_file(tmp_path: Path) -> None:
    done = run(
        """
        import os, subprocess, sys
        from pathlib import Path
        from console.logs import guard_terminal, release_terminal
        terminal = guard_terminal(Path(sys.argv[1]), "console")
        print("from python", file=sys.stderr)
        os.write(2, b"from c\\n")
        subprocess.run(["sh", "-c", "echo from a child >&2"])
        release_terminal(terminal)
        print("afterwards", file=sys.stderr)
        """,
        tmp_path,
    )
    assert done.stderr == "afterwards\n"
    assert (tmp_path / "console.stderr").read_text() == "from python\nfrom c\nfrom a child\n"


def test_guard_keeps_the_traceback_of_a_fatal_signal(tmp_path: Path) -> None:
    done = run(
        """
        import os, signal, sys
        from pathlib import Path
        from console.logs import guard_terminal
        guard_terminal(Path(sys.argv[1]), "console")
        os.kill(os.getpid(), signal.SIGSEGV)
        """,
        tmp_path,
    )
    assert done.stderr == ""
    assert "Segmentation fault" in (tmp_path / "console.stderr").read_text()


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before, level, hook = root.handlers[:], root.level, sys.excepthook
    yield root
    for handler in root.handlers[:]:
        if handler not in before:
            handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    sys.excepthook = hook
    logging.captureWarnings(False)


def _one(handler: LogFile, text: str) -> None:
    handler.emit(logging.makeLogRecord({"msg": text, "name": "t", "levelname": "INFO"}))


def test_rotation_keeps_a_bounded_number_of_whole_lines(tmp_path: Path) -> None:
    handler = LogFile(tmp_path / "w.jsonl", max_bytes=2000, older_files=2)
    for number in range(200):
        _one(handler, f"line {number}")
    handler.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["w.jsonl", "w.jsonl.1", "w.jsonl.2"]
    assert all(file.stat().st_size <= 2000 for file in files)
    assert lines(tmp_path / "w.jsonl")[-1]["text"] == "line 199"
    numbers = [int(record["text"].split()[1]) for file in reversed(files) for record in lines(file)]
    assert numbers == list(range(numbers[0], 200))


def test_a_log_that_cannot_be_written_harms_nobody(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    handler = LogFile(Path("/dev/full"))
    _one(handler, "x" * 100_000)
    handler.stream = None
    handler.close()
    gone = LogFile(tmp_path / "away" / "w.jsonl")
    _one(gone, "no such folder")
    gone.close()
    assert capfd.readouterr() == ("", "")


def test_values_that_are_not_json_and_odd_text(tmp_path: Path, root_logger: logging.Logger) -> None:
    open_log(tmp_path, "w")
    logging.getLogger("t").info("a\udcff %s", object, extra={"thing": {1, 2}, "kind": object})
    (record,) = lines(tmp_path / "w.jsonl")
    assert "class 'object'" in record["text"]


def test_opening_again_replaces_the_file(tmp_path: Path, root_logger: logging.Logger) -> None:
    open_log(tmp_path, "one")
    open_log(tmp_path, "two")
    logging.getLogger("t").warning("where")
    assert not (tmp_path / "one.jsonl").exists()
    assert lines(tmp_path / "two.jsonl")[0]["text"] == "where"
    assert len(root_logger.handlers) == 1


def test_directory_is_private(tmp_path: Path, root_logger: logging.Logger) -> None:
    open_log(tmp_path / "logs", "w")
    assert os.stat(tmp_path / "logs").st_mode & 0o777 == 0o700
