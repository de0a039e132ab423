//! A server that speaks Qdrant's protocol, for tests: the client's own message types, answered by the embedded engine's searches. It knows
//! what this program asks and refuses the rest by name, so that a new request is seen here first.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use qdrant_client::qdrant as q;
use qdrant_client::qdrant::collections_server::{Collections, CollectionsServer};
use qdrant_client::qdrant::points_server::{Points, PointsServer};
use qdrant_client::qdrant::qdrant_server::{Qdrant, QdrantServer};
use qdrant_client::qdrant::snapshots_server::{Snapshots, SnapshotsServer};
use qdrant_edge as e;
use serde_json::{Map, Value, json};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// What goes wrong at the server.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Trouble {
    #[default]
    None,
    /// Every call is answered after this long.
    Slow(Duration),
    /// Every call fails.
    Broken,
    /// So many writes are refused for being too many.
    Overwhelmed(usize),
}

struct Collection {
    shard: e::EdgeShard,
    made: q::CreateCollection,
    _folder: tempfile::TempDir,
}

#[derive(Default)]
struct State {
    collections: HashMap<String, Arc<Collection>>,
    aliases: BTreeMap<String, String>,
    trouble: Trouble,
}

/// A handle on a server that runs until the process ends.
#[derive(Clone)]
pub struct Server {
    state: Arc<Mutex<State>>,
    calls: Arc<AtomicUsize>,
    key: Option<&'static str>,
    pub address: SocketAddr,
}

impl Server {
    /// Listens on a free port of the loopback; with a key, who has none is refused.
    pub fn start(runtime: &tokio::runtime::Runtime, key: Option<&'static str>) -> Self {
        let _guard = runtime.enter();
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = incoming.local_addr().expect("an address");
        let server = Server { state: Arc::default(), calls: Arc::default(), key, address };
        let served = server.clone();
        runtime.spawn(async move {
            let services = tonic::transport::Server::builder()
                .add_service(CollectionsServer::new(served.clone()))
                .add_service(PointsServer::new(served.clone()).max_decoding_message_size(usize::MAX))
                .add_service(SnapshotsServer::new(served.clone()))
                .add_service(QdrantServer::new(served));
            services.serve_with_incoming(incoming).await.expect("it serves");
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn trouble(&self, trouble: Trouble) {
        self.state.lock().expect("the state").trouble = trouble;
    }

    /// Requests that came in so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Collections by name with what they were made with, and the aliases.
    pub fn collections(&self) -> (BTreeMap<String, q::CreateCollection>, BTreeMap<String, String>) {
        let state = self.state.lock().expect("the state");
        (state.collections.iter().map(|(name, c)| (name.clone(), c.made.clone())).collect(), state.aliases.clone())
    }

    /// What every call goes through.
    async fn enter<T>(&self, request: Request<T>, writes: bool) -> Result<T, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let given = request.metadata().get("api-key").and_then(|key| key.to_str().ok());
        if self.key.is_some() && given != self.key {
            return Err(Status::unauthenticated("Invalid API key"));
        }
        let trouble = self.lock().trouble;
        match trouble {
            Trouble::None => {}
            Trouble::Slow(time) => tokio::time::sleep(time).await,
            Trouble::Broken => return Err(Status::internal("the disk is on fire")),
            Trouble::Overwhelmed(0) => {}
            Trouble::Overwhelmed(left) if writes => {
                self.lock().trouble = Trouble::Overwhelmed(left - 1);
                return Err(Status::resource_exhausted("too many writes"));
            }
            Trouble::Overwhelmed(_) => {}
        }
        Ok(request.into_inner())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the state")
    }

    /// The collection of a name or an alias.
    fn collection(&self, name: &str) -> Result<Arc<Collection>, Status> {
        let state = self.lock();
        let name = state.aliases.get(name).map_or(name, String::as_str);
        state.collections.get(name).cloned().ok_or_else(|| Status::not_found(format!("Collection `{name}` doesn't exist!")))
    }
}

fn failed(error: impl std::fmt::Display) -> Status {
    Status::invalid_argument(error.to_string())
}

fn point_id(id: Option<q::PointId>) -> Result<e::PointId, Status> {
    match id.and_then(|id| id.point_id_options) {
        Some(q::point_id::PointIdOptions::Uuid(text)) => Ok(e::PointId::Uuid(text.parse().map_err(failed)?)),
        Some(q::point_id::PointIdOptions::Num(number)) => Ok(e::PointId::NumId(number)),
        None => Err(Status::invalid_argument("a point has no id")),
    }
}

fn wire_id(id: e::PointId) -> q::PointId {
    match id {
        e::PointId::Uuid(uuid) => q::PointId::from(uuid.to_string()),
        e::PointId::NumId(number) => q::PointId::from(number),
    }
}

fn payload(payload: HashMap<String, q::Value>) -> Result<Value, Status> {
    let value = |value: q::Value| match value.kind {
        Some(q::value::Kind::StringValue(text)) => Ok(json!(text)),
        Some(q::value::Kind::IntegerValue(number)) => Ok(json!(number)),
        other => Err(Status::invalid_argument(format!("a payload of {other:?}"))),
    };
    let fields = payload.into_iter().map(|(name, v)| Ok((name, value(v)?))).collect::<Result<Map<_, _>, Status>>()?;
    Ok(Value::Object(fields))
}

fn wire_payload(payload: Option<e::Payload>) -> HashMap<String, q::Value> {
    let kind = |value: Value| match value {
        Value::String(text) => Some(q::value::Kind::StringValue(text)),
        Value::Number(number) => number.as_i64().map(q::value::Kind::IntegerValue),
        _ => None,
    };
    let fields = payload.into_iter().flat_map(|p| p.0);
    fields.map(|(name, value)| (name, q::Value { kind: kind(value) })).collect()
}

fn selected(selector: Option<q::WithPayloadSelector>) -> Option<e::WithPayloadInterface> {
    match selector?.selector_options? {
        q::with_payload_selector::SelectorOptions::Enable(all) => Some(e::WithPayloadInterface::Bool(all)),
        q::with_payload_selector::SelectorOptions::Include(fields) => {
            Some(e::WithPayloadInterface::Fields(fields.fields.iter().map(|f| f.parse().expect("a path")).collect()))
        }
        q::with_payload_selector::SelectorOptions::Exclude(_) => None,
    }
}

fn filter(filter: Option<q::Filter>) -> Result<Option<e::Filter>, Status> {
    let Some(filter) = filter else { return Ok(None) };
    let condition = |condition: q::Condition| match condition.condition_one_of {
        Some(q::condition::ConditionOneOf::HasId(ids)) => {
            let ids = ids.has_id.into_iter().map(|id| point_id(Some(id))).collect::<Result<Vec<_>, _>>()?;
            Ok(e::Condition::HasId(ids.into_iter().collect::<e::HasIdCondition>()))
        }
        Some(q::condition::ConditionOneOf::Field(field)) => match field.r#match.and_then(|m| m.match_value) {
            Some(q::r#match::MatchValue::Keyword(word)) => {
                let wanted = e::Match::from(e::ValueVariants::String(word.as_str().into()));
                Ok(e::Condition::Field(e::FieldCondition::new_match(field.key.parse().map_err(|()| failed("a bad key"))?, wanted)))
            }
            other => Err(Status::unimplemented(format!("a match of {other:?}"))),
        },
        other => Err(Status::unimplemented(format!("a condition of {other:?}"))),
    };
    let must = filter.must.into_iter().map(condition).collect::<Result<Vec<_>, _>>()?;
    Ok((!must.is_empty()).then(|| e::Filter { must: Some(must), ..e::Filter::default() }))
}

fn vectors(vectors: Option<q::Vectors>) -> Result<e::Vectors, Status> {
    let Some(q::vectors::VectorsOptions::Vectors(named)) = vectors.and_then(|v| v.vectors_options) else {
        return Err(Status::invalid_argument("vectors without names"));
    };
    let vector = |vector: q::Vector| match vector.vector {
        Some(q::vector::Vector::Dense(dense)) => Ok(e::Vector::new_dense(dense.data)),
        Some(q::vector::Vector::Sparse(sparse)) => {
            let entries: Vec<(u32, f32)> = sparse.indices.into_iter().zip(sparse.values).collect();
            e::Vector::try_from(entries).map_err(failed)
        }
        other => Err(Status::unimplemented(format!("a vector of {other:?}"))),
    };
    let named = named.vectors.into_iter().map(|(name, v)| Ok((name, vector(v)?))).collect::<Result<Vec<_>, Status>>()?;
    Ok(e::Vectors::new_named(named))
}

fn config(made: &q::CreateCollection) -> Result<e::EdgeConfig, Status> {
    let Some(q::vectors_config::Config::ParamsMap(params)) = made.vectors_config.as_ref().and_then(|c| c.config.clone()) else {
        return Err(Status::invalid_argument("vectors without names"));
    };
    let vector = |p: &q::VectorParams| {
        assert_eq!(p.distance, q::Distance::Cosine as i32);
        e::EdgeVectorParams::builder(p.size as usize, e::Distance::Cosine).build()
    };
    let sparse = |p: &q::SparseVectorParams| {
        let idf = p.modifier == Some(q::Modifier::Idf as i32);
        e::EdgeSparseVectorParams { modifier: idf.then_some(e::Modifier::Idf), ..Default::default() }
    };
    let terms = made.sparse_vectors_config.clone().unwrap_or_default();
    Ok(e::EdgeConfig {
        vectors: params.map.iter().map(|(name, p)| (name.clone(), vector(p))).collect(),
        sparse_vectors: terms.map.iter().map(|(name, p)| (name.clone(), sparse(p))).collect(),
        wal_options: Some(e::WalOptions { segment_capacity: 4 << 20, ..e::WalOptions::default() }),
        ..e::EdgeConfig::default()
    })
}

fn done() -> Response<q::PointsOperationResponse> {
    let result = q::UpdateResult { status: q::UpdateStatus::Completed as i32, ..Default::default() };
    Response::new(q::PointsOperationResponse { result: Some(result), ..Default::default() })
}

/// An implementation of a service: what is served, and what is refused by its name.
macro_rules! service {
    ($trait:ident { $($served:tt)* } refused { $($name:ident: $ask:ident -> $answer:ident;)* }) => {
        #[tonic::async_trait]
        impl $trait for Server {
            $($served)*
            $(async fn $name(&self, _: Request<q::$ask>) -> Result<Response<q::$answer>, Status> {
                Err(Status::unimplemented(stringify!($name)))
            })*
        }
    };
}

service! {
    Points {
        async fn upsert(&self, request: Request<q::UpsertPoints>) -> Result<Response<q::PointsOperationResponse>, Status> {
            let request = self.enter(request, true).await?;
            assert_eq!(request.wait, Some(true), "what is acknowledged must be found");
            let collection = self.collection(&request.collection_name)?;
            let made = request.points.into_iter().map(|p| Ok(e::PointStruct::new(point_id(p.id)?, vectors(p.vectors)?, payload(p.payload)?).into()));
            let made = made.collect::<Result<Vec<_>, Status>>()?;
            let operation = e::PointOperations::UpsertPoints(e::PointInsertOperations::PointsList(made));
            collection.shard.update(e::UpdateOperation::PointOperation(operation)).map_err(failed)?;
            Ok(done())
        }

        async fn delete(&self, request: Request<q::DeletePoints>) -> Result<Response<q::PointsOperationResponse>, Status> {
            let request = self.enter(request, true).await?;
            let collection = self.collection(&request.collection_name)?;
            let operation = match request.points.and_then(|p| p.points_selector_one_of) {
                Some(q::points_selector::PointsSelectorOneOf::Points(ids)) => {
                    let ids = ids.ids.into_iter().map(|id| point_id(Some(id))).collect::<Result<Vec<_>, _>>()?;
                    e::PointOperations::DeletePoints { ids }
                }
                Some(q::points_selector::PointsSelectorOneOf::Filter(wanted)) => {
                    e::PointOperations::DeletePointsByFilter(filter(Some(wanted))?.unwrap_or_default())
                }
                None => return Err(Status::invalid_argument("nothing to delete")),
            };
            collection.shard.update(e::UpdateOperation::PointOperation(operation)).map_err(failed)?;
            Ok(done())
        }

        async fn get(&self, request: Request<q::GetPoints>) -> Result<Response<q::GetResponse>, Status> {
            let request = self.enter(request, false).await?;
            let collection = self.collection(&request.collection_name)?;
            let ids = request.ids.into_iter().map(|id| point_id(Some(id))).collect::<Result<Vec<_>, _>>()?;
            let found = collection.shard.retrieve(&ids, selected(request.with_payload), Some(e::WithVector::Bool(true))).map_err(failed)?;
            let dense = |vectors: Option<e::VectorStructInternal>| match vectors {
                Some(e::VectorStructInternal::Named(named)) => named
                    .into_iter()
                    .filter_map(|(name, vector)| match vector {
                        e::VectorInternal::Dense(data) => Some((
                            name,
                            q::VectorOutput { vector: Some(q::vector_output::Vector::Dense(q::DenseVector { data })), ..Default::default() },
                        )),
                        _ => None,
                    })
                    .collect(),
                _ => HashMap::new(),
            };
            let result = found.into_iter().map(|p| q::RetrievedPoint {
                id: Some(wire_id(p.id)),
                payload: wire_payload(p.payload),
                vectors: Some(q::VectorsOutput {
                    vectors_options: Some(q::vectors_output::VectorsOptions::Vectors(q::NamedVectorsOutput { vectors: dense(p.vector) })),
                }),
                ..Default::default()
            });
            Ok(Response::new(q::GetResponse { result: result.collect(), ..Default::default() }))
        }

        async fn create_field_index(
            &self,
            request: Request<q::CreateFieldIndexCollection>,
        ) -> Result<Response<q::PointsOperationResponse>, Status> {
            let request = self.enter(request, true).await?;
            let collection = self.collection(&request.collection_name)?;
            assert_eq!(request.field_type, Some(q::FieldType::Keyword as i32));
            let index = e::CreateIndex {
                field_name: request.field_name.parse().map_err(|()| failed("a bad field"))?,
                field_schema: Some(e::PayloadFieldSchema::FieldType(e::PayloadSchemaType::Keyword)),
            };
            let operation = e::UpdateOperation::FieldIndexOperation(e::FieldIndexOperations::CreateIndex(index));
            collection.shard.update(operation).map_err(failed)?;
            Ok(done())
        }

        async fn scroll(&self, request: Request<q::ScrollPoints>) -> Result<Response<q::ScrollResponse>, Status> {
            let request = self.enter(request, false).await?;
            let collection = self.collection(&request.collection_name)?;
            let asked = e::ScrollRequest {
                offset: request.offset.map(|id| point_id(Some(id))).transpose()?,
                limit: request.limit.map(|n| n as usize),
                filter: filter(request.filter)?,
                with_payload: selected(request.with_payload),
                ..Default::default()
            };
            let (page, next) = collection.shard.scroll(asked).map_err(failed)?;
            let point = |p: e::Record| q::RetrievedPoint { id: Some(wire_id(p.id)), payload: wire_payload(p.payload), ..Default::default() };
            Ok(Response::new(q::ScrollResponse {
                next_page_offset: next.map(wire_id),
                result: page.into_iter().map(point).collect(),
                ..Default::default()
            }))
        }

        async fn count(&self, request: Request<q::CountPoints>) -> Result<Response<q::CountResponse>, Status> {
            let request = self.enter(request, false).await?;
            let asked = e::CountRequest { filter: filter(request.filter)?, exact: true };
            let count = self.collection(&request.collection_name)?.shard.count(asked).map_err(failed)? as u64;
            Ok(Response::new(q::CountResponse { result: Some(q::CountResult { count }), ..Default::default() }))
        }

        async fn query(&self, request: Request<q::QueryPoints>) -> Result<Response<q::QueryResponse>, Status> {
            let request = self.enter(request, false).await?;
            let collection = self.collection(&request.collection_name)?;
            let Some(q::query::Variant::Nearest(input)) = request.query.and_then(|query| query.variant) else {
                return Err(Status::unimplemented("a query for something else than the nearest"));
            };
            let vector = match input.variant {
                Some(q::vector_input::Variant::Dense(dense)) => e::Vector::new_dense(dense.data),
                Some(q::vector_input::Variant::Sparse(sparse)) => {
                    let entries: Vec<(u32, f32)> = sparse.indices.into_iter().zip(sparse.values).collect();
                    e::Vector::try_from(entries).map_err(failed)?
                }
                other => return Err(Status::unimplemented(format!("a vector of {other:?}"))),
            };
            let params = request.params.unwrap_or_default();
            let asked = e::SearchRequest {
                query: e::QueryEnum::Nearest(e::NamedQuery::new(vector.into(), request.using.unwrap_or_default())),
                filter: filter(request.filter)?,
                params: Some(e::SearchParams {
                    hnsw_ef: params.hnsw_ef.map(|ef| ef as usize),
                    exact: params.exact.unwrap_or_default(),
                    ..Default::default()
                }),
                limit: request.limit.unwrap_or(10) as usize,
                offset: 0,
                with_payload: selected(request.with_payload),
                with_vector: None,
                score_threshold: None,
            };
            let found = collection.shard.search(asked).map_err(failed)?;
            let point = |p: e::ScoredPoint| q::ScoredPoint {
                id: Some(wire_id(p.id)),
                payload: wire_payload(p.payload),
                score: p.score,
                ..Default::default()
            };
            Ok(Response::new(q::QueryResponse { result: found.into_iter().map(point).collect(), ..Default::default() }))
        }
    }
    refused {
            update_vectors: UpdatePointVectors -> PointsOperationResponse;
            delete_vectors: DeletePointVectors -> PointsOperationResponse;
            set_payload: SetPayloadPoints -> PointsOperationResponse;
            overwrite_payload: SetPayloadPoints -> PointsOperationResponse;
            delete_payload: DeletePayloadPoints -> PointsOperationResponse;
            clear_payload: ClearPayloadPoints -> PointsOperationResponse;
            delete_field_index: DeleteFieldIndexCollection -> PointsOperationResponse;
            create_vector_name: CreateVectorNameRequest -> PointsOperationResponse;
            delete_vector_name: DeleteVectorNameRequest -> PointsOperationResponse;
            search: SearchPoints -> SearchResponse;
            search_batch: SearchBatchPoints -> SearchBatchResponse;
            search_groups: SearchPointGroups -> SearchGroupsResponse;
            recommend: RecommendPoints -> RecommendResponse;
            recommend_batch: RecommendBatchPoints -> RecommendBatchResponse;
            recommend_groups: RecommendPointGroups -> RecommendGroupsResponse;
            discover: DiscoverPoints -> DiscoverResponse;
            discover_batch: DiscoverBatchPoints -> DiscoverBatchResponse;
            update_batch: UpdateBatchPoints -> UpdateBatchResponse;
            query_batch: QueryBatchPoints -> QueryBatchResponse;
            query_groups: QueryPointGroups -> QueryGroupsResponse;
            facet: FacetCounts -> FacetResponse;
            search_matrix_pairs: SearchMatrixPoints -> SearchMatrixPairsResponse;
            search_matrix_offsets: SearchMatrixPoints -> SearchMatrixOffsetsResponse;
    }
}

service! {
    Collections {
        async fn create(&self, request: Request<q::CreateCollection>) -> Result<Response<q::CollectionOperationResponse>, Status> {
            let made = self.enter(request, true).await?;
            let folder = tempfile::tempdir().map_err(failed)?;
            let shard = e::EdgeShard::new(folder.path(), config(&made)?).map_err(failed)?;
            let name = made.collection_name.clone();
            let mut state = self.lock();
            if state.collections.contains_key(&name) || state.aliases.contains_key(&name) {
                return Err(Status::already_exists(name));
            }
            state.collections.insert(name, Arc::new(Collection { shard, made, _folder: folder }));
            Ok(Response::new(q::CollectionOperationResponse { result: true, time: 0.0 }))
        }

        async fn delete(&self, request: Request<q::DeleteCollection>) -> Result<Response<q::CollectionOperationResponse>, Status> {
            let request = self.enter(request, true).await?;
            let result = self.lock().collections.remove(&request.collection_name).is_some();
            Ok(Response::new(q::CollectionOperationResponse { result, time: 0.0 }))
        }

        async fn update_aliases(&self, request: Request<q::ChangeAliases>) -> Result<Response<q::CollectionOperationResponse>, Status> {
            let request = self.enter(request, true).await?;
            let mut state = self.lock();
            // All of them or none, as the server does it.
            let mut aliases = state.aliases.clone();
            for action in request.actions.into_iter().filter_map(|a| a.action) {
                match action {
                    q::alias_operations::Action::CreateAlias(create) => {
                        if !state.collections.contains_key(&create.collection_name) {
                            return Err(Status::not_found(create.collection_name));
                        }
                        aliases.insert(create.alias_name, create.collection_name);
                    }
                    q::alias_operations::Action::DeleteAlias(delete) => {
                        aliases.remove(&delete.alias_name);
                    }
                    q::alias_operations::Action::RenameAlias(_) => return Err(Status::unimplemented("rename")),
                }
            }
            state.aliases = aliases;
            Ok(Response::new(q::CollectionOperationResponse { result: true, time: 0.0 }))
        }

        async fn list_aliases(&self, request: Request<q::ListAliasesRequest>) -> Result<Response<q::ListAliasesResponse>, Status> {
            self.enter(request, false).await?;
            let alias = |(alias, collection): (&String, &String)| q::AliasDescription {
                alias_name: alias.clone(),
                collection_name: collection.clone(),
            };
            Ok(Response::new(q::ListAliasesResponse { aliases: self.lock().aliases.iter().map(alias).collect(), time: 0.0 }))
        }

        async fn collection_exists(
            &self,
            request: Request<q::CollectionExistsRequest>,
        ) -> Result<Response<q::CollectionExistsResponse>, Status> {
            let request = self.enter(request, false).await?;
            let exists = self.collection(&request.collection_name).is_ok();
            Ok(Response::new(q::CollectionExistsResponse { result: Some(q::CollectionExists { exists }), time: 0.0 }))
        }
    }
    refused {
            get: GetCollectionInfoRequest -> GetCollectionInfoResponse;
            list: ListCollectionsRequest -> ListCollectionsResponse;
            update: UpdateCollection -> CollectionOperationResponse;
            list_collection_aliases: ListCollectionAliasesRequest -> ListAliasesResponse;
            collection_cluster_info: CollectionClusterInfoRequest -> CollectionClusterInfoResponse;
            update_collection_cluster_setup: UpdateCollectionClusterSetupRequest -> UpdateCollectionClusterSetupResponse;
            create_shard_key: CreateShardKeyRequest -> CreateShardKeyResponse;
            delete_shard_key: DeleteShardKeyRequest -> DeleteShardKeyResponse;
            list_shard_keys: ListShardKeysRequest -> ListShardKeysResponse;
    }
}

service! {
    Snapshots {
        async fn create(&self, request: Request<q::CreateSnapshotRequest>) -> Result<Response<q::CreateSnapshotResponse>, Status> {
            let request = self.enter(request, false).await?;
            self.collection(&request.collection_name)?;
            let name = format!("{}.snapshot", request.collection_name);
            let snapshot_description = Some(q::SnapshotDescription { name, ..Default::default() });
            Ok(Response::new(q::CreateSnapshotResponse { snapshot_description, time: 0.0 }))
        }
    }
    refused {
            list: ListSnapshotsRequest -> ListSnapshotsResponse;
            delete: DeleteSnapshotRequest -> DeleteSnapshotResponse;
            create_full: CreateFullSnapshotRequest -> CreateSnapshotResponse;
            list_full: ListFullSnapshotsRequest -> ListSnapshotsResponse;
            delete_full: DeleteFullSnapshotRequest -> DeleteSnapshotResponse;
    }
}

service! {
    Qdrant {
        async fn health_check(&self, request: Request<q::HealthCheckRequest>) -> Result<Response<q::HealthCheckReply>, Status> {
            self.enter(request, false).await?;
            Ok(Response::new(q::HealthCheckReply { title: "a test".into(), version: "1.20.0".into(), commit: None }))
        }
    }
    refused {}
}
