"""The console's connection to its watch: subscriptions, replies and streams, re-attached when it breaks."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from backends.model import Summary, View, Window
from console.wire import (
    PROTOCOL,
    Answer,
    Ask,
    Failure,
    Follow,
    Frames,
    FromWatch,
    Hello,
    Invoke,
    Lines,
    Refused,
    Reply,
    Shown,
    Stop,
    Subscribe,
    Totals,
    ToWatch,
    Unsubscribe,
    Welcome,
    WireError,
    decode_from_watch,
    decode_rows,
    frame,
)

log = logging.getLogger(__name__)

#: Seconds between two tries to reach the watch again.
RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)
#: A connection that lasted this long was a good one: the next try comes soon again.
GOOD_S = 5.0
#: The watch gives up on a command before this.
INVOKE_TIMEOUT_S = 90.0
WENT_AWAY = "the watch went away"

ShowWindow = Callable[[Window], None]


@dataclass(frozen=True, slots=True)
class _Stream:
    """Something that arrives in pieces, and the piece that says there will be no more."""

    take: Callable[[Lines | Answer], None]
    end: Lines | Answer


class _Held:
    """One view as this side has it."""

    def __init__(self, view: View, show: ShowWindow) -> None:
        self.view = view
        self.show = show
        self.rows: dict[str, Any] = {}

    def take(self, shown: Shown) -> Window:
        """The window after ``shown``: rows not sent again are the ones we have."""
        known = self.rows
        for row in decode_rows(shown.table, shown.rows):
            known[row.id] = row
        self.rows = {id_: known[id_] for id_ in shown.order if id_ in known}
        return Window(
            table=shown.table,
            start=shown.start,
            rows=tuple(self.rows.values()),
            total=shown.total,
            total_is_exact=shown.total_is_exact,
            counts=shown.counts,
            table_total=shown.table_total,
            followed=shown.followed,
            follow=shown.follow,
            problem=shown.problem,
            observed_at=shown.observed_at,
        )


class Link:
    """Talks to the watch at ``socket``. Callbacks run on the event loop."""

    def __init__(
        self,
        socket: Path,
        on_attached: Callable[[Welcome], None],
        on_lost: Callable[[str], None],
        on_totals: Callable[[Summary], None],
    ) -> None:
        self._socket = socket
        self._on_attached = on_attached
        self._on_lost = on_lost
        self._on_totals = on_totals
        self._writer: asyncio.StreamWriter | None = None
        self._next_id = 1
        self._views: dict[int, _Held] = {}
        self._replies: dict[int, asyncio.Future[Reply]] = {}
        self._streams: dict[int, _Stream] = {}
        self._totals_id = self._new_id()

    @property
    def is_attached(self) -> bool:
        return self._writer is not None

    async def run(self) -> None:
        """Attach, listen, and attach again for as long as the console lives."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            try:
                await self._session()
            except (OSError, WireError, asyncio.IncompleteReadError, msgspec.DecodeError) as error:
                failures = 0 if loop.time() - began > GOOD_S else failures + 1
                self._lose(str(error) or type(error).__name__)
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])

    async def _session(self) -> None:
        reader, writer = await asyncio.open_unix_connection(os.fspath(self._socket))
        frames = Frames()
        try:
            writer.write(frame(Hello(PROTOCOL, "tui", os.environ.get("USER", ""))))
            while data := await reader.read(1 << 16):
                for body in frames.feed(data):
                    message = decode_from_watch(body)
                    if isinstance(message, Welcome):
                        self._attached(message, writer)
                    else:
                        self._take(message)
            raise WireError("the watch closed the connection")
        finally:
            writer.close()

    def _attached(self, welcome: Welcome, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._tell(self._on_attached, welcome)
        self._send(Subscribe(self._totals_id, View("summary")))
        for id_, held in self._views.items():
            held.rows = {}
            self._send(Subscribe(id_, held.view))

    def _lose(self, reason: str) -> None:
        self._writer = None
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(
                    WireError("the watch went away before it answered; look before repeating")
                )
        self._replies.clear()
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            self._tell(stream.take, stream.end)
        self._tell(self._on_lost, reason)

    def _take(self, message: FromWatch) -> None:
        if isinstance(message, Shown):
            held = self._views.get(message.id)
            if held is not None and held.view.table == message.table:
                self._tell(held.show, held.take(message))
        elif isinstance(message, Totals):
            self._tell(self._on_totals, message.summary)
        elif isinstance(message, Reply):
            reply = self._replies.pop(message.id, None)
            if reply is not None and not reply.done():
                reply.set_result(message)
        elif isinstance(message, (Lines, Answer)):
            stream = self._streams.get(message.id)
            if stream is not None:
                self._tell(stream.take, message)
        elif isinstance(message, Refused):
            raise WireError(message.reason)

    @staticmethod
    def _tell(callback: Callable[[Any], None], what: Any) -> None:
        """A bug in whoever listens is logged; it is no reason to stop listening to the watch."""
        try:
            callback(what)
        except Exception:
            log.exception("taking a %s failed", type(what).__name__)

    # --- what the console asks -----------------------------------------------------------------------

    def subscribe(self, view: View, show: ShowWindow) -> int:
        """Show a view; returns its number."""
        id_ = self._new_id()
        self._views[id_] = _Held(view, show)
        self._send(Subscribe(id_, view))
        return id_

    def change(self, id_: int, view: View) -> None:
        """Look through that view differently."""
        held = self._views[id_]
        if held.view != view:
            held.view = view
            self._send(Subscribe(id_, view))

    def unsubscribe(self, id_: int) -> None:
        if self._views.pop(id_, None) is not None:
            self._send(Unsubscribe(id_))

    async def invoke(
        self,
        command: str,
        targets: tuple[str, ...] = (),
        args: dict[str, Any] | None = None,
        *,
        dry_run: bool = False,
        plan_ids: tuple[str, ...] = (),
        confirmed: str = "",
    ) -> Reply:
        """Run a command; a failure of the connection is a reply too."""
        id_ = self._new_id()
        if self._writer is None:
            return Reply(id_, failure=Failure(5, "the watch is away; nothing was done"))
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[id_] = future
        self._send(Invoke(id_, command, targets, args or {}, dry_run, plan_ids, confirmed))
        try:
            async with asyncio.timeout(INVOKE_TIMEOUT_S):
                return await future
        except WireError as error:
            return Reply(id_, failure=Failure(7, str(error)))
        except TimeoutError:
            self._replies.pop(id_, None)
            silent = f"no answer for {INVOKE_TIMEOUT_S:.0f} s; look before repeating"
            return Reply(id_, failure=Failure(7, silent))

    def follow(self, agent: str, take: Callable[[Lines | Answer], None]) -> int:
        """Stream an agent's log."""
        id_ = self._new_id()
        return self._open(id_, _Stream(take, Lines(id_, "", ended=WENT_AWAY)), Follow(id_, agent))

    def ask(self, question: str, take: Callable[[Lines | Answer], None]) -> int:
        """Stream an answer."""
        id_ = self._new_id()
        return self._open(id_, _Stream(take, Answer(id_, status=WENT_AWAY, done=True)), Ask(id_, question))

    def stop(self, id_: int) -> None:
        """End a stream."""
        if self._streams.pop(id_, None) is not None:
            self._send(Stop(id_))

    def send(self, message: ToWatch) -> None:
        """Send what needs no answer."""
        self._send(message)

    def _open(self, id_: int, stream: _Stream, request: ToWatch) -> int:
        if self._writer is None:
            self._tell(stream.take, stream.end)
        else:
            self._streams[id_] = stream
            self._send(request)
        return id_

    def _send(self, message: ToWatch) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(frame(message))

    def _new_id(self) -> int:
        id_ = self._next_id
        self._next_id += 1
        return id_
