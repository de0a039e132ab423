-- Ids are the clients' own and are compared byte by byte (BINARY, SQLite's default), so a cursor by id is stable.

CREATE TABLE articles (
    id       TEXT PRIMARY KEY NOT NULL,
    lang     TEXT NOT NULL,
    question TEXT NOT NULL,
    answer   TEXT NOT NULL,
    intent   TEXT
) STRICT;

CREATE TABLE tickets (
    id         TEXT PRIMARY KEY NOT NULL,
    text       TEXT NOT NULL,
    lang       TEXT,
    intent     TEXT,
    state      TEXT,
    resolution TEXT,
    created_at TEXT
) STRICT;

-- The item as JSON: the catalogue is read whole and searched in memory, never by column.
CREATE TABLE catalogue (
    sku  TEXT PRIMARY KEY NOT NULL,
    item TEXT NOT NULL
) STRICT;

-- What the vector index has still to take over. AUTOINCREMENT: a seq is never given twice, so that "done up to" stays true.
CREATE TABLE index_outbox (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('article', 'ticket')),
    id   TEXT NOT NULL,
    op   TEXT NOT NULL CHECK (op IN ('upsert', 'delete'))
) STRICT;

CREATE INDEX index_outbox_by_kind ON index_outbox (kind, seq);

CREATE TABLE triages (
    id         TEXT PRIMARY KEY NOT NULL,
    created_at TEXT NOT NULL,
    text       TEXT NOT NULL,
    triage     TEXT NOT NULL
) STRICT;

-- status is NULL while the first request with the key is being worked on.
CREATE TABLE idempotency (
    key          TEXT PRIMARY KEY NOT NULL,
    request_hash TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    status       INTEGER,
    content_type TEXT,
    location     TEXT,
    body         BLOB
) STRICT;

CREATE INDEX idempotency_by_age ON idempotency (created_at);
