"""The model client through the real SDK against a service that fails in every way."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from fake_anthropic import HOSTILE_TEXT, FakeAnthropic

from backends.analysis.claude import ClaudeSettings, ClaudeStream
from backends.analysis.claude_events import Done, Failed, Retrying, Started, StreamEvent, TextDelta
from backends.analysis.claude_failures import FALLBACK
from backends.analysis.context import Prompt
from backends.text import UNSAFE

KEY = {"ANTHROPIC_API_KEY": "a-key", "HOME": "/nonexistent"}
PROMPT = Prompt("system text", "user text", 10, {})


class ImpatientClock:
    """Waits are over at once, and remembered."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.ms = 0

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.ms += int(seconds * 1000)
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> ImpatientClock:
    return ImpatientClock()


def stream_to(
    url: str, clock: ImpatientClock, environ: dict[str, str] | None = None, **settings: Any
) -> ClaudeStream:
    chosen = ClaudeSettings(base_url=url, **({"read_timeout_s": 5.0} | settings))
    return ClaudeStream(chosen, clock, KEY if environ is None else environ)


async def collect(events: AsyncIterator[StreamEvent]) -> list[StreamEvent]:
    return [event async for event in events]


def text_of(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def ask(clock: ImpatientClock, *modes: str, **settings: Any) -> tuple[list[StreamEvent], FakeAnthropic]:
    async with FakeAnthropic(*modes) as service:
        stream = stream_to(service.url, clock, **settings)
        events = await collect(stream.ask(PROMPT))
        await stream.close()
    return events, service


async def test_an_answer(clock: ImpatientClock) -> None:
    events, service = await ask(clock, "ok")
    assert events[0] == Started("claude-opus-5-5", "req_fake", 1234)
    assert text_of(events) == "Agent builder-1 is stalled."
    done = events[-1]
    assert isinstance(done, Done)
    assert (done.stop_reason, done.usage.output_tokens, done.usage.cache_read_tokens) == (
        "end_turn",
        42,
        1000,
    )
    (request,) = service.requests
    assert request["model"] == "claude-opus-5-5"
    assert request["system"] == "system text"
    assert request["messages"] == [{"role": "user", "content": "user text"}]
    assert request["thinking"] == {"type": "adaptive"}
    assert request["stream"] is True
    assert not {"temperature", "top_p", "top_k", "tools"} & set(request)
    assert "a-key" in json.dumps(service.headers)


@pytest.mark.parametrize("mode", ["unknown-event", "max-tokens"])
async def test_what_is_odd_but_no_failure(clock: ImpatientClock, mode: str) -> None:
    events, _ = await ask(clock, mode)
    assert isinstance(events[-1], Done)
    assert text_of(events) == "Agent builder-1 is stalled."


async def test_hostile_text_is_made_safe(clock: ImpatientClock) -> None:
    events, _ = await ask(clock, "hostile")
    text = text_of(events)
    assert UNSAFE.search(HOSTILE_TEXT)
    assert not UNSAFE.search(text)
    assert "[@click=app.bell]g\nh" in text


async def test_carriage_returns_split_between_pieces(clock: ImpatientClock) -> None:
    events, _ = await ask(clock, "split-crlf")
    assert text_of(events) == "one\ntwo␍three␍"


@pytest.mark.parametrize(
    ("mode", "kind", "line"),
    [
        ("401", "key-rejected", "Key rejected (401). Check ANTHROPIC_API_KEY."),
        ("402", "billing", "Billing stops this."),
        ("400/invalid_request_error/x/organization_spend_limit_reached", "billing", "Billing stops this."),
        ("403", "not-permitted", "Key may not use claude-opus-5-5."),
        ("404", "unknown-model", "Model claude-opus-5-5 unknown or retired; choose one in analysis.model."),
        ("413", "too-large", "Snapshot too big; budget lowered to 16000."),
        (
            "400/invalid_request_error/prompt is too long: 9 > 8",
            "too-large",
            "Snapshot too big; budget lowered to",
        ),
        ("context-window", "too-large", "Snapshot too big; budget lowered to 16000."),
        (
            "400/invalid_request_error/bad \x1b[31m field",
            "rejected",
            "The request was rejected (400): bad ␛[31m field.",
        ),
        ("429:77", "rate-limited", "Rate limited, retry in 77 s."),
        ("429", "rate-limited", "Rate limited."),
        ("529", "busy", "Service busy."),
        ("500", "busy", "Service busy."),
        ("503", "busy", "Service busy."),
        ("408", "timeout", "The service took too long."),
        ("504", "timeout", "The service took too long."),
        ("refusal", "refused", "Model declined (cyber)."),
        ("overload-before-text", "busy", "Service busy."),
        ("overload-mid-stream", "busy", "Service busy."),
        ("rate-limit-mid-stream", "rate-limited", "Rate limited."),
        ("clean-cut", "partial", "The answer ended before it was complete."),
        ("empty", "partial", "The answer ended before it was complete."),
        ("dirty-cut", "no-network", "No network: the connection broke."),
        ("dirty-cut-before-text", "no-network", "No network: the connection broke."),
        ("garbage", "unreadable", "The service's reply could not be read; check analysis.base_url."),
        ("endless", "partial", "The answer ended before it was complete."),
    ],
)
async def test_every_failure_has_its_line(clock: ImpatientClock, mode: str, kind: str, line: str) -> None:
    events, _ = await ask(clock, mode)
    failed = events[-1]
    assert isinstance(failed, Failed), events[-3:]
    assert failed.kind == kind
    assert failed.line.startswith(line)
    assert failed.line.endswith(f". {FALLBACK}")
    assert failed.shown == bool(text_of(events))
    assert sum(isinstance(event, Done | Failed) for event in events) == 1


async def test_a_page_that_is_no_stream(clock: ImpatientClock) -> None:
    """A proxy's login page: nothing can be read from it, and that must not pass for an answer."""
    events, _ = await ask(clock, "not-sse")
    assert isinstance(events[-1], Failed)
    assert events[-1].kind in ("partial", "unreadable")


@pytest.mark.parametrize("mode", ["stall", "stall-headers"])
async def test_silence_ends_at_the_read_timeout(clock: ImpatientClock, mode: str) -> None:
    events, _ = await ask(clock, mode, read_timeout_s=0.05)
    failed = events[-1]
    assert isinstance(failed, Failed)
    assert failed.kind == "timeout"
    assert failed.line.startswith("No answer within 0.05 s. ")


async def test_nobody_listens(clock: ImpatientClock) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    failed = (await collect(stream_to(url, clock).ask(PROMPT)))[-1]
    assert isinstance(failed, Failed)
    assert failed.kind == "no-network"
    assert failed.line.startswith("No network")


@pytest.mark.parametrize("url", ["not a url", "ftp://127.0.0.1/", "http://"])
async def test_a_base_url_that_is_none(clock: ImpatientClock, url: str) -> None:
    failed = (await collect(stream_to(url, clock).ask(PROMPT)))[-1]
    assert isinstance(failed, Failed)
    assert failed.line.endswith(FALLBACK)


# --- keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environ", [{}, {"ANTHROPIC_API_KEY": "  "}])
async def test_no_key_is_known_at_once(clock: ImpatientClock, environ: dict[str, str]) -> None:
    stream = stream_to("", clock, environ | {"HOME": "/nonexistent"})
    assert stream.key_source() is None
    (failed,) = await collect(stream.ask(PROMPT))
    assert isinstance(failed, Failed)
    assert failed.line == f"No key found (looked in: env ANTHROPIC_API_KEY, profile). {FALLBACK}"


async def test_a_profile_folder_without_a_usable_profile(
    clock: ImpatientClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    stream = stream_to("", clock, {"ANTHROPIC_CONFIG_DIR": str(tmp_path)})
    assert stream.key_source() == "profile"
    failed = (await collect(stream.ask(PROMPT)))[-1]
    assert isinstance(failed, Failed)
    assert failed.kind == "no-key"


async def test_a_service_of_ones_own_needs_no_key(clock: ImpatientClock) -> None:
    async with FakeAnthropic("ok") as service:
        stream = stream_to(service.url, clock, {"HOME": "/nonexistent"})
        assert isinstance((await collect(stream.ask(PROMPT)))[-1], Done)
        await stream.close()


async def test_another_variable_holds_the_key(clock: ImpatientClock) -> None:
    async with FakeAnthropic("401") as service:
        stream = stream_to(service.url, clock, {"MY_KEY": "k-123"}, api_key_env="MY_KEY")
        assert stream.key_source() == "env MY_KEY"
        failed = (await collect(stream.ask(PROMPT)))[-1]
        await stream.close()
    assert isinstance(failed, Failed)
    assert "Check MY_KEY." in failed.line
    assert "k-123" in json.dumps(service.headers)


# --- attempts ----------------------------------------------------------------------------------------


async def test_another_attempt_before_any_text(clock: ImpatientClock) -> None:
    events, service = await ask(clock, "529", "429:2", "ok")
    assert [event for event in events if isinstance(event, Retrying)] == [
        Retrying(1, 500, "Service busy"),
        Retrying(2, 2000, "Rate limited, retry in 2 s"),
    ]
    assert isinstance(events[-1], Done)
    assert clock.waits == [0.5, 2.0]
    assert len(service.requests) == 3


@pytest.mark.parametrize("mode", ["overload-mid-stream", "rate-limit-mid-stream", "dirty-cut", "clean-cut"])
async def test_no_other_attempt_once_text_was_shown(clock: ImpatientClock, mode: str) -> None:
    events, service = await ask(clock, mode, "ok")
    assert isinstance(events[-1], Failed)
    assert events[-1].shown
    assert len(service.requests) == 1


@pytest.mark.parametrize("mode", ["401", "402", "403", "404", "413", "400", "refusal", "429:9"])
async def test_no_other_attempt_when_it_cannot_help(clock: ImpatientClock, mode: str) -> None:
    events, service = await ask(clock, mode, "ok")
    assert isinstance(events[-1], Failed)
    assert len(service.requests) == 1
    assert clock.waits == []


async def test_attempts_are_bounded(clock: ImpatientClock) -> None:
    events, service = await ask(clock, "529")
    assert isinstance(events[-1], Failed)
    assert len(service.requests) == 3


async def test_budget_is_lowered_once_the_snapshot_was_too_big(clock: ImpatientClock) -> None:
    async with FakeAnthropic("413") as service:
        stream = stream_to(service.url, clock)
        await collect(stream.ask(PROMPT))
        assert stream.budget == 16_000
        for _ in range(9):
            failed = (await collect(stream.ask(PROMPT)))[-1]
        assert stream.budget == 4000
        assert isinstance(failed, Failed)
        assert "budget lowered to 4000" in failed.line
        await stream.close()


# --- breaker -----------------------------------------------------------------------------------------


async def test_breaker_opens_after_three_failures_and_tries_once_after_a_minute(
    clock: ImpatientClock,
) -> None:
    async with FakeAnthropic("clean-cut") as service:
        stream = stream_to(service.url, clock)
        for _ in range(3):
            await collect(stream.ask(PROMPT))
        (resting,) = await collect(stream.ask(PROMPT))
        assert isinstance(resting, Failed)
        assert resting.line == f"Not asked: three failures in a row, next try in 60 s. {FALLBACK}"
        assert len(service.requests) == 3

        clock.ms += 60_000
        await collect(stream.ask(PROMPT))
        assert len(service.requests) == 4
        assert len(await collect(stream.ask(PROMPT))) == 1  # the trial failed: open again

        clock.ms += 60_000
        service.modes = ["ok"]
        assert isinstance((await collect(stream.ask(PROMPT)))[-1], Done)
        assert isinstance((await collect(stream.ask(PROMPT)))[-1], Done)
        await stream.close()


async def test_failures_that_say_nothing_of_the_service_leave_the_breaker_closed(
    clock: ImpatientClock,
) -> None:
    async with FakeAnthropic("401") as service:
        stream = stream_to(service.url, clock)
        for _ in range(5):
            await collect(stream.ask(PROMPT))
        assert len(service.requests) == 5
        await stream.close()


# --- stopping ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["stall", "stall-headers"])
async def test_stopping_is_quick_and_hangs_up(clock: ImpatientClock, mode: str) -> None:
    async with FakeAnthropic(mode) as service:
        stream = stream_to(service.url, clock)
        asking = asyncio.create_task(collect(stream.ask(PROMPT)))
        await asyncio.wait_for(service.asked.wait(), 20)
        started = time.monotonic()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert time.monotonic() - started < 0.1
        await asyncio.wait_for(service.hung_up.wait(), 5)
        await stream.close()


async def test_leaving_the_loop_early_hangs_up(clock: ImpatientClock) -> None:
    async with FakeAnthropic("stall") as service:
        stream = stream_to(service.url, clock)
        events = stream.ask(PROMPT)
        async for event in events:
            if isinstance(event, TextDelta):
                break
        await events.aclose()
        await asyncio.wait_for(service.hung_up.wait(), 5)
        await stream.close()


async def test_a_stopped_trial_lets_the_next_question_try(clock: ImpatientClock) -> None:
    async with FakeAnthropic("clean-cut") as service:
        stream = stream_to(service.url, clock)
        for _ in range(3):
            await collect(stream.ask(PROMPT))
        clock.ms += 60_000
        service.modes = ["ok"]
        trial = stream.ask(PROMPT)
        await anext(trial)
        (meanwhile,) = await collect(stream.ask(PROMPT))
        assert isinstance(meanwhile, Failed)
        await trial.aclose()
        assert isinstance((await collect(stream.ask(PROMPT)))[-1], Done)
        await stream.close()


def test_the_sdk_is_not_imported_before_it_is_used() -> None:
    code = (
        "import sys, backends.analysis.claude; "
        "sys.exit(len({'anthropic', 'httpx2', 'pydantic'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
