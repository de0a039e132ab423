//! What the records say of the knowledge base: where articles served, and where there was none.

use sqlx::{FromRow, Row, sqlite::SqliteRow};

use super::{Store, StoreError};
use crate::domain::{ArticleUse, Lang, TicketRecord, UseCounts};

/// A recorded message for which the knowledge base had nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Unanswered {
    pub triage_id: String,
    pub created_at: String,
    pub text: String,
    pub lang: Lang,
    pub intent: Option<String>,
    /// The article that came nearest, and the probability that it answers.
    pub nearest: Option<(String, f32)>,
}

impl FromRow<'_, SqliteRow> for Unanswered {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let lang: Lang = row.try_get::<&str, _>("lang")?.parse().map_err(|e: String| sqlx::Error::Decode(e.into()))?;
        let article: Option<String> = row.try_get("article")?;
        let confidence: Option<f64> = row.try_get("confidence")?;
        Ok(Unanswered {
            triage_id: row.try_get("id")?,
            created_at: row.try_get("created_at")?,
            text: row.try_get("text")?,
            lang,
            intent: row.try_get("intent")?,
            nearest: article.zip(confidence.map(|c| c as f32)),
        })
    }
}

/// The last word on a triage, if there is one.
const LAST_WORD: &str = "(SELECT f.outcome FROM feedback f WHERE f.triage_id = u.triage_id ORDER BY f.seq DESC LIMIT 1)";

impl FromRow<'_, SqliteRow> for UseCounts {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let count = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
        Ok(UseCounts {
            shown: count("shown")?,
            replied: count("replied")?,
            accepted: count("accepted")?,
            edited: count("edited")?,
            rejected: count("rejected")?,
        })
    }
}

impl Store {
    /// How an article served in the recorded triages since a time (RFC 3339, UTC; empty: ever). Words of agents count where its text
    /// was the reply.
    pub async fn article_uses(&self, id: &str, since: &str) -> Result<UseCounts, StoreError> {
        Ok(self.uses(Some(id), since).await?.pop().map_or_else(UseCounts::default, |(_, counts)| counts))
    }

    /// As [`Self::article_uses`], of every article that was shown.
    pub async fn all_article_uses(&self, since: &str) -> Result<Vec<(String, UseCounts)>, StoreError> {
        self.uses(None, since).await
    }

    async fn uses(&self, id: Option<&str>, since: &str) -> Result<Vec<(String, UseCounts)>, StoreError> {
        let sql = format!(
            "SELECT article_id, count(*) AS shown, sum(replied) AS replied, \
             coalesce(sum(replied AND word = 'accepted'), 0) AS accepted, coalesce(sum(replied AND word = 'edited'), 0) AS edited, \
             coalesce(sum(replied AND word = 'rejected'), 0) AS rejected \
             FROM (SELECT u.article_id, u.replied, {LAST_WORD} AS word FROM article_uses u JOIN triages t ON t.id = u.triage_id \
                   WHERE (?1 IS NULL OR u.article_id = ?1) AND t.created_at >= ?2) GROUP BY article_id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).bind(since).fetch_all(&self.read).await?;
        rows.iter().map(|row| Ok((row.try_get("article_id")?, UseCounts::from_row(row)?))).collect()
    }

    /// When each article was last changed.
    pub async fn article_changes(&self) -> Result<Vec<(String, String)>, StoreError> {
        Ok(sqlx::query_as("SELECT id, max(created_at) FROM article_versions GROUP BY id").fetch_all(&self.read).await?)
    }

    /// The newest messages that an article's text was the reply to.
    pub async fn article_replies(&self, id: &str, limit: u32) -> Result<Vec<ArticleUse>, StoreError> {
        let sql = format!(
            "SELECT t.id, t.text, t.created_at, {LAST_WORD} AS word FROM article_uses u JOIN triages t ON t.id = u.triage_id \
             WHERE u.article_id = ?1 AND u.replied ORDER BY t.created_at DESC, t.id LIMIT ?2"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).bind(limit).fetch_all(&self.read).await?;
        let used = |row: &SqliteRow| {
            let word: Option<&str> = row.try_get("word")?;
            Ok(ArticleUse {
                triage_id: row.try_get("id")?,
                text: row.try_get("text")?,
                created_at: row.try_get("created_at")?,
                outcome: word.map(str::parse).transpose().map_err(|e: String| sqlx::Error::Decode(e.into()))?,
            })
        };
        rows.iter().map(|row| used(row).map_err(StoreError::Database)).collect()
    }

    /// Recorded messages since a time for which the gate said that knowledge was missing, newest first. What is out of scope is no gap.
    pub async fn unanswered(&self, since: &str, limit: u32) -> Result<Vec<Unanswered>, StoreError> {
        let sql = "SELECT t.id, t.created_at, t.text, t.triage ->> '$.answer.lang' AS lang, t.triage ->> '$.answer.intent.id' AS intent, \
                   t.triage ->> '$.answer.articles[0].article_id' AS article, t.triage ->> '$.answer.articles[0].confidence' AS confidence \
                   FROM (SELECT * FROM triages WHERE created_at >= ?1 AND json_valid(triage) ORDER BY created_at DESC) t \
                   WHERE EXISTS (SELECT 1 FROM json_each(t.triage, '$.answer.decision.reasons') WHERE value = 'missing_knowledge') \
                   AND NOT EXISTS (SELECT 1 FROM json_each(t.triage, '$.answer.decision.reasons') WHERE value = 'out_of_scope') \
                   AND lang IS NOT NULL ORDER BY t.created_at DESC, t.id LIMIT ?2";
        Ok(sqlx::query_as(sql).bind(since).bind(limit).fetch_all(&self.read).await?)
    }

    /// Tickets that were opened since a time (RFC 3339, UTC), newest first.
    pub async fn tickets_since(&self, since: &str, limit: u32) -> Result<Vec<TicketRecord>, StoreError> {
        let sql = "SELECT id, text, lang, intent, state, resolution, created_at FROM tickets \
                   WHERE created_at >= ?1 ORDER BY created_at DESC, id LIMIT ?2";
        Ok(sqlx::query_as(sql).bind(since).bind(limit).fetch_all(&self.read).await?)
    }
}
