//! The rows of a recipe, labels as numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::recipe::{ClassifierRecipe, Files};
use crate::corpus::{Example, data_hash, read_jsonl, read_taxonomy};
use crate::domain::Lang;
use crate::text::normalize;
use crate::train::TrainError;

/// All rows of all sets, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// As they were written: what the encoder reads.
    pub texts: Vec<String>,
    pub normalized: Vec<String>,
    pub langs: Vec<Lang>,
    /// `None`: outside of all labels.
    pub labels: Vec<Option<usize>>,
}

/// What a recipe trains on.
#[derive(Debug, Clone)]
pub struct Corpus {
    pub labels: Vec<String>,
    pub categories: Vec<String>,
    pub rows: Rows,
    /// Numbers of the rows of each set.
    pub train: Vec<usize>,
    pub valid: Vec<usize>,
    pub test: Vec<usize>,
    /// sha256 of the training, validation and taxonomy files.
    pub hash: String,
}

/// Bytes of a file of rows: some millions of messages.
const LARGEST: u64 = 512 << 20;

/// Rows that a model is fitted on, and others that it has not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold {
    pub fit: Vec<usize>,
    pub held: Vec<usize>,
}

impl Corpus {
    /// # Errors
    /// Unreadable files, labels that are not in the taxonomy or have no training row.
    pub fn read(recipe: &ClassifierRecipe, base: &Path) -> Result<Self, TrainError> {
        let data = &recipe.data;
        let files = |files: &Option<Files>| files.as_ref().map(|f| f.under(base)).unwrap_or_default();
        let (train, valid, test) = (data.train.under(base), files(&data.valid), files(&data.test));
        let taxonomy = data.taxonomy.as_ref().map(|t| base.join(t));
        let hashed: Vec<&Path> = train.iter().chain(&valid).chain(&taxonomy).map(std::path::PathBuf::as_path).collect();
        for path in &hashed {
            let bytes = std::fs::metadata(path).map_or(0, |m| m.len());
            if bytes > LARGEST {
                return Err(TrainError::Data(format!(
                    "{} has {} MB; a classifier learns little from more than {} MB, and all of it would lie in memory: take a sample (`fenzhen data split`)",
                    path.display(),
                    bytes >> 20,
                    LARGEST >> 20
                )));
            }
        }
        let hash = data_hash(&hashed)?;
        let read = |files: &[std::path::PathBuf]| -> Result<Vec<Example>, TrainError> {
            let sets = files.iter().map(|f| read_jsonl(f)).collect::<Result<Vec<_>, _>>()?;
            Ok(sets.into_iter().flatten().collect())
        };
        let sets = [read(&train)?, read(&valid)?, read(&test)?];
        let (labels, categories): (Vec<String>, Vec<String>) = match &taxonomy {
            Some(path) => read_taxonomy(path)?.intents().map(|(i, c)| (i.to_owned(), c.to_owned())).unzip(),
            None => {
                let found: BTreeSet<&str> = sets[0].iter().map(|e| e.intent.as_str()).collect();
                found.into_iter().map(|l| (l.to_owned(), String::new())).unzip()
            }
        };
        let mut corpus = Corpus { labels, categories, rows: Rows::default(), train: vec![], valid: vec![], test: vec![], hash };
        let index: HashMap<String, usize> = corpus.labels.iter().enumerate().map(|(i, n)| (n.clone(), i)).collect();
        for (which, examples) in sets.iter().enumerate() {
            let name = ["train", "valid", "test"][which];
            for example in examples {
                let label = index.get(&example.intent).copied();
                if label.is_none() && (example.intent != data.out_of_scope || which == 0) {
                    let (intent, text) = (&example.intent, example.text.chars().take(60).collect::<String>());
                    return Err(TrainError::Data(format!(
                        "{name}: intent {intent:?} of {text:?} is unknown: add it to the taxonomy, to the training set, or take the row out"
                    )));
                }
                let row = corpus.rows.push(example, label);
                [&mut corpus.train, &mut corpus.valid, &mut corpus.test][which].push(row);
            }
        }
        corpus.check(recipe)?;
        Ok(corpus)
    }

    fn check(&self, recipe: &ClassifierRecipe) -> Result<(), TrainError> {
        if self.train.is_empty() {
            return Err(TrainError::Data("the training set is empty".into()));
        }
        if self.labels.len() < 2 {
            return Err(TrainError::Data(format!("the only label is {:?}: a classifier needs two or more", self.labels[0])));
        }
        let mut counts = vec![0usize; self.labels.len()];
        for &row in &self.train {
            if let Some(label) = self.rows.labels[row] {
                counts[label] += 1;
            }
        }
        // A label is fitted in every fold, so it needs a row more than one fold can take away.
        let least = if self.valid.is_empty() { 2 } else { 1 };
        let few: Vec<String> =
            counts.iter().zip(&self.labels).filter(|(n, _)| **n < least).map(|(n, label)| format!("{label} ({n})")).take(10).collect();
        if !few.is_empty() {
            return Err(TrainError::Data(format!(
                "labels with fewer than {least} training rows: {}; write more, merge them, or take them out of the taxonomy",
                few.join(", ")
            )));
        }
        if recipe.data.valid.is_some() && self.valid.iter().filter(|&&r| self.rows.labels[r].is_some()).count() < 20 {
            return Err(TrainError::Data("the validation set has fewer than 20 rows: leave data.valid out, and folds are used".into()));
        }
        Ok(())
    }

    /// Training texts that stand there with more than one label: at most one of them is right.
    pub fn contradictions(&self) -> usize {
        let mut labels: HashMap<&str, BTreeSet<Option<usize>>> = HashMap::new();
        for &row in &self.train {
            labels.entry(&self.rows.normalized[row]).or_default().insert(self.rows.labels[row]);
        }
        labels.values().filter(|of_text| of_text.len() > 1).count()
    }

    /// The folds: one with the validation set, where there is one; otherwise the training rows, stratified by label, shuffled by
    /// the seed.
    pub fn folds(&self, folds: usize, seed: u64) -> Vec<Fold> {
        if !self.valid.is_empty() {
            return vec![Fold { fit: self.train.clone(), held: self.valid.clone() }];
        }
        self.cross_folds(folds, seed)
    }

    /// The training rows in so many parts, each held out once.
    pub fn cross_folds(&self, folds: usize, seed: u64) -> Vec<Fold> {
        let mut by_label: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
        for &row in &self.train {
            by_label.entry(self.rows.labels[row]).or_default().push(row);
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut part_of = HashMap::new();
        // Labels start at different parts, so that small ones do not all land in the first.
        let mut at = 0;
        for rows in by_label.values_mut() {
            rows.shuffle(&mut random);
            for &row in rows.iter() {
                part_of.insert(row, at % folds);
                at += 1;
            }
        }
        let fold = |number: usize| {
            let (held, fit) = self.train.iter().partition(|r| part_of[*r] == number);
            Fold { fit, held }
        };
        (0..folds).map(fold).collect()
    }

    /// Labels of rows that have one.
    pub fn labels_of(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().filter_map(|&r| self.rows.labels[r]).collect()
    }
}

impl Rows {
    fn push(&mut self, example: &Example, label: Option<usize>) -> usize {
        self.normalized.push(normalize(&example.text).text);
        self.texts.push(example.text.clone());
        self.langs.push(example.lang);
        self.labels.push(label);
        self.texts.len() - 1
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}
