//! Texts to sparse TF-IDF rows.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::Range;

use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::text::{FeatureConfig, Features, for_each_feature};

/// Column and value, columns ascending, L2 norm 1 (or empty).
pub type SparseRow = Vec<(u32, f32)>;

/// A fitted vocabulary with inverse document frequencies.
///
/// Value of a feature: count (or `1 + ln(count)`) times `ln((1 + n) / (1 + df)) + 1`, then rows are scaled to length 1; scikit-learn's
/// `TfidfVectorizer` with its defaults does the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectorizer {
    pub config: FeatureConfig,
    /// Features in the order of their columns, which is that of their bytes.
    pub vocabulary: Vec<Box<str>>,
    pub idf: Vec<f32>,
    /// Counts enter as `1 + ln(count)`.
    pub sublinear: bool,
    /// By the feature's 64-bit hash: a look-up touches one small table and no string. Two features of one hash share a column, which
    /// among 100,000 happens once in four billion vocabularies, and is the same at fitting and at serving.
    columns: FxHashMap<u64, u32>,
    /// Columns of the character n-grams: the vocabulary's order keeps a family together.
    pub grams: Range<u32>,
}

fn hash(feature: &str) -> u64 {
    FxBuildHasher.hash_one(feature.as_bytes())
}

impl Vectorizer {
    /// Learns the vocabulary of normalised texts; features in fewer than `min_df` of them are left out.
    pub fn fit<'a>(config: FeatureConfig, texts: impl Iterator<Item = &'a str>, min_df: usize, sublinear: bool) -> Self {
        // Ordered, so that the artefact is the same at every training.
        let mut document_frequency: BTreeMap<Box<str>, (u32, u32)> = BTreeMap::new();
        let mut scratch = Features::default();
        let mut documents = 0u32;
        for text in texts {
            documents += 1;
            for_each_feature(&mut scratch, &config, text, &mut |feature| match document_frequency.get_mut(feature) {
                // The second number is the last document that counted, so that a repeated feature counts once.
                Some((df, last)) if *last != documents => (*df, *last) = (*df + 1, documents),
                Some(_) => {}
                None => {
                    document_frequency.insert(feature.into(), (1, documents));
                }
            });
        }
        let kept = document_frequency.into_iter().filter(|(_, (df, _))| *df as usize >= min_df);
        let (vocabulary, idf) =
            kept.map(|(f, (df, _))| (f, ((1.0 + f64::from(documents)) / (1.0 + f64::from(df))).ln() as f32 + 1.0)).unzip();
        Self::from_parts(config, vocabulary, idf, sublinear)
    }

    pub fn from_parts(config: FeatureConfig, vocabulary: Vec<Box<str>>, idf: Vec<f32>, sublinear: bool) -> Self {
        let columns = vocabulary.iter().enumerate().map(|(i, f)| (hash(f), i as u32)).collect();
        let before = |end: &str| vocabulary.partition_point(|f| &**f < end) as u32;
        let grams = before("c:")..before("c;");
        Vectorizer { config, vocabulary, idf, sublinear, columns, grams }
    }

    /// The row of a normalised text. Features outside the vocabulary do not count.
    pub fn transform(&self, scratch: &mut Features, normalized: &str) -> SparseRow {
        let mut hits: Vec<u32> = Vec::with_capacity(normalized.len());
        for_each_feature(scratch, &self.config, normalized, &mut |feature| {
            if let Some(&column) = self.columns.get(&hash(feature)) {
                hits.push(column);
            }
        });
        hits.sort_unstable();
        let weight = |n: usize| if n > 1 && self.sublinear { 1.0 + (n as f32).ln() } else { n as f32 };
        let mut row: SparseRow = hits.chunk_by(|a, b| a == b).map(|run| (run[0], weight(run.len()) * self.idf[run[0] as usize])).collect();
        let norm = row.iter().map(|(_, v)| v * v).sum::<f32>().sqrt();
        if norm > 0.0 {
            row.iter_mut().for_each(|(_, v)| *v /= norm);
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_length_one_and_rare_features_weigh_more() {
        let texts = ["my parcel is late", "my parcel is lost", "my refund"];
        let config = FeatureConfig { latin_ngram_max: 0, word_pairs: false, ..Default::default() };
        let v = Vectorizer::fit(config, texts.into_iter(), 1, false);
        let row = v.transform(&mut Features::default(), "my refund unknownword");
        let norm: f32 = row.iter().map(|(_, x)| x * x).sum();
        assert!((norm - 1.0).abs() < 1e-6);
        let weight = |f: &str| row.iter().find(|(c, _)| &*v.vocabulary[*c as usize] == f).unwrap().1;
        assert!(weight("w:refund") > weight("w:my"));
        assert_eq!(row.len(), 2);
        assert!(v.transform(&mut Features::default(), "😀").is_empty());
    }
}
