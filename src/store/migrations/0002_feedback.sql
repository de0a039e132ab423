-- What agents said of a triage, in the order in which they said it. All of it stays; of one triage the last row counts.
CREATE TABLE feedback (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    triage_id  TEXT NOT NULL REFERENCES triages (id),
    created_at TEXT NOT NULL,
    outcome    TEXT NOT NULL CHECK (outcome IN ('accepted', 'edited', 'rejected')),
    intent     TEXT,
    reply      TEXT
) STRICT;

CREATE INDEX feedback_by_triage ON feedback (triage_id, seq);

-- Recorded messages are read by time, page by page.
CREATE INDEX triages_by_time ON triages (created_at, id);
