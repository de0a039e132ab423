//! The search engines that the configuration names.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::config::{Config, Engine, Retrieve};
use crate::retrieve::{
    CombinedIndex, EdgeIndex, ElasticIndex, ElasticSettings, IndexStamp, QdrantIndex, QdrantSettings, RetrieveError, TicketIndex,
};
use crate::store::IndexKind;

/// Where indexes are and what they are made with.
pub(super) struct Engines {
    retrieve: Retrieve,
    /// Folder of the embedded engine.
    data: PathBuf,
    stamp: IndexStamp,
    /// On which servers are waited for.
    runtime: Handle,
}

impl Engines {
    /// Must be called on the runtime that answers are waited for on.
    pub fn new(config: &Config, data: &Path, stamp: IndexStamp) -> Self {
        Engines { retrieve: config.retrieve.clone(), data: data.to_owned(), stamp, runtime: Handle::current() }
    }

    /// The index of a kind as it is configured. The embedded one of another version, or broken, is emptied: it is derived from the records and is
    /// filled again from them; a server's is refused, since others may use it. Answers whether it has to be filled.
    pub fn open(&self, kind: IndexKind, fresh: bool) -> anyhow::Result<(Arc<dyn TicketIndex>, bool)> {
        let (dense, empty) = self.engine(self.retrieve.dense, kind, fresh)?;
        if self.retrieve.lexical == self.retrieve.dense {
            return Ok((dense, empty));
        }
        let (lexical, also_empty) = self.engine(self.retrieve.lexical, kind, fresh)?;
        Ok((Arc::new(CombinedIndex::new(dense, lexical)), empty || also_empty))
    }

    /// One engine; `fresh` takes a server's index of any stamp, to replace it.
    pub fn engine(&self, engine: Engine, kind: IndexKind, fresh: bool) -> anyhow::Result<(Arc<dyn TicketIndex>, bool)> {
        let kind = match kind {
            IndexKind::Article => "articles",
            IndexKind::Ticket => "tickets",
        };
        let runtime = self.runtime.clone();
        let index: Arc<dyn TicketIndex> = match engine {
            Engine::Edge => {
                let dir = self.data.join("index").join(kind);
                match EdgeIndex::open(&dir, &self.stamp) {
                    Ok(index) => Arc::new(index),
                    Err(e @ (RetrieveError::OtherStamp { .. } | RetrieveError::Corrupt { .. })) => {
                        tracing::warn!("{e}; it is done now");
                        return Ok((Arc::new(EdgeIndex::rebuild(&dir, &self.stamp)?), true));
                    }
                    Err(e) => return Err(e.into()),
                }
            }
            Engine::Qdrant => {
                let settings = qdrant(&self.retrieve);
                Arc::new(if fresh { QdrantIndex::beside } else { QdrantIndex::open }(&settings, kind, &self.stamp, runtime)?)
            }
            Engine::Elasticsearch => {
                let settings = elastic(&self.retrieve);
                Arc::new(if fresh { ElasticIndex::beside } else { ElasticIndex::open }(&settings, kind, &self.stamp, runtime)?)
            }
        };
        Ok((index, false))
    }
}

fn qdrant(settings: &Retrieve) -> QdrantSettings {
    QdrantSettings {
        url: settings.qdrant_url.clone(),
        api_key: given(&settings.qdrant_api_key),
        prefix: settings.prefix.clone(),
        shards: settings.qdrant_shards,
        replicas: settings.qdrant_replicas,
        quantize: settings.qdrant_quantize,
        on_disk: settings.qdrant_on_disk,
        deadline: Duration::from_millis(settings.deadline_ms),
    }
}

fn elastic(settings: &Retrieve) -> ElasticSettings {
    ElasticSettings {
        url: settings.elastic_url.clone(),
        api_key: given(&settings.elastic_api_key),
        user: given(&settings.elastic_user).map(|name| (name, settings.elastic_password.clone())),
        prefix: settings.prefix.clone(),
        shards: settings.elastic_shards,
        replicas: settings.elastic_replicas,
        dense: settings.dense == Engine::Elasticsearch,
        repository: given(&settings.elastic_repository),
        deadline: Duration::from_millis(settings.deadline_ms),
    }
}

/// A setting that may be left empty.
pub(super) fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
