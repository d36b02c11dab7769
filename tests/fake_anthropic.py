"""A messages service that can fail in every way a real one has, spoken to over real HTTP and SSE.

    async with FakeAnthropic("ok") as service:
        ...  # base_url=service.url

A list of modes serves one each request; the last one repeats.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, Self

#: Text with what a terminal must never see: OSC 52, OSC 8, CSI, C1, bidi, and markup that stays text.
HOSTILE_TEXT = (
    "a\x1b]52;c;ZXZpbA==\x07b\x1b[31mc\x9b2Jd\u202ee\x1b]8;;http://x\x1b\\f[/x][@click=app.bell]g\r\nh"
)

Send = Callable[[str, dict[str, Any]], Coroutine[Any, Any, None]]


class FakeAnthropic:
    """Serves ``POST /v1/messages`` as one of the modes below, and records the requests.

    Modes: ``ok``, ``unknown-event``, ``hostile``, ``split-crlf``, ``refusal``, ``max-tokens``,
    ``context-window``, ``overload-before-text``, ``overload-mid-stream``, ``rate-limit-mid-stream``,
    ``clean-cut``, ``dirty-cut``, ``dirty-cut-before-text``, ``stall``, ``stall-headers``, ``empty``,
    ``garbage``, ``not-sse``, ``endless``, or an HTTP status such as ``429``, ``429:7`` (with
    ``retry-after: 7``), ``400/invalid_request_error/prompt is too long`` or
    ``400/invalid_request_error/message/error_code``.
    """

    def __init__(self, *modes: str, text: tuple[str, ...] = ("Agent builder-1 ", "is ", "stalled.")) -> None:
        self.modes = list(modes) or ["ok"]
        self.text = text
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.asked = asyncio.Event()  # a request has arrived
        self.hung_up = asyncio.Event()  # a client has closed its connection in the middle of an answer
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def url(self) -> str:
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hung_up.set()
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
        self.headers.append(headers)
        self.requests.append(body)
        mode = self.modes[min(len(self.requests), len(self.modes)) - 1]
        self.asked.set()
        if mode[:3].isdigit():
            await _http_error(writer, mode)
        elif mode == "stall-headers":
            await self._until_hung_up(reader)
        elif mode == "not-sse":
            await _respond(writer, 200, "text/html", b"<html>a login page</html>")
        else:
            await self._stream(reader, writer, mode)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mode: str) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_fake\r\n"
            b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        )

        async def chunk(data: bytes) -> None:
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await writer.drain()

        async def send(event: str, data: dict[str, Any]) -> None:
            await chunk(f"event: {event}\ndata: {json.dumps({'type': event} | data)}\n\n".encode())

        if mode == "dirty-cut-before-text":
            return
        if mode == "garbage":
            await chunk(b"event: message_start\ndata: {not json\n\n")
        elif mode != "empty" and not await self._events(mode, send, reader):
            return
        await chunk(b"")  # the closing chunk: a clean end

    async def _events(self, mode: str, send: Send, reader: asyncio.StreamReader) -> bool:
        """The events of one mode. False when the connection is to be cut without an end."""
        await send("message_start", {"message": _MESSAGE})
        await send("ping", {})
        if mode == "overload-before-text":
            await send("error", _error("overloaded_error"))
            return True
        if mode == "refusal":
            await send(
                "message_delta", _delta("refusal", {"stop_details": {"type": "refusal", "category": "cyber"}})
            )
            await send("message_stop", {})
            return True
        await send("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
        if mode == "unknown-event":
            await send("something_new", {"value": 1})
        for piece in _pieces(mode, self.text):
            await send("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": piece}})
        if mode in ("overload-mid-stream", "rate-limit-mid-stream"):
            kind = "overloaded_error" if mode.startswith("overload") else "rate_limit_error"
            await send("error", _error(kind))
            return True
        if mode == "stall":
            await self._until_hung_up(reader)
        if mode == "endless":
            while not reader.at_eof():
                much = {"type": "text_delta", "text": "x" * 50_000}
                await send("content_block_delta", {"index": 0, "delta": much})
        if mode in ("clean-cut", "dirty-cut", "stall", "endless"):
            return mode == "clean-cut"
        reasons = {"max-tokens": "max_tokens", "context-window": "model_context_window_exceeded"}
        await send("content_block_stop", {"index": 0})
        await send("message_delta", _delta(reasons.get(mode, "end_turn"), {}))
        await send("message_stop", {})
        return True

    async def _until_hung_up(self, reader: asyncio.StreamReader) -> None:
        while await reader.read(1024):
            pass
        self.hung_up.set()


_MESSAGE: dict[str, Any] = {
    "id": "msg_fake",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5-5",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 1234, "output_tokens": 1, "cache_read_input_tokens": 1000},
}


def _delta(stop_reason: str, extra: dict[str, Any]) -> dict[str, Any]:
    delta = {"stop_reason": stop_reason, "stop_sequence": None} | extra
    return {"delta": delta, "usage": {"input_tokens": 1234, "output_tokens": 42}}


def _error(kind: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": "said by the fake"}}


def _pieces(mode: str, text: tuple[str, ...]) -> tuple[str, ...]:
    if mode == "hostile":
        return tuple(HOSTILE_TEXT)
    if mode == "split-crlf":
        return ("one\r", "\ntwo\r", "three\r")
    return text


_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


async def _http_error(writer: asyncio.StreamWriter, mode: str) -> None:
    mode, *parts = mode.split("/")
    status, _, retry_after = mode.partition(":")
    kind = parts[0] if parts else _ERROR_TYPES.get(int(status), "api_error")
    error: dict[str, Any] = {"type": kind, "message": parts[1] if len(parts) > 1 else "said by the fake"}
    if len(parts) > 2:
        error["details"] = {"error_code": parts[2]}
    body = json.dumps({"type": "error", "error": error}).encode()
    await _respond(writer, int(status), "application/json", body, retry_after)


async def _respond(
    writer: asyncio.StreamWriter, status: int, content_type: str, body: bytes, retry_after: str = ""
) -> None:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
    head += f"request-id: req_{status}\r\nconnection: close\r\n"
    if retry_after:
        head += f"retry-after: {retry_after}\r\n"
    writer.write(head.encode() + b"\r\n" + body)
    await writer.drain()
