//! This room's points, filters and settings in Elasticsearch's words.
//!
//! Terms come segmented, so the index needs no plug-in for Chinese: they are joined with spaces and cut at them again. The similarity is
//! written out as a script, so that a score is the one that the other engines give: BM25 with a fixed average length (see
//! `retrieve::sparse`). Servers that refuse scripts get their own BM25, whose scores run a little differently.

use serde_json::{Value, json};

use super::super::layout::{
    Among, DENSE, DIGEST, GRAPH_BREADTH, GRAPH_BUILDING, GRAPH_LINKS, ID, INTENT, LANG, STATE, TERMS, restrictions, uuid,
};
use super::super::{Point, sparse};
use super::ElasticSettings;

/// Most that the server looks at in a search by vector.
const MOST_CANDIDATES: usize = 10_000;

/// Settings and mapping of an index.
pub(super) fn index(dim: usize, settings: &ElasticSettings, scripted: bool) -> Value {
    let similarity = if scripted {
        let (k1, b, average) = (sparse::K1, sparse::B, sparse::AVERAGE_TERMS);
        let source = format!(
            "double tf = doc.freq * {top} / (doc.freq + {k1} * ({rest} + {b} * doc.length / {average})); \
             return query.boost * tf * Math.log(1.0 + (field.docCount - term.docFreq + 0.5) / (term.docFreq + 0.5));",
            top = k1 + 1.0,
            rest = 1.0 - b,
        );
        json!({ "type": "scripted", "script": { "source": source } })
    } else {
        json!({ "type": "BM25", "k1": sparse::K1, "b": sparse::B })
    };
    let mut fields = json!({
        ID: { "type": "keyword" },
        DIGEST: { "type": "long", "index": false },
        LANG: { "type": "keyword" },
        INTENT: { "type": "keyword" },
        STATE: { "type": "keyword" },
        TERMS: { "type": "text", "analyzer": "whitespace", "similarity": "fenzhen" },
    });
    if settings.dense {
        // The graph of the embedded engine, over whole numbers: the default rounds to 8 bits and ranks by what is left.
        let graph = json!({ "type": "hnsw", "m": GRAPH_LINKS, "ef_construction": GRAPH_BUILDING });
        fields[DENSE] = json!({ "type": "dense_vector", "dims": dim, "index": true, "similarity": "cosine", "index_options": graph });
    }
    json!({
        "settings": {
            "number_of_shards": settings.shards,
            "number_of_replicas": settings.replicas,
            "similarity": { "fenzhen": similarity },
        },
        "mappings": { "dynamic": "strict", "properties": fields },
    })
}

/// The template that gives new indexes of a pattern their settings.
pub(super) fn template(pattern: &str, index: Value) -> Value {
    json!({ "index_patterns": [pattern], "priority": 500, "template": index })
}

/// The name by which the server knows a point.
pub(super) fn document_id(id: &str) -> String {
    uuid(id)
}

pub(super) fn document(point: &Point, dense: bool) -> Value {
    let mut document = json!({ ID: point.id, DIGEST: point.digest, LANG: point.lang.as_str(), TERMS: point.terms.join(" ") });
    if let Some(intent) = &point.intent {
        document[INTENT] = json!(intent);
    }
    if let Some(state) = point.state {
        document[STATE] = json!(state.as_str());
    }
    if dense {
        document[DENSE] = json!(point.dense);
    }
    document
}

/// What a search is restricted to.
fn clauses(among: &Among) -> Vec<Value> {
    match among {
        Among::Ids(ids) => vec![json!({ "terms": { ID: ids } })],
        Among::All(wanted) => restrictions(wanted).map(|(field, value)| json!({ "term": { field: value } })).collect(),
    }
}

pub(super) fn lexical_query(terms: &[String], limit: usize, among: &Among) -> Value {
    let mut distinct: Vec<&str> = terms.iter().map(String::as_str).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let words = json!({ "match": { TERMS: { "query": distinct.join(" "), "operator": "or" } } });
    json!({ "size": limit, "_source": [ID], "query": { "bool": { "must": [words], "filter": clauses(among) } } })
}

pub(super) fn dense_query(vector: &[f32], limit: usize, among: &Among) -> Value {
    let candidates = (2 * limit).clamp(GRAPH_BREADTH, MOST_CANDIDATES);
    let nearest = json!({
        "field": DENSE, "query_vector": vector, "k": limit.min(candidates), "num_candidates": candidates, "filter": clauses(among),
    });
    json!({ "size": limit, "_source": [ID], "knn": nearest })
}

/// Exact cosines of a few points.
pub(super) fn cosines_query(vector: &[f32], ids: &[String]) -> Value {
    let script = json!({ "source": format!("cosineSimilarity(params.vector, '{DENSE}') + 1.0"), "params": { "vector": vector } });
    let among = json!({ "bool": { "filter": clauses(&Among::Ids(ids)) } });
    json!({ "size": ids.len(), "_source": [ID], "query": { "script_score": { "query": among, "script": script } } })
}

/// A page of all points in the order of their ids.
pub(super) fn page(after: Option<&str>, size: usize) -> Value {
    let mut page = json!({ "size": size, "_source": [ID, DIGEST], "query": { "match_all": {} }, "sort": [{ ID: "asc" }] });
    if let Some(after) = after {
        page["search_after"] = json!([after]);
    }
    page
}
