"""The tables, and the statement texts of the hot path.

Texts are constants so that sqlite3 prepares each once. They keep to what PostgreSQL also understands
(RETURNING, UPDATE ... FROM, partial indexes, stored generated columns); only :data:`PRAGMAS` and the column
types are SQLite's own.
"""

from __future__ import annotations

APPLICATION_ID = 0x57464C52
"""``WFLR``, in the file's header: tells our file from any other SQLite file."""

SCHEMA_VERSION = 1

ITEM_COLUMNS = (
    "id, queue, kind, title, state, priority, created_at, holder, fence, attempt, max_attempts, generation,"
    " lease_until, lease_ms, heartbeat_at, claimed_at, progress_pct, progress_note, progress_at, run_at, finished_at,"
    " cancel_requested_at, pending_dependencies, unblocks, unique_key, reason, last_error, payload, result, created_by"
)
"""The fields of :class:`backends.model.WorkItem`, in its order."""

TABLES = """
CREATE TABLE item (
    num INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN
        ('blocked', 'scheduled', 'ready', 'leased', 'succeeded', 'dead', 'cancelled')),
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
    created_at INTEGER NOT NULL,
    holder TEXT,
    fence INTEGER,
    attempt INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    lease_until INTEGER,
    lease_ms INTEGER NOT NULL,
    heartbeat_at INTEGER,
    claimed_at INTEGER,
    progress_pct REAL,
    progress_note TEXT,
    progress_at INTEGER,
    run_at INTEGER,
    finished_at INTEGER,
    cancel_requested_at INTEGER,
    pending_dependencies INTEGER NOT NULL,
    unblocks INTEGER NOT NULL DEFAULT 0,
    unique_key TEXT,
    reason TEXT,
    last_error TEXT,
    payload TEXT,
    result TEXT,
    created_by TEXT,
    own_lease_ms INTEGER NOT NULL,  -- as added; lease_ms is that of the last claim
    rank INTEGER NOT NULL,          -- order inside the state, lower first
    shelf INTEGER NOT NULL GENERATED ALWAYS AS (CASE state
        WHEN 'dead' THEN 0 WHEN 'leased' THEN 1 WHEN 'ready' THEN 2 WHEN 'blocked' THEN 3
        WHEN 'scheduled' THEN 4 WHEN 'cancelled' THEN 5 ELSE 6 END) STORED,
    CHECK ((state = 'leased') = (fence IS NOT NULL)),
    CHECK ((state = 'leased') = (holder IS NOT NULL)),
    CHECK ((state = 'leased') = (lease_until IS NOT NULL)),
    CHECK ((state = 'blocked') <= (pending_dependencies > 0))
) STRICT;
-- the order of the queue pane; its shelf 2 is what claims take from, its shelf 4 what becomes due
CREATE INDEX item_order ON item (shelf, rank, num);
CREATE INDEX item_ready ON item (queue, kind, rank, num) WHERE state = 'ready';
CREATE INDEX item_lease ON item (lease_until, holder) WHERE state = 'leased';
CREATE UNIQUE INDEX item_unique ON item (queue, unique_key)
    WHERE unique_key IS NOT NULL AND state IN ('blocked', 'scheduled', 'ready', 'leased');
CREATE INDEX item_priority ON item (priority, num);
CREATE INDEX item_kind ON item (kind, num);

-- an attempt's id is the fence: it only ever grows, so the newest row must never be deleted
CREATE TABLE attempt (
    id INTEGER PRIMARY KEY,
    item INTEGER NOT NULL REFERENCES item (num),
    number INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    holder TEXT NOT NULL,
    claimed_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT,
    error TEXT
) STRICT;
CREATE INDEX attempt_item ON attempt (item, id);

CREATE TABLE edge (
    child INTEGER NOT NULL REFERENCES item (num),
    parent INTEGER NOT NULL REFERENCES item (num),
    satisfied INTEGER NOT NULL,
    PRIMARY KEY (child, parent)
) STRICT, WITHOUT ROWID;
CREATE INDEX edge_parent ON edge (parent, satisfied);

CREATE TABLE agent (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    team TEXT NOT NULL,
    layer TEXT NOT NULL,
    capabilities TEXT NOT NULL,  -- JSON list
    pid INTEGER,
    pid_start_ticks INTEGER,
    ttl_ms INTEGER NOT NULL,
    log_path TEXT,
    incarnation INTEGER NOT NULL,
    registered_at INTEGER NOT NULL,
    heartbeat_at INTEGER,
    activity TEXT,
    cause TEXT,
    note TEXT,
    draining INTEGER NOT NULL,
    answer TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE estop (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    reason TEXT NOT NULL,
    frozen TEXT NOT NULL,  -- JSON list
    actor TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    topic TEXT NOT NULL,
    subject TEXT NOT NULL,
    severity TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    door TEXT NOT NULL,
    command TEXT NOT NULL,
    target TEXT NOT NULL,
    args TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    outcome TEXT NOT NULL,
    message TEXT NOT NULL,
    request_id TEXT NOT NULL,
    prev TEXT NOT NULL UNIQUE,  -- no two records may continue the same one
    hash TEXT NOT NULL
) STRICT;

CREATE TABLE lane (  -- every queue and kind that ever had an item
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (queue, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE request (
    actor TEXT NOT NULL,
    request_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    reply BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (actor, request_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX request_expiry ON request (expires_at);
"""

PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA busy_timeout = 5000",
)
"""Of the writer. WAL is kept in the file; the others are per connection."""

READER_PRAGMAS = ("PRAGMA query_only = ON", "PRAGMA temp_store = MEMORY", "PRAGMA busy_timeout = 5000")

BEGIN = "BEGIN IMMEDIATE"
COMMIT = "COMMIT"
ROLLBACK = "ROLLBACK"
SAVEPOINT = "SAVEPOINT op"
RELEASE = "RELEASE op"
ROLLBACK_TO = "ROLLBACK TO op"

# --- work
# --------------------------------------------------------------------------------------------------------

_RETURNING = f" RETURNING {ITEM_COLUMNS}, num"

ITEM_BY_ID = f"SELECT {ITEM_COLUMNS}, num FROM item WHERE id = ?"
ITEM_BY_NUM = f"SELECT {ITEM_COLUMNS}, num FROM item WHERE num = ?"
ITEM_BY_UNIQUE_KEY = (
    f"SELECT {ITEM_COLUMNS}, num FROM item WHERE queue = ? AND unique_key = ?"
    " AND state IN ('blocked', 'scheduled', 'ready', 'leased')"
)

ADD_ITEM = f"INSERT INTO item ({ITEM_COLUMNS}, num, own_lease_ms, rank) VALUES ({', '.join('?' * 33)})"
ADD_EDGE = "INSERT OR IGNORE INTO edge (child, parent, satisfied) VALUES (?, ?, ?)"
COUNT_WAITING = "UPDATE item SET unblocks = unblocks + ? WHERE num = ?" + _RETURNING

# what has become due: leases that ran out, scheduled items whose time has come
DUE = (
    "SELECT num FROM item WHERE state = 'leased' AND lease_until <= ?"
    " UNION ALL SELECT num FROM item WHERE shelf = 4 AND rank <= ? LIMIT ?"
)

PICK = "SELECT num, attempt + 1, generation FROM item WHERE shelf = 2 ORDER BY rank, num LIMIT ?"
PICK_FROM = (
    "SELECT num, attempt + 1, generation, rank FROM item WHERE state = 'ready' AND queue = ? AND kind = ?"
    " ORDER BY rank, num LIMIT ?"
)
ADD_ATTEMPT = (
    "INSERT INTO attempt (id, item, number, generation, holder, claimed_at) VALUES (?, ?, ?, ?, ?, ?)"
)
# params: now, lease, now, lease, now, now, first new fence
LEASE = (
    "UPDATE item SET state = 'leased', rank = ?, attempt = attempt.number, fence = attempt.id, holder = attempt.holder,"
    " lease_ms = coalesce(?, own_lease_ms), lease_until = ? + coalesce(?, own_lease_ms), heartbeat_at = ?,"
    " claimed_at = ?, run_at = NULL, reason = NULL, progress_pct = NULL, progress_note = NULL, progress_at = NULL"
    " FROM attempt WHERE attempt.id >= ? AND attempt.item = item.num AND item.state = 'ready'" + _RETURNING
)

_HELD = " WHERE id = ? AND fence = ? AND state = 'leased'"

EXTEND = "UPDATE item SET lease_until = ? + lease_ms, heartbeat_at = ?" + _HELD + _RETURNING
PROGRESS = (
    "UPDATE item SET lease_until = ? + lease_ms, heartbeat_at = ?, progress_at = ?,"
    " progress_pct = coalesce(?, progress_pct), progress_note = coalesce(?, progress_note)"
    + _HELD
    + _RETURNING
)
COMPLETE = (
    "UPDATE item SET state = 'succeeded', rank = ?, finished_at = ?, result = ?, holder = NULL, fence = NULL,"
    " lease_until = NULL, heartbeat_at = NULL, cancel_requested_at = NULL, reason = NULL" + _HELD + _RETURNING
)
# the holder lets go, or is made to, without success
LET_GO = (
    "UPDATE item SET state = ?, rank = ?, attempt = ?, run_at = ?, finished_at = ?, reason = ?,"
    " last_error = coalesce(?, last_error), holder = NULL, fence = NULL, lease_until = NULL, heartbeat_at = NULL"
    + _HELD
    + _RETURNING
)
# between states that nobody holds
MOVE = (
    "UPDATE item SET state = ?, rank = ?, run_at = ?, finished_at = ?, reason = ? WHERE num = ?" + _RETURNING
)
RETRY = (
    "UPDATE item SET state = ?, rank = ?, pending_dependencies = ?, generation = generation + 1, attempt = 0,"
    " run_at = NULL, finished_at = NULL, cancel_requested_at = NULL, reason = NULL, result = NULL, claimed_at = NULL, progress_pct = NULL,"
    " progress_note = NULL, progress_at = NULL WHERE num = ?" + _RETURNING
)
REQUEST_CANCEL = (
    "UPDATE item SET cancel_requested_at = coalesce(cancel_requested_at, ?) WHERE num = ?" + _RETURNING
)

END_ATTEMPT = "UPDATE attempt SET ended_at = ?, outcome = ?, error = ? WHERE id = ?"
ATTEMPT_OUTCOME = (
    "SELECT attempt.outcome, attempt.generation FROM attempt JOIN item ON item.num = attempt.item"
    " WHERE attempt.id = ? AND item.id = ?"
)
# satisfied edges stay: a parent that is done a second time must not free its children twice
_WAITING_CHILDREN = "state = 'blocked' AND num IN (SELECT child FROM edge WHERE parent = ? AND satisfied = 0)"
FREED_CHILDREN = f"SELECT num, priority, run_at FROM item WHERE pending_dependencies = 1 AND {_WAITING_CHILDREN} ORDER BY num"
COUNT_DOWN_CHILDREN = (
    "UPDATE item SET pending_dependencies = pending_dependencies - 1"
    f" WHERE pending_dependencies > 1 AND {_WAITING_CHILDREN}" + _RETURNING
)
FREE = "UPDATE item SET state = ?, rank = ?, pending_dependencies = 0 WHERE num = ?" + _RETURNING
SATISFY_EDGES = "UPDATE edge SET satisfied = 1 WHERE parent = ? AND satisfied = 0"
CLEAR_UNBLOCKS = "UPDATE item SET unblocks = 0 WHERE num = ?" + _RETURNING
# a child that was cancelled while blocked missed what its parents did since
CATCH_UP_EDGES = (
    "UPDATE edge SET satisfied = 1 WHERE child = ? AND satisfied = 0"
    " AND parent IN (SELECT num FROM item WHERE num = edge.parent AND state = 'succeeded')"
)
UNSATISFIED_PARENTS = "SELECT parent FROM edge WHERE child = ? AND satisfied = 0"

HELD_BY = f"SELECT {ITEM_COLUMNS}, num FROM item WHERE state = 'leased' AND holder = ? ORDER BY lease_until"
ALL_LEASED = f"SELECT {ITEM_COLUMNS}, num FROM item WHERE state = 'leased' ORDER BY lease_until"
COUNT_BY_STATE = (
    "SELECT state, n FROM (SELECT shelf, min(state) AS state, count(*) AS n FROM item GROUP BY shelf)"
)

# --- everything else
# -----------------------------------------------------------------------------------------------

ADD_EVENT = "INSERT INTO event (seq, at, topic, subject, severity, body) VALUES (?, ?, ?, ?, ?, ?)"
AUDIT_COLUMNS = (
    "seq, at_us, actor, door, command, target, args, before, after, outcome, message, request_id, prev, hash"
)
ADD_AUDIT = f"INSERT INTO audit ({AUDIT_COLUMNS}) VALUES ({', '.join('?' * 14)})"

FIND_REQUEST = "SELECT operation, reply FROM request WHERE actor = ? AND request_id = ? AND expires_at > ?"
ADD_REQUEST = (
    "INSERT OR REPLACE INTO request (actor, request_id, operation, reply, expires_at) VALUES (?, ?, ?, ?, ?)"
)
DROP_REQUESTS = "DELETE FROM request WHERE expires_at <= ?"
DROP_EVENTS = "DELETE FROM event WHERE seq <= ?"
EVENTS_KEPT = 200_000

ALL_LANES = "SELECT queue, kind FROM lane"
ADD_LANE = "INSERT OR IGNORE INTO lane (queue, kind) VALUES (?, ?)"

AGENT_COLUMNS = (
    "id, host, kind, team, layer, capabilities, pid, pid_start_ticks, ttl_ms, log_path, incarnation, registered_at,"
    " heartbeat_at, activity, cause, note, draining, answer"
)
"""The fields of :class:`backends.model.Registration`, in its order."""

ALL_AGENTS = f"SELECT {AGENT_COLUMNS} FROM agent"
AGENT = "SELECT incarnation, draining FROM agent WHERE id = ?"
PUT_AGENT = f"INSERT OR REPLACE INTO agent ({AGENT_COLUMNS}) VALUES ({', '.join('?' * 18)})"
DROP_AGENT = "DELETE FROM agent WHERE id = ?"
SET_DRAINING = "UPDATE agent SET draining = ? WHERE id = ?"
SET_ANSWER = "UPDATE agent SET answer = ? WHERE id = ?"
SET_BEAT = "UPDATE agent SET heartbeat_at = ?, activity = ?, cause = ?, note = ?, answer = ? WHERE id = ?"
RENEW_LEASES = (
    "UPDATE item SET lease_until = max(lease_until, ? + lease_ms) WHERE state = 'leased'" + _RETURNING
)
GET_ESTOP = "SELECT reason, frozen, actor, at FROM estop"
SET_ESTOP = "INSERT OR REPLACE INTO estop (one, reason, frozen, actor, at) VALUES (1, ?, ?, ?, ?)"
CLEAR_ESTOP = "DELETE FROM estop"
