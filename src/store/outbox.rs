//! The index outbox: what the vector index has still to take over, in the order in which it was committed.

use sqlx::{FromRow, QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteRow};

use super::{CHUNK, Store, StoreError};

/// Which index a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexKind {
    Article,
    Ticket,
}

impl IndexKind {
    pub fn as_str(self) -> &'static str {
        match self {
            IndexKind::Article => "article",
            IndexKind::Ticket => "ticket",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexOp {
    /// Index the record as it is in the store now. It may be gone by then: a `Delete` follows.
    Upsert,
    Delete,
}

impl IndexOp {
    fn as_str(self) -> &'static str {
        match self {
            IndexOp::Upsert => "upsert",
            IndexOp::Delete => "delete",
        }
    }
}

/// One change to take over. Several of one id are possible; the last one is what holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexJob {
    pub seq: i64,
    pub id: String,
    pub op: IndexOp,
}

impl FromRow<'_, SqliteRow> for IndexJob {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        // The table's CHECK knows these two words and no other.
        let op = if row.try_get::<&str, _>("op")? == IndexOp::Delete.as_str() { IndexOp::Delete } else { IndexOp::Upsert };
        Ok(IndexJob { seq: row.try_get("seq")?, id: row.try_get("id")?, op })
    }
}

impl Store {
    /// The oldest jobs, in order.
    pub async fn index_backlog(&self, kind: IndexKind, limit: u32) -> Result<Vec<IndexJob>, StoreError> {
        let sql = "SELECT seq, id, op FROM index_outbox WHERE kind = ?1 ORDER BY seq LIMIT ?2";
        Ok(sqlx::query_as(sql).bind(kind.as_str()).bind(limit).fetch_all(&self.read).await?)
    }

    /// Forgets the jobs up to and with `up_to_seq`: the index has them on disk. Doing so again changes nothing.
    pub async fn index_done(&self, kind: IndexKind, up_to_seq: i64) -> Result<(), StoreError> {
        let sql = "DELETE FROM index_outbox WHERE kind = ?1 AND seq <= ?2";
        sqlx::query(sql).bind(kind.as_str()).bind(up_to_seq).execute(&self.write).await?;
        Ok(())
    }
}

/// Adds a job an id, within the transaction that changes the records.
pub(super) async fn enqueue<'a>(
    connection: &mut SqliteConnection,
    kind: IndexKind,
    op: IndexOp,
    ids: impl Iterator<Item = &'a str>,
) -> Result<(), sqlx::Error> {
    let ids: Vec<&str> = ids.collect();
    for chunk in ids.chunks(CHUNK) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO index_outbox (kind, id, op) ");
        insert.push_values(chunk, |mut row, id| {
            row.push_bind(kind.as_str()).push_bind(*id).push_bind(op.as_str());
        });
        insert.build().persistent(false).execute(&mut *connection).await?;
    }
    Ok(())
}
