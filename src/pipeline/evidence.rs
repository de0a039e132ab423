//! What is known of each search hit: the same features at training and at serving, from one place.

use crate::decide::MatchFeatures;
use crate::domain::Intent;
use crate::retrieve::Hit;

/// The features of each hit of one search; each comes with its record's intent.
pub fn features_of(hits: &[(&Hit, Option<&str>)], intent: &Intent) -> Vec<MatchFeatures> {
    let cosines: Vec<f64> = hits.iter().map(|(h, _)| f64::from(h.cosine.unwrap_or(0.0))).collect();
    let lexical: Vec<f64> = hits.iter().map(|(h, _)| f64::from(h.lexical.unwrap_or(0.0)).ln_1p()).collect();
    let of_intent = |id: &str| {
        let others = intent.alternatives.iter().map(|a| (a.id.as_str(), a.confidence));
        others.chain([(intent.id.as_str(), intent.confidence)]).find(|s| s.0 == id).map_or(0.0, |s| f64::from(s.1))
    };
    (0..hits.len())
        .map(|i| MatchFeatures {
            cosine: cosines[i],
            margin: cosines[i] - best_other(&cosines, i),
            lexical: lexical[i],
            lexical_margin: lexical[i] - best_other(&lexical, i),
            intent: hits[i].1.map_or(0.0, of_intent),
        })
        .collect()
}

/// The greatest value but the `i`th; the `i`th itself where it is alone.
fn best_other(values: &[f64], i: usize) -> f64 {
    let others = values.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, v)| *v);
    others.max_by(f64::total_cmp).unwrap_or(values[i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{IntentScore, Path};

    #[test]
    fn features_compare_a_hit_with_the_best_other() {
        let hit = |cosine, lexical| Hit { id: "x".into(), score: 1.0, cosine: Some(cosine), lexical };
        let intent = Intent {
            id: "stock".into(),
            category: "product".into(),
            confidence: 0.7,
            alternatives: vec![IntentScore { id: "price".into(), confidence: 0.2 }],
            out_of_scope: 0.0,
            path: Path::Fast,
            evidence: vec![],
            neighbours: vec![],
        };
        let f = features_of(&[(&hit(0.9, Some(1.0)), Some("price")), (&hit(0.8, None), Some("invoice"))], &intent);
        assert!((f[0].margin - 0.1).abs() < 1e-6 && (f[1].margin + 0.1).abs() < 1e-6);
        assert!((f[0].lexical - 2f64.ln()).abs() < 1e-9 && f[1].lexical == 0.0 && f[1].lexical_margin < 0.0);
        assert!((f[0].intent - 0.2).abs() < 1e-6 && f[1].intent == 0.0);
    }
}
