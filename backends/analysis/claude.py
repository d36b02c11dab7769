"""A question about the Picture, answered by a model as a stream of events.

Uses the ``anthropic`` SDK, which takes over a second to import: that happens in a thread, at the first
question.
Nothing here raises: every failure is a :class:`Failed` event with a plain line.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.analysis import claude_failures as failures
from backends.analysis.claude_events import Done, Failed, Retrying, Started, StreamEvent, TextDelta, Usage
from backends.analysis.claude_failures import Asked, Breaker, Failure
from backends.analysis.context import Prompt
from backends.clock import Clock
from backends.text import clean, clean_lines

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

MAX_ATTEMPTS = 3
#: A service that asks for a longer wait than this gets no second attempt.
LONGEST_WAIT_S = 8.0
#: More than any model writes; a service that never ends is cut off here.
MAX_ANSWER_CHARACTERS = 400_000
MIN_BUDGET = 4000

_log = logging.getLogger("analysis.claude")


@dataclass(frozen=True, slots=True)
class ClaudeSettings:
    """Where and how to ask. See [analysis] in config.toml."""

    model: str = "claude-opus-5-5"
    base_url: str = ""
    api_key_env: str = "ANTHROPIC_API_KEY"
    budget: int = 32_000  # tokens
    max_tokens: int = 16_000  # of the answer, thinking included
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 60.0
    total_timeout_s: float = 600.0


class ClaudeStream:
    """Asks one model. Use one for many questions: it keeps the connection, the budget and the breaker."""

    def __init__(
        self, settings: ClaudeSettings, clock: Clock, environ: Mapping[str, str] | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._environ = os.environ if environ is None else environ
        self._breaker = Breaker(clock)
        self._client: AsyncAnthropic | None = None
        self.budget = settings.budget  # tokens for the next prompt; lowered when the service finds it too big

    def key_source(self) -> str | None:
        """Where the key comes from, never the key; ``None``: there is none to be found."""
        for variable in (self._settings.api_key_env, "ANTHROPIC_AUTH_TOKEN"):
            if self._environ.get(variable, "").strip():
                return f"env {variable}"
        folder = self._environ.get("ANTHROPIC_CONFIG_DIR") or Path(
            self._environ.get("HOME", "~"), ".config", "anthropic"
        )
        if Path(folder).expanduser().is_dir():
            return "profile"
        return f"none needed by {clean(self._base_url, 200)}" if self._base_url else None

    async def ask(self, prompt: Prompt) -> AsyncGenerator[StreamEvent, None]:
        """Events of one answer; the last is :class:`Done` or :class:`Failed`. Closing it stops the model."""
        asked = self._asked()
        if self.key_source() is None:
            yield _failed(failures.no_key(asked), shown=False)
            return
        if wait_s := self._breaker.admit():
            yield _failed(failures.resting(wait_s), shown=False)
            return
        settled = False
        answer = self._attempts(prompt, asked)
        try:
            async for event in answer:
                if isinstance(event, Done | Failed):
                    self._settle(event)
                    settled = True
                yield event
        finally:
            await answer.aclose()
            if not settled:
                self._breaker.abandoned()

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @property
    def _base_url(self) -> str:
        return self._settings.base_url or self._environ.get("ANTHROPIC_BASE_URL", "")

    def _asked(self) -> Asked:
        return Asked(
            self._settings.model,
            self._settings.api_key_env,
            max(MIN_BUDGET, self.budget // 2),
            self._settings.read_timeout_s,
        )

    def _settle(self, event: Done | Failed) -> None:
        if isinstance(event, Done) or event.kind == "refused":
            self._breaker.succeeded()
        elif event.kind in failures.BREAKING:
            self._breaker.failed()
        else:
            self._breaker.abandoned()
        if isinstance(event, Failed):
            _log.warning(
                "no answer: %s", event.line, extra={"kind": event.kind, "request_id": event.request_id}
            )
            if event.kind == "too-large":
                self.budget = max(MIN_BUDGET, self.budget // 2)

    async def _attempts(self, prompt: Prompt, asked: Asked) -> AsyncGenerator[StreamEvent, None]:
        """Attempts until one shows text: what an operator has read is never taken back by another."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            shown = False
            answer = self._stream(prompt, asked)
            try:
                async for event in answer:
                    shown = shown or isinstance(event, TextDelta)
                    yield event
                return
            except Exception as error:
                failure = failures.classify(error, asked)
                if failure.kind == "error":
                    _log.exception("the SDK failed in an unknown way")
            finally:
                await answer.aclose()
            wait_s = failure.retry_after_s if failure.retry_after_s is not None else 0.5 * 2 ** (attempt - 1)
            hopeless = failure.kind not in failures.RETRYABLE or wait_s > LONGEST_WAIT_S
            if shown or hopeless or attempt == MAX_ATTEMPTS:
                yield _failed(failure, shown)
                return
            yield Retrying(attempt, int(wait_s * 1000), failure.statement)
            await self._clock.sleep(wait_s)

    async def _stream(self, prompt: Prompt, asked: Asked) -> AsyncGenerator[StreamEvent, None]:
        """One attempt. Raises whatever the SDK and its transport raise."""
        started_ms = self._clock.monotonic_ms()
        client = await self._connected()
        shown = 0
        text = _SafeText()
        async with client.messages.stream(
            model=self._settings.model,
            max_tokens=self._settings.max_tokens,
            system=prompt.system,
            messages=[{"role": "user", "content": prompt.user}],
            thinking={"type": "adaptive"},
        ) as stream:
            message: Any = None
            async for event in stream:
                if event.type == "message_start":
                    message = event.message
                    usage = _usage(message)
                    yield Started(clean(message.model, 80), _short(stream.request_id), usage.input_tokens)
                elif event.type == "text" and (safe := text.add(event.text)):
                    shown += len(safe)
                    yield TextDelta(safe)
                    if shown > MAX_ANSWER_CHARACTERS:
                        break
            if rest := text.rest():
                shown += len(rest)
                yield TextDelta(rest)
            if message is not None:
                message = stream.current_message_snapshot
            ending = _ending(message, asked, _short(stream.request_id), shown > 0)
            total_ms = self._clock.monotonic_ms() - started_ms
        yield ending if isinstance(ending, Failed) else Done(_usage(message), ending, total_ms)

    async def _connected(self) -> AsyncAnthropic:
        if self._client is None:
            sdk, transport = await asyncio.to_thread(_import_sdk)
            key = self._environ.get(self._settings.api_key_env, "").strip() or None
            if (
                key is None
                and self._base_url
                and self.key_source() not in ("env ANTHROPIC_AUTH_TOKEN", "profile")
            ):
                key = "none"  # a service of one's own that asks for none still gets the header
            total, connect, read = (
                self._settings.total_timeout_s,
                self._settings.connect_timeout_s,
                self._settings.read_timeout_s,
            )
            self._client = sdk.AsyncAnthropic(
                api_key=key,
                base_url=self._base_url or None,
                timeout=transport.Timeout(total, connect=connect, read=read),
                max_retries=0,  # attempts are counted, shown and bounded here
            )
        return self._client


class _SafeText:
    """Pieces of an answer made safe. A carriage return at a piece's end waits for what follows it."""

    def __init__(self) -> None:
        self._waiting = ""

    def add(self, piece: str) -> str:
        piece = self._waiting + piece
        self._waiting = "\r" if piece.endswith("\r") else ""
        return clean_lines(piece.removesuffix("\r") if self._waiting else piece)

    def rest(self) -> str:
        return clean_lines(self._waiting)


def _import_sdk() -> tuple[Any, Any]:
    import anthropic
    import httpx2

    return anthropic, httpx2


def _ending(message: Any, asked: Asked, request_id: str | None, shown: bool) -> Failed | str:
    """How a stream that ended without an exception ended: the stop reason, or what is wrong with it."""
    reason = None if message is None else message.stop_reason
    if reason is None:
        failure = failures.partial()
    elif reason == "refusal":
        details = getattr(message, "stop_details", None)
        failure = failures.refusal(getattr(details, "category", None))
    elif reason == "model_context_window_exceeded":
        failure = failures.too_large(asked)
    else:
        return clean(str(reason), 60)
    return _failed(failure, shown, request_id)


def _failed(failure: Failure, shown: bool, request_id: str | None = None) -> Failed:
    return Failed(failure.kind, failure.line, failure.request_id or request_id, shown)


def _usage(message: Any) -> Usage:
    counted = getattr(message, "usage", None)

    def tokens(name: str) -> int | None:
        value = getattr(counted, name, None)
        return value if isinstance(value, int) else None

    return Usage(
        tokens("input_tokens"),
        tokens("output_tokens"),
        tokens("cache_read_input_tokens"),
        tokens("cache_creation_input_tokens"),
    )


def _short(text: str | None) -> str | None:
    return None if text is None else clean(text, 80)
