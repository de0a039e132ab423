//! `fenzhen serve`: the service.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use notify::Watcher;
use tokio::sync::Semaphore;

use super::output::{CYAN, Hinted, STRONG, paint};
use super::{DataFolder, Global, runtime};
use crate::app::{App, read_policy};
use crate::config::{Config, LogFormat};
use crate::http::{self, Limits, Readiness, Service};
use crate::pipeline::Pipeline;

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address and port (server.listen); any but a loopback address needs an API key
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    #[command(flatten)]
    folder: DataFolder,
    /// Load the shipped demo shop (articles, tickets, catalogue) into an empty data folder
    #[arg(long)]
    demo: bool,
}

/// How long an answer is kept for its Idempotency-Key; older ones are forgotten at the next start.
const KEYS_LIVE: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a running service says how to reach it, inside its data folder.
pub(super) const ADDRESS_FILE: &str = "serve.url";

impl Serve {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let loaded = global.load(&[("server.listen", self.listen.clone()), ("data.dir", self.folder.setting())])?;
        let config = loaded.config;
        crate::telemetry::install_log(&config.log.level, config.log.format == LogFormat::Json);
        check_keys(&config)?;
        runtime()?.block_on(serve(config, self.demo))
    }
}

/// Whoever can reach the service from another machine must have a key.
pub(super) fn check_keys(config: &Config) -> anyhow::Result<()> {
    if !config.server.listen.ip().is_loopback() && config.auth.api_key_sha256.is_empty() {
        return Err(Hinted {
            message: format!("server.listen is {}: other machines reach it, and no API key is configured", config.server.listen),
            hint: "set FENZHEN_API_KEY (or auth.api_key_sha256), or listen on 127.0.0.1".into(),
        }
        .into());
    }
    Ok(())
}

async fn serve(config: Config, demo: bool) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    // The port first: a port that is taken is told in a millisecond, and not after a second of loading.
    let address = config.server.listen;
    let listener = tokio::net::TcpListener::bind(address).await.map_err(|e| Hinted {
        message: format!("cannot listen on {address}: {e}"),
        hint: "another program holds the port, or the address is not this machine's: choose one with --listen 127.0.0.1:PORT".into(),
    })?;
    let address = listener.local_addr()?;
    let mut stop = Box::pin(stop_signal()?);
    let app = tokio::select! {
        app = App::open(&config) => app?,
        () = &mut stop => return Ok(ExitCode::SUCCESS),
    };
    let service = Arc::new(Service {
        pipeline: Arc::clone(&app.pipeline),
        articles: Arc::clone(&app.articles),
        tickets: Arc::clone(&app.tickets),
        models: Arc::clone(&app.models),
        taggers: Arc::clone(&app.taggers),
        limits: Limits {
            body_bytes: config.server.max_body_mb * 1_000_000,
            text_chars: config.server.max_text_chars,
            batch: config.server.max_batch,
            concurrency: config.server.concurrency,
            request_timeout: Duration::from_millis(config.server.request_timeout_ms),
            similar: config.retrieve.similar,
            mode: crate::app::mode(config.classifier.mode),
        },
        keys: config.auth.api_key_sha256.clone(),
        metrics: crate::telemetry::install_metrics().map_err(anyhow::Error::msg)?,
        readiness: Readiness::default(),
        permits: Arc::new(Semaphore::new(config.server.concurrency)),
    });
    app.pipeline.store.abandon_all_unfinished().await?;
    let yesterday = time::OffsetDateTime::now_utc() - KEYS_LIVE;
    app.pipeline.store.expire_idempotent(yesterday.unix_timestamp()).await?;
    let _watcher = config.gate.policy.as_deref().map(|path| watch_policy(path, &app.pipeline)).transpose()?;
    let url_file = AddressFile::write(&config.data.dir, &format!("http://{address}"))?;

    let following = tokio::spawn(Arc::clone(&app.models).run());
    let tagging = tokio::spawn(Arc::clone(&app.taggers).run());
    let loading = tokio::spawn(load(app, Arc::clone(&service), demo, begin, format!("http://{address}")));
    let (drain, draining) = tokio::sync::oneshot::channel::<()>();
    let router = http::router(Arc::clone(&service));
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        // Either way it is time to go.
        let _ = draining.await;
    });
    let mut server = tokio::spawn(server.into_future());
    tokio::select! {
        ended = &mut server => ended??,
        () = &mut stop => {
            tracing::info!("stopping: no new connections, the requests under way are ended");
            loading.abort();
            let _ = drain.send(());
            if tokio::time::timeout(Duration::from_millis(config.server.drain_timeout_ms), server).await.is_err() {
                tracing::warn!("requests were still under way after drain_timeout_ms");
            }
        }
    }
    following.abort();
    tagging.abort();
    let models = Arc::clone(&service.models);
    tokio::task::spawn_blocking(move || models.finish()).await?;
    service.pipeline.store.close().await;
    drop(url_file);
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// What has to be done before the first triage; /readyz tells how far it is.
async fn load(app: App, service: Arc<Service>, demo: bool, begin: Instant, url: String) {
    let work = async {
        if demo && !app.load_demo().await? {
            tracing::info!("the data folder is not empty: the demo shop was not loaded again");
        }
        app.catch_up(&|done, all| {
            service.readiness.set_doing(format!("indexing: {done} of {all}"));
            tracing::info!("indexing: {done} of {all}");
        })
        .await
    };
    if let Err(error) = work.await {
        // Stays not ready: the records are safe, and what is missing is mended at the next start.
        tracing::error!(error = format!("{error:#}"), "loading failed");
        service.readiness.set_doing(format!("loading failed: {error}"));
        return;
    }
    service.readiness.set_ready();
    let pipeline = Arc::clone(&service.pipeline);
    tokio::spawn(async move {
        if let Err(error) = pipeline.warm_up().await {
            tracing::warn!(%error, "the articles were not read beforehand; each is when it is found");
        }
    });
    for knowledge in [&service.articles, &service.tickets] {
        tokio::spawn(Arc::clone(knowledge).keep_up());
    }
    tracing::info!(ms = begin.elapsed().as_millis() as u64, "ready");
    let text = format!(
        "\n  {} on {}\n\n  start page   {url}/\n  desk         {url}/desk/\n  API          {url}/docs\n  health       {url}/readyz   metrics {url}/metrics\n  try          curl -s {url}/v1/triage -d '{{\"text\":\"我的快递三天没动了\"}}'\n  stop         Ctrl+C\n",
        paint(STRONG, "Fenzhen 分诊 is ready"),
        paint(CYAN, &url),
    );
    anstream::eprintln!("{text}");
}

fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

/// Reads the policy again when its file changes; a broken one is refused and the last good one stays.
fn watch_policy(path: &Path, pipeline: &Arc<Pipeline>) -> anyhow::Result<notify::RecommendedWatcher> {
    // Editors replace files: the folder is watched, since a watch on the file would follow the old one into the bin.
    let path = path.canonicalize().with_context(|| path.display().to_string())?;
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let pipeline = Arc::clone(pipeline);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let concerns = event.is_ok_and(|e| (e.kind.is_create() || e.kind.is_modify()) && e.paths.contains(&path));
        if concerns {
            match read_policy(Some(&path)) {
                Ok(policy) => {
                    tracing::info!(policy = policy.version(), "the policy was read again");
                    pipeline.policy.store(Arc::new(policy));
                }
                Err(error) => tracing::error!(error = format!("{error:#}"), "the changed policy was refused; the last one stays in force"),
            }
        }
    })?;
    watcher.watch(&folder, notify::RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Taken away again when the service stops.
struct AddressFile(PathBuf);

impl AddressFile {
    fn write(dir: &Path, url: &str) -> anyhow::Result<Self> {
        let path = dir.join(ADDRESS_FILE);
        std::fs::write(&path, url).with_context(|| path.display().to_string())?;
        Ok(AddressFile(path))
    }
}

impl Drop for AddressFile {
    fn drop(&mut self) {
        // Left behind, it only costs the next reader a refused connection.
        let _ = std::fs::remove_file(&self.0);
    }
}
