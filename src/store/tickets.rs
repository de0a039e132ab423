//! Past tickets, as the index takes them up.

use std::collections::HashMap;

use sqlx::{FromRow, QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteRow};

use super::outbox::{self, IndexKind, IndexOp};
use super::{CHUNK, ImportCounts, Store, StoreError, changes, push_ids};
use crate::domain::{TicketRecord, TicketState};

const SELECT: &str = "SELECT id, text, lang, intent, state, resolution, created_at FROM tickets";

impl FromRow<'_, SqliteRow> for TicketRecord {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let lang = row.try_get::<Option<&str>, _>("lang")?.map(str::parse).transpose();
        let state = row.try_get::<Option<&str>, _>("state")?.map(state).transpose();
        Ok(TicketRecord {
            id: row.try_get("id")?,
            text: row.try_get("text")?,
            lang: lang.map_err(|e: String| sqlx::Error::Decode(e.into()))?,
            intent: row.try_get("intent")?,
            state: state.map_err(|e| sqlx::Error::Decode(e.into()))?,
            resolution: row.try_get("resolution")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

fn state(name: &str) -> Result<TicketState, String> {
    let states = [TicketState::Open, TicketState::Pending, TicketState::Resolved, TicketState::Closed];
    states.into_iter().find(|state| state.as_str() == name).ok_or_else(|| format!("unknown ticket state {name:?}"))
}

impl Store {
    /// Keeps all of them or none. Their jobs for the index are committed with them.
    pub async fn upsert_tickets(&self, tickets: &[TicketRecord]) -> Result<ImportCounts, StoreError> {
        let mut transaction = self.begin().await?;
        let mut counts = ImportCounts::default();
        for chunk in tickets.chunks(CHUNK) {
            counts.add(upsert(&mut transaction, chunk).await?);
        }
        transaction.commit().await?;
        Ok(counts)
    }

    /// The tickets of these ids in the order of the ids; one that is not there is left out.
    pub async fn tickets(&self, ids: &[String]) -> Result<Vec<TicketRecord>, StoreError> {
        let mut found: HashMap<String, TicketRecord> = HashMap::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let rows =
                select(chunk.iter().map(String::as_str)).build_query_as::<TicketRecord>().persistent(false).fetch_all(&self.read).await?;
            found.extend(rows.into_iter().map(|ticket| (ticket.id.clone(), ticket)));
        }
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
    }

    /// At most `limit` tickets by id, behind the id `after`, for a rebuild of the index.
    pub async fn tickets_after(&self, after: Option<&str>, limit: u32) -> Result<Vec<TicketRecord>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        if let Some(after) = after {
            query.push(" WHERE id > ").push_bind(after);
        }
        query.push(" ORDER BY id LIMIT ").push_bind(limit);
        Ok(query.build_query_as().fetch_all(&self.read).await?)
    }

    pub async fn ticket_count(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM tickets").fetch_one(&self.read).await?;
        Ok(count.unsigned_abs())
    }
}

fn select<'a>(ids: impl Iterator<Item = &'a str>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(SELECT);
    push_ids(query.push(" WHERE id IN "), ids);
    query
}

async fn upsert(connection: &mut SqliteConnection, chunk: &[TicketRecord]) -> Result<ImportCounts, sqlx::Error> {
    let mut query = select(chunk.iter().map(|ticket| ticket.id.as_str()));
    let stored: Vec<TicketRecord> = query.build_query_as().persistent(false).fetch_all(&mut *connection).await?;
    let (changed, counts) = changes(&stored, chunk, |ticket| &ticket.id);
    if changed.is_empty() {
        return Ok(counts);
    }
    let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO tickets (id, text, lang, intent, state, resolution, created_at) ");
    insert.push_values(&changed, |mut row, ticket| {
        row.push_bind(&ticket.id).push_bind(&ticket.text).push_bind(ticket.lang.map(|lang| lang.as_str()));
        row.push_bind(&ticket.intent).push_bind(ticket.state.map(TicketState::as_str));
        row.push_bind(&ticket.resolution).push_bind(&ticket.created_at);
    });
    insert.push(
        " ON CONFLICT (id) DO UPDATE SET text = excluded.text, lang = excluded.lang, intent = excluded.intent, \
         state = excluded.state, resolution = excluded.resolution, created_at = excluded.created_at",
    );
    insert.build().persistent(false).execute(&mut *connection).await?;
    outbox::enqueue(connection, IndexKind::Ticket, IndexOp::Upsert, changed.iter().map(|ticket| ticket.id.as_str())).await?;
    Ok(counts)
}
