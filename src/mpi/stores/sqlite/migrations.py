"""Tables of the SQLite store, and how they came about."""

from __future__ import annotations

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

-- One row: counters that every commit keeps, so that counting never scans.
CREATE TABLE tally (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    minted INTEGER NOT NULL,      -- person numbers given out; never goes back
    records INTEGER NOT NULL,     -- active ones
    persons INTEGER NOT NULL,     -- active ones
    retired INTEGER NOT NULL,
    tasks_open INTEGER NOT NULL,  -- claimed ones too
    assertions INTEGER NOT NULL   -- in force
);
INSERT INTO tally VALUES (1, 0, 0, 0, 0, 0, 0);

CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,          -- times are microseconds since 1970, UTC
    actor TEXT NOT NULL,
    reason TEXT,
    undoes INTEGER REFERENCES event (seq),
    payload BLOB NOT NULL
);
CREATE INDEX event_undoes ON event (undoes) WHERE undoes IS NOT NULL;
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

CREATE TABLE person (
    id INTEGER PRIMARY KEY,       -- the number behind mpi_id
    mpi_id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    active INTEGER NOT NULL,
    merged_into INTEGER REFERENCES person (id),
    created_seq INTEGER NOT NULL REFERENCES event (seq),
    CHECK (NOT (active AND merged_into IS NOT NULL))
);

CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    source_id TEXT NOT NULL,
    version INTEGER NOT NULL,     -- the current one
    status TEXT NOT NULL CHECK (status IN ('active', 'deleted')),
    person INTEGER REFERENCES person (id),
    version_id INTEGER AS ((id << 20) + version) VIRTUAL,  -- record_version.id
    UNIQUE (source, source_id),
    CHECK ((status = 'active') = (person IS NOT NULL))
);
CREATE INDEX record_person ON record (person) WHERE person IS NOT NULL;

CREATE TABLE record_version (
    id INTEGER PRIMARY KEY,       -- record << 20 | version: the versions of a record lie together
    record INTEGER NOT NULL REFERENCES record (id),
    version INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'pending', 'history', 'deleted')),
    received_at INTEGER NOT NULL,
    recorded_at INTEGER,
    digest BLOB NOT NULL,
    demographics BLOB NOT NULL,
    standard BLOB NOT NULL,
    blocking_keys BLOB NOT NULL,
    warnings BLOB,
    seq INTEGER NOT NULL REFERENCES event (seq),
    CHECK (id = (record << 20) + version AND version BETWEEN 1 AND 1048575)
);

CREATE VIEW stored_version AS
    SELECT v.id, r.source, r.source_id, v.version, v.status, v.demographics, v.standard,
        v.blocking_keys, v.digest, v.received_at, v.recorded_at, p.mpi_id, v.warnings
    FROM record_version v JOIN record r ON r.id = v.record LEFT JOIN person p ON p.id = r.person;

-- Rows of active current versions only. No foreign key: checking some thirty rows of each commit costs
-- more than writing them, and `verify` compares the whole table with the versions.
CREATE TABLE blocking_key (
    key INTEGER NOT NULL,
    record INTEGER NOT NULL,
    PRIMARY KEY (key, record)
) WITHOUT ROWID;

-- Who held a record when. The event of from_seq tells the decision, its actor and time.
CREATE TABLE link (
    record INTEGER NOT NULL REFERENCES record (id),
    from_seq INTEGER NOT NULL REFERENCES event (seq),
    person INTEGER NOT NULL REFERENCES person (id),
    until_seq INTEGER REFERENCES event (seq),
    PRIMARY KEY (record, from_seq)
) WITHOUT ROWID;
CREATE TRIGGER link_is_never_deleted BEFORE DELETE ON link
    BEGIN SELECT RAISE(ABORT, 'links are superseded, never deleted'); END;
CREATE TRIGGER link_is_only_superseded BEFORE UPDATE ON link
    WHEN OLD.until_seq IS NOT NULL OR NEW.until_seq IS NULL OR NEW.record <> OLD.record
        OR NEW.from_seq <> OLD.from_seq OR NEW.person <> OLD.person
    BEGIN SELECT RAISE(ABORT, 'links are superseded, never changed'); END;

CREATE TABLE event_person (
    person INTEGER NOT NULL REFERENCES person (id),
    seq INTEGER NOT NULL REFERENCES event (seq),
    PRIMARY KEY (person, seq)
) WITHOUT ROWID;
CREATE TABLE event_record (
    record INTEGER NOT NULL REFERENCES record (id),
    seq INTEGER NOT NULL REFERENCES event (seq),
    PRIMARY KEY (record, seq)
) WITHOUT ROWID;

CREATE TABLE assertion (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('same', 'not-same')),
    left_record INTEGER NOT NULL REFERENCES record (id),
    right_record INTEGER NOT NULL REFERENCES record (id),
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    seq INTEGER NOT NULL REFERENCES event (seq),
    lifted_seq INTEGER REFERENCES event (seq),
    CHECK (left_record <> right_record)
);
CREATE INDEX assertion_left ON assertion (left_record) WHERE lifted_seq IS NULL;
CREATE INDEX assertion_right ON assertion (right_record) WHERE lifted_seq IS NULL;

CREATE TABLE task (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    record INTEGER NOT NULL REFERENCES record (id),
    candidates BLOB NOT NULL,
    weight REAL,
    reason TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    assignee TEXT,
    outcome TEXT,
    decided_at INTEGER,
    seq INTEGER NOT NULL REFERENCES event (seq)
);
CREATE INDEX task_status ON task (status, id);
CREATE INDEX task_record ON task (record);
CREATE TABLE task_person (
    person INTEGER NOT NULL REFERENCES person (id),
    task INTEGER NOT NULL REFERENCES task (id),
    PRIMARY KEY (person, task)
) WITHOUT ROWID;

CREATE VIEW task_row AS
    SELECT t.id, t.version, t.kind, t.status, r.source, r.source_id, t.candidates, t.weight,
        t.reason, t.opened_at, t.assignee, t.outcome, t.decided_at
    FROM task t JOIN record r ON r.id = t.record;

CREATE TABLE api_key (
    key_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) WITHOUT ROWID;
"""

_DEFERRED_TASKS = """
ALTER TABLE task ADD COLUMN deferred_until INTEGER;
DROP VIEW task_row;
CREATE VIEW task_row AS
    SELECT t.id, t.version, t.kind, t.status, r.source, r.source_id, t.candidates, t.weight,
        t.reason, t.opened_at, t.assignee, t.outcome, t.decided_at, t.deferred_until
    FROM task t JOIN record r ON r.id = t.record;
"""

_RECENT_KEYS = """
-- Keys that were registered last; see blocking.py. They move over to `blocking_key` in the order of keys.
CREATE TABLE blocking_recent (
    key INTEGER NOT NULL,
    record INTEGER NOT NULL,
    PRIMARY KEY (key, record)
) WITHOUT ROWID;
ALTER TABLE tally ADD COLUMN recent_keys INTEGER NOT NULL DEFAULT 0;  -- rows of blocking_recent
ALTER TABLE tally ADD COLUMN next_key INTEGER NOT NULL DEFAULT 0;     -- the first to move over next
"""

_ERRANDS = """
-- What is still to be said elsewhere. No history: what was said is told by events.
CREATE TABLE errand (
    name TEXT PRIMARY KEY,          -- kind and records: equal errands are queued once
    kind TEXT NOT NULL,
    lane INTEGER NOT NULL,          -- the smaller goes first
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,      -- that failed since it was queued
    reason TEXT,                    -- why the last one did
    mark TEXT,                      -- how far one has come that goes on
    lease INTEGER NOT NULL,         -- how often it was leased: names the lease that is in force
    wanted INTEGER NOT NULL,        -- how often it was queued: tells whether once more while it was run
    leased_until INTEGER NOT NULL   -- 0: nobody runs it
) WITHOUT ROWID;
CREATE INDEX errand_due ON errand (lane, due_at);
CREATE INDEX errand_kind ON errand (kind, created_at);
"""

_MODELS = """
CREATE TABLE model (
    version TEXT PRIMARY KEY,
    document BLOB NOT NULL,
    added_at INTEGER NOT NULL,
    added_by TEXT NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER model_is_never_changed BEFORE UPDATE ON model
    BEGIN SELECT RAISE(ABORT, 'models are kept as they were added'); END;

CREATE TABLE activation (
    number INTEGER PRIMARY KEY,
    role TEXT NOT NULL,
    version TEXT REFERENCES model (version),
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE TRIGGER activation_is_never_changed BEFORE UPDATE ON activation
    BEGIN SELECT RAISE(ABORT, 'activations are append-only'); END;
CREATE TRIGGER activation_is_never_deleted BEFORE DELETE ON activation
    BEGIN SELECT RAISE(ABORT, 'activations are append-only'); END;
"""

_KEY_LOG = """
-- Keys that are in no table of keys yet, by the event that changed them; see memtable.py.
CREATE TABLE blocking_log (
    seq INTEGER PRIMARY KEY,
    record INTEGER NOT NULL,
    added BLOB NOT NULL,
    removed BLOB NOT NULL
);
ALTER TABLE tally ADD COLUMN settled_seq INTEGER NOT NULL DEFAULT 0;  -- the log up to here has moved over
ALTER TABLE tally ADD COLUMN frozen_seq INTEGER NOT NULL DEFAULT 0;   -- from there to here it is moving
ALTER TABLE tally ADD COLUMN next_span INTEGER NOT NULL DEFAULT 0;    -- the first part of that to move next
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _DEFERRED_TASKS, _RECENT_KEYS, _ERRANDS, _MODELS, _KEY_LOG)
"""Migration n leads from schema n to n + 1. Released ones are never edited."""
