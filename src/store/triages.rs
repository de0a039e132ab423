//! Triages that a caller asked to keep, so that feedback can be joined to what was said.

use serde::Deserialize;
use sqlx::{QueryBuilder, Row, Sqlite, sqlite::SqliteRow};

use super::{Store, StoreError};
use crate::domain::{IntentScore, Lang};

/// A message that was kept, and what was made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedTriage {
    pub id: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// The message as it was sent.
    pub text: String,
    pub lang: Lang,
    /// The answer's intent with its probability.
    pub intent: IntentScore,
}

/// What is read again of the JSON that was kept.
#[derive(Deserialize)]
struct Kept {
    answer: KeptAnswer,
}

#[derive(Deserialize)]
struct KeptAnswer {
    lang: Lang,
    intent: IntentScore,
}

impl RecordedTriage {
    pub(super) fn of(row: &SqliteRow) -> Result<Self, StoreError> {
        let id: String = row.try_get("id")?;
        let kept: Kept = match serde_json::from_str(row.try_get("triage")?) {
            Ok(kept) => kept,
            Err(source) => return Err(StoreError::Triage { id, source }),
        };
        let Kept { answer } = kept;
        Ok(RecordedTriage {
            id,
            created_at: row.try_get("created_at")?,
            text: row.try_get("text")?,
            lang: answer.lang,
            intent: answer.intent,
        })
    }
}

/// Which recorded triages are read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recorded<'a> {
    /// From this time on: the beginning of an RFC 3339 time in UTC, without fractions and zone (`2026-01-31T00:00:00`), which sorts
    /// before every longer form of the same second.
    pub since: Option<&'a str>,
    /// Only those of which no agent has said anything.
    pub unjudged: bool,
}

impl Recorded<'_> {
    /// ` FROM triages t WHERE ...`
    fn push(&self, query: &mut QueryBuilder<Sqlite>) {
        query.push(" FROM triages t WHERE true");
        if let Some(since) = self.since {
            query.push(" AND t.created_at >= ").push_bind(since);
        }
        if self.unjudged {
            query.push(" AND NOT EXISTS (SELECT 1 FROM feedback f WHERE f.triage_id = t.id)");
        }
    }
}

impl Store {
    /// Keeps a triage as it was answered, and which articles it showed. A second record of an id changes nothing: what was answered
    /// stays what was answered.
    pub async fn record_triage(&self, id: &str, created_at: &str, text: &str, triage_json: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let sql = "INSERT INTO triages (id, created_at, text, triage) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING";
        let query = sqlx::query(sql).bind(id).bind(created_at).bind(text).bind(triage_json);
        if query.execute(&mut *transaction).await?.rows_affected() == 1 {
            // The table's own words for what migration 3 did with those that were recorded before.
            let uses = "INSERT OR IGNORE INTO article_uses (article_id, triage_id, replied) \
                        SELECT json_extract(shown.value, '$.article_id'), ?1, \
                               EXISTS (SELECT 1 FROM json_each(?2, '$.answer.reply.sources') s \
                                       WHERE s.value = json_extract(shown.value, '$.article_id')) \
                        FROM json_each(CASE WHEN json_valid(?2) THEN ?2 ELSE '{}' END, '$.answer.articles') shown \
                        WHERE json_extract(shown.value, '$.article_id') IS NOT NULL";
            sqlx::query(uses).bind(id).bind(triage_json).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The JSON that was recorded.
    pub async fn triage(&self, id: &str) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT triage FROM triages WHERE id = ?1").bind(id).fetch_optional(&self.read).await?)
    }

    /// A page of the chosen triages by time and id, behind the one given as (`created_at`, `id`).
    pub async fn recorded_triages(
        &self,
        chosen: Recorded<'_>,
        after: Option<(&str, &str)>,
        limit: u32,
    ) -> Result<Vec<RecordedTriage>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT t.id, t.created_at, t.text, t.triage");
        chosen.push(&mut query);
        if let Some((time, id)) = after {
            query.push(" AND (t.created_at, t.id) > (").push_bind(time).push(", ").push_bind(id).push(")");
        }
        query.push(" ORDER BY t.created_at, t.id LIMIT ").push_bind(limit);
        query.build().fetch_all(&self.read).await?.iter().map(RecordedTriage::of).collect()
    }

    /// How many were chosen.
    pub async fn recorded_count(&self, chosen: Recorded<'_>) -> Result<u64, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT COUNT(*)");
        chosen.push(&mut query);
        let count: i64 = query.build_query_scalar().fetch_one(&self.read).await?;
        Ok(count.unsigned_abs())
    }
}
