"""One agent of the demo: it registers, sends heartbeats, claims work and reports on it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from console.demo.cast import Member
from console.demo.door import CONFLICT, NOT_FOUND, Door, Refused
from console.demo.home import Home

HEARTBEAT_S = 1.5
TICK_S = 1.0

#: Steps of a piece of work: (per cent done, what was done last). What the generator returns is the result.
Steps = Iterator[tuple[float, str]]


class Agent:
    """A member of the cast, connected to its watch."""

    def __init__(self, member: Member, home: Home, door: Door) -> None:
        self.member = member
        self.home = home
        self.door = door
        self.answer: str | None = None  # an operator's, until somebody took it
        self.on_tick: Callable[[float], None] = lambda seconds: None
        self._words: dict[str, str] = {}
        self._draining = False
        self._unwanted: set[str] = set()
        self._beat_at = 0.0

    def register(self) -> None:
        """Join the fleet; safe to repeat."""
        member = self.member
        self.door.call(
            "register-agent",
            member.name,
            kind="planner" if member.role == "planner" else "worker",
            team=member.team,
            layer=member.layer,
            capability=member.types,
            pid=os.getpid(),
            log=os.fspath(self.home.log(member.name)),
        )

    def say(self, activity: str, cause: str = "", note: str = "") -> None:
        """What it is doing; goes out with this and every later heartbeat."""
        self._words = {"activity": activity, "cause": cause, "note": note}
        self.beat()

    def beat(self) -> None:
        """One heartbeat, and what comes back with it."""
        try:
            reply = self.door.call("heartbeat", self.member.name, **self._words)
        except Refused as refused:
            if refused.code != NOT_FOUND:
                raise
            self.register()  # an operator forgot us, but here we are
            return
        finally:
            self._beat_at = time.monotonic()
        self.answer = reply.get("answer") or self.answer
        self._draining = reply.get("draining", False)
        self._unwanted.update(reply.get("cancel_requested", ()))

    def take_answer(self) -> str | None:
        """The operator's answer, once."""
        answer, self.answer = self.answer, None
        return answer

    def rest(self, seconds: float) -> None:
        """Sleep, with heartbeats."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            began = time.monotonic()
            time.sleep(min(left, TICK_S))
            self.on_tick(time.monotonic() - began)
            if time.monotonic() - self._beat_at >= HEARTBEAT_S:
                self.beat()

    def claim(self, lease: str = "60s") -> dict[str, Any] | None:
        """The most urgent item of its types, or ``None``."""
        if self._draining:
            return None
        try:
            leases = self.door.call("claim", agent=self.member.name, type=self.member.types, lease=lease)
        except Refused:  # an emergency stop, or asked to drain a moment ago
            return None
        return {**leases[0]["item"], "fence": leases[0]["fence"]} if leases else None

    def perform(self, item: dict[str, Any], steps: Steps) -> None:
        """Do the steps of an item at this agent's pace and report how it went."""
        fence = item["fence"]
        self.say("working")
        try:
            try:
                for percent, note in steps:
                    self.door.call("progress", item["id"], percent=round(percent, 1), note=note, fence=fence)
                    self.rest(self.member.pace_s)
                    if item["id"] in self._unwanted:
                        raise InterruptedError("cancelled by an operator")
            except (OSError, ValueError, SyntaxError) as error:
                self.log(f"{item['id']} {item['title']}: {type(error).__name__}: {error}")
                self.door.call("fail", item["id"], error=f"{type(error).__name__}: {error}", fence=fence)
            else:
                self.log(f"{item['id']} {item['title']}: done")
                self.door.call("complete", item["id"], fence=fence)
        except Refused as refused:
            if refused.code not in (NOT_FOUND, CONFLICT):
                raise
            self.log(f"{item['id']} is no longer ours: {refused}")
        self._unwanted.discard(item["id"])
        self.say("idle")

    def release(self, item: dict[str, Any]) -> None:
        """Give an item back unfinished."""
        try:
            self.door.call("release", item["id"], fence=item["fence"])
        except Refused as refused:
            self.log(f"{item['id']} is no longer ours: {refused}")

    def log(self, text: str) -> None:
        """One line in its log."""
        print(time.strftime("%H:%M:%S"), text, flush=True)
