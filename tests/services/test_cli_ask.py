"""`watchfloor claude-stream` from the shell, with a model service that works, refuses or is not there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fake_anthropic import FakeAnthropic
from services.watch_process import running


async def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> tuple[str, str, int]:
    async with FakeAnthropic(mode) as service:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")

        def run() -> tuple[str, str, int]:
            with running(tmp_path, f'[analysis]\nbase_url = "{service.url}"\n') as watch:
                done = watch.cli("claude-stream", "what", "is", "wrong")
                return done.stdout, done.stderr, done.returncode

        return await asyncio.to_thread(run)


async def test_the_models_answer_is_printed_as_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, about, code = await answer(tmp_path, monkeypatch, "ok")
    assert said == "Agent builder-1 is stalled.\n"
    assert "claude-opus-5-5" in about
    assert code == 0


async def test_a_refused_key_is_named_and_the_local_analyst_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, about, code = await answer(tmp_path, monkeypatch, "401")
    assert "Nothing is wrong" in said or "wrong" in said
    assert "Key rejected (401)" in about
    assert code == 0


def test_no_question_is_a_usage_error(tmp_path: Path) -> None:
    with running(tmp_path) as watch:
        assert watch.cli("claude-stream").returncode == 2
