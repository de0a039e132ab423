//! The shop's catalogue. It is linked in memory and not by the vector index, so it has no outbox.

use std::collections::HashSet;

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{CHUNK, ImportCounts, Store, StoreError, changes, push_ids};
use crate::domain::CatalogueItem;

/// `(sku, item as JSON)`.
type Row = (String, String);

impl Store {
    /// Every entry by SKU.
    ///
    /// # Errors
    /// [`StoreError::Catalogue`] when an entry was written by a version whose entries have other fields.
    pub async fn catalogue(&self) -> Result<Vec<CatalogueItem>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as("SELECT sku, item FROM catalogue ORDER BY sku").fetch_all(&self.read).await?;
        rows.into_iter().map(|(sku, item)| serde_json::from_str(&item).map_err(|source| StoreError::Catalogue { sku, source })).collect()
    }

    /// One entry; `None` where there is no such SKU.
    ///
    /// # Errors
    /// As [`Store::catalogue`].
    pub async fn catalogue_item(&self, sku: &str) -> Result<Option<CatalogueItem>, StoreError> {
        let item: Option<String> =
            sqlx::query_scalar("SELECT item FROM catalogue WHERE sku = ?1").bind(sku).fetch_optional(&self.read).await?;
        let read = |item: String| serde_json::from_str(&item).map_err(|source| StoreError::Catalogue { sku: sku.to_owned(), source });
        item.map(read).transpose()
    }

    /// Keeps all of them or none. With `replace` the entries that are not among them are deleted.
    pub async fn put_catalogue(&self, items: &[CatalogueItem], replace: bool) -> Result<ImportCounts, StoreError> {
        let rows = items.iter().map(row).collect::<Result<Vec<Row>, StoreError>>()?;
        let mut transaction = self.begin().await?;
        let mut counts = ImportCounts::default();
        for chunk in rows.chunks(CHUNK) {
            counts.add(upsert(&mut transaction, chunk).await?);
        }
        if replace {
            let kept: HashSet<&str> = items.iter().map(|item| item.sku.as_str()).collect();
            let stored: Vec<String> = sqlx::query_scalar("SELECT sku FROM catalogue").fetch_all(&mut *transaction).await?;
            for sku in stored.iter().filter(|sku| !kept.contains(sku.as_str())) {
                let done = sqlx::query("DELETE FROM catalogue WHERE sku = ?1").bind(sku).execute(&mut *transaction).await?;
                counts.deleted += done.rows_affected();
            }
        }
        transaction.commit().await?;
        Ok(counts)
    }
}

fn row(item: &CatalogueItem) -> Result<Row, StoreError> {
    let json = serde_json::to_string(item).map_err(|source| StoreError::Catalogue { sku: item.sku.clone(), source })?;
    Ok((item.sku.clone(), json))
}

async fn upsert(connection: &mut SqliteConnection, chunk: &[Row]) -> Result<ImportCounts, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT sku, item FROM catalogue");
    push_ids(query.push(" WHERE sku IN "), chunk.iter().map(|row| row.0.as_str()));
    let stored: Vec<Row> = query.build_query_as().persistent(false).fetch_all(&mut *connection).await?;
    // The JSON of an entry is always the same: fields in the struct's order, attributes sorted. So text can be compared.
    let (changed, counts) = changes(&stored, chunk, |row| &row.0);
    if changed.is_empty() {
        return Ok(counts);
    }
    let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO catalogue (sku, item) ");
    insert.push_values(&changed, |mut values, row| {
        values.push_bind(&row.0).push_bind(&row.1);
    });
    insert.push(" ON CONFLICT (sku) DO UPDATE SET item = excluded.item");
    insert.build().persistent(false).execute(connection).await?;
    Ok(counts)
}
