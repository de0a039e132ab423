//! The encoder's share: a linear head over a sentence vector or a branch's vector, and the training examples near it.

use super::artefact::KIND;
use crate::artefact::ArtefactError;
use crate::numeric::dot;

/// `weight · vector + bias`, vectors of length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// `[labels * dimension]`, label by label.
    pub weight: Vec<f32>,
    /// `[labels]`
    pub bias: Vec<f32>,
}

impl Head {
    pub fn dimension(&self) -> usize {
        self.weight.len() / self.bias.len().max(1)
    }

    /// Scores of all labels.
    pub fn scores(&self, vector: &[f32]) -> Vec<f64> {
        self.weight.chunks_exact(vector.len().max(1)).zip(&self.bias).map(|(w, b)| f64::from(dot(w, vector) + b)).collect()
    }
}

/// Some training messages of each label with their vectors: what the encoder's path shows as its reasons, and the neighbourhood by
/// which it tells what is outside.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Examples {
    pub texts: Vec<String>,
    /// Numbers of the labels.
    pub labels: Vec<usize>,
    /// Rounded to bytes: `[examples * dimension]`, times 127.
    pub vectors: Vec<i8>,
    /// Mean vector of each label, over all training rows, length 1: `[labels * dimension]`.
    pub centroids: Vec<f32>,
}

/// An example and its cosine to a message.
pub type Near<'a> = (usize, &'a str, f32);

impl Examples {
    /// A vector as it is kept.
    pub fn rounded(vector: &[f32]) -> impl Iterator<Item = i8> + '_ {
        vector.iter().map(|v| (v * 127.0).round().clamp(-127.0, 127.0) as i8)
    }

    /// Cosines of all examples to a vector of length 1.
    fn cosines(&self, vector: &[f32]) -> Vec<f32> {
        let rows = self.vectors.chunks_exact(vector.len().max(1));
        rows.map(|row| row.iter().zip(vector).map(|(a, b)| f32::from(*a) * b).sum::<f32>() / 127.0).collect()
    }

    /// The nearest examples: `(label, text, cosine)`, nearest first.
    pub fn nearest(&self, vector: &[f32], count: usize) -> Vec<Near<'_>> {
        let cosines = self.cosines(vector);
        let mut order: Vec<usize> = (0..cosines.len()).collect();
        let by = |a: &usize, b: &usize| cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b));
        if count < order.len() {
            order.select_nth_unstable_by(count, by);
            order.truncate(count);
        }
        order.sort_by(by);
        order.into_iter().map(|i| (self.labels[i], self.texts[i].as_str(), cosines[i])).collect()
    }

    /// Cosine to a label's mean vector; 0 where there is none.
    pub fn centroid(&self, label: usize, vector: &[f32]) -> f64 {
        self.centroids.chunks_exact(vector.len().max(1)).nth(label).map_or(0.0, |c| f64::from(dot(c, vector)))
    }

    pub(super) fn check(&self, labels: usize, dimension: usize) -> Result<(), ArtefactError> {
        let n = self.texts.len();
        let fits = self.labels.len() == n && self.vectors.len() == n * dimension && self.centroids.len() == labels * dimension;
        if fits && self.labels.iter().all(|&l| l < labels) {
            Ok(())
        } else {
            Err(KIND.broken("examples.jsonl")(&"its rows and vectors do not match"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_with_their_cosine() {
        let vectors = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]];
        let examples = Examples {
            texts: ["a", "b", "c"].map(String::from).to_vec(),
            labels: vec![0, 1, 1],
            vectors: vectors.iter().flat_map(|v| Examples::rounded(v).collect::<Vec<_>>()).collect(),
            centroids: vec![1.0, 0.0, 0.0, 1.0],
        };
        let near = examples.nearest(&[0.0, 1.0], 2);
        assert_eq!(near.iter().map(|n| n.1).collect::<Vec<_>>(), ["b", "c"]);
        assert!((near[1].2 - 0.8).abs() < 0.01);
        assert_eq!(examples.nearest(&[0.0, 1.0], 9).len(), 3);
        assert_eq!(examples.centroid(0, &[1.0, 0.0]), 1.0);
        assert!(examples.check(2, 2).is_ok() && examples.check(1, 2).is_err());
    }

    #[test]
    fn a_head_is_a_product_and_a_sum() {
        let head = Head { weight: (0..20).map(|i| i as f32).collect(), bias: vec![1.0, 2.0] };
        assert_eq!(head.dimension(), 10);
        assert_eq!(head.scores(&[1.0; 10]), [46.0, 147.0]);
    }
}
