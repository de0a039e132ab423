//! `fenzhen index bench`: what the embedded engine does on this machine, before there are as many tickets.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use super::Global;
use super::output::{STRONG, bar, line, paint};
use crate::app::open_encoder;
use crate::corpus::shipped;
use crate::domain::{Lang, SearchFilter};
use crate::embed::{Role, SentenceEncoder};
use crate::numeric::dot;
use crate::retrieve::{EdgeIndex, IndexStamp, Point, RetrieveError, Scored, TicketIndex};
use crate::text::{TEXT_VERSION, normalize, search_terms};

#[derive(Debug, Args)]
pub(super) struct Bench {
    /// Tickets to invent: mixtures of the shipped ones' vectors and words
    #[arg(long, default_value_t = 100_000)]
    tickets: usize,
    /// Searches to time
    #[arg(long, default_value_t = 500)]
    queries: usize,
    /// Where the index is made; a folder of its own that is removed afterwards, where it is absent
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Also write into this folder what measures another engine: vectors.f32 (32-bit floats, row by row) and terms.txt (a line each) of
    /// the tickets and then the queries, words.txt with the ten that we found by words for each query
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tickets written at a time, as a bulk request does.
const BULK: usize = 1_000;
const SEED: u64 = 7;
/// Share of the first of the two tickets that are mixed, and of the noise.
const SHARES: (f32, f32) = (0.7, 0.25);

#[derive(serde::Serialize)]
struct Figures {
    tickets: usize,
    queries: usize,
    /// Written, durable and found, without graphs.
    ingest_per_s: f64,
    build_s: f64,
    /// Own memory at most while the graphs were built.
    building_mb: f64,
    resident_mb: f64,
    disk_mb: f64,
    recall_at_10: f64,
    dense_ms: [f64; 3],
    lexical_ms: [f64; 3],
    hybrid_ms: [f64; 3],
    /// Slowest of the searches while tickets were written, and how many were written a second meanwhile.
    while_writing_ms: [f64; 3],
    while_writing_per_s: f64,
}

impl Bench {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        anyhow::ensure!(self.tickets >= 1_000 && self.queries >= 10, "at least 1,000 tickets and 10 queries say something");
        let config = global.start(None)?;
        let (seeds, dim) = {
            let encoder = open_encoder(&config)?;
            let texts: Vec<String> = shipped::tickets().into_iter().map(|t| t.text).collect();
            let vectors = encoder.encode_bulk(&texts, Role::Passage)?;
            let terms = texts.iter().map(|t| search_terms(&normalize(t).text));
            (vectors.into_iter().zip(terms).collect::<Vec<_>>(), encoder.dimension())
        };
        let own = tempfile::tempdir()?;
        let dir = self.dir.as_deref().unwrap_or(own.path());
        let stamp = IndexStamp { encoder: "bench".into(), dim, text_version: TEXT_VERSION };
        let index = std::sync::Arc::new(EdgeIndex::open(dir, &stamp)?);
        anyhow::ensure!(index.count()? == 0, "{} holds an index already: name an empty folder", dir.display());
        let figures = self.measure(&index, &seeds, dir)?;
        if self.json {
            return line(&serde_json::to_string_pretty(&figures)?);
        }
        tell(&figures)
    }

    fn measure(&self, index: &std::sync::Arc<EdgeIndex>, seeds: &[(Vec<f32>, Vec<String>)], dir: &Path) -> anyhow::Result<Figures> {
        let resident_before = resident_mb();
        let mut export = self.export.as_deref().map(Export::create).transpose()?;
        // The first tickets are asked for: their exact neighbours are gathered while the others are made.
        let queries: Vec<Point> = (0..self.queries).map(|i| invent(seeds, u64::MAX - i as u64)).collect();
        let mut nearest: Vec<Vec<(f32, String)>> = vec![Vec::new(); queries.len()];
        let rebuild = std::sync::Arc::clone(index).begin_rebuild()?;
        let (bar, mut writing) = (bar(self.tickets as u64, "write tickets"), Duration::ZERO);
        for first in (0..self.tickets).step_by(BULK) {
            let points: Vec<Point> = (first..(first + BULK).min(self.tickets)).into_par_iter().map(|i| invent(seeds, i as u64)).collect();
            if let Some(export) = &mut export {
                points.iter().try_for_each(|point| export.write(point))?;
            }
            nearest.par_iter_mut().zip(&queries).for_each(|(best, query)| {
                best.extend(points.iter().map(|p| (dot(&p.dense, &query.dense), p.id.clone())));
                best.sort_by(|a, b| b.0.total_cmp(&a.0));
                best.truncate(10);
            });
            let begin = Instant::now();
            index.upsert(&points)?;
            writing += begin.elapsed();
            bar.inc(points.len() as u64);
        }
        bar.finish_and_clear();
        if let Some(export) = &mut export {
            queries.iter().try_for_each(|query| export.write(query))?;
        }
        let begin = Instant::now();
        let building_mb = highest_resident_mb(rebuild.finish)? - resident_before;
        let build = begin.elapsed();

        let all = SearchFilter::default();
        let mut right = 0;
        let dense_ms = quantiles(queries.iter().zip(&nearest).map(|(query, nearest)| {
            let begin = Instant::now();
            let found = index.query_dense(&query.dense, 10, &all)?;
            let took = begin.elapsed();
            right += found.iter().filter(|hit| nearest.iter().any(|n| n.1 == hit.0)).count();
            Ok(took)
        }))?;
        let timed = |search: &dyn Fn(&Point) -> anyhow::Result<()>| {
            quantiles(queries.iter().map(|query| {
                let begin = Instant::now();
                search(query)?;
                Ok(begin.elapsed())
            }))
        };
        let lexical_ms = timed(&|q| Ok(index.query_lexical(&q.terms, 10, &all).map(drop)?))?;
        if let Some(export) = export {
            export.finish(queries.iter().map(|q| index.query_lexical(&q.terms, 10, &all)))?;
        }
        let hybrid = |q: &Point| -> anyhow::Result<()> {
            let query = crate::retrieve::Query { dense: Some(&q.dense), terms: &q.terms, limit: 10, filter: &all };
            Ok(index.query(&query).map(drop)?)
        };
        let hybrid_ms = timed(&hybrid)?;
        let (resident, disk) = (resident_mb() - resident_before, disk_mb(dir)?);
        let (while_writing_ms, while_writing_per_s) = self.while_writing(index, seeds, &hybrid, &queries)?;
        Ok(Figures {
            tickets: self.tickets,
            queries: self.queries,
            ingest_per_s: self.tickets as f64 / writing.as_secs_f64(),
            build_s: build.as_secs_f64(),
            building_mb,
            resident_mb: resident,
            disk_mb: disk,
            recall_at_10: right as f64 / (10 * queries.len()) as f64,
            dense_ms,
            lexical_ms,
            hybrid_ms,
            while_writing_ms,
            while_writing_per_s,
        })
    }

    /// Searches while another thread writes new tickets.
    fn while_writing(
        &self,
        index: &EdgeIndex,
        seeds: &[(Vec<f32>, Vec<String>)],
        search: &(dyn Fn(&Point) -> anyhow::Result<()> + Sync),
        queries: &[Point],
    ) -> anyhow::Result<([f64; 3], f64)> {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let (begin, mut written) = (Instant::now(), 0);
                while !done.load(Ordering::Relaxed) {
                    let first = self.tickets + written;
                    let points: Vec<Point> = (first..first + 100).map(|i| invent(seeds, i as u64)).collect();
                    index.upsert(&points)?;
                    written += points.len();
                }
                Ok::<_, anyhow::Error>(written as f64 / begin.elapsed().as_secs_f64())
            });
            let times = quantiles(queries.iter().map(|query| {
                let begin = Instant::now();
                search(query)?;
                Ok(begin.elapsed())
            }));
            done.store(true, Ordering::Relaxed);
            let rate = writer.join().map_err(|_| anyhow::anyhow!("the writing thread died"))??;
            Ok((times?, rate))
        })
    }
}

/// What another engine is measured on.
struct Export {
    folder: PathBuf,
    vectors: BufWriter<File>,
    terms: BufWriter<File>,
}

impl Export {
    fn create(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
        Ok(Export { vectors: file("vectors.f32")?, terms: file("terms.txt")?, folder: folder.to_owned() })
    }

    fn write(&mut self, point: &Point) -> std::io::Result<()> {
        point.dense.iter().try_for_each(|x| self.vectors.write_all(&x.to_le_bytes()))?;
        writeln!(self.terms, "{}", point.terms.join(" "))
    }

    fn finish(mut self, found: impl Iterator<Item = Result<Vec<Scored>, RetrieveError>>) -> anyhow::Result<()> {
        self.vectors.flush()?;
        self.terms.flush()?;
        let mut words = BufWriter::new(File::create(self.folder.join("words.txt"))?);
        for hits in found {
            let ids: Vec<String> = hits?.into_iter().map(|(id, _)| id).collect();
            writeln!(words, "{}", ids.join(" "))?;
        }
        Ok(words.flush()?)
    }
}

/// Does the work, and answers how much memory was in use at most, looked at ten times a second.
fn highest_resident_mb(work: impl FnOnce() -> Result<(), RetrieveError>) -> anyhow::Result<f64> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut highest = resident_mb();
            while !done.load(Ordering::Relaxed) {
                highest = highest.max(resident_mb());
                std::thread::sleep(Duration::from_millis(100));
            }
            highest
        });
        let outcome = work();
        done.store(true, Ordering::Relaxed);
        outcome?;
        watcher.join().map_err(|_| anyhow::anyhow!("the watching thread died"))
    })
}

/// A ticket between two shipped ones, with noise, and words of both.
fn invent(seeds: &[(Vec<f32>, Vec<String>)], number: u64) -> Point {
    let mut random = SmallRng::seed_from_u64(SEED ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (a, b) = (&seeds[random.random_range(0..seeds.len())], &seeds[random.random_range(0..seeds.len())]);
    let noise = SHARES.1 * (3.0 / a.0.len() as f32).sqrt();
    let mut dense: Vec<f32> =
        a.0.iter().zip(&b.0).map(|(x, y)| SHARES.0 * x + (1.0 - SHARES.0) * y + noise * random.random_range(-1.0..1.0)).collect();
    let length = dot(&dense, &dense).sqrt();
    dense.iter_mut().for_each(|x| *x /= length);
    let word = |terms: &Vec<String>, random: &mut SmallRng| terms.get(random.random_range(0..terms.len().max(1))).cloned();
    let mut terms: Vec<String> = (0..16).filter_map(|i| word(if i % 3 == 0 { &b.1 } else { &a.1 }, &mut random)).collect();
    terms.push(format!("number{}", number % 50_000));
    Point { id: format!("B-{number}"), dense, terms, lang: Lang::Zh, intent: None, state: None, digest: number as i64 }
}

/// Median, the 99th of 100, and the slowest, in milliseconds.
fn quantiles(times: impl Iterator<Item = anyhow::Result<Duration>>) -> anyhow::Result<[f64; 3]> {
    let mut times = times.collect::<anyhow::Result<Vec<_>>>()?;
    times.sort();
    let at = |share: f64| times.get(((times.len() - 1) as f64 * share) as usize).map_or(0.0, |t| t.as_secs_f64() * 1e3);
    Ok([at(0.5), at(0.99), at(1.0)])
}

/// Memory of this process that is its own: pages of files, which the system takes back as it likes, are not counted.
fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let row = status.lines().find_map(|row| row.strip_prefix("RssAnon:"));
    let kb = row.and_then(|row| row.split_whitespace().next()?.parse::<f64>().ok());
    kb.unwrap_or(f64::NAN) / 1e3
}

fn disk_mb(dir: &Path) -> std::io::Result<f64> {
    let mut bytes = 0.0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { disk_mb(&entry.path())? } else { entry.metadata()?.len() as f64 / 1e6 };
    }
    Ok(bytes)
}

fn tell(f: &Figures) -> anyhow::Result<()> {
    let times = |ms: &[f64; 3]| format!("{:7.2} {:7.2} {:7.2} ms", ms[0], ms[1], ms[2]);
    line(&paint(STRONG, format!("{} tickets, {} searches", f.tickets, f.queries)))?;
    line(&format!("written            {:>9.0} a second, durable and found; then graphs in {:.0} s", f.ingest_per_s, f.build_s))?;
    let memory = (f.resident_mb, f.building_mb, f.disk_mb);
    line(&format!(
        "memory, disk       {:>9.0} MB own, {:.0} MB at most while graphs were built, {:.0} MB on disk",
        memory.0, memory.1, memory.2
    ))?;
    line(&format!("recall at 10       {:>9.4} of the exact nearest", f.recall_at_10))?;
    line("searches              median    99 %     max")?;
    for (name, ms) in
        [("by meaning", &f.dense_ms), ("by words", &f.lexical_ms), ("both", &f.hybrid_ms), ("both, writing", &f.while_writing_ms)]
    {
        line(&format!("  {name:16}  {}", times(ms)))?;
    }
    line(&format!("                   while {:.0} a second were written", f.while_writing_per_s))
}
