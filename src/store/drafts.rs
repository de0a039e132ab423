//! Articles that are being written: drafts, their review, and their way into force.

use sqlx::{FromRow, Row, sqlite::SqliteRow};

use super::articles::{json, newest, upsert};
use super::{Store, StoreError};
use crate::domain::{Article, Draft, DraftState};

/// What became of a draft that was to be published.
#[derive(Debug, Clone, PartialEq)]
pub enum Published {
    /// It is in force.
    Done(Box<Article>),
    /// There is no draft of this id.
    Missing,
    /// The article was changed since the draft was begun; the draft stays. The number of the version that is newest now.
    Stale(Option<i64>),
}

impl FromRow<'_, SqliteRow> for Draft {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        // The table's CHECK knows these two words and no other.
        let in_review = row.try_get::<&str, _>("state")? == DraftState::Review.as_str();
        Ok(Draft {
            article: serde_json::from_str(row.try_get("article")?).map_err(|e| sqlx::Error::Decode(e.into()))?,
            state: if in_review { DraftState::Review } else { DraftState::Draft },
            base_version: row.try_get("base_version")?,
            note: row.try_get("note")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

const SELECT: &str = "SELECT state, base_version, note, updated_at, article FROM article_drafts";

impl Store {
    /// Drafts, last touched first, of one state or of all.
    pub async fn drafts(&self, state: Option<DraftState>, limit: u32) -> Result<Vec<Draft>, StoreError> {
        let sql = format!("{SELECT} WHERE ?1 IS NULL OR state = ?1 ORDER BY updated_at DESC, id LIMIT ?2");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(state.map(DraftState::as_str)).bind(limit).fetch_all(&self.read).await?)
    }

    pub async fn draft(&self, id: &str) -> Result<Option<Draft>, StoreError> {
        let sql = format!("{SELECT} WHERE id = ?1");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.read).await?)
    }

    /// Keeps a draft; one in review is its author's again. What it began from is noted when it is begun, and stays.
    ///
    /// `now` is RFC 3339, UTC.
    pub async fn put_draft(&self, article: &Article, note: Option<&str>, now: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let base = newest(&mut transaction, &article.id).await?;
        let sql = "INSERT INTO article_drafts (id, state, base_version, note, updated_at, article) VALUES (?1, 'draft', ?2, ?3, ?4, ?5) \
                   ON CONFLICT (id) DO UPDATE SET state = 'draft', note = coalesce(excluded.note, note), \
                   updated_at = excluded.updated_at, article = excluded.article";
        let text = json(article)?;
        sqlx::query(sql).bind(&article.id).bind(base).bind(note).bind(now).bind(text).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Hands a draft on, or back; `false` where there is none.
    pub async fn move_draft(&self, id: &str, to: DraftState, note: Option<&str>, now: &str) -> Result<bool, StoreError> {
        let sql = "UPDATE article_drafts SET state = ?2, note = coalesce(?3, note), updated_at = ?4 WHERE id = ?1";
        let query = sqlx::query(sql).bind(id).bind(to.as_str()).bind(note).bind(now);
        Ok(query.execute(&self.write).await?.rows_affected() == 1)
    }

    /// `true` when there was one.
    pub async fn delete_draft(&self, id: &str) -> Result<bool, StoreError> {
        let deleted = sqlx::query("DELETE FROM article_drafts WHERE id = ?1").bind(id).execute(&self.write).await?;
        Ok(deleted.rows_affected() == 1)
    }

    /// Puts a draft into force as the article's next version, and takes it out of the drafts.
    ///
    /// Refuses where the article was changed since the draft was begun, unless `force`.
    pub async fn publish_draft(&self, id: &str, force: bool, now: &str) -> Result<Published, StoreError> {
        let mut transaction = self.begin().await?;
        let sql = format!("{SELECT} WHERE id = ?1");
        let draft: Option<Draft> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&mut *transaction).await?;
        let Some(draft) = draft else { return Ok(Published::Missing) };
        let newest = newest(&mut transaction, id).await?;
        if newest != draft.base_version && !force {
            return Ok(Published::Stale(newest));
        }
        upsert(&mut transaction, std::slice::from_ref(&draft.article), now, draft.note.as_deref()).await?;
        sqlx::query("DELETE FROM article_drafts WHERE id = ?1").bind(id).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Published::Done(Box::new(draft.article)))
    }
}
