//! What agents said of the triages that were kept. Several may speak of one triage, and one agent may change their mind: everything
//! stays, and the last word counts.

use sqlx::{FromRow, QueryBuilder, Row, Sqlite, sqlite::SqliteRow};

use super::triages::RecordedTriage;
use super::{Store, StoreError};
use crate::domain::Outcome;

/// One word of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    pub outcome: Outcome,
    /// The right label, where the agent named one.
    pub intent: Option<String>,
    /// The reply as it was sent.
    pub reply: Option<String>,
}

/// The last word on a triage, with the triage.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Grows with every word that is added: where to go on reading.
    pub seq: i64,
    /// When the word was said; RFC 3339, UTC.
    pub created_at: String,
    pub feedback: Feedback,
    pub triage: RecordedTriage,
}

impl FromRow<'_, SqliteRow> for Feedback {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let outcome: Outcome = row.try_get::<&str, _>("outcome")?.parse().map_err(|e: String| sqlx::Error::Decode(e.into()))?;
        Ok(Feedback { outcome, intent: row.try_get("intent")?, reply: row.try_get("reply")? })
    }
}

impl Store {
    /// Adds a word on a triage and answers how many there are on it now; `None` where no such triage was kept.
    pub async fn add_feedback(&self, triage_id: &str, created_at: &str, feedback: &Feedback) -> Result<Option<u64>, StoreError> {
        let mut transaction = self.begin().await?;
        let insert = "INSERT INTO feedback (triage_id, created_at, outcome, intent, reply) \
                      SELECT id, ?2, ?3, ?4, ?5 FROM triages WHERE id = ?1";
        let query = sqlx::query(insert).bind(triage_id).bind(created_at).bind(feedback.outcome.as_str());
        let added = query.bind(&feedback.intent).bind(&feedback.reply).execute(&mut *transaction).await?.rows_affected();
        let count = "SELECT COUNT(*) FROM feedback WHERE triage_id = ?1";
        let count: i64 = sqlx::query_scalar(count).bind(triage_id).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        Ok((added == 1).then_some(count.unsigned_abs()))
    }

    /// Everything that was said of a triage, the last word last.
    pub async fn feedback(&self, triage_id: &str) -> Result<Vec<Feedback>, StoreError> {
        let sql = "SELECT outcome, intent, reply FROM feedback WHERE triage_id = ?1 ORDER BY seq";
        Ok(sqlx::query_as(sql).bind(triage_id).fetch_all(&self.read).await?)
    }

    /// The last words on triages that were said from the time `since` on (see [`Store::recorded_triages`]), in order, behind `after`.
    pub async fn judged(&self, after: i64, since: Option<&str>, limit: u32) -> Result<Vec<Judged>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT f.seq, f.created_at AS said_at, f.outcome, f.intent, f.reply, t.id, t.created_at, t.text, t.triage \
             FROM feedback f JOIN triages t ON t.id = f.triage_id",
        );
        push_last_words(&mut query, since);
        query.push(" AND f.seq > ").push_bind(after).push(" ORDER BY f.seq LIMIT ").push_bind(limit);
        query.build().fetch_all(&self.read).await?.iter().map(judged).collect()
    }

    /// How many triages have a last word from `since` on.
    pub async fn judged_count(&self, since: Option<&str>) -> Result<u64, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT COUNT(*) FROM feedback f");
        push_last_words(&mut query, since);
        let count: i64 = query.build_query_scalar().fetch_one(&self.read).await?;
        Ok(count.unsigned_abs())
    }
}

fn push_last_words(query: &mut QueryBuilder<Sqlite>, since: Option<&str>) {
    query.push(" WHERE NOT EXISTS (SELECT 1 FROM feedback later WHERE later.triage_id = f.triage_id AND later.seq > f.seq)");
    if let Some(since) = since {
        query.push(" AND f.created_at >= ").push_bind(since);
    }
}

fn judged(row: &SqliteRow) -> Result<Judged, StoreError> {
    Ok(Judged {
        seq: row.try_get("seq")?,
        created_at: row.try_get("said_at")?,
        feedback: Feedback::from_row(row)?,
        triage: RecordedTriage::of(row)?,
    })
}
