"""The statements of the store, as constants: sqlite3 prepares each text once and keeps it.

They keep to what PostgreSQL also understands (RETURNING, ON CONFLICT). A transition is one
statement whose WHERE holds its guard; the statements of a holder all match ``(id, fence, state = 'leased')``.
"""

from __future__ import annotations

BEGIN = "BEGIN IMMEDIATE"
COMMIT = "COMMIT"
ROLLBACK = "ROLLBACK"
SAVEPOINT = "SAVEPOINT op"
RELEASE = "RELEASE op"
ROLLBACK_TO = "ROLLBACK TO op"

# --- work items: rows are the fields of model.WorkItem in its order, then num ----------------------------

ITEM_COLUMNS = """
    id, queue, kind, title, state, priority, created_at, holder, fence, attempt, max_attempts, generation,
    lease_until, lease_ms, heartbeat_at, claimed_at, progress_pct, progress_note, progress_at, run_at,
    finished_at, cancel_requested_at, pending_dependencies, unblocks, unique_key, reason, last_error, payload,
    result, created_by
"""
_SELECT_ITEM = f"SELECT {ITEM_COLUMNS}, num FROM item"
_RETURNING = f"RETURNING {ITEM_COLUMNS}, num"
_HELD = "WHERE id = ? AND fence = ? AND state = 'leased'"
_UNHELD = "holder = NULL, fence = NULL, lease_until = NULL, heartbeat_at = NULL"
_NO_PROGRESS = "progress_pct = NULL, progress_note = NULL, progress_at = NULL"

ITEM_BY_ID = f"{_SELECT_ITEM} WHERE id = ?"
ITEM_BY_NUM = f"{_SELECT_ITEM} WHERE num = ?"
ITEM_BY_UNIQUE_KEY = f"""{_SELECT_ITEM}
    WHERE queue = ? AND unique_key = ? AND state IN ('blocked', 'scheduled', 'ready', 'leased')"""
HELD_BY = f"{_SELECT_ITEM} WHERE state = 'leased' AND holder = ? ORDER BY lease_until"
ALL_LEASED = f"{_SELECT_ITEM} WHERE state = 'leased' ORDER BY lease_until"
COUNT_BY_SHELF = "SELECT shelf, count(*) FROM item GROUP BY shelf"

ADD_ITEM = f"""INSERT INTO item ({ITEM_COLUMNS}, num, own_lease_ms, rank, shelf)
    VALUES ({", ".join("?" * 34)})"""
ALL_LANES = "SELECT queue, kind FROM lane"
ADD_LANE = "INSERT INTO lane (queue, kind) VALUES (?, ?)"

# what has become due: leases that ran out, scheduled items (shelf 4) whose time has come
DUE = """
SELECT num FROM item WHERE state = 'leased' AND lease_until <= ?
UNION ALL
SELECT num FROM item WHERE shelf = 4 AND rank <= ?
LIMIT ?
"""
# shelf 2: ready
PICK = "SELECT num, attempt + 1, generation FROM item WHERE shelf = 2 ORDER BY rank, num LIMIT ?"
PICK_FROM_LANE = """
SELECT num, attempt + 1, generation, rank FROM item
WHERE state = 'ready' AND queue = ? AND kind = ? ORDER BY rank, num LIMIT ?
"""
ADD_ATTEMPT = (
    "INSERT INTO attempt (id, item, number, generation, holder, claimed_at) VALUES (?, ?, ?, ?, ?, ?)"
)
LEASE = f"""
UPDATE item SET state = 'leased', shelf = 1, rank = ?, attempt = ?, fence = ?, holder = ?,
    lease_ms = coalesce(?, own_lease_ms), lease_until = ? + coalesce(?, own_lease_ms), heartbeat_at = ?,
    claimed_at = ?, run_at = NULL, reason = NULL, {_NO_PROGRESS}
WHERE num = ? AND state = 'ready' {_RETURNING}
"""
EXTEND = f"UPDATE item SET lease_until = ? + lease_ms, heartbeat_at = ? {_HELD} {_RETURNING}"
PROGRESS = f"""
UPDATE item SET lease_until = ? + lease_ms, heartbeat_at = ?, progress_at = ?,
    progress_pct = coalesce(?, progress_pct), progress_note = coalesce(?, progress_note)
{_HELD} {_RETURNING}
"""
COMPLETE = f"""
UPDATE item SET state = 'succeeded', shelf = 6, rank = ?, finished_at = ?, result = ?,
    cancel_requested_at = NULL, reason = NULL, {_UNHELD}
{_HELD} {_RETURNING}
"""
# the holder lets go, or is made to, without success
LET_GO = f"""
UPDATE item SET state = ?, shelf = ?, rank = ?, attempt = ?, run_at = ?, finished_at = ?, reason = ?,
    last_error = coalesce(?, last_error), {_UNHELD}
{_HELD} {_RETURNING}
"""
# between states that nobody holds
MOVE = f"""
UPDATE item SET state = ?, shelf = ?, rank = ?, run_at = ?, finished_at = ?, reason = ?
WHERE num = ? AND state <> 'leased' {_RETURNING}
"""
RETRY = f"""
UPDATE item SET state = ?, shelf = ?, rank = ?, pending_dependencies = ?, generation = generation + 1,
    attempt = 0, run_at = NULL, finished_at = NULL, cancel_requested_at = NULL, reason = NULL, result = NULL,
    claimed_at = NULL, {_NO_PROGRESS}
WHERE num = ? AND state IN ('dead', 'cancelled', 'succeeded') {_RETURNING}
"""
REQUEST_CANCEL = f"""
UPDATE item SET cancel_requested_at = coalesce(cancel_requested_at, ?)
WHERE num = ? AND state = 'leased' {_RETURNING}
"""
END_ATTEMPT = "UPDATE attempt SET ended_at = ?, outcome = ?, error = ? WHERE id = ?"
ATTEMPT_OUTCOME = """
SELECT attempt.outcome, attempt.generation FROM attempt JOIN item ON item.num = attempt.item
WHERE attempt.id = ? AND item.id = ?
"""
RENEW_LEASES = f"""
UPDATE item SET lease_until = max(lease_until, ? + lease_ms) WHERE state = 'leased' {_RETURNING}
"""

# --- dependencies ----------------------------------------------------------------------------------------

# satisfied edges stay: a parent that is done a second time must not free its children twice
_WAITING_CHILD = "state = 'blocked' AND num IN (SELECT child FROM edge WHERE parent = ? AND satisfied = 0)"
ADD_EDGE = "INSERT INTO edge (child, parent, satisfied) VALUES (?, ?, ?)"
COUNT_WAITING = f"UPDATE item SET unblocks = unblocks + ? WHERE num = ? {_RETURNING}"
FREED_CHILDREN = f"""
SELECT num, priority, run_at FROM item WHERE pending_dependencies = 1 AND {_WAITING_CHILD} ORDER BY num
"""
COUNT_DOWN_CHILDREN = f"""
UPDATE item SET pending_dependencies = pending_dependencies - 1
WHERE pending_dependencies > 1 AND {_WAITING_CHILD} {_RETURNING}
"""
FREE = f"UPDATE item SET state = ?, shelf = ?, rank = ?, pending_dependencies = 0 WHERE num = ? {_RETURNING}"
SATISFY_EDGES = "UPDATE edge SET satisfied = 1 WHERE parent = ? AND satisfied = 0"
CLEAR_UNBLOCKS = f"UPDATE item SET unblocks = 0 WHERE num = ? {_RETURNING}"
# a child that was cancelled while blocked missed what its parents did since
CATCH_UP_EDGES = """
UPDATE edge SET satisfied = 1 WHERE child = ? AND satisfied = 0
    AND parent IN (SELECT num FROM item WHERE num = edge.parent AND state = 'succeeded')
"""
UNSATISFIED_PARENTS = "SELECT parent FROM edge WHERE child = ? AND satisfied = 0"

# --- events, audit, requests -----------------------------------------------------------------------------

EVENTS_KEPT = 200_000
ADD_EVENT = "INSERT INTO event (seq, at, topic, subject, severity, body) VALUES (?, ?, ?, ?, ?, ?)"
DROP_EVENTS = "DELETE FROM event WHERE seq <= ?"

AUDIT_COLUMNS = """
    seq, at_us, actor, door, command, target, args, before, after, outcome, message, request_id, prev, hash
"""
ADD_AUDIT = f"INSERT INTO audit ({AUDIT_COLUMNS}) VALUES ({', '.join('?' * 14)})"

FIND_REQUEST = "SELECT operation, reply FROM request WHERE actor = ? AND request_id = ? AND expires_at > ?"
ADD_REQUEST = """
INSERT INTO request (actor, request_id, operation, reply, expires_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (actor, request_id) DO UPDATE
SET operation = excluded.operation, reply = excluded.reply, expires_at = excluded.expires_at
"""
DROP_REQUESTS = "DELETE FROM request WHERE expires_at <= ?"

# --- agents: rows are the fields of model.Registration in its order ----------------------------------------

AGENT_COLUMNS = """
    id, host, kind, team, layer, capabilities, pid, pid_start_ticks, ttl_ms, log_path, incarnation,
    registered_at, heartbeat_at, activity, cause, note, draining, answer
"""
ALL_AGENTS = f"SELECT {AGENT_COLUMNS} FROM agent"
AGENT = "SELECT incarnation, draining FROM agent WHERE id = ?"
ADD_AGENT = f"INSERT INTO agent ({AGENT_COLUMNS}) VALUES ({', '.join('?' * 18)})"
DROP_AGENT = "DELETE FROM agent WHERE id = ?"
SET_DRAINING = "UPDATE agent SET draining = ? WHERE id = ?"
SET_ANSWER = "UPDATE agent SET answer = ? WHERE id = ?"
SET_BEAT = "UPDATE agent SET heartbeat_at = ?, activity = ?, cause = ?, note = ?, answer = ? WHERE id = ?"

GET_ESTOP = "SELECT reason, frozen, actor, at FROM estop"
SET_ESTOP = "INSERT INTO estop (one, reason, frozen, actor, at) VALUES (1, ?, ?, ?, ?)"
CLEAR_ESTOP = "DELETE FROM estop"
