//! Answers kept by `Idempotency-Key`, so that a client may send again what it is not sure arrived.
//!
//! A key is reserved by the first request and released by [`Store::finish_idempotent`] or [`Store::abandon_idempotent`]. A crash
//! in between leaves it reserved: `serve` calls [`Store::abandon_all_unfinished`] before it listens.

use super::{Store, StoreError};

/// What a request with a key is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idempotency {
    /// The key is reserved for this request: work, then finish or abandon it.
    New,
    /// The same request was answered: answer so again.
    Replay(Answer),
    /// The key belongs to another request.
    Conflict,
    /// The same request is being worked on.
    InProgress,
}

/// What is kept of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    /// The `Location` header, where there was one.
    pub location: Option<String>,
    pub body: Vec<u8>,
}

type Kept = (String, Option<u16>, Option<String>, Option<String>, Option<Vec<u8>>);

impl Store {
    /// Reserves `key` for the request, or says what became of the one that has it. Of any number of concurrent calls with
    /// a fresh key exactly one is told [`Idempotency::New`].
    pub async fn idempotent(&self, key: &str, request_hash: &str, created_at_unix: i64) -> Result<Idempotency, StoreError> {
        let mut transaction = self.begin().await?;
        let insert = "INSERT INTO idempotency (key, request_hash, created_at) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING";
        let inserted = sqlx::query(insert).bind(key).bind(request_hash).bind(created_at_unix).execute(&mut *transaction).await?;
        let answer = if inserted.rows_affected() == 1 {
            Idempotency::New
        } else {
            let select = "SELECT request_hash, status, content_type, location, body FROM idempotency WHERE key = ?1";
            match sqlx::query_as::<_, Kept>(select).bind(key).fetch_one(&mut *transaction).await? {
                (hash, ..) if hash != request_hash => Idempotency::Conflict,
                (_, Some(status), content_type, location, body) => Idempotency::Replay(Answer {
                    status,
                    content_type: content_type.unwrap_or_default(),
                    location,
                    body: body.unwrap_or_default(),
                }),
                (_, None, ..) => Idempotency::InProgress,
            }
        };
        transaction.commit().await?;
        Ok(answer)
    }

    /// Keeps the answer for those who ask again. Nothing happens when the key has expired meanwhile.
    pub async fn finish_idempotent(&self, key: &str, answer: &Answer) -> Result<(), StoreError> {
        let sql = "UPDATE idempotency SET status = ?2, content_type = ?3, location = ?4, body = ?5 WHERE key = ?1 AND status IS NULL";
        let query = sqlx::query(sql).bind(key).bind(answer.status).bind(&answer.content_type).bind(&answer.location).bind(&answer.body);
        query.execute(&self.write).await?;
        Ok(())
    }

    /// Frees a reserved key: the request failed in a way that may be tried again. An answer that is kept stays.
    pub async fn abandon_idempotent(&self, key: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM idempotency WHERE key = ?1 AND status IS NULL").bind(key).execute(&self.write).await?;
        Ok(())
    }

    /// Frees every reserved key and says how many: no request of a process that is gone will finish. For the start of the
    /// one process that serves, before it takes requests.
    pub async fn abandon_all_unfinished(&self) -> Result<u64, StoreError> {
        Ok(sqlx::query("DELETE FROM idempotency WHERE status IS NULL").execute(&self.write).await?.rows_affected())
    }

    /// Forgets the keys made before `before_unix` and says how many.
    pub async fn expire_idempotent(&self, before_unix: i64) -> Result<u64, StoreError> {
        let sql = "DELETE FROM idempotency WHERE created_at < ?1";
        Ok(sqlx::query(sql).bind(before_unix).execute(&self.write).await?.rows_affected())
    }
}
