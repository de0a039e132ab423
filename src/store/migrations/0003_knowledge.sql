-- What is known of an article beyond question and answer. Times are RFC 3339.
ALTER TABLE articles ADD COLUMN category TEXT;
ALTER TABLE articles ADD COLUMN audience TEXT NOT NULL DEFAULT 'customer' CHECK (audience IN ('customer', 'agent'));
ALTER TABLE articles ADD COLUMN valid_from TEXT;
ALTER TABLE articles ADD COLUMN valid_until TEXT;
ALTER TABLE articles ADD COLUMN translation_of TEXT;
-- JSON array of {name, text}; NULL where there are none.
ALTER TABLE articles ADD COLUMN attachments TEXT;
ALTER TABLE articles ADD COLUMN source TEXT;

-- Every form in which an article was ever published, and that it was taken away (article IS NULL). Nothing here is ever changed.
CREATE TABLE article_versions (
    id         TEXT NOT NULL,
    version    INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    note       TEXT,
    article    TEXT,
    PRIMARY KEY (id, version)
) STRICT, WITHOUT ROWID;

INSERT INTO article_versions (id, version, created_at, note, article)
SELECT id, 1, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), NULL,
       json_patch('{}', json_object('id', id, 'lang', lang, 'question', question, 'answer', answer, 'intent', intent))
FROM articles;

-- What is being written and is not in force; base_version is the published version that it began from.
CREATE TABLE article_drafts (
    id           TEXT PRIMARY KEY NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('draft', 'review')),
    base_version INTEGER,
    note         TEXT,
    updated_at   TEXT NOT NULL,
    article      TEXT NOT NULL
) STRICT;

-- Which recorded triages showed an article, and whether its words were the reply.
CREATE TABLE article_uses (
    article_id TEXT NOT NULL,
    triage_id  TEXT NOT NULL REFERENCES triages (id),
    replied    INTEGER NOT NULL,
    PRIMARY KEY (article_id, triage_id)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO article_uses (article_id, triage_id, replied)
SELECT json_extract(shown.value, '$.article_id'), t.id,
       EXISTS (SELECT 1 FROM json_each(t.triage, '$.answer.reply.sources') s WHERE s.value = json_extract(shown.value, '$.article_id'))
FROM triages t, json_each(CASE WHEN json_valid(t.triage) THEN t.triage ELSE '{}' END, '$.answer.articles') shown
WHERE json_extract(shown.value, '$.article_id') IS NOT NULL;

CREATE INDEX tickets_by_time ON tickets (created_at);
