//! Articles of the knowledge base that are in force, and every form in which they ever were.

use std::collections::HashSet;

use serde::Serialize;
use sqlx::{FromRow, QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteRow};

use super::outbox::{self, IndexKind, IndexOp};
use super::{CHUNK, ImportCounts, Store, StoreError, changes, push_ids};
use crate::domain::{Article, ArticleVersion, Audience, Lang};

const COLUMNS: &str =
    "id, lang, question, answer, intent, category, audience, valid_from, valid_until, translation_of, attachments, source";

impl FromRow<'_, SqliteRow> for Article {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let lang: Lang = row.try_get::<&str, _>("lang")?.parse().map_err(|e: String| sqlx::Error::Decode(e.into()))?;
        let attachments: Option<&str> = row.try_get("attachments")?;
        let attachments = attachments.map(serde_json::from_str).transpose().map_err(|e| sqlx::Error::Decode(e.into()))?;
        // The table's CHECK knows these two words and no other.
        let audience = if row.try_get::<&str, _>("audience")? == Audience::Agent.as_str() { Audience::Agent } else { Audience::Customer };
        Ok(Article {
            id: row.try_get("id")?,
            lang,
            question: row.try_get("question")?,
            answer: row.try_get("answer")?,
            intent: row.try_get("intent")?,
            category: row.try_get("category")?,
            audience,
            valid_from: row.try_get("valid_from")?,
            valid_until: row.try_get("valid_until")?,
            translation_of: row.try_get("translation_of")?,
            attachments: attachments.unwrap_or_default(),
            source: row.try_get("source")?,
        })
    }
}

/// Which articles a list holds; an absent field does not restrict.
#[derive(Debug, Clone, Copy, Default)]
pub struct ArticleFilter<'a> {
    pub lang: Option<Lang>,
    pub audience: Option<Audience>,
    /// This category and all below it.
    pub category: Option<&'a str>,
    /// The articles that say the same as this one in other languages.
    pub translation_of: Option<&'a str>,
    /// Letters that the question or the id holds, in either case.
    pub text: Option<&'a str>,
}

impl Store {
    pub async fn article(&self, id: &str) -> Result<Option<Article>, StoreError> {
        let mut query = select();
        query.push(" WHERE id = ").push_bind(id);
        Ok(query.build_query_as().fetch_optional(&self.read).await?)
    }

    /// The articles of these ids in the order of the ids; one that is not there is left out.
    pub async fn articles_of(&self, ids: &[String]) -> Result<Vec<Article>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let mut query = select();
            push_ids(query.push(" WHERE id IN "), chunk.iter().map(String::as_str));
            let mut rows: Vec<Article> = query.build_query_as().persistent(false).fetch_all(&self.read).await?;
            let place = |article: &Article| chunk.iter().position(|id| *id == article.id);
            rows.sort_by_key(place);
            found.append(&mut rows);
        }
        Ok(found)
    }

    /// At most `limit` articles by id, behind the id `after`.
    pub async fn articles(&self, chosen: ArticleFilter<'_>, after: Option<&str>, limit: u32) -> Result<Vec<Article>, StoreError> {
        let mut query = select();
        query.push(" WHERE true");
        if let Some(lang) = chosen.lang {
            query.push(" AND lang = ").push_bind(lang.as_str());
        }
        if let Some(audience) = chosen.audience {
            query.push(" AND audience = ").push_bind(audience.as_str());
        }
        if let Some(category) = chosen.category {
            query.push(" AND (category = ").push_bind(category.to_owned());
            query.push(" OR substr(category, 1, length(").push_bind(category.to_owned());
            query.push(") + 1) = ").push_bind(format!("{category}/")).push(")");
        }
        if let Some(of) = chosen.translation_of {
            query.push(" AND translation_of = ").push_bind(of.to_owned());
        }
        if let Some(text) = chosen.text {
            let text = text.to_lowercase();
            query.push(" AND (instr(lower(question), ").push_bind(text.clone()).push(") OR instr(lower(id), ").push_bind(text).push("))");
        }
        if let Some(after) = after {
            query.push(" AND id > ").push_bind(after);
        }
        query.push(" ORDER BY id LIMIT ").push_bind(limit);
        Ok(query.build_query_as().fetch_all(&self.read).await?)
    }

    /// Every article by id, for a rebuild of the index.
    pub async fn all_articles(&self) -> Result<Vec<Article>, StoreError> {
        Ok(select().push(" ORDER BY id").build_query_as().fetch_all(&self.read).await?)
    }

    /// Keeps an article as its next version; `true` when there was none of its id. One that is there word for word makes no version.
    ///
    /// `now` is RFC 3339, UTC.
    pub async fn put_article(&self, article: &Article, now: &str, note: Option<&str>) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let counts = upsert(&mut transaction, std::slice::from_ref(article), now, note).await?;
        transaction.commit().await?;
        Ok(counts.created == 1)
    }

    /// Takes an article out of force; its versions stay. `true` when there was one.
    pub async fn delete_article(&self, id: &str, now: &str) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let deleted = delete(&mut transaction, &[id], now).await? == 1;
        transaction.commit().await?;
        Ok(deleted)
    }

    /// Keeps all of them or none. With `replace` the articles that are not among them are deleted.
    pub async fn import_articles(&self, articles: &[Article], replace: bool, now: &str) -> Result<ImportCounts, StoreError> {
        let mut transaction = self.begin().await?;
        let mut counts = ImportCounts::default();
        for chunk in articles.chunks(CHUNK) {
            counts.add(upsert(&mut transaction, chunk, now, None).await?);
        }
        if replace {
            let kept: HashSet<&str> = articles.iter().map(|article| article.id.as_str()).collect();
            let stored: Vec<String> = sqlx::query_scalar("SELECT id FROM articles ORDER BY id").fetch_all(&mut *transaction).await?;
            let gone: Vec<&str> = stored.iter().map(String::as_str).filter(|id| !kept.contains(id)).collect();
            counts.deleted = delete(&mut transaction, &gone, now).await?;
        }
        transaction.commit().await?;
        Ok(counts)
    }

    /// Every form in which an article was published, newest first; none where there never was one.
    pub async fn article_versions(&self, id: &str) -> Result<Vec<ArticleVersion>, StoreError> {
        let sql = "SELECT version, created_at, note, article FROM article_versions WHERE id = ?1 ORDER BY version DESC";
        Ok(sqlx::query_as(sql).bind(id).fetch_all(&self.read).await?)
    }

    /// The number of an article's newest version; `None` where it was never published.
    pub async fn article_version(&self, id: &str) -> Result<Option<i64>, StoreError> {
        Ok(newest(&mut *self.read.acquire().await?, id).await?)
    }
}

impl FromRow<'_, SqliteRow> for ArticleVersion {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let article: Option<&str> = row.try_get("article")?;
        let article = article.map(serde_json::from_str).transpose().map_err(|e| sqlx::Error::Decode(e.into()))?;
        Ok(ArticleVersion {
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            note: row.try_get("note")?,
            deleted: article.is_none(),
            article,
        })
    }
}

fn select() -> QueryBuilder<Sqlite> {
    QueryBuilder::new(format!("SELECT {COLUMNS} FROM articles"))
}

pub(super) async fn newest(connection: &mut SqliteConnection, id: &str) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT max(version) FROM article_versions WHERE id = ?1").bind(id).fetch_one(connection).await
}

pub(super) async fn upsert(
    connection: &mut SqliteConnection,
    chunk: &[Article],
    now: &str,
    note: Option<&str>,
) -> Result<ImportCounts, sqlx::Error> {
    let mut query = select();
    push_ids(query.push(" WHERE id IN "), chunk.iter().map(|article| article.id.as_str()));
    let stored: Vec<Article> = query.build_query_as().persistent(false).fetch_all(&mut *connection).await?;
    let (changed, counts) = changes(&stored, chunk, |article| &article.id);
    if changed.is_empty() {
        return Ok(counts);
    }
    let attachments: Vec<Option<String>> =
        changed.iter().map(|a| (!a.attachments.is_empty()).then(|| json(&a.attachments)).transpose()).collect::<Result<_, _>>()?;
    let mut insert = QueryBuilder::<Sqlite>::new(format!("INSERT INTO articles ({COLUMNS}) "));
    insert.push_values(changed.iter().zip(attachments), |mut row, (article, attachments)| {
        row.push_bind(&article.id).push_bind(article.lang.as_str()).push_bind(&article.question).push_bind(&article.answer);
        row.push_bind(&article.intent).push_bind(&article.category).push_bind(article.audience.as_str());
        row.push_bind(&article.valid_from).push_bind(&article.valid_until).push_bind(&article.translation_of);
        row.push_bind(attachments).push_bind(&article.source);
    });
    let columns = COLUMNS.split(", ").filter(|column| *column != "id").map(|column| format!("{column} = excluded.{column}"));
    insert.push(" ON CONFLICT (id) DO UPDATE SET ").push(columns.collect::<Vec<_>>().join(", "));
    insert.build().persistent(false).execute(&mut *connection).await?;
    for article in &changed {
        let text = json(*article)?;
        add_version(connection, &article.id, now, note, Some(&text)).await?;
    }
    outbox::enqueue(connection, IndexKind::Article, IndexOp::Upsert, changed.iter().map(|article| article.id.as_str())).await?;
    Ok(counts)
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|e| sqlx::Error::Encode(e.into()))
}

async fn add_version(
    connection: &mut SqliteConnection,
    id: &str,
    now: &str,
    note: Option<&str>,
    article: Option<&str>,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO article_versions (id, version, created_at, note, article) \
               SELECT ?1, coalesce(max(version), 0) + 1, ?2, ?3, ?4 FROM article_versions WHERE id = ?1";
    sqlx::query(sql).bind(id).bind(now).bind(note).bind(article).execute(connection).await?;
    Ok(())
}

async fn delete(connection: &mut SqliteConnection, ids: &[&str], now: &str) -> Result<u64, sqlx::Error> {
    let mut deleted = 0;
    for id in ids {
        if sqlx::query("DELETE FROM articles WHERE id = ?1").bind(*id).execute(&mut *connection).await?.rows_affected() == 1 {
            deleted += 1;
            add_version(connection, id, now, None, None).await?;
            outbox::enqueue(&mut *connection, IndexKind::Article, IndexOp::Delete, std::iter::once(*id)).await?;
        }
    }
    Ok(deleted)
}
