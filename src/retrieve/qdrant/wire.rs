//! This room's points and filters in the server's words.

use std::collections::HashMap;

use qdrant_client::qdrant::vectors_config::Config as VectorsConfigKind;
use qdrant_client::qdrant::{
    Condition, CreateCollection, CreateCollectionBuilder, Distance, FieldCondition, Filter, HnswConfigDiffBuilder, Match, Modifier,
    PayloadIncludeSelector, PointId, PointStruct, QuantizationSearchParamsBuilder, Query as ServerQuery, QueryPoints, QueryPointsBuilder,
    ScalarQuantizationBuilder, SearchParamsBuilder, SparseIndexConfigBuilder, SparseVectorConfig, SparseVectorParamsBuilder, Value, Vector,
    VectorInput, VectorParamsBuilder, VectorParamsMap, Vectors, VectorsConfig, r#match::MatchValue, value::Kind, vector_input,
    vector_output,
};

use super::super::layout::{
    Among, DENSE, DIGEST, GRAPH_BREADTH, GRAPH_BUILDING, GRAPH_LINKS, ID, INTENT, LANG, OVERSAMPLING, STATE, TERMS, restrictions, uuid,
};
use super::super::{Point, sparse};
use super::QdrantSettings;
use crate::domain::SearchFilter;

pub(super) fn collection(name: &str, dim: usize, settings: &QdrantSettings) -> CreateCollection {
    let on_disk = settings.on_disk;
    let params = VectorParamsBuilder::new(dim as u64, Distance::Cosine).on_disk(on_disk).build();
    let vectors =
        VectorsConfig { config: Some(VectorsConfigKind::ParamsMap(VectorParamsMap { map: HashMap::from([(DENSE.to_owned(), params)]) })) };
    let terms =
        SparseVectorParamsBuilder::default().index(SparseIndexConfigBuilder::default().on_disk(on_disk)).modifier(Modifier::Idf).build();
    let mut collection = CreateCollectionBuilder::new(name)
        .vectors_config(vectors)
        .sparse_vectors_config(SparseVectorConfig { map: HashMap::from([(TERMS.to_owned(), terms)]) })
        .hnsw_config(HnswConfigDiffBuilder::default().m(GRAPH_LINKS as u64).ef_construct(GRAPH_BUILDING as u64))
        .shard_number(settings.shards)
        .replication_factor(settings.replicas)
        .on_disk_payload(on_disk);
    if settings.quantize {
        collection = collection.quantization_config(ScalarQuantizationBuilder::default().quantile(0.99).always_ram(true));
    }
    collection.build()
}

pub(super) fn point(point: &Point) -> PointStruct {
    let (indices, values) = sparse::document(&point.terms).into_iter().unzip::<u32, f32, Vec<_>, Vec<_>>();
    let vectors: HashMap<String, Vector> =
        HashMap::from([(DENSE.to_owned(), Vector::from(point.dense.clone())), (TERMS.to_owned(), Vector::new_sparse(indices, values))]);
    let mut payload = HashMap::from([
        (ID.to_owned(), text(&point.id)),
        (DIGEST.to_owned(), Value { kind: Some(Kind::IntegerValue(point.digest)) }),
        (LANG.to_owned(), text(point.lang.as_str())),
    ]);
    payload.extend(point.intent.as_ref().map(|intent| (INTENT.to_owned(), text(intent))));
    payload.extend(point.state.map(|state| (STATE.to_owned(), text(state.as_str()))));
    PointStruct { id: Some(id(&point.id)), payload, vectors: Some(Vectors::from(vectors)) }
}

pub(super) fn id(id: &str) -> PointId {
    PointId::from(uuid(id))
}

pub(super) fn dense_query(collection: &str, vector: &[f32], limit: usize, among: &Among) -> QueryPoints {
    query(collection, DENSE, vector_input::Variant::Dense(vector.to_vec().into()), limit, among)
}

pub(super) fn lexical_query(collection: &str, terms: &[String], limit: usize, among: &Among) -> QueryPoints {
    let (indices, values) = sparse::query(terms).into_iter().unzip::<u32, f32, Vec<_>, Vec<_>>();
    query(collection, TERMS, vector_input::Variant::Sparse((indices, values).into()), limit, among)
}

fn query(collection: &str, name: &str, vector: vector_input::Variant, limit: usize, among: &Among) -> QueryPoints {
    let (wanted, exact) = match among {
        Among::All(wanted) => (filter(wanted), false),
        Among::Ids(ids) => (Filter::must([Condition::has_id(ids.iter().map(|i| id(i)))]), true),
    };
    let rescored = QuantizationSearchParamsBuilder::default().rescore(true).oversampling(OVERSAMPLING);
    let params = SearchParamsBuilder::default().hnsw_ef(GRAPH_BREADTH.max(limit) as u64).exact(exact).quantization(rescored);
    QueryPointsBuilder::new(collection)
        .query(ServerQuery::new_nearest(VectorInput { variant: Some(vector) }))
        .using(name)
        .filter(wanted)
        .params(params)
        .limit(limit as u64)
        .with_payload(fields(&[ID]))
        .build()
}

fn filter(wanted: &SearchFilter) -> Filter {
    // Spelled out: the client takes a value with a space in it for full text.
    let equals = |(field, value): (&str, &str)| {
        let wanted = Match { match_value: Some(MatchValue::Keyword(value.to_owned())) };
        Condition::from(FieldCondition { key: field.to_owned(), r#match: Some(wanted), ..FieldCondition::default() })
    };
    Filter::must(restrictions(wanted).map(equals))
}

pub(super) fn fields(names: &[&str]) -> PayloadIncludeSelector {
    PayloadIncludeSelector { fields: names.iter().map(|&name| name.to_owned()).collect() }
}

pub(super) fn payload_text(payload: &HashMap<String, Value>, field: &str) -> Option<String> {
    match payload.get(field)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

pub(super) fn payload_number(payload: &HashMap<String, Value>, field: &str) -> Option<i64> {
    match payload.get(field)?.kind.as_ref()? {
        Kind::IntegerValue(number) => Some(*number),
        _ => None,
    }
}

pub(super) fn dense_of(vector: Option<vector_output::Vector>) -> Option<Vec<f32>> {
    match vector? {
        vector_output::Vector::Dense(dense) => Some(dense.data),
        _ => None,
    }
}

fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.to_owned())) }
}
