//! This room's points and filters in the engine's words.

use qdrant_edge::external::uuid::Uuid;
use qdrant_edge::{
    Condition, CreateIndex, FieldCondition, FieldIndexOperations, Filter, HasIdCondition, JsonPath, Match, NamedQuery, OperationError,
    OperationResult, Payload, PayloadFieldSchema, PayloadSchemaType, PointId, PointInsertOperations, PointOperations, PointStruct,
    QuantizationSearchParams, QueryEnum, ScrollRequest, SearchParams, SearchRequest, UpdateOperation, ValueVariants, Vector,
    VectorInternal, VectorStructInternal, Vectors, WithPayloadInterface, WithVector,
};

use super::super::layout::{Among, DENSE, DIGEST, GRAPH_BREADTH, ID, INTENT, LANG, OVERSAMPLING, STATE, TERMS, key, restrictions};
use super::super::{Point, sparse};
use crate::domain::SearchFilter;

/// Candidates by 8-bit vectors are ranked by the whole ones.
const RESCORED: QuantizationSearchParams =
    QuantizationSearchParams { ignore: false, rescore: Some(true), oversampling: Some(OVERSAMPLING) };
/// Points a page when all are listed.
const PAGE: usize = 4_096;

fn point_id(id: &str) -> PointId {
    PointId::Uuid(Uuid::from_bytes(key(id)))
}

/// The operation that adds or replaces these points.
pub(super) fn upsert(points: &[Point]) -> OperationResult<UpdateOperation> {
    let made: Vec<_> = points.iter().map(|point| engine_point(point).map(Into::into)).collect::<OperationResult<_>>()?;
    Ok(UpdateOperation::PointOperation(PointOperations::UpsertPoints(PointInsertOperations::PointsList(made))))
}

/// The operation that removes these points.
pub(super) fn delete(ids: &[String]) -> UpdateOperation {
    UpdateOperation::PointOperation(PointOperations::DeletePoints { ids: ids.iter().map(|id| point_id(id)).collect() })
}

/// The operations that make searches with a filter fast.
pub(super) fn payload_indexes() -> OperationResult<Vec<UpdateOperation>> {
    [LANG, INTENT, STATE]
        .into_iter()
        .map(|field| {
            let index =
                CreateIndex { field_name: path(field)?, field_schema: Some(PayloadFieldSchema::FieldType(PayloadSchemaType::Keyword)) };
            Ok(UpdateOperation::FieldIndexOperation(FieldIndexOperations::CreateIndex(index)))
        })
        .collect()
}

fn engine_point(point: &Point) -> OperationResult<PointStruct> {
    let vectors = Vectors::new_named([
        (DENSE, Vector::new_dense(point.dense.as_slice())),
        (TERMS, Vector::try_from(sparse::document(&point.terms))?),
    ]);
    let payload = serde_json::json!({
        ID: point.id,
        DIGEST: point.digest,
        LANG: point.lang.as_str(),
        INTENT: point.intent,
        STATE: point.state.map(|state| state.as_str()),
    });
    Ok(PointStruct::new(point_id(&point.id), vectors, payload))
}

/// The search for the points nearest to a sentence vector; `exact` compares whole vectors, one by one.
pub(super) fn dense_search(vector: &[f32], limit: usize, among: &Among, exact: bool) -> OperationResult<SearchRequest> {
    search(DENSE, Vector::new_dense(vector), limit, among, exact)
}

/// The search for the points that share terms.
pub(super) fn lexical_search(terms: &[String], limit: usize, among: &Among) -> OperationResult<SearchRequest> {
    search(TERMS, Vector::try_from(sparse::query(terms))?, limit, among, false)
}

fn search(name: &str, vector: Vector, limit: usize, among: &Among, exact: bool) -> OperationResult<SearchRequest> {
    let (filter, exact) = match among {
        Among::All(wanted) => (filter(wanted)?, exact),
        Among::Ids(ids) => {
            let ids = ids.iter().map(|id| point_id(id)).collect::<HasIdCondition>();
            (Some(Filter::new_must(Condition::HasId(ids))), true)
        }
    };
    Ok(SearchRequest {
        query: QueryEnum::Nearest(NamedQuery::new(vector.into(), name)),
        filter,
        params: Some(SearchParams {
            hnsw_ef: Some(GRAPH_BREADTH.max(limit)),
            exact,
            quantization: Some(RESCORED),
            ..SearchParams::default()
        }),
        limit,
        offset: 0,
        with_payload: Some(id_only()?),
        with_vector: None,
        score_threshold: None,
    })
}

/// The listing of a page of all points.
pub(super) fn page(offset: Option<PointId>) -> OperationResult<ScrollRequest> {
    let payload = WithPayloadInterface::Fields(vec![path(ID)?, path(DIGEST)?]);
    Ok(ScrollRequest { offset, limit: Some(PAGE), with_payload: Some(payload), ..ScrollRequest::default() })
}

/// The digest in a point's payload; 0 where it has none, which is nobody's.
pub(super) fn digest(payload: Option<&Payload>) -> i64 {
    payload.and_then(|payload| payload.0.get(DIGEST)?.as_i64()).unwrap_or_default()
}

/// The sentence vector among a point's vectors.
pub(super) fn dense_of(vectors: Option<VectorStructInternal>) -> OperationResult<Vec<f32>> {
    match vectors {
        Some(VectorStructInternal::Named(mut vectors)) => match vectors.remove(DENSE) {
            Some(VectorInternal::Dense(dense)) => Ok(dense),
            _ => Err(OperationError::service_error("a point has lost its vector")),
        },
        _ => Err(OperationError::service_error("a point has lost its vectors")),
    }
}

/// The points of these ids and what is read of them with their sentence vectors.
pub(super) fn points(ids: &[String]) -> OperationResult<(Vec<PointId>, WithPayloadInterface, WithVector)> {
    Ok((ids.iter().map(|id| point_id(id)).collect(), id_only()?, WithVector::Selector(vec![DENSE.into()])))
}

/// The ticket's id, which the payload of each point holds.
pub(super) fn external_id(payload: Option<&Payload>) -> OperationResult<String> {
    payload
        .and_then(|payload| payload.0.get(ID)?.as_str().map(str::to_owned))
        .ok_or_else(|| OperationError::service_error("a point has lost its id"))
}

fn id_only() -> OperationResult<WithPayloadInterface> {
    Ok(WithPayloadInterface::Fields(vec![path(ID)?]))
}

/// `None` where nothing is restricted.
fn filter(wanted: &SearchFilter) -> OperationResult<Option<Filter>> {
    let must = restrictions(wanted)
        .map(|(field, value)| {
            let value = Match::from(ValueVariants::String(value.into()));
            Ok(Condition::Field(FieldCondition::new_match(path(field)?, value)))
        })
        .collect::<OperationResult<Vec<_>>>()?;
    Ok((!must.is_empty()).then(|| Filter { must: Some(must), ..Filter::default() }))
}

fn path(field: &str) -> OperationResult<JsonPath> {
    field.parse().map_err(|()| OperationError::service_error(format!("{field} is no payload path")))
}
