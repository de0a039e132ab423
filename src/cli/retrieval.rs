//! `fenzhen train retrieval` and `fenzhen eval retrieval`: the vectors that texts are compared by.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Global;
use super::output::{GREEN, STRONG, bar, line, paint};
use super::train::{Recipe, Teller};
use crate::app::{arithmetic, encoder_files, load_encoder, open_training_encoder};
use crate::corpus::{ArticleQuery, CorpusTicket, Example, read_jsonl};
use crate::decide::{GateArtefact, MatchModel};
use crate::domain::{Article, Lang, SearchFilter};
use crate::embed::comparing::Comparing;
use crate::embed::{Branch, EncodeError, Encoder, Role};
use crate::eval::{Space, pair_auc, places, recall};
use crate::knowledge::ticket_text;
use crate::pipeline::{DEPTH, alignment, features_alone};
use crate::retrieve::{EdgeIndex, Hit, IndexStamp, Point, Query, TicketIndex};
use crate::text::{TEXT_VERSION, normalize, search_terms};
use crate::train::{RetrievalCorpus, RetrievalRecipe, Workplace, read_recipe, train_retrieval};

pub(super) fn train(args: &Recipe, global: &Global) -> anyhow::Result<()> {
    let recipe: RetrievalRecipe = read_recipe(&args.recipe, &args.settings)?;
    recipe.check()?;
    let out = args.out(&recipe.out);
    let corpus = RetrievalCorpus::read(&recipe, &args.base())?;
    let encoder = open_training_encoder(&global.start(None)?)?;
    let run = format!("{} {}", corpus.hash, serde_json::to_string(&recipe)?);
    let workplace = Workplace::open(&out, run)?;
    let teller = Teller::start();
    let trained = train_retrieval(&recipe, &corpus, &encoder, &workplace, &|news| teller.tell(&news))?;
    teller.finish();
    trained.save(&out)?;
    workplace.close();
    for (source, s) in &trained.meta().scores {
        line(&format!("{source:24} texts {:5}  nearest {:5.1} %  among three {:5.1} %", s.n, 100.0 * s.at_1, 100.0 * s.at_3))?;
    }
    line(&format!("{} {} in {}", paint(GREEN, "✓"), trained.version(), paint(STRONG, out.display())))
}

#[derive(Debug, Args)]
pub(super) struct EvalRetrieval {
    /// Folder of a trained artefact; without it the one that is served
    #[arg(long, value_name = "DIR")]
    artefact: Option<PathBuf>,
    /// Lay so much of the tuned weights over the pretrained ones, to choose model.blend of a recipe
    #[arg(long, value_name = "SHARE")]
    blend: Option<f64>,
    /// Keep what --blend makes as an artefact
    #[arg(long, value_name = "DIR", requires = "blend")]
    save: Option<PathBuf>,
    /// The project's corpora: tickets of one cause, articles and what is asked of them
    #[arg(long, default_value = "datasets", value_name = "DIR")]
    datasets: PathBuf,
    /// Folder of public sets, instead: similar/stackfaq_en, similar/covid_qa_en, similar/lcqmc_zh, intent/banking77
    #[arg(long, value_name = "DIR")]
    public: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// A figure of one set for each who compares.
#[derive(Debug, Serialize)]
struct Figure {
    set: String,
    measure: &'static str,
    n: usize,
    characters: f64,
    pretrained: f64,
    tuned: f64,
    /// As a search serves it: meaning and words, ordered by the gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    served: Option<f64>,
}

impl EvalRetrieval {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<ExitCode> {
        let config = global.start(None)?;
        let trained = self.artefact.as_deref().map_or_else(Comparing::shipped, Comparing::load)?;
        let file = match self.blend {
            Some(share) => Branch::blend(trained.branch(), &encoder_files(&config)?[0], share)?,
            None => trained.branch().to_vec(),
        };
        if let (Some(dir), Some(share)) = (&self.save, self.blend) {
            trained.blended(share, file.clone()).save(dir)?;
        }
        let branch = Branch::parse(&file, arithmetic(config.encoder.arithmetic))?;
        let spaces = Spaces { encoder: load_encoder(&config)?, branch, gate: GateArtefact::shipped()? };
        let figures = match &self.public {
            Some(folder) => spaces.public(folder)?,
            None => spaces.own(&self.datasets)?,
        };
        if self.json {
            line(&serde_json::to_string_pretty(&figures)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let heads = ("set", "measure", "n", "characters", "pretrained", "tuned", "served");
        line(&format!("{:34} {:14} {:>6} {:>11} {:>11} {:>8} {:>8}", heads.0, heads.1, heads.2, heads.3, heads.4, heads.5, heads.6))?;
        for f in figures {
            let [a, b, c] = [f.characters, f.pretrained, f.tuned].map(|v| 100.0 * v);
            let served = f.served.map(|v| format!("{:6.1} %", 100.0 * v)).unwrap_or_default();
            line(&format!("{:34} {:14} {:6} {a:9.1} % {b:9.1} % {c:6.1} % {served}", f.set, f.measure, f.n))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

struct Spaces {
    encoder: Encoder,
    branch: Branch,
    gate: GateArtefact,
}

/// Texts of one pass of the trunk.
const PASS: usize = 16;

impl Spaces {
    /// The same texts as characters, as the pretrained encoder and as the tuned branch see them.
    fn of(&self, texts: &[String]) -> anyhow::Result<[Space; 3]> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&i| texts[i].len());
        let progress = bar(texts.len() as u64, "encode");
        let one = |part: &[usize]| {
            let tokens = part.iter().map(|&i| self.encoder.tokenize(&texts[i], Role::Query)).collect::<Result<Vec<_>, _>>()?;
            let states = self.encoder.trunk(&tokens)?;
            progress.inc(part.len() as u64);
            let both = self.encoder.sentences(&states)?.into_iter().zip(self.branch.pooled(&states)?);
            Ok::<_, EncodeError>(both.collect::<Vec<_>>())
        };
        let parts: Vec<_> = order.par_chunks(PASS).map(one).collect::<Result<_, _>>()?;
        progress.finish_and_clear();
        let (mut pretrained, mut tuned) = (vec![Vec::new(); texts.len()], vec![Vec::new(); texts.len()]);
        for (i, (a, b)) in order.into_iter().zip(parts.into_iter().flatten()) {
            (pretrained[i], tuned[i]) = (a, b);
        }
        Ok([Space::characters(texts), Space::Dense(pretrained), Space::Dense(tuned)])
    }

    /// The states of the texts' tokens that a message and an article are laid beside one another by.
    fn words(&self, texts: &[String]) -> anyhow::Result<Vec<Vec<f32>>> {
        let one = |part: &[String]| {
            let tokens = part.iter().map(|text| self.encoder.tokenize(text, Role::Query)).collect::<Result<Vec<_>, _>>()?;
            self.branch.words(&self.encoder.trunk(&tokens)?)
        };
        let parts: Vec<_> = texts.par_chunks(PASS).map(one).collect::<Result<_, EncodeError>>()?;
        Ok(parts.concat())
    }

    fn own(&self, datasets: &Path) -> anyhow::Result<Vec<Figure>> {
        let mut figures = Vec::new();
        let tickets: Vec<CorpusTicket> = read_jsonl(&datasets.join("tickets/tickets.jsonl"))?;
        // What a customer writes against what is kept: the subject and the note are the desk's.
        let mut texts: Vec<String> = tickets.iter().map(|t| t.body.clone()).collect();
        texts.extend(tickets.iter().map(|t| ticket_text(&t.clone().into_record().text, Some(&t.resolution))));
        let spaces = self.of(&texts)?;
        let n = tickets.len();
        let kept: Vec<usize> = (n..2 * n).collect();
        for lang in [None, Some(Lang::Zh), Some(Lang::En)] {
            let queries: Vec<usize> = (0..n).filter(|&i| lang.is_none_or(|l| tickets[i].lang == l)).collect();
            let cause = |i: usize| &tickets[i % n].cause;
            let found = spaces.each_ref().map(|space| places(space, &queries, &kept, |q, c| c != q + n, |q, c| cause(q) == cause(c)));
            let set = lang.map_or("tickets".to_owned(), |l| format!("tickets.{}", l.as_str()));
            for (measure, k) in [("recall@1", 1), ("recall@3", 3)] {
                figures.push(figure(&set, measure, &found, k));
            }
        }
        let articles: Vec<Article> = read_jsonl(&datasets.join("articles/articles.jsonl"))?;
        for split in ["valid", "test"] {
            let queries: Vec<ArticleQuery> = read_jsonl(&datasets.join(format!("articles/queries.{split}.jsonl")))?;
            let mut texts: Vec<String> = articles.iter().map(|a| format!("{}\n{}", a.question, a.answer)).collect();
            texts.extend(queries.iter().map(|q| q.text.clone()));
            let spaces = self.of(&texts)?;
            let candidates: Vec<usize> = (0..articles.len()).collect();
            for lang in [None, Some(Lang::Zh), Some(Lang::En)] {
                let asked: Vec<usize> =
                    (0..queries.len()).filter(|&i| queries[i].article.is_some() && lang.is_none_or(|l| queries[i].lang == l)).collect();
                let asked: Vec<usize> = asked.into_iter().map(|i| i + articles.len()).collect();
                let right = |q: usize, a: usize| queries[q - articles.len()].article.as_ref() == Some(&articles[a].id);
                let found = spaces.each_ref().map(|space| places(space, &asked, &candidates, other, right));
                let set = lang.map_or(format!("articles.{split}"), |l| format!("articles.{split}.{}", l.as_str()));
                figures.push(figure(&set, "recall@1", &found, 1));
            }
        }
        Ok(figures)
    }

    fn public(&self, folder: &Path) -> anyhow::Result<Vec<Figure>> {
        let mut figures = Vec::new();
        let faq: Vec<Paraphrase> = read_jsonl(&folder.join("similar/stackfaq_en/paraphrases.jsonl"))?;
        let mut questions: Vec<String> = faq.iter().map(|p| p.question.clone()).collect();
        questions.sort();
        questions.dedup();
        let count = questions.len();
        let place: Vec<usize> = faq.iter().map(|p| questions.binary_search(&p.question).unwrap_or(0)).collect();
        let mut texts = questions;
        texts.extend(faq.into_iter().map(|p| p.paraphrase));
        let (asked, candidates): (Vec<usize>, Vec<usize>) = ((count..texts.len()).collect(), (0..count).collect());
        let spaces = self.of(&texts)?;
        let right = |q: usize, c: usize| place[q - count] == c;
        let found = spaces.each_ref().map(|space| places(space, &asked, &candidates, other, right));
        let served = Some(served_first(&texts, &spaces[2], &asked, &candidates, (&self.gate.article, Some(&self.words(&texts)?)), right)?);
        figures.push(Figure { served, ..figure("stackfaq_en", "recall@1", &found, 1) });
        for (set, file) in [("covid_qa_en", "pairs"), ("lcqmc_zh", "dev")] {
            let pairs: Vec<Pair> = read_jsonl(&folder.join(format!("similar/{set}/{file}.jsonl")))?;
            let texts: Vec<String> = pairs.iter().flat_map(|p| [p.a.clone(), p.b.clone()]).collect();
            let [characters, pretrained, tuned] = self.of(&texts)?.each_ref().map(|space| {
                let scores: Vec<(f32, bool)> =
                    pairs.iter().enumerate().map(|(i, p)| (space.cosine(2 * i, 2 * i + 1), p.same == 1)).collect();
                pair_auc(&scores)
            });
            figures.push(Figure { set: set.to_owned(), measure: "pair AUC", n: pairs.len(), characters, pretrained, tuned, served: None });
        }
        let rows: Vec<Example> = read_jsonl(&folder.join("intent/banking77/test.jsonl"))?;
        let texts: Vec<String> = rows.iter().map(|r| r.text.clone()).collect();
        let spaces = self.of(&texts)?;
        let all: Vec<usize> = (0..rows.len()).collect();
        let right = |a: usize, b: usize| rows[a].intent == rows[b].intent;
        let found = spaces.each_ref().map(|space| places(space, &all, &all, other, right));
        let served = Some(served_first(&texts, &spaces[2], &all, &all, (&self.gate.ticket, None), right)?);
        figures.push(Figure { served, ..figure("banking77 test, neighbour's label", "precision@1", &found, 1) });
        Ok(figures)
    }
}

/// Share of the queries whose first hit is right, as a search serves them: both lists of the embedded engine, ordered by the gate's model;
/// articles with the states of all texts' tokens, as they are laid beside a message.
fn served_first(
    texts: &[String],
    space: &Space,
    queries: &[usize],
    candidates: &[usize],
    (model, words): (&MatchModel, Option<&[Vec<f32>]>),
    right: impl Fn(usize, usize) -> bool,
) -> anyhow::Result<f64> {
    let Space::Dense(vectors) = space else { anyhow::bail!("only vectors are searched") };
    let (folder, all) = (tempfile::tempdir()?, SearchFilter::default());
    let stamp = IndexStamp { encoder: "eval".into(), dim: vectors.first().map_or(0, Vec::len), text_version: TEXT_VERSION };
    let index = EdgeIndex::open(folder.path(), &stamp)?;
    let terms: Vec<Vec<String>> = texts.iter().map(|text| search_terms(&normalize(text).text)).collect();
    let point = |&i: &usize| Point {
        id: i.to_string(),
        dense: vectors[i].clone(),
        terms: terms[i].clone(),
        lang: Lang::En,
        intent: None,
        state: None,
        digest: 0,
    };
    index.upsert(&candidates.iter().map(point).collect::<Vec<_>>())?;
    let mut hits_right = 0;
    for &query in queries {
        let asked = Query { dense: Some(&vectors[query]), terms: &terms[query], limit: DEPTH + 1, filter: &all };
        let mut hits = index.query(&asked)?.hits;
        hits.retain(|hit| hit.id != query.to_string());
        let dim = vectors[query].len();
        let beside = |hit: &Hit| match (words, hit.id.parse::<usize>()) {
            (Some(words), Ok(found)) => alignment(&words[query], &words[found], dim),
            _ => 0.0,
        };
        let alignments: Vec<f64> = hits.iter().map(beside).collect();
        let scored = features_alone(&hits, &alignments).into_iter().map(|f| model.probability(&f)).zip(&hits);
        let first = scored.max_by(|a, b| a.0.total_cmp(&b.0)).and_then(|(_, hit)| hit.id.parse().ok());
        hits_right += usize::from(first.is_some_and(|first| right(query, first)));
    }
    Ok(hits_right as f64 / queries.len().max(1) as f64)
}

/// Another text than the query itself.
fn other(query: usize, candidate: usize) -> bool {
    query != candidate
}

fn figure(set: &str, measure: &'static str, found: &[Vec<Option<usize>>; 3], k: usize) -> Figure {
    let [characters, pretrained, tuned] = found.each_ref().map(|places| recall(places, k));
    Figure { set: set.to_owned(), measure, n: found[0].iter().flatten().count(), characters, pretrained, tuned, served: None }
}

/// A row of similar/stackfaq_en.
#[derive(Deserialize)]
struct Paraphrase {
    question: String,
    paraphrase: String,
}

/// A row of similar/covid_qa_en and similar/lcqmc_zh.
#[derive(Deserialize)]
struct Pair {
    a: String,
    b: String,
    same: u8,
}
