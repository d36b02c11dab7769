"""The tables and the settings of a connection.

The tables keep to what PostgreSQL also has (partial indexes, checks); only the pragmas,
STRICT and the column types are SQLite's own.
"""

from __future__ import annotations

APPLICATION_ID = 0x57464C52
"""``WFLR``, in the file's header: tells our file from any other SQLite file."""

SCHEMA_VERSION = 1

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
    shelf INTEGER NOT NULL,         -- the state's place in the order of urgency
    CHECK (shelf = CASE state WHEN 'dead' THEN 0 WHEN 'leased' THEN 1 WHEN 'ready' THEN 2
        WHEN 'blocked' THEN 3 WHEN 'scheduled' THEN 4 WHEN 'cancelled' THEN 5 ELSE 6 END),
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
