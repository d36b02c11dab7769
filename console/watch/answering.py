"""Answers to questions about the Picture: the model's, streamed, or else the local analyst's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from backends.analysis.local_answer import local_answer
from backends.clock import Clock
from backends.model import Finding
from backends.picture import Picture
from backends.text import clean_lines
from console.commands.registry import Command
from console.config.settings import Analysis
from console.wire import Answer, Ask, FromWatch

if TYPE_CHECKING:
    from backends.analysis.claude import ClaudeStream

MAX_QUESTION = 2_000


class Answering:
    """Answers one question at a time per door. The model's SDK is imported with the first question."""

    def __init__(self, settings: Analysis, picture: Picture, clock: Clock) -> None:
        self._settings = settings
        self._picture = picture
        self._clock = clock
        self._model: ClaudeStream | None = None

    async def answer(self, request: Ask, send: Callable[[FromWatch], None]) -> None:
        """Stream the answer; ends with a message that is ``done``."""
        question = clean_lines(request.question, MAX_QUESTION)
        send(Answer(request.id, self._local(question), replace=True, status="local analysis"))
        if not self._settings.enabled:
            send(Answer(request.id, status="local analysis; the model is switched off", done=True))
            return
        await self._ask_model(request.id, question, send)

    async def close(self) -> None:
        """Close the connections to the model."""
        if self._model is not None:
            await self._model.close()

    async def _ask_model(self, id_: int, question: str, send: Callable[[FromWatch], None]) -> None:
        from backends.analysis.claude_events import Done, Failed, Retrying, Started, TextDelta, paced
        from backends.analysis.context import build_prompt

        model = self._client()
        prompt = build_prompt(
            question,
            self._picture,
            self._findings(),
            self._clock.now_ms(),
            model.budget,
            [(command.id, command.help) for command in _proposable()],
        )
        tokens = f"~{prompt.estimated_tokens:,} tokens sent"
        first = True
        async with aclosing(paced(model.ask(prompt), self._clock)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    send(Answer(id_, event.text, replace=first))
                    first = False
                elif isinstance(event, Started):
                    send(Answer(id_, status=f"{event.model} · {tokens}"))
                elif isinstance(event, Retrying):
                    send(Answer(id_, status=f"{event.reason}; trying again in {event.wait_ms / 1000:.1f} s"))
                elif isinstance(event, Failed):
                    if not first:
                        send(Answer(id_, "\n\n" + self._local(question)))
                    send(Answer(id_, status=event.line, done=True))
                elif isinstance(event, Done):
                    used = f"{event.usage.input_tokens or '?'} in, {event.usage.output_tokens or '?'} out"
                    cut = "; cut at its longest" if event.stop_reason == "max_tokens" else ""
                    status = f"{self._settings.model} · {used} · {event.total_ms / 1000:.1f} s{cut}"
                    send(Answer(id_, status=status, done=True))

    def _client(self) -> ClaudeStream:
        if self._model is None:
            from backends.analysis.claude import ClaudeSettings, ClaudeStream

            settings = self._settings
            self._model = ClaudeStream(
                ClaudeSettings(
                    model=settings.model,
                    base_url=settings.base_url,
                    api_key_env=settings.api_key_env,
                    budget=settings.budget,
                ),
                self._clock,
            )
        return self._model

    def _findings(self) -> list[Finding]:
        return list(self._picture["findings"].rows.values())

    def _local(self, question: str) -> str:
        return local_answer(question, self._findings(), self._picture)


def _proposable() -> list[Command]:
    from console.commands import REGISTRY

    return [command for command in REGISTRY if command.acts_on and not command.hidden]
