//! Which messages without a label would teach the classifier most?
//!
//! A message is worth labelling when the classifier hesitates between two intents (margin sampling; Settles, 2009, "Active Learning
//! Literature Survey", 2.3), when others like it wait (information density, the same survey, 5.1), and when it holds words that the
//! classifier does not know. The list takes the worthiest first and marks down what is like one that it has: greedy k-centre, weighted by
//! worth (Sener and Savarese, 2018). Nothing here reads a store or encodes: candidates and their vectors are handed in.

use std::collections::HashMap;

use rayon::prelude::*;
use serde::Serialize;

use crate::domain::{IntentScore, Lang};
use crate::text::{NEAR_DUPLICATE, jaccard, trigrams};

/// A message that has no label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    pub triage_id: String,
    pub created_at: String,
    pub text: String,
    pub lang: Lang,
    pub guess: IntentScore,
    pub runner_up: IntentScore,
    /// Entropy of the classifier's distribution over its greatest possible one, in [0, 1].
    pub entropy: f64,
    /// Share of the words that the classifier does not know, in [0, 1].
    pub novelty: f64,
    /// Some of those words.
    pub unknown_words: Vec<String>,
    /// How often the message came, spelt the same.
    pub copies: usize,
}

/// Unknown words that a candidate names.
const NAMED_WORDS: usize = 5;

impl Candidate {
    /// From the classifier's `distribution` over `labels` and the message's words, each with whether the classifier knows it.
    pub fn new(
        triage_id: String,
        created_at: String,
        text: String,
        lang: Lang,
        distribution: &[(&str, f64)],
        words: &[(String, bool)],
    ) -> Self {
        let mut order: Vec<&(&str, f64)> = distribution.iter().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        let score = |at: usize| order.get(at).map_or((String::new(), 0.0), |s| (s.0.to_owned(), s.1));
        let named = |(id, p): (String, f64)| IntentScore { id, confidence: p as f32 };
        let entropy: f64 = distribution.iter().map(|d| if d.1 > 0.0 { -d.1 * d.1.ln() } else { 0.0 }).sum();
        let mut unknown_words: Vec<String> = words.iter().filter(|w| !w.1).map(|w| w.0.clone()).collect();
        let novelty = unknown_words.len() as f64 / words.len().max(1) as f64;
        unknown_words.dedup();
        unknown_words.truncate(NAMED_WORDS);
        Candidate {
            triage_id,
            created_at,
            text,
            lang,
            guess: named(score(0)),
            runner_up: named(score(1)),
            entropy: if distribution.len() > 1 { entropy / (distribution.len() as f64).ln() } else { 0.0 },
            novelty,
            unknown_words,
            copies: 1,
        }
    }

    /// One less the distance between the two most probable intents, in [0, 1].
    pub fn uncertainty(&self) -> f64 {
        1.0 - f64::from(self.guess.confidence - self.runner_up.confidence)
    }

    /// Worth before it is known what is like it: uncertainty, up to twice as much for new words.
    fn first_worth(&self) -> f64 {
        self.uncertainty() * (1.0 + self.novelty)
    }
}

/// Keeps the worthiest of any number of candidates, one of each spelling.
#[derive(Debug)]
pub struct Pool {
    limit: usize,
    kept: Vec<(String, Candidate)>,
}

impl Pool {
    pub fn new(limit: usize) -> Self {
        Pool { limit: limit.max(1), kept: Vec::new() }
    }

    /// `normalized` is the spelling by which copies are told.
    pub fn add(&mut self, normalized: String, candidate: Candidate) {
        self.kept.push((normalized, candidate));
        if self.kept.len() >= 2 * self.limit + 100 {
            self.shrink();
        }
    }

    /// At most as many as the limit, worthiest first.
    pub fn finish(mut self) -> Vec<Candidate> {
        self.shrink();
        self.kept.into_iter().map(|k| k.1).collect()
    }

    // Copies are worth the same, so that what was dropped once is dropped whenever it comes again: the counts of what stays are right.
    fn shrink(&mut self) {
        let mut first: HashMap<String, usize> = HashMap::new();
        let mut kept: Vec<(String, Candidate)> = Vec::new();
        for (spelling, candidate) in self.kept.drain(..) {
            match first.get(&spelling) {
                Some(&at) => kept[at].1.copies += candidate.copies,
                None => {
                    first.insert(spelling.clone(), kept.len());
                    kept.push((spelling, candidate));
                }
            }
        }
        kept.sort_by(|a, b| b.1.first_worth().total_cmp(&a.1.first_worth()).then_with(|| a.1.triage_id.cmp(&b.1.triage_id)));
        kept.truncate(self.limit);
        self.kept = kept;
    }
}

/// How like each other the candidates are.
#[derive(Debug)]
pub struct Likeness {
    grams: Vec<Vec<u64>>,
    /// Centred and of length 1; empty where there is no encoder.
    vectors: Vec<Vec<f32>>,
}

impl Likeness {
    /// By character trigrams.
    pub fn of_texts(candidates: &[Candidate]) -> Self {
        Likeness { grams: candidates.iter().map(|c| trigrams(&c.text)).collect(), vectors: Vec::new() }
    }

    /// By sentence vectors, one a candidate. Their mean is taken off: an encoder's vectors all lie in one direction, and what they share
    /// tells nothing.
    pub fn of_vectors(candidates: &[Candidate], mut vectors: Vec<Vec<f32>>) -> Self {
        let dimension = vectors.first().map_or(0, Vec::len);
        let mut mean = vec![0.0f32; dimension];
        for vector in &vectors {
            mean.iter_mut().zip(vector).for_each(|(m, v)| *m += v / vectors.len() as f32);
        }
        for vector in &mut vectors {
            vector.iter_mut().zip(&mean).for_each(|(v, m)| *v -= m);
            let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
            if norm > 0.0 {
                vector.iter_mut().for_each(|v| *v /= norm);
            }
        }
        Likeness { vectors, ..Self::of_texts(candidates) }
    }

    /// In [0, 1].
    fn between(&self, a: usize, b: usize) -> f64 {
        match (self.vectors.get(a), self.vectors.get(b)) {
            (Some(a), Some(b)) => f64::from(a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>()).clamp(0.0, 1.0),
            _ => jaccard(&self.grams[a], &self.grams[b]),
        }
    }

    fn same_but_for_spelling(&self, a: usize, b: usize) -> bool {
        jaccard(&self.grams[a], &self.grams[b]) >= NEAR_DUPLICATE
    }
}

/// A message that is worth a label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Informative {
    #[serde(flatten)]
    pub candidate: Candidate,
    /// Mean likeness to the nearest `NEIGHBOURS` others that wait, in [0, 1].
    pub density: f64,
    /// `uncertainty * (1 + density) * (1 + novelty) / 4`, less what it shares with those before it in the list; in [0, 1].
    pub score: f64,
    pub why: Vec<String>,
}

/// Others that a candidate's density looks at.
pub const NEIGHBOURS: usize = 10;

/// The `count` most informative candidates, no two of them nearly the same. `likeness` is theirs.
pub fn most_informative(candidates: &[Candidate], likeness: &Likeness, count: usize) -> Vec<Informative> {
    let density: Vec<f64> = (0..candidates.len()).into_par_iter().map(|i| density(candidates, likeness, i)).collect();
    let worth: Vec<f64> = candidates.iter().zip(&density).map(|(c, d)| c.first_worth() * (1.0 + d) / 4.0).collect();
    // Likeness to the nearest that was chosen.
    let mut covered = vec![0.0f64; candidates.len()];
    let mut open = vec![true; candidates.len()];
    let mut chosen = Vec::new();
    while chosen.len() < count {
        let left = |i: usize| worth[i] * (1.0 - covered[i]);
        let Some(best) = (0..candidates.len()).filter(|&i| open[i]).max_by(|&a, &b| left(a).total_cmp(&left(b)).then(b.cmp(&a))) else {
            break;
        };
        chosen.push(Informative {
            candidate: candidates[best].clone(),
            density: density[best],
            score: left(best),
            why: why(&candidates[best], density[best]),
        });
        for i in 0..candidates.len() {
            open[i] &= i != best && !likeness.same_but_for_spelling(best, i);
            covered[i] = covered[i].max(likeness.between(best, i));
        }
    }
    chosen
}

fn density(candidates: &[Candidate], likeness: &Likeness, at: usize) -> f64 {
    let mut near: Vec<f64> = (0..candidates.len()).filter(|&i| i != at).map(|i| likeness.between(at, i)).collect();
    // A copy is a neighbour, and as near as can be.
    near.extend(std::iter::repeat_n(1.0, (candidates[at].copies - 1).min(NEIGHBOURS)));
    near.sort_by(|a, b| b.total_cmp(a));
    near.iter().take(NEIGHBOURS).sum::<f64>() / NEIGHBOURS as f64
}

/// Density from which on the list says that others are like a message.
const DENSE: f64 = 0.4;

fn why(candidate: &Candidate, density: f64) -> Vec<String> {
    let (guess, other) = (&candidate.guess, &candidate.runner_up);
    let percent = |p: f32| format!("{:.0} %", 100.0 * p);
    let mut why = vec![if candidate.uncertainty() > 0.8 {
        format!("nearly a tie: {} {}, {} {}", guess.id, percent(guess.confidence), other.id, percent(other.confidence))
    } else {
        format!("{} {} before {} {}", guess.id, percent(guess.confidence), other.id, percent(other.confidence))
    }];
    if !candidate.unknown_words.is_empty() {
        why.push(format!("new words: {}", candidate.unknown_words.join(", ")));
    }
    if candidate.copies > 1 {
        why.push(format!("came {} times", candidate.copies));
    } else if density >= DENSE {
        why.push("many like it wait".to_owned());
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(id: &str, text: &str, p: f64, novelty: f64) -> Candidate {
        let words: Vec<(String, bool)> = (0..10).map(|i| (format!("w{i}"), f64::from(i) >= 10.0 * novelty)).collect();
        Candidate::new(id.into(), String::new(), text.into(), Lang::En, &[("a", p), ("b", 1.0 - p)], &words)
    }

    fn ids(chosen: &[Informative]) -> Vec<&str> {
        chosen.iter().map(|c| c.candidate.triage_id.as_str()).collect()
    }

    #[test]
    fn a_candidate_knows_its_doubts() {
        let c = candidate("1", "x", 0.5, 0.3);
        assert!((c.uncertainty() - 1.0).abs() < 1e-6 && (c.entropy - 1.0).abs() < 1e-9 && (c.novelty - 0.3).abs() < 1e-9);
        assert_eq!((c.guess.id.as_str(), c.runner_up.id.as_str(), c.unknown_words.len()), ("a", "b", 3));
        let sure = candidate("2", "x", 1.0, 0.0);
        assert_eq!((sure.uncertainty(), sure.entropy, sure.novelty), (0.0, 0.0, 0.0));
        let nothing = Candidate::new("3".into(), String::new(), "?".into(), Lang::Zh, &[("a", 1.0)], &[]);
        assert_eq!((nothing.novelty, nothing.entropy), (0.0, 0.0));
    }

    #[test]
    fn doubt_comes_first_and_new_words_weigh() {
        let all = [
            candidate("sure", "where is my parcel", 0.95, 0.0),
            candidate("torn", "the zip of the jacket broke", 0.5, 0.0),
            candidate("new", "does the fjord come in teal", 0.55, 0.9),
        ];
        let chosen = most_informative(&all, &Likeness::of_texts(&all), 2);
        assert_eq!(ids(&chosen), ["new", "torn"]);
        assert!(chosen[0].why.iter().any(|w| w.contains("new words: w0")), "{:?}", chosen[0].why);
        assert!(chosen[1].why[0].contains("nearly a tie"), "{:?}", chosen[1].why);
        assert!(chosen.iter().all(|c| (0.0..=1.0).contains(&c.score)));
    }

    #[test]
    fn near_duplicates_stand_in_the_list_once_and_what_is_alike_comes_late() {
        let all = [
            candidate("one", "where is my parcel please", 0.5, 0.0),
            candidate("again", "Where is my parcel, please??", 0.5, 0.0),
            candidate("other", "an unrelated sentence", 0.6, 0.0),
        ];
        assert_eq!(ids(&most_informative(&all, &Likeness::of_texts(&all), 9)), ["one", "other"]);
        // Two directions: the second of the first direction comes after the weaker one of the other.
        let all = [candidate("x1", "aaa bbb", 0.5, 0.0), candidate("x2", "ccc ddd", 0.52, 0.0), candidate("y", "eee fff", 0.7, 0.0)];
        let vectors = vec![vec![1.0, 0.0], vec![0.98, 0.2], vec![0.0, 1.0]];
        assert_eq!(ids(&most_informative(&all, &Likeness::of_vectors(&all, vectors), 3)), ["x1", "y", "x2"]);
    }

    #[test]
    fn what_many_ask_is_denser() {
        let crowd: Vec<Candidate> =
            (0..12).map(|i| candidate(&format!("c{i}"), &format!("can I pay by gift card {i}{i}{i}"), 0.6, 0.0)).collect();
        let mut all = crowd;
        all.push(candidate("alone", "xylophone quartz", 0.6, 0.0));
        let chosen = most_informative(&all, &Likeness::of_texts(&all), 2);
        assert!(chosen[0].density > 0.5 && chosen[0].candidate.triage_id != "alone", "{chosen:?}");
        assert_eq!(chosen[1].candidate.triage_id, "alone");
    }

    #[test]
    fn a_pool_counts_copies_and_keeps_the_worthiest() {
        let mut pool = Pool::new(3);
        for round in 0..200 {
            pool.add("often".into(), candidate(&format!("o{round:03}"), "often", 0.6, 0.0));
            pool.add(format!("sure {round}"), candidate(&format!("s{round:03}"), "sure", 0.99, 0.0));
        }
        pool.add("torn".into(), candidate("t", "torn", 0.5, 0.0));
        let kept = pool.finish();
        assert_eq!(kept.iter().map(|c| (c.text.as_str(), c.copies)).collect::<Vec<_>>(), [("torn", 1), ("often", 200), ("sure", 1)]);
        assert!(Pool::new(5).finish().is_empty());
        assert!(most_informative(&[], &Likeness::of_texts(&[]), 5).is_empty());
    }
}
