//! The knowledge base.

use std::collections::HashSet;

use sqlx::{FromRow, QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteRow};

use super::outbox::{self, IndexKind, IndexOp};
use super::{CHUNK, ImportCounts, Store, StoreError, changes, push_ids};
use crate::domain::{Article, Lang};

const SELECT: &str = "SELECT id, lang, question, answer, intent FROM articles";

impl FromRow<'_, SqliteRow> for Article {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let lang: Lang = row.try_get::<&str, _>("lang")?.parse().map_err(|e: String| sqlx::Error::Decode(e.into()))?;
        Ok(Article {
            id: row.try_get("id")?,
            lang,
            question: row.try_get("question")?,
            answer: row.try_get("answer")?,
            intent: row.try_get("intent")?,
        })
    }
}

impl Store {
    pub async fn article(&self, id: &str) -> Result<Option<Article>, StoreError> {
        let sql = "SELECT id, lang, question, answer, intent FROM articles WHERE id = ?1";
        Ok(sqlx::query_as(sql).bind(id).fetch_optional(&self.read).await?)
    }

    /// At most `limit` articles by id, of one language or of all, behind the id `after`.
    pub async fn articles(&self, lang: Option<Lang>, after: Option<&str>, limit: u32) -> Result<Vec<Article>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push(" WHERE true");
        if let Some(lang) = lang {
            query.push(" AND lang = ").push_bind(lang.as_str());
        }
        if let Some(after) = after {
            query.push(" AND id > ").push_bind(after);
        }
        query.push(" ORDER BY id LIMIT ").push_bind(limit);
        Ok(query.build_query_as().fetch_all(&self.read).await?)
    }

    /// Every article by id, for a rebuild of the index.
    pub async fn all_articles(&self) -> Result<Vec<Article>, StoreError> {
        let sql = "SELECT id, lang, question, answer, intent FROM articles ORDER BY id";
        Ok(sqlx::query_as(sql).fetch_all(&self.read).await?)
    }

    /// Keeps an article; `true` when there was none of its id.
    pub async fn put_article(&self, article: &Article) -> Result<bool, StoreError> {
        let counts = self.import_articles(std::slice::from_ref(article), false).await?;
        Ok(counts.created == 1)
    }

    /// `true` when there was one to delete.
    pub async fn delete_article(&self, id: &str) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let deleted = delete(&mut transaction, &[id]).await? == 1;
        transaction.commit().await?;
        Ok(deleted)
    }

    /// Keeps all of them or none. With `replace` the articles that are not among them are deleted.
    pub async fn import_articles(&self, articles: &[Article], replace: bool) -> Result<ImportCounts, StoreError> {
        let mut transaction = self.begin().await?;
        let mut counts = ImportCounts::default();
        for chunk in articles.chunks(CHUNK) {
            counts.add(upsert(&mut transaction, chunk).await?);
        }
        if replace {
            let kept: HashSet<&str> = articles.iter().map(|article| article.id.as_str()).collect();
            let stored: Vec<String> = sqlx::query_scalar("SELECT id FROM articles ORDER BY id").fetch_all(&mut *transaction).await?;
            let gone: Vec<&str> = stored.iter().map(String::as_str).filter(|id| !kept.contains(id)).collect();
            counts.deleted = delete(&mut transaction, &gone).await?;
        }
        transaction.commit().await?;
        Ok(counts)
    }
}

async fn upsert(connection: &mut SqliteConnection, chunk: &[Article]) -> Result<ImportCounts, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(SELECT);
    push_ids(query.push(" WHERE id IN "), chunk.iter().map(|article| article.id.as_str()));
    let stored: Vec<Article> = query.build_query_as().persistent(false).fetch_all(&mut *connection).await?;
    let (changed, counts) = changes(&stored, chunk, |article| &article.id);
    if changed.is_empty() {
        return Ok(counts);
    }
    let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO articles (id, lang, question, answer, intent) ");
    insert.push_values(&changed, |mut row, article| {
        row.push_bind(&article.id).push_bind(article.lang.as_str());
        row.push_bind(&article.question).push_bind(&article.answer).push_bind(&article.intent);
    });
    insert.push(
        " ON CONFLICT (id) DO UPDATE SET lang = excluded.lang, question = excluded.question, answer = excluded.answer, intent = excluded.intent",
    );
    insert.build().persistent(false).execute(&mut *connection).await?;
    outbox::enqueue(connection, IndexKind::Article, IndexOp::Upsert, changed.iter().map(|article| article.id.as_str())).await?;
    Ok(counts)
}

async fn delete(connection: &mut SqliteConnection, ids: &[&str]) -> Result<u64, sqlx::Error> {
    let mut deleted = 0;
    for id in ids {
        if sqlx::query("DELETE FROM articles WHERE id = ?1").bind(*id).execute(&mut *connection).await?.rows_affected() == 1 {
            deleted += 1;
            outbox::enqueue(&mut *connection, IndexKind::Article, IndexOp::Delete, std::iter::once(*id)).await?;
        }
    }
    Ok(deleted)
}
