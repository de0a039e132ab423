//! An Elasticsearch (or OpenSearch) cluster, over its REST protocol.
//!
//! Indexes stand behind an alias ([`super::slots`]). A bulk that the cluster refuses in part is sent again for that part, later and later.
//! Searches by vector are optional: without `dense` the cluster serves words only.

mod wire;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use elasticsearch::Elasticsearch;
use elasticsearch::auth::Credentials;
use elasticsearch::http::Method;
use elasticsearch::http::headers::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::response::Response;
use elasticsearch::http::transport::{SingleNodeConnectionPool, TransportBuilder};
use serde_json::{Value, json};

use super::layout::{self, Among};
use super::remote::{Fault, Refusal, Remote, patiently};
use super::slots::{Slots, Slotted};
use super::{Health, IndexStamp, Point, Rebuild, RetrieveError, Scored, TicketIndex, check_vector, ordered};
use crate::domain::SearchFilter;

const JSON: &str = "application/json";
/// Documents a bulk request: with vectors some 4 MB of JSON.
const BATCH: usize = 500;
/// Points a page when all are listed.
const PAGE: usize = 5_000;
/// The most that the server answers with.
const MOST_HITS: usize = 10_000;

/// Where the cluster is and how it keeps indexes.
#[derive(Debug, Clone)]
pub struct ElasticSettings {
    pub url: String,
    /// `id:secret` in base 64, as Elasticsearch gives it out.
    pub api_key: Option<String>,
    /// Name and password, for clusters without API keys.
    pub user: Option<(String, String)>,
    /// Indexes are called `<prefix>-tickets-...` and `<prefix>-articles-...`.
    pub prefix: String,
    pub shards: u32,
    pub replicas: u32,
    /// Vectors are kept and searched, too.
    pub dense: bool,
    /// A repository that the cluster knows, for snapshots.
    pub repository: Option<String>,
    /// For a search; a write may take twenty times as long.
    pub deadline: Duration,
}

/// A [`TicketIndex`] on an Elasticsearch cluster.
pub struct ElasticIndex {
    client: Elasticsearch,
    remote: Arc<Remote>,
    settings: ElasticSettings,
    slots: Slots,
}

impl ElasticIndex {
    /// Opens the index of a kind (`tickets`, `articles`), or makes an empty one. A server that does not answer is asked again at each call.
    ///
    /// # Errors
    /// [`RetrieveError::OtherStamp`] where the alias stands for another stamp's; [`RetrieveError::Remote`] where the server refuses.
    pub fn open(
        settings: &ElasticSettings,
        kind: &str,
        stamp: &IndexStamp,
        runtime: tokio::runtime::Handle,
    ) -> Result<Self, RetrieveError> {
        Self::beside(settings, kind, stamp, runtime)?.looked_at()
    }

    /// As [`Self::open`] without a look at what is there: for a rebuild, which replaces it.
    ///
    /// # Errors
    /// [`RetrieveError::Remote`] for an address that is none.
    pub fn beside(
        settings: &ElasticSettings,
        kind: &str,
        stamp: &IndexStamp,
        runtime: tokio::runtime::Handle,
    ) -> Result<Self, RetrieveError> {
        let remote = Arc::new(Remote::new("Elasticsearch", &settings.url, settings.deadline, runtime));
        let client = remote.tell("connect", async { client(settings) })?;
        let slots = Slots::new(&settings.prefix, kind, stamp, '-');
        Ok(ElasticIndex { client, remote, settings: settings.clone(), slots })
    }

    /// One request; `None` where the server says that there is no such thing.
    async fn find(&self, method: Method, path: &str, body: Option<Value>) -> Result<Option<Value>, Fault> {
        let answer = self.send(method, path, JSON, body.map(|body| body.to_string())).await?;
        if answer.status_code().as_u16() == 404 { Ok(None) } else { read(answer).await.map(Some) }
    }

    /// One request about the target that must be met.
    async fn on_target(&self, method: Method, action: &str, body: Value) -> Result<Value, Fault> {
        read(self.send(method, &format!("/{}/{action}", self.slots.target), JSON, Some(body.to_string())).await?).await
    }

    /// The client's own functions name media types that OpenSearch does not know, so headers are given here.
    async fn send(&self, method: Method, path: &str, media: &'static str, body: Option<String>) -> Result<Response, Fault> {
        let headers = [(ACCEPT, JSON), (CONTENT_TYPE, media)].map(|(name, value)| (name, HeaderValue::from_static(value)));
        let headers = HeaderMap::from_iter(headers);
        self.client.send(method, path, headers, Option::<&()>::None, body, None).await.map_err(unreached)
    }

    fn search(&self, query: Value) -> Result<Vec<Scored>, RetrieveError> {
        self.ready()?;
        let answer = self.remote.ask("search", self.on_target(Method::Post, "_search", query))?;
        let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
        let scored = hits.iter().filter_map(|hit| Some((hit["_source"][layout::ID].as_str()?.to_owned(), hit["_score"].as_f64()? as f32)));
        Ok(ordered(scored.collect()))
    }

    fn lexical(&self, terms: &[String], limit: usize, among: &Among) -> Result<Vec<Scored>, RetrieveError> {
        if terms.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        self.search(wire::lexical_query(terms, limit.min(MOST_HITS), among))
    }

    fn check(&self, vector: &[f32]) -> Result<(), RetrieveError> {
        check_vector(|| "the query's vector".to_owned(), vector, self.slots.dim())
    }

    /// Sends operations, the whole lines of a document each, again and again for those that the cluster had no room for.
    fn bulk(&self, operations: Vec<String>) -> Result<(), RetrieveError> {
        let left = std::cell::RefCell::new(operations);
        let attempt = || async {
            let body = left.borrow().concat();
            let path = format!("/{}/_bulk", self.slots.target);
            let answer = self.send(Method::Post, &path, "application/x-ndjson", Some(body)).await.map_err(Refusal::Final)?;
            if answer.status_code().as_u16() == 429 {
                return Err(Refusal::Later);
            }
            let answer = read(answer).await.map_err(Refusal::Final)?;
            let outcomes = answer["items"].as_array().cloned().unwrap_or_default();
            let mut refused = Vec::new();
            for (outcome, operation) in outcomes.iter().zip(left.borrow().iter()) {
                let outcome = outcome.as_object().and_then(|o| o.values().next()).unwrap_or(&Value::Null);
                match outcome["status"].as_u64().unwrap_or(500) {
                    // What is to be deleted and is not there, is deleted.
                    200..300 | 404 => {}
                    429 => refused.push(operation.clone()),
                    status => {
                        let reason = outcome["error"]["reason"].as_str().unwrap_or("no reason given");
                        let detail = format!("a document was refused with {status}: {reason}");
                        return Err(Refusal::Final(Fault::new(detail, "nothing is lost: mend the cause and repeat the call")));
                    }
                }
            }
            if outcomes.len() != left.borrow().len() {
                return Err(Refusal::Final(Fault::new("it answered for other documents than were sent", "see the server's log")));
            }
            if refused.is_empty() {
                return Ok(());
            }
            *left.borrow_mut() = refused;
            Err(Refusal::Later)
        };
        self.remote.tell("write", patiently(attempt))
    }

    /// Makes what was written visible to searches.
    fn refresh(&self) -> Result<(), RetrieveError> {
        self.remote.tell("refresh", self.on_target(Method::Post, "_refresh", json!({}))).map(drop)
    }
}

impl Slotted for ElasticIndex {
    fn slots(&self) -> &Slots {
        &self.slots
    }

    fn remote(&self) -> &Remote {
        &self.remote
    }

    fn over(&self, slots: Slots) -> Self {
        ElasticIndex { client: self.client.clone(), remote: Arc::clone(&self.remote), settings: self.settings.clone(), slots }
    }

    fn aliased(&self) -> Result<Option<String>, RetrieveError> {
        let path = format!("/_alias/{}", self.slots.alias);
        let answer = self.remote.ask("look up its alias", self.find(Method::Get, &path, None))?;
        Ok(answer.and_then(|a| a.as_object()?.keys().next().cloned()))
    }

    fn create(&self, name: &str) -> Result<(), RetrieveError> {
        self.remote.tell("make an index", async {
            if self.find(Method::Get, &format!("/{name}"), None).await?.is_some() {
                return Ok(());
            }
            let template = format!("/_index_template/{}", self.slots.alias);
            let pattern = format!("{}-*", self.slots.alias);
            let scripted = wire::template(&pattern, wire::index(self.slots.dim(), &self.settings, true));
            if self.find(Method::Put, &template, Some(scripted)).await.is_err() {
                // A cluster may forbid scripts: its own BM25 then.
                let plain = wire::template(&pattern, wire::index(self.slots.dim(), &self.settings, false));
                self.find(Method::Put, &template, Some(plain)).await?;
            }
            self.find(Method::Put, &format!("/{name}"), None).await.map(drop)
        })
    }

    fn switch(&self, name: &str, old: Option<&str>) -> Result<(), RetrieveError> {
        let remove = old.map(|old| json!({ "remove": { "index": old, "alias": self.slots.alias } }));
        let add = json!({ "add": { "index": name, "alias": self.slots.alias, "is_write_index": true } });
        let actions: Vec<Value> = remove.into_iter().chain([add]).collect();
        let request = json!({ "actions": actions });
        self.remote.tell("move an alias", self.find(Method::Post, "/_aliases", Some(request))).map(drop)
    }

    fn discard(&self, old: &str) -> Result<(), RetrieveError> {
        self.remote.tell("delete the old index", self.find(Method::Delete, &format!("/{old}"), None)).map(drop)
    }
}

impl TicketIndex for ElasticIndex {
    fn upsert(&self, points: &[Point]) -> Result<(), RetrieveError> {
        self.ready()?;
        for point in points {
            check_vector(|| format!("the vector of ticket {}", point.id), &point.dense, self.slots.dim())?;
        }
        for batch in points.chunks(BATCH) {
            let operation = |point: &Point| {
                let action = json!({ "index": { "_id": wire::document_id(&point.id) } });
                format!("{action}\n{}\n", wire::document(point, self.settings.dense))
            };
            self.bulk(batch.iter().map(operation).collect())?;
        }
        if points.is_empty() { Ok(()) } else { self.refresh() }
    }

    fn delete(&self, ids: &[String]) -> Result<(), RetrieveError> {
        self.ready()?;
        for batch in ids.chunks(BATCH) {
            self.bulk(batch.iter().map(|id| format!("{}\n", json!({ "delete": { "_id": wire::document_id(id) } }))).collect())?;
        }
        if ids.is_empty() { Ok(()) } else { self.refresh() }
    }

    fn query_dense(&self, vector: &[f32], limit: usize, filter: &SearchFilter) -> Result<Vec<Scored>, RetrieveError> {
        self.check(vector)?;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut scored = self.search(wire::dense_query(vector, limit.min(MOST_HITS), &Among::All(filter)))?;
        // The server answers with (1 + cosine) / 2.
        scored.iter_mut().for_each(|hit| hit.1 = (2.0 * hit.1 - 1.0).clamp(-1.0, 1.0));
        Ok(scored)
    }

    fn query_lexical(&self, terms: &[String], limit: usize, filter: &SearchFilter) -> Result<Vec<Scored>, RetrieveError> {
        self.lexical(terms, limit, &Among::All(filter))
    }

    fn cosines(&self, vector: &[f32], ids: &[String]) -> Result<Vec<Scored>, RetrieveError> {
        self.check(vector)?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut scored = self.search(wire::cosines_query(vector, ids))?;
        scored.iter_mut().for_each(|hit| hit.1 = (hit.1 - 1.0).clamp(-1.0, 1.0));
        Ok(scored)
    }

    fn lexical_scores(&self, terms: &[String], ids: &[String]) -> Result<Vec<Scored>, RetrieveError> {
        self.lexical(terms, ids.len(), &Among::Ids(ids))
    }

    fn count(&self) -> Result<usize, RetrieveError> {
        self.ready()?;
        let answer = self.remote.ask("count", self.on_target(Method::Post, "_count", json!({ "query": { "match_all": {} } })))?;
        Ok(answer["count"].as_u64().unwrap_or_default() as usize)
    }

    fn digests(&self) -> Result<Vec<(String, i64)>, RetrieveError> {
        self.ready()?;
        let mut digests: Vec<(String, i64)> = Vec::new();
        loop {
            let query = wire::page(digests.last().map(|(id, _)| id.as_str()), PAGE);
            let answer = self.remote.tell("list its points", self.on_target(Method::Post, "_search", query))?;
            let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
            if hits.is_empty() {
                return Ok(digests);
            }
            let row =
                |hit: &Value| Some((hit["_source"][layout::ID].as_str()?.to_owned(), hit["_source"][layout::DIGEST].as_i64().unwrap_or(0)));
            digests.extend(hits.iter().filter_map(row));
        }
    }

    fn vectors(&self, ids: &[String]) -> Result<Vec<(String, Vec<f32>)>, RetrieveError> {
        self.ready()?;
        let mut vectors = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            let wanted: Vec<String> = batch.iter().map(|id| wire::document_id(id)).collect();
            let answer = self.remote.tell("read its vectors", self.on_target(Method::Post, "_mget", json!({ "ids": wanted })))?;
            for document in answer["docs"].as_array().into_iter().flatten() {
                let dense = document["_source"][layout::DENSE].as_array();
                let dense = dense.map(|d| d.iter().filter_map(|x| x.as_f64().map(|x| x as f32)).collect::<Vec<_>>());
                vectors.extend(document["_source"][layout::ID].as_str().map(str::to_owned).zip(dense));
            }
        }
        Ok(vectors)
    }

    fn clear(&self) -> Result<(), RetrieveError> {
        self.ready()?;
        let everything = json!({ "query": { "match_all": {} } });
        let action = "_delete_by_query?refresh=true&conflicts=proceed";
        self.remote.tell("clear", self.on_target(Method::Post, action, everything)).map(drop)
    }

    fn flush(&self) -> Result<(), RetrieveError> {
        self.refresh()
    }

    fn health(&self) -> Result<Vec<Health>, RetrieveError> {
        let answer = self.remote.ask("answer", self.find(Method::Get, "/", None))?.unwrap_or_default();
        let version = answer["version"]["number"].as_str().unwrap_or("unknown").to_owned();
        Ok(vec![Health { engine: "elasticsearch", place: self.remote.place().to_owned(), version, points: self.count()? }])
    }

    fn snapshot(&self, _to: &Path) -> Result<String, RetrieveError> {
        let missing = || Fault::new("no repository is configured", "name one that the cluster knows in retrieve.elastic_repository");
        let name = format!("{}-{}", self.slots.alias, ulid::Ulid::new().to_string().to_lowercase());
        self.remote.tell("make a snapshot", async {
            let repository = self.settings.repository.as_deref().ok_or_else(missing)?;
            let path = format!("/_snapshot/{repository}/{name}?wait_for_completion=true");
            let found = self.find(Method::Put, &path, Some(json!({ "indices": self.slots.target }))).await?;
            found.ok_or_else(|| Fault::new(format!("there is no repository {repository}"), "check retrieve.elastic_repository"))?;
            Ok(format!("{name} in the repository {repository} at {}", self.remote.place()))
        })
    }

    fn begin_rebuild(self: Arc<Self>) -> Result<Rebuild, RetrieveError> {
        self.rebuild()
    }
}

fn client(settings: &ElasticSettings) -> Result<Elasticsearch, Fault> {
    let unusable = |e: &dyn std::fmt::Display| Fault::new(e.to_string(), "check retrieve.elastic_url");
    let url = elasticsearch::http::Url::parse(&settings.url).map_err(|e| unusable(&e))?;
    let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url)).disable_proxy();
    if let Some(key) = &settings.api_key {
        builder = builder.auth(Credentials::EncodedApiKey(key.clone()));
    } else if let Some((name, password)) = &settings.user {
        builder = builder.auth(Credentials::Basic(name.clone(), password.clone()));
    }
    Ok(Elasticsearch::new(builder.build().map_err(|e| unusable(&e))?))
}

/// The body of an answer that the server stands behind.
async fn read(answer: Response) -> Result<Value, Fault> {
    let status = answer.status_code().as_u16();
    let body = answer.text().await.map_err(unreached)?;
    let body: Result<Value, _> = serde_json::from_str(&body);
    let reason = body.as_ref().ok().and_then(|b| b["error"]["reason"].as_str().or(b["error"].as_str()).map(str::to_owned));
    let detail = format!("HTTP {status}{}", reason.map(|r| format!(": {r}")).unwrap_or_default());
    match status {
        200..300 => body.map_err(|_| Fault::silent("the answer is no JSON: it may not be Elasticsearch that listens there")),
        401 | 403 => Err(Fault::credentials(detail)),
        404 => Err(Fault::new(detail, "make the index with `fenzhen index build`")),
        429 | 500.. => Err(Fault::silent(detail)),
        _ => Err(Fault::new(detail, "see the server's log")),
    }
}

fn unreached(error: elasticsearch::Error) -> Fault {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    Fault::silent(text)
}
