"""Agents that registered, and the emergency stop: the writer's side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from backends.coordination import statements
from backends.coordination.adding import checked_id
from backends.coordination.errors import Conflict, Invalid, NotFound
from backends.coordination.journal import AgentChange, Journal, Row
from backends.coordination.nouns import Caller, EmergencyStop
from backends.model import Activity, Registration, Severity
from backends.text import clean, clean_optional

ANSWERS = ("approved", "denied")


def registration_of(row: Row) -> Registration:
    """A row of ``AGENT_COLUMNS``."""
    values = list(row)
    values[5] = tuple(msgspec.json.decode(row[5], type=list[str]))
    values[13] = None if row[13] is None else Activity(row[13])
    values[16] = bool(row[16])
    return Registration(*values)


def checked_registration(new: Registration) -> Registration:
    """``new`` with its texts cleaned, or :class:`Invalid`."""
    checked_id(new.id, "agent id")
    if not 1 <= new.ttl_ms <= 86_400_000:
        raise Invalid(f"ttl of agent {new.id} is {new.ttl_ms} ms, not between 1 ms and a day")
    return replace(
        new,
        host=clean(new.host),
        kind=clean(new.kind),
        team=clean(new.team),
        layer=clean(new.layer),
        capabilities=tuple(clean(capability) for capability in new.capabilities),
        log_path=clean_optional(new.log_path, 4096),
        cause=clean_optional(new.cause),
        note=clean_optional(new.note),
    )


def register(journal: Journal, new: Registration, by: Caller) -> Registration:
    """Join, or join again: the incarnation grows, an order to drain stays in force, old answers are
    dropped.
    """
    known = journal.row(statements.AGENT, new.id)
    now = journal.now_ms
    agent = replace(
        new,
        incarnation=known[0] + 1 if known else 1,
        registered_at=now,
        heartbeat_at=now,
        draining=bool(known[1]) if known else False,
        answer=None,
    )
    values: list[Any] = [getattr(agent, name) for name in Registration.__struct_fields__]
    values[5] = msgspec.json.encode(agent.capabilities).decode()
    journal.sql.execute(statements.DROP_AGENT, (agent.id,))
    journal.sql.execute(statements.ADD_AGENT, values)
    journal.changes.agents.append(AgentChange(agent.id, agent))
    journal.event("agent.joined", agent.id, {"incarnation": agent.incarnation})
    before = f"incarnation {known[0]}" if known else ""
    journal.audit(
        by, "register-agent", agent.id, {"kind": agent.kind}, before, f"incarnation {agent.incarnation}"
    )
    return agent


def deregister(journal: Journal, agent_id: str, by: Caller) -> None:
    """Forget an agent. What it holds stays leased until the lease runs out or is requeued."""
    known = _known(journal, agent_id)
    journal.sql.execute(statements.DROP_AGENT, (agent_id,))
    _note_draining(journal, agent_id, False)
    journal.changes.agents.append(AgentChange(agent_id))
    journal.event("agent.left", agent_id)
    journal.audit(by, "remove-agent", agent_id, None, f"incarnation {known[0]}", "")


def set_draining(journal: Journal, agent_id: str, draining: bool, by: Caller) -> None:
    """Ask an agent to finish what it holds and claim nothing new; or take that back."""
    before = bool(_known(journal, agent_id)[1])
    journal.sql.execute(statements.SET_DRAINING, (int(draining), agent_id))
    _note_draining(journal, agent_id, draining)
    journal.changes.agents.append(AgentChange(agent_id, patch={"draining": draining}))
    journal.event("agent.draining" if draining else "agent.undrained", agent_id)
    words = {False: "taking work", True: "draining"}
    journal.audit(by, "drain", agent_id, None, words[before], words[draining])


def set_answer(journal: Journal, agent_id: str, answer: str, by: Caller) -> None:
    """An operator's word on what the agent asks; handed over once, with its next heartbeat."""
    if answer not in ANSWERS:
        raise Invalid(f"an answer is 'approved' or 'denied', not {clean(answer, 60)!r}")
    _known(journal, agent_id)
    journal.sql.execute(statements.SET_ANSWER, (answer, agent_id))
    journal.changes.agents.append(AgentChange(agent_id, patch={"answer": answer}))
    journal.event("agent.answered", agent_id, {"answer": answer})
    journal.audit(by, "answer", agent_id, None, "", answer)


def save_beats(journal: Journal, agents: Iterable[Registration]) -> None:
    """Write the last heartbeats down. Those since the previous call are lost in a crash, and missed by
    nobody.
    """
    journal.sql.executemany(
        statements.SET_BEAT, [(a.heartbeat_at, a.activity, a.cause, a.note, a.answer, a.id) for a in agents]
    )


def set_estop(journal: Journal, reason: str, frozen: str, by: Caller) -> EmergencyStop:
    """Stop all claims until cleared. Raises :class:`Conflict` when a stop is in force: it knows what it
    froze.
    """
    if journal.estop is not None:
        raise Conflict(f"an emergency stop by {journal.estop.actor} is in force already; thaw it first")
    stop = EmergencyStop(clean(reason), frozen, by.actor, journal.now_ms)
    journal.sql.execute(statements.SET_ESTOP, (stop.reason, stop.frozen, stop.actor, stop.at))
    _note_estop(journal, stop)
    journal.event("estop.set", by.actor, {"reason": stop.reason}, Severity.CRITICAL)
    journal.audit(by, "e-stop", "fleet", {"reason": stop.reason}, "running", "stopped")
    return stop


def clear_estop(journal: Journal, by: Caller) -> EmergencyStop | None:
    """Allow claims again and give every holder a whole lease to come back in. Returns the stop that was in
    force.
    """
    stop = journal.estop
    if stop is None:
        return None
    journal.sql.execute(statements.CLEAR_ESTOP)
    for row in journal.sql.execute(statements.RENEW_LEASES, (journal.now_ms,)).fetchall():
        journal.touched(row)
    _note_estop(journal, None)
    journal.event("estop.cleared", by.actor)
    journal.audit(by, "thaw", "fleet", None, "stopped", "running")
    return stop


def _known(journal: Journal, agent_id: str) -> Row:
    row = journal.row(statements.AGENT, agent_id)
    if row is None:
        raise NotFound(f"no agent {clean(agent_id, 60)}; list-agents shows who registered")
    return row


def _note_draining(journal: Journal, agent_id: str, draining: bool) -> None:
    was = agent_id in journal.draining
    if was == draining:
        return
    change, undo = journal.draining.add, journal.draining.discard
    if was:
        change, undo = undo, change
    change(agent_id)
    journal.on_rewind(lambda: undo(agent_id))


def _note_estop(journal: Journal, stop: EmergencyStop | None) -> None:
    before = journal.estop

    def undo() -> None:
        journal.estop = before

    journal.estop = stop
    journal.on_rewind(undo)
    journal.changes.estop.append(stop)
