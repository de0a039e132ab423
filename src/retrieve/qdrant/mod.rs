//! A Qdrant server or cluster, over gRPC.
//!
//! Indexes are collections behind an alias ([`super::slots`]). Writes wait until the server has applied them.

mod wire;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qdrant_client::qdrant::collections_client::CollectionsClient;
use qdrant_client::qdrant::{
    AliasOperations, ChangeAliases, CountPointsBuilder, CreateAlias, CreateFieldIndexCollectionBuilder, DeleteAlias, DeletePointsBuilder,
    FieldType, Filter, GetPointsBuilder, PointId, PointsIdsList, QueryPoints, ScrollPointsBuilder, UpsertPointsBuilder, VectorsSelector,
    alias_operations,
};
use qdrant_client::{Qdrant, QdrantError};
use tonic::Code;
use tonic::metadata::MetadataValue;
use tonic::transport::{ClientTlsConfig, Endpoint};

use super::layout::{self, Among};
use super::remote::{Fault, Refusal, Remote, patiently};
use super::slots::{Slots, Slotted};
use super::{Health, IndexStamp, Point, Rebuild, RetrieveError, Scored, TicketIndex, check_vector, ordered};
use crate::domain::SearchFilter;

/// Points a request: some 500 kB of vectors and terms.
const BATCH: usize = 256;
/// Points a page when all are listed.
const PAGE: u32 = 4_096;

/// Where the server is and how it keeps collections.
#[derive(Debug, Clone)]
pub struct QdrantSettings {
    /// Of its gRPC port: `http://127.0.0.1:6334`.
    pub url: String,
    pub api_key: Option<String>,
    /// Collections are called `<prefix>_tickets_...` and `<prefix>_articles_...`.
    pub prefix: String,
    pub shards: u32,
    pub replicas: u32,
    /// Vectors are also kept in 8 bits, in memory; the best candidates are compared by the whole ones.
    pub quantize: bool,
    /// Whole vectors, terms and payload lie on disk.
    pub on_disk: bool,
    /// For a search; a write may take twenty times as long.
    pub deadline: Duration,
}

/// A [`TicketIndex`] on a Qdrant server.
pub struct QdrantIndex {
    client: Qdrant,
    remote: Arc<Remote>,
    settings: QdrantSettings,
    slots: Slots,
}

impl QdrantIndex {
    /// Opens the index of a kind (`tickets`, `articles`), or makes an empty one. A server that does not answer is asked again at each call.
    ///
    /// # Errors
    /// [`RetrieveError::OtherStamp`] where the alias stands for another stamp's; [`RetrieveError::Remote`] where the server refuses.
    pub fn open(settings: &QdrantSettings, kind: &str, stamp: &IndexStamp, runtime: tokio::runtime::Handle) -> Result<Self, RetrieveError> {
        Self::beside(settings, kind, stamp, runtime)?.looked_at()
    }

    /// As [`Self::open`] without a look at what is there: for a rebuild, which replaces it.
    ///
    /// # Errors
    /// [`RetrieveError::Remote`] for an address that is none.
    pub fn beside(
        settings: &QdrantSettings,
        kind: &str,
        stamp: &IndexStamp,
        runtime: tokio::runtime::Handle,
    ) -> Result<Self, RetrieveError> {
        let remote = Arc::new(Remote::new("Qdrant", &settings.url, settings.deadline, runtime));
        let client = Qdrant::from_url(&settings.url)
            .api_key(settings.api_key.clone())
            // The deadline of each call is kept outside; this one only ends what was forgotten.
            .timeout(settings.deadline * 30)
            .connect_timeout(settings.deadline)
            .skip_compatibility_check()
            .build();
        let client = remote.tell("connect", async { client.map_err(fault) })?;
        let slots = Slots::new(&settings.prefix, kind, stamp, '_');
        Ok(QdrantIndex { client, remote, settings: settings.clone(), slots })
    }

    fn search(&self, request: QueryPoints) -> Result<Vec<Scored>, RetrieveError> {
        self.ready()?;
        let answer = self.remote.ask("search", async { self.client.query(request).await.map_err(fault) })?;
        // A point without an id is nobody's ticket.
        let scored = answer.result.into_iter().filter_map(|p| Some((wire::payload_text(&p.payload, layout::ID)?, p.score)));
        Ok(ordered(scored.collect()))
    }

    fn dense(&self, vector: &[f32], limit: usize, among: &Among) -> Result<Vec<Scored>, RetrieveError> {
        check_vector(|| "the query's vector".to_owned(), vector, self.slots.dim())?;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut scored = self.search(wire::dense_query(&self.slots.target, vector, limit, among))?;
        scored.iter_mut().for_each(|hit| hit.1 = hit.1.clamp(-1.0, 1.0));
        Ok(scored)
    }

    fn lexical(&self, terms: &[String], limit: usize, among: &Among) -> Result<Vec<Scored>, RetrieveError> {
        if terms.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let mut scored = self.search(wire::lexical_query(&self.slots.target, terms, limit, among))?;
        scored.iter_mut().for_each(|hit| hit.1 = hit.1.max(0.0));
        Ok(scored)
    }
}

impl Slotted for QdrantIndex {
    fn slots(&self) -> &Slots {
        &self.slots
    }

    fn remote(&self) -> &Remote {
        &self.remote
    }

    fn over(&self, slots: Slots) -> Self {
        QdrantIndex { client: self.client.clone(), remote: Arc::clone(&self.remote), settings: self.settings.clone(), slots }
    }

    fn aliased(&self) -> Result<Option<String>, RetrieveError> {
        let aliases = self.remote.ask("list its aliases", async { self.client.list_aliases().await.map_err(fault) })?;
        Ok(aliases.aliases.into_iter().find(|a| a.alias_name == self.slots.alias).map(|a| a.collection_name))
    }

    fn create(&self, collection: &str) -> Result<(), RetrieveError> {
        let exists = self.remote.tell("look for a collection", async { self.client.collection_exists(collection).await.map_err(fault) })?;
        if !exists {
            let request = wire::collection(collection, self.slots.dim(), &self.settings);
            self.remote.tell("make a collection", async { self.client.create_collection(request).await.map_err(fault) })?;
        }
        // What is indexed already is left as it is.
        for field in [layout::LANG, layout::INTENT, layout::STATE] {
            let request = CreateFieldIndexCollectionBuilder::new(collection, field, FieldType::Keyword).wait(true);
            self.remote.tell("index a field", async { self.client.create_field_index(request).await.map_err(fault) })?;
        }
        Ok(())
    }

    /// The client offers single steps only, so this goes to the service itself.
    fn switch(&self, collection: &str, old: Option<&str>) -> Result<(), RetrieveError> {
        let create = CreateAlias { collection_name: collection.to_owned(), alias_name: self.slots.alias.clone() };
        let delete = old.map(|_| DeleteAlias { alias_name: self.slots.alias.clone() });
        let actions = delete.map(alias_operations::Action::DeleteAlias).into_iter().chain([alias_operations::Action::CreateAlias(create)]);
        let change = ChangeAliases { actions: actions.map(|a| AliasOperations { action: Some(a) }).collect(), timeout: None };
        self.remote.tell("move an alias", async {
            let unusable = |e: &dyn std::fmt::Display| Fault::new(e.to_string(), "check retrieve.qdrant_url");
            let mut endpoint = Endpoint::from_shared(self.settings.url.clone()).map_err(|e| unusable(&e))?;
            if self.settings.url.starts_with("https") {
                endpoint = endpoint.tls_config(ClientTlsConfig::new().with_native_roots()).map_err(|e| unusable(&e))?;
            }
            let channel = endpoint.connect().await.map_err(|e| Fault::silent(e.to_string()))?;
            let key = self.settings.api_key.as_deref().map(MetadataValue::try_from).transpose();
            let key = key.map_err(|_| Fault::credentials("the API key holds signs that no header can carry"))?;
            let mut client = CollectionsClient::with_interceptor(channel, move |mut request: tonic::Request<()>| {
                if let Some(key) = &key {
                    request.metadata_mut().insert("api-key", key.clone());
                }
                Ok(request)
            });
            client.update_aliases(change).await.map_err(|status| fault(status.into())).map(drop)
        })
    }

    fn discard(&self, old: &str) -> Result<(), RetrieveError> {
        self.remote.tell("delete the old collection", async { self.client.delete_collection(old).await.map_err(fault) }).map(drop)
    }
}

impl TicketIndex for QdrantIndex {
    fn upsert(&self, points: &[Point]) -> Result<(), RetrieveError> {
        self.ready()?;
        for point in points {
            check_vector(|| format!("the vector of ticket {}", point.id), &point.dense, self.slots.dim())?;
        }
        for batch in points.chunks(BATCH) {
            let request =
                UpsertPointsBuilder::new(&self.slots.target, batch.iter().map(wire::point).collect::<Vec<_>>()).wait(true).build();
            self.remote.tell("write", patiently(|| async { self.client.upsert_points(request.clone()).await.map_err(refusal) }))?;
        }
        Ok(())
    }

    fn delete(&self, ids: &[String]) -> Result<(), RetrieveError> {
        self.ready()?;
        for batch in ids.chunks(BATCH) {
            let ids = PointsIdsList { ids: batch.iter().map(|id| wire::id(id)).collect() };
            let request = DeletePointsBuilder::new(&self.slots.target).points(ids).wait(true).build();
            self.remote.tell("delete", patiently(|| async { self.client.delete_points(request.clone()).await.map_err(refusal) }))?;
        }
        Ok(())
    }

    fn query_dense(&self, vector: &[f32], limit: usize, filter: &SearchFilter) -> Result<Vec<Scored>, RetrieveError> {
        self.dense(vector, limit, &Among::All(filter))
    }

    fn query_lexical(&self, terms: &[String], limit: usize, filter: &SearchFilter) -> Result<Vec<Scored>, RetrieveError> {
        self.lexical(terms, limit, &Among::All(filter))
    }

    fn cosines(&self, vector: &[f32], ids: &[String]) -> Result<Vec<Scored>, RetrieveError> {
        self.dense(vector, ids.len(), &Among::Ids(ids))
    }

    fn lexical_scores(&self, terms: &[String], ids: &[String]) -> Result<Vec<Scored>, RetrieveError> {
        self.lexical(terms, ids.len(), &Among::Ids(ids))
    }

    fn count(&self) -> Result<usize, RetrieveError> {
        self.ready()?;
        let request = CountPointsBuilder::new(&self.slots.target).exact(true);
        let answer = self.remote.ask("count", async { self.client.count(request).await.map_err(fault) })?;
        Ok(answer.result.map_or(0, |r| r.count as usize))
    }

    fn digests(&self) -> Result<Vec<(String, i64)>, RetrieveError> {
        self.ready()?;
        let mut digests = Vec::new();
        let mut offset: Option<PointId> = None;
        loop {
            let mut request =
                ScrollPointsBuilder::new(&self.slots.target).limit(PAGE).with_payload(wire::fields(&[layout::ID, layout::DIGEST])).build();
            request.offset = offset;
            let page = self.remote.tell("list its points", async { self.client.scroll(request).await.map_err(fault) })?;
            digests.extend(page.result.into_iter().filter_map(|p| {
                Some((wire::payload_text(&p.payload, layout::ID)?, wire::payload_number(&p.payload, layout::DIGEST).unwrap_or_default()))
            }));
            offset = page.next_page_offset;
            if offset.is_none() {
                return Ok(digests);
            }
        }
    }

    fn vectors(&self, ids: &[String]) -> Result<Vec<(String, Vec<f32>)>, RetrieveError> {
        self.ready()?;
        let mut vectors = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            let ids: Vec<PointId> = batch.iter().map(|id| wire::id(id)).collect();
            let request = GetPointsBuilder::new(&self.slots.target, ids)
                .with_payload(wire::fields(&[layout::ID]))
                .with_vectors(VectorsSelector { names: vec![layout::DENSE.to_owned()] });
            let answer = self.remote.tell("read its vectors", async { self.client.get_points(request).await.map_err(fault) })?;
            vectors.extend(answer.result.into_iter().filter_map(|p| {
                Some((wire::payload_text(&p.payload, layout::ID)?, wire::dense_of(p.vectors?.get_vector_by_name(layout::DENSE))?))
            }));
        }
        Ok(vectors)
    }

    fn clear(&self) -> Result<(), RetrieveError> {
        self.ready()?;
        let request = DeletePointsBuilder::new(&self.slots.target).points(Filter::default()).wait(true);
        self.remote.tell("clear", async { self.client.delete_points(request).await.map_err(fault) })?;
        Ok(())
    }

    fn flush(&self) -> Result<(), RetrieveError> {
        // The server optimises by itself.
        Ok(())
    }

    fn health(&self) -> Result<Vec<Health>, RetrieveError> {
        let answer = self.remote.ask("answer", async { self.client.health_check().await.map_err(fault) })?;
        Ok(vec![Health { engine: "qdrant", place: self.remote.place().to_owned(), version: answer.version, points: self.count()? }])
    }

    fn snapshot(&self, _to: &Path) -> Result<String, RetrieveError> {
        let made = self.remote.tell("make a snapshot", async { self.client.create_snapshot(&self.slots.target).await.map_err(fault) })?;
        let name = made.snapshot_description.map(|s| s.name).unwrap_or_default();
        Ok(format!("{name} of {} on the server at {}", self.slots.target, self.remote.place()))
    }

    fn begin_rebuild(self: Arc<Self>) -> Result<Rebuild, RetrieveError> {
        self.rebuild()
    }
}

fn fault(error: QdrantError) -> Fault {
    let status = match &error {
        QdrantError::ResponseError { status } | QdrantError::ResourceExhaustedError { status, .. } => status,
        other => return Fault::new(other.to_string(), "check retrieve.qdrant_url"),
    };
    let detail = format!("{}: {}", status.code(), status.message());
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => Fault::credentials(detail),
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Internal | Code::Unknown => Fault::silent(detail),
        Code::NotFound => Fault::new(detail, "make the index with `fenzhen index build`"),
        _ => Fault::new(detail, "see the server's log"),
    }
}

/// Writes that an overwhelmed server refused are tried again.
fn refusal(error: QdrantError) -> Refusal {
    let code = match &error {
        QdrantError::ResponseError { status } | QdrantError::ResourceExhaustedError { status, .. } => status.code(),
        _ => return Refusal::Final(fault(error)),
    };
    if code == Code::ResourceExhausted { Refusal::Later } else { Refusal::Final(fault(error)) }
}
