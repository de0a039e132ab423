//! Groups of texts that mean the same, and the families of those that only look alike.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::RetrievalRecipe;
use crate::corpus::{AlikeRow, AskedRow, CauseRow, Example, data_hash, read_jsonl};
use crate::knowledge::ticket_text;
use crate::train::TrainError;

/// Texts that mean the same.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Name and kind, for [`Group::near`].
    pub name: String,
    near: Option<String>,
    pub texts: Vec<String>,
}

/// Groups of one kind, whose texts are told from one another.
pub struct Source {
    pub name: &'static str,
    pub groups: Vec<Group>,
    /// Numbers of groups that stand together because their words are alike.
    pub families: Vec<Vec<usize>>,
    /// Families from here on are held out.
    pub held: usize,
    /// How often an epoch meets each family.
    pub rounds: usize,
}

/// All texts end to end, with their groups.
pub struct RetrievalCorpus {
    pub sources: Vec<Source>,
    pub texts: Vec<String>,
    /// Group of each text, over all sources.
    pub group: Vec<u32>,
    /// For each source and group its texts.
    pub members: Vec<Vec<Vec<usize>>>,
    pub hash: String,
}

impl RetrievalCorpus {
    /// Reads the files of a recipe, whose paths are relative to `base`.
    ///
    /// # Errors
    /// Unreadable or broken files, no group of two texts.
    pub fn read(recipe: &RetrievalRecipe, base: &Path) -> Result<Self, TrainError> {
        let under = |files: &[PathBuf]| -> Vec<PathBuf> { files.iter().map(|f| base.join(f)).collect() };
        let (causes, articles) = (under(&recipe.data.causes), under(&recipe.data.articles));
        let (questions, labelled) = (under(&recipe.data.questions), under(&recipe.data.labelled));
        let all: Vec<&Path> = [&causes, &articles, &questions, &labelled].into_iter().flatten().map(PathBuf::as_path).collect();
        let hash = data_hash(&all)?;
        let rounds = &recipe.model.rounds;
        let mut sources = Vec::new();
        let groups: Vec<Group> = rows::<CauseRow>(&causes)?.into_iter().map(Group::from).collect();
        sources.push(Source::of("causes", groups, rounds.causes));
        let groups: Vec<Group> = rows::<AskedRow>(&articles)?.into_iter().map(Group::from).collect();
        sources.push(Source::of("articles", groups, rounds.articles));
        let groups: Vec<Group> = rows::<AlikeRow>(&questions)?.into_iter().flat_map(Group::of_questions).collect();
        sources.push(Source::of("questions", groups, rounds.questions));
        let mut labels: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in rows::<Example>(&labelled)? {
            labels.entry(row.intent).or_default().push(row.text);
        }
        let groups = labels.into_iter().map(|(name, texts)| Group { name, near: None, texts }).collect();
        sources.push(Source::of("labelled", groups, rounds.labelled));
        sources.retain(|s| !s.groups.is_empty());
        for source in &mut sources {
            source.hold(recipe.model.held, recipe.seed);
        }
        if !sources.iter().any(|s| s.groups.iter().any(|g| g.texts.len() > 1)) {
            return Err(TrainError::Data("data names no file with a group of two texts".into()));
        }
        Ok(Self::of(sources, hash))
    }

    fn of(sources: Vec<Source>, hash: String) -> Self {
        let mut corpus = RetrievalCorpus { texts: Vec::new(), group: Vec::new(), members: Vec::new(), sources: Vec::new(), hash };
        let mut number = 0;
        for source in &sources {
            let mut members = Vec::with_capacity(source.groups.len());
            for group in &source.groups {
                let from = corpus.texts.len();
                corpus.texts.extend(group.texts.iter().cloned());
                corpus.group.resize(corpus.texts.len(), number);
                members.push((from..corpus.texts.len()).collect());
                number += 1;
            }
            corpus.members.push(members);
        }
        corpus.sources = sources;
        corpus
    }

    /// Texts of the families that are learned from, or of those held out.
    pub fn rows(&self, held: bool) -> Vec<usize> {
        let of = |(source, members): (&Source, &Vec<Vec<usize>>)| -> Vec<usize> {
            let families = if held { &source.families[source.held..] } else { &source.families[..source.held] };
            families.iter().flatten().flat_map(|&g| members[g].iter().copied()).collect()
        };
        self.sources.iter().zip(&self.members).flat_map(of).collect()
    }

    /// The texts of an epoch in parts of `part`, each of one source; `texts` of each group, whole families together.
    pub fn parts(&self, part: usize, texts: usize, random: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        let mut parts = Vec::new();
        for (source, members) in self.sources.iter().zip(&self.members) {
            let mut line: Vec<usize> = Vec::new();
            for _ in 0..source.rounds {
                let mut families: Vec<&Vec<usize>> = source.families[..source.held].iter().collect();
                families.shuffle(random);
                for &group in families.into_iter().flatten() {
                    let mut own = members[group].clone();
                    own.shuffle(random);
                    line.extend(own.into_iter().take(texts));
                }
            }
            parts.extend(line.chunks_exact(part).map(<[usize]>::to_vec));
        }
        parts.shuffle(random);
        parts
    }
}

fn rows<T: serde::de::DeserializeOwned>(files: &[PathBuf]) -> Result<Vec<T>, TrainError> {
    let mut rows = Vec::new();
    for file in files {
        rows.extend(read_jsonl::<T>(file)?);
    }
    Ok(rows)
}

impl Source {
    fn of(name: &'static str, groups: Vec<Group>, rounds: usize) -> Self {
        let numbers: BTreeMap<&str, usize> = groups.iter().enumerate().map(|(i, g)| (g.name.as_str(), i)).collect();
        // Who is near whom, both ways, as far as it reaches.
        let mut family: Vec<usize> = (0..groups.len()).collect();
        for (i, group) in groups.iter().enumerate() {
            if let Some(&other) = group.near.as_deref().and_then(|near| numbers.get(near)) {
                let (a, b) = (family[i].min(family[other]), family[i].max(family[other]));
                family.iter_mut().filter(|f| **f == b).for_each(|f| *f = a);
            }
        }
        let mut families: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (i, f) in family.into_iter().enumerate() {
            families.entry(f).or_default().push(i);
        }
        let families: Vec<Vec<usize>> = families.into_values().collect();
        Source { name, groups, held: families.len(), families, rounds }
    }

    fn hold(&mut self, one_in: usize, seed: u64) {
        self.families.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        self.held = self.families.len() - self.families.len() / one_in;
    }
}

impl From<CauseRow> for Group {
    fn from(row: CauseRow) -> Self {
        // Tickets as customers write them, and as they are kept once an agent has noted what was done.
        let kept: Vec<String> = row.texts.iter().zip(&row.notes).map(|(text, note)| ticket_text(text, Some(note))).collect();
        let texts = row.texts.into_iter().chain(kept).collect();
        Group { name: row.cause, near: row.near, texts }
    }
}

impl From<AskedRow> for Group {
    fn from(row: AskedRow) -> Self {
        let mut texts = row.asked;
        texts.push(format!("{}\n{}", row.question, row.answer));
        Group { name: row.id, near: row.near, texts }
    }
}

impl Group {
    fn of_questions(row: AlikeRow) -> Vec<Group> {
        let texts = row.same.into_iter().chain(row.answer).collect();
        let alone = |(n, text): (usize, String)| Group { name: format!("{}/{n}", row.id), near: Some(row.id.clone()), texts: vec![text] };
        let mut groups: Vec<Group> = row.unlike.into_iter().enumerate().map(alone).collect();
        groups.push(Group { name: row.id, near: None, texts });
        groups
    }
}
