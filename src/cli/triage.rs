//! `fenzhen triage`: one message for people, or a file of them for programs.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, ValueEnum};
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::output::{CYAN, DIM, GREEN, Hinted, RED, STRONG, YELLOW, advance, bar, line, paint, percent};
use super::service::Client;
use super::{DataFolder, Global, runtime};
use crate::app::App;
use crate::domain::{Action, Lang, Mode, Reason, Triage};
use crate::pipeline::Message;

#[derive(Debug, Args)]
#[command(
    after_help = "A file holds one message a line, or JSON Lines with a \"text\" field. With --out a second run goes on where the first stopped."
)]
pub(super) struct TriageCommand {
    /// The message; standard input where it is absent (a line is a message)
    text: Option<String>,
    /// A file of messages
    #[arg(long, conflicts_with = "text", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Write JSON Lines here instead of to standard output; an existing file is gone on with
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// JSON, for programs
    #[arg(long)]
    json: bool,
    #[arg(long, value_enum)]
    mode: Option<ModeArgument>,
    /// zh or en; found out where it is absent
    #[arg(long)]
    lang: Option<Lang>,
    /// Ask a running service instead of working here
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Load the shipped demo shop into an empty data folder first
    #[arg(long)]
    demo: bool,
    #[command(flatten)]
    folder: DataFolder,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ModeArgument {
    Fast,
    Full,
    Auto,
}

/// Messages worked on at once from a file.
const WIDTH: usize = 32;

impl TriageCommand {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let config = global.start(Some(&self.folder))?;
        let mode = self.mode.map_or(crate::app::mode(config.classifier.mode), Mode::from);
        // A service that runs on this folder holds its index: it is asked.
        if let Some(client) = self.server.as_deref().map(Client::new).or_else(|| Client::running(&config.data.dir)) {
            return self.each(&Triager::Remote(client), mode);
        }
        let temporary;
        let known = config.data.dir.join("fenzhen.db").exists();
        let dir: &Path = if known || self.demo {
            &config.data.dir
        } else {
            temporary = tempfile::tempdir()?;
            anstream::eprintln!(
                "{} no shop in {}: there is nothing to search in. `fenzhen triage --demo ...` brings a demo shop.",
                paint(YELLOW, "note:"),
                config.data.dir.display()
            );
            temporary.path()
        };
        let runtime = runtime()?;
        let app = runtime.block_on(async {
            let app = App::open_elsewhere(&config, dir).await?;
            if self.demo {
                app.load_demo().await?;
            }
            let bar = bar(0, "index");
            app.catch_up(&|done, all| advance(&bar, done, all)).await?;
            bar.finish_and_clear();
            anyhow::Ok(app)
        })?;
        let models = Arc::clone(&app.models);
        let done = self.each(
            &Triager::Local { app: Box::new(app), runtime, similar: config.retrieve.similar, limit: config.server.max_text_chars },
            mode,
        );
        models.finish();
        done
    }

    fn each(&self, triager: &Triager, mode: Mode) -> anyhow::Result<ExitCode> {
        match (&self.text, &self.file) {
            (Some(text), _) => {
                let triage = triager.one(text, self.lang, mode)?;
                if self.json {
                    line(&serde_json::to_string_pretty(&triage)?)?
                } else {
                    show(text, &triage)?
                }
                Ok(ExitCode::SUCCESS)
            }
            (None, Some(path)) => {
                let bytes = std::fs::metadata(path).with_context(|| path.display().to_string())?.len();
                let file = File::open(path).with_context(|| path.display().to_string())?;
                self.stream(triager, mode, Box::new(BufReader::new(file)), bytes)
            }
            (None, None) => {
                if std::io::stdin().is_terminal() {
                    anstream::eprintln!("{} type messages, one a line; Ctrl+D ends", paint(DIM, "fenzhen:"));
                }
                self.stream(triager, mode, Box::new(BufReader::new(std::io::stdin())), 0)
            }
        }
    }

    /// Reads lines, triages `WIDTH` at a time, writes answers in order. Memory is bounded by the width, whatever the file's size.
    fn stream(&self, triager: &Triager, mode: Mode, mut input: Box<dyn BufRead>, bytes: u64) -> anyhow::Result<ExitCode> {
        let (mut out, done): (Box<dyn Write>, u64) = match &self.out {
            Some(path) => {
                let (file, done) = resume(path)?;
                (Box::new(BufWriter::new(file)), done)
            }
            None => (Box::new(std::io::stdout()), 0),
        };
        if done > 0 {
            anstream::eprintln!("{} {done} messages are in the output already; going on after them", paint(DIM, "fenzhen:"));
        }
        let interactive = self.out.is_none() && self.file.is_none() && !self.json;
        let bar = if interactive { indicatif::ProgressBar::hidden() } else { bar(bytes, "triage") };
        let (mut number, mut failed, mut left_out) = (0u64, 0u64, done);
        loop {
            let mut chunk: Vec<(u64, anyhow::Result<String>)> = Vec::new();
            while chunk.len() < if interactive { 1 } else { WIDTH } {
                let mut raw = Vec::new();
                let read = read_line(&mut input, &mut raw)?;
                if read == 0 {
                    break;
                }
                bar.inc(read);
                if raw.trim_ascii().is_empty() {
                    continue;
                }
                number += 1;
                if left_out > 0 {
                    left_out -= 1;
                    continue;
                }
                chunk.push((number, message_of(raw)));
            }
            if chunk.is_empty() {
                break;
            }
            for (at, text, answer) in triager.many(chunk, self.lang, mode) {
                match answer {
                    Ok(triage) if interactive => show(&text, &triage)?,
                    Ok(triage) => writeln!(out, "{}", serde_json::to_string(&triage)?)?,
                    Err(e) if interactive => anstream::eprintln!("{} {e}", paint(RED, "error:")),
                    Err(e) => {
                        // A line in the output for each in the input: a bad one is answered with its error.
                        failed += 1;
                        writeln!(out, "{}", json!({"error": format!("{e:#}"), "line": at}))?;
                    }
                }
            }
            out.flush()?;
        }
        bar.finish_and_clear();
        if !interactive {
            anstream::eprintln!("{} {} messages, {failed} with errors", paint(GREEN, "✓"), number);
        }
        Ok(ExitCode::from(u8::from(failed > 0)))
    }
}

impl From<ModeArgument> for Mode {
    fn from(argument: ModeArgument) -> Self {
        match argument {
            ModeArgument::Auto => Mode::Auto,
            ModeArgument::Fast => Mode::Fast,
            ModeArgument::Full => Mode::Full,
        }
    }
}

/// Longest line that is read whole; what is longer is no message, and is skipped without being kept.
const LONGEST_LINE: u64 = 1 << 20;

/// Reads a line of at most [`LONGEST_LINE`] bytes, skips the rest of a longer one. Answers the bytes taken from the input.
fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> std::io::Result<u64> {
    let mut taken = input.take(LONGEST_LINE).read_until(b'\n', line)? as u64;
    if taken == LONGEST_LINE && line.last() != Some(&b'\n') {
        loop {
            let buffer = input.fill_buf()?;
            let (n, ended) = match buffer.iter().position(|&b| b == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            input.consume(n);
            taken += n as u64;
            if ended {
                break;
            }
        }
    }
    Ok(taken)
}

/// The message of a line: its `text` field where it is a JSON object, the line itself where not.
fn message_of(raw: Vec<u8>) -> anyhow::Result<String> {
    let text = String::from_utf8(raw).context("the line is not UTF-8")?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.starts_with('{')
        && let Ok(Value::Object(row)) = serde_json::from_str(text)
    {
        return match row.get("text") {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => anyhow::bail!("the JSON line has no \"text\""),
        };
    }
    Ok(text.to_owned())
}

/// Opens an output to go on with: whole lines stay, a half line at the end (killed while writing) is cut off.
fn resume(path: &Path) -> anyhow::Result<(File, u64)> {
    let name = || path.display().to_string();
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).with_context(name)?;
    let (mut whole, mut lines, mut at) = (0u64, 0u64, 0u64);
    let mut buffer = [0u8; 1 << 16];
    loop {
        let n = file.read(&mut buffer).with_context(name)?;
        if n == 0 {
            break;
        }
        for (i, _) in buffer[..n].iter().enumerate().filter(|(_, b)| **b == b'\n') {
            lines += 1;
            whole = at + i as u64 + 1;
        }
        at += n as u64;
    }
    file.set_len(whole).with_context(name)?;
    file.seek(SeekFrom::End(0)).with_context(name)?;
    Ok((file, lines))
}

/// Who does the work.
enum Triager {
    Local { app: Box<App>, runtime: tokio::runtime::Runtime, similar: usize, limit: usize },
    Remote(Client),
}

impl Triager {
    fn one(&self, text: &str, lang: Option<Lang>, mode: Mode) -> anyhow::Result<Triage> {
        match self {
            Triager::Local { app, runtime, similar, limit } => runtime.block_on(local(app, text, lang, mode, *similar, *limit)),
            Triager::Remote(client) => remote(client, text, lang, mode),
        }
    }

    fn many(
        &self,
        messages: Vec<(u64, anyhow::Result<String>)>,
        lang: Option<Lang>,
        mode: Mode,
    ) -> Vec<(u64, String, anyhow::Result<Triage>)> {
        match self {
            Triager::Local { app, runtime, similar, limit } => runtime.block_on(async {
                let work = futures_util::stream::iter(messages).map(|(at, message)| async move {
                    match message {
                        Ok(text) => {
                            let answer = local(app, &text, lang, mode, *similar, *limit).await;
                            (at, text, answer)
                        }
                        Err(e) => (at, String::new(), Err(e)),
                    }
                });
                work.buffered(WIDTH).collect().await
            }),
            Triager::Remote(_) => messages
                .into_iter()
                .map(|(at, message)| match message {
                    Ok(text) => {
                        let answer = self.one(&text, lang, mode);
                        (at, text, answer)
                    }
                    Err(e) => (at, String::new(), Err(e)),
                })
                .collect(),
        }
    }
}

async fn local(app: &App, text: &str, lang: Option<Lang>, mode: Mode, top_k: usize, limit: usize) -> anyhow::Result<Triage> {
    if text.trim().is_empty() {
        return Err(Hinted {
            message: "the message is empty".into(),
            hint: "write it in quotes: fenzhen triage \"我的快递三天没动了\"".into(),
        }
        .into());
    }
    let chars = text.chars().count();
    if chars > limit {
        let hint = "send the message alone, without the quoted history, or raise server.max_text_chars".into();
        return Err(Hinted { message: format!("the message has {chars} characters, {limit} are allowed"), hint }.into());
    }
    Ok(app.pipeline.triage(&Message { text, lang, mode, top_k }).await?)
}

fn remote(client: &Client, text: &str, lang: Option<Lang>, mode: Mode) -> anyhow::Result<Triage> {
    let lang = lang.map_or("auto", Lang::as_str);
    Ok(serde_json::from_value(client.post("/v1/triage", &json!({"text": text, "lang": lang, "mode": mode}))?)?)
}

/// A triage for people.
fn show(text: &str, t: &Triage) -> anyhow::Result<()> {
    let style = match t.decision.action {
        Action::AutoReply => GREEN,
        Action::Suggest => YELLOW,
        Action::Handoff => RED,
    };
    let title = |s: &str| paint(DIM, format!("{s:<10}"));
    let mut out = format!("{} {}\n", title("message"), paint(STRONG, text.trim()));
    out += &format!("{} {}", title("decision"), paint(style, t.decision.action.as_str()));
    for reason in &t.decision.reasons {
        let meaning = Reason::TABLE.iter().find(|row| row.0 == *reason).map_or("", |row| row.2);
        out += &format!("\n{} {} {}", title(""), reason.as_str(), paint(DIM, meaning));
    }
    let intent = &t.intent;
    out += &format!("\n{} {} {} {}", title("intent"), paint(STRONG, &intent.id), percent(intent.confidence), paint(DIM, &intent.category));
    let others = intent.alternatives.iter().take(3).map(|a| format!("{} {}", a.id, percent(a.confidence))).collect::<Vec<_>>().join(", ");
    let terms = intent.evidence.iter().map(|e| e.term.as_str()).collect::<Vec<_>>().join(" ");
    out += &format!("\n{} {}\n{} {}", title(""), paint(DIM, format!("or {others}")), title(""), paint(DIM, format!("said by: {terms}")));
    for (at, entity) in t.entities.iter().enumerate() {
        let value = entity.value.as_deref().map(|v| paint(DIM, format!("= {v}"))).unwrap_or_default();
        out +=
            &format!("\n{} {} {} {value}", title(if at == 0 { "entities" } else { "" }), paint(CYAN, &entity.text), entity.kind.as_str());
    }
    for (at, product) in t.products.iter().enumerate() {
        out += &format!("\n{} {} {}", title(if at == 0 { "products" } else { "" }), product.sku, product.title);
    }
    for (at, ticket) in t.similar.iter().enumerate() {
        let text: String = ticket.text.replace('\n', " ").chars().take(56).collect();
        out += &format!("\n{} {} {:>5} {text}", title(if at == 0 { "similar" } else { "" }), ticket.ticket_id, percent(ticket.confidence));
    }
    for (at, article) in t.articles.iter().enumerate() {
        out += &format!(
            "\n{} {} {:>5} {}",
            title(if at == 0 { "articles" } else { "" }),
            article.article_id,
            percent(article.confidence),
            article.question
        );
    }
    if let Some(reply) = &t.reply {
        out += &format!("\n{} {} {}", title("reply"), reply.text, paint(DIM, format!("[{}]", reply.sources.join(", "))));
    }
    let ms = |stage: &str, v: Option<f64>| v.map(|v| format!("{stage} {v:.2} ")).unwrap_or_default();
    let m = &t.timing_ms;
    let spent =
        ms("classify", Some(m.classify)) + &ms("entities", Some(m.entities)) + &ms("encode", m.encode) + &ms("retrieve", m.retrieve);
    out += &format!("\n{} {}", title("time"), paint(DIM, format!("{spent}total {:.2} ms", m.total)));
    line(&(out + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_line_is_cut_off_and_whole_ones_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        std::fs::write(&path, "{\"a\":1}\n{\"b\":2}\n{\"half").unwrap();
        let (mut file, lines) = resume(&path).unwrap();
        assert_eq!(lines, 2);
        writeln!(file, "{{\"c\":3}}").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
    }

    #[test]
    fn lines_are_plain_or_json_and_huge_ones_are_skipped_to_their_end() {
        assert_eq!(message_of(b"{\"text\":\"hi\",\"x\":1}\n".to_vec()).unwrap(), "hi");
        assert_eq!(message_of(b"{broken\n".to_vec()).unwrap(), "{broken");
        assert!(message_of(b"{\"other\":1}".to_vec()).is_err());
        assert!(message_of(vec![0xff, b'\n']).is_err());
        let input = [vec![b'x'; 3 << 20], b"\nnext\n".to_vec()].concat();
        let mut reader = std::io::Cursor::new(input);
        let mut line = Vec::new();
        assert_eq!(read_line(&mut reader, &mut line).unwrap(), (3 << 20) + 1);
        assert_eq!(line.len() as u64, LONGEST_LINE);
        line.clear();
        read_line(&mut reader, &mut line).unwrap();
        assert_eq!(line, b"next\n");
    }
}
