//! Wiring: which engine runs where the configuration says so. The only room that knows.

mod engines;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;

use self::engines::Engines;
use crate::classify::{Cascade, SHIPPED_CARD, SHIPPED_META, SHIPPED_NAME};
use crate::config::{self, Config};
use crate::corpus::shipped;
use crate::decide::{GateArtefact, Policy};
use crate::domain::Mode;
use crate::embed::comparing::Comparing;
use crate::embed::{Arithmetic, Branch, Encoder, EncoderWorker, Role, SentenceEncoder, ServedEncoder, ServedSettings, WorkerConfig};
use crate::models::registry::{CHAMPION, CLASSIFIER, Card, Shipped};
use crate::models::{Artefact, ENCODER_FILE, ModelStore, Registry, TOKENIZER_FILE, timestamp};
use crate::ner::TaggerModel;
use crate::ner::learned as tagger;
use crate::pipeline::{
    Alignment, Follower, IndexProgress, IntentModel, Knowledge, Pipeline, PipelineError, Rebuilt, Shelf, Tagger, TaggerFollower,
};
use crate::retrieve::{IndexStamp, RetrieveError};
use crate::store::{ArticleFilter, IndexKind, Store};
use crate::text::TEXT_VERSION;
use crate::train::TrainingEncoder;

/// Everything that a command needs to triage.
pub struct App {
    pub pipeline: Arc<Pipeline>,
    pub articles: Arc<Knowledge>,
    pub tickets: Arc<Knowledge>,
    /// Keeps the pipeline's lineup at the registry's aliases.
    pub models: Arc<Follower>,
    /// As `models`, for who tells the entities.
    pub taggers: Arc<TaggerFollower>,
    /// Indexes that were of another version or broken, and have to be filled again.
    stale: Vec<Arc<Knowledge>>,
}

impl App {
    /// Loads models, opens the records and the indexes under the configured data folder.
    ///
    /// # Errors
    /// Missing or damaged models, an unusable folder, artefacts of another version: each with what to do.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        Self::open_in(config, &config.data.dir, open_gate(&config.gate)?, false).await
    }

    /// As [`Self::open`], with a server's indexes as they are, whatever they were made with: to build them anew.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_to_rebuild(config: &Config) -> anyhow::Result<Self> {
        Self::open_in(config, &config.data.dir, open_gate(&config.gate)?, true).await
    }

    /// As [`Self::open`], with records and indexes in another folder.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_elsewhere(config: &Config, data: &Path) -> anyhow::Result<Self> {
        Self::open_in(config, data, open_gate(&config.gate)?, false).await
    }

    /// As [`Self::open`], in another folder and with a gate that knows nothing: to fit one.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_untrained(config: &Config, data: &Path) -> anyhow::Result<Self> {
        Self::open_in(config, data, GateArtefact::untrained(), false).await
    }

    async fn open_in(config: &Config, data: &Path, gate: GateArtefact, fresh: bool) -> anyhow::Result<Self> {
        // Each of these takes a tenth of a second or more, and none needs another.
        let models = config.clone();
        let encoder = tokio::task::spawn_blocking(move || open_comparing_encoder(&models));
        let (registry, configured) = (open_registry(config)?, config.classifier.artefact.clone());
        let arithmetic = arithmetic(config.encoder.arithmetic);
        let models = tokio::task::spawn_blocking(move || {
            crate::text::warm_up();
            let load = move |artefact: Option<&Artefact>| match artefact {
                Some(artefact) => load_artefact(artefact, arithmetic),
                None => load_unregistered(configured.as_deref(), arithmetic),
            };
            let taggers = TaggerFollower::open(registry.clone(), tagger::SHIPPED_NAME, Box::new(move |a| load_tagger(a, arithmetic)))?;
            Follower::open(registry, SHIPPED_NAME, Box::new(load)).map(|models| (models, taggers))
        });
        let store = Store::open(&data.join("fenzhen.db")).await?;
        let items = store.catalogue().await?;
        let shelf = tokio::task::spawn_blocking(move || Shelf::stock(&items));
        let policy = read_policy(config.gate.policy.as_deref())?;
        let (encoder, (models, taggers), shelf) = (encoder.await??, models.await??, shelf.await??);

        let engines = Engines::new(config, data, stamp(encoder.as_ref()));
        // Servers are asked, and asking waits.
        let opened = tokio::task::spawn_blocking(move || {
            Ok::<_, anyhow::Error>((engines.open(IndexKind::Article, fresh)?, engines.open(IndexKind::Ticket, fresh)?))
        });
        let ((articles, fresh_articles), (tickets, fresh_tickets)) = opened.await??;
        let gate = if gate.fits(encoder.name()) {
            gate
        } else {
            tracing::warn!(
                "the gate was fitted on the vectors of {}, and {} are served: until `fenzhen train gate` was run on these, nothing is answered automatically",
                gate.encoder,
                encoder.name()
            );
            gate.without_thresholds()
        };
        let pipeline = Arc::new(Pipeline {
            lineup: models.lineup(),
            tagger: taggers.seat(),
            encoder: Arc::clone(&encoder),
            tickets: Arc::clone(&tickets),
            articles: Arc::clone(&articles),
            alignment: Alignment::new(Arc::clone(&encoder)),
            store: store.clone(),
            shelf: ArcSwap::from_pointee(shelf),
            policy: ArcSwap::from_pointee(policy),
            gate,
            article_count: config.retrieve.articles,
            asked: ArcSwap::default(),
        });
        pipeline.lineup.attach(Arc::clone(&encoder), tokio::runtime::Handle::current());
        let articles = Arc::new(Knowledge::new(IndexKind::Article, store.clone(), Arc::clone(&encoder), articles));
        let tickets = Arc::new(Knowledge::new(IndexKind::Ticket, store, encoder, tickets));
        let stale = [(fresh_articles, &articles), (fresh_tickets, &tickets)].into_iter().filter(|f| f.0).map(|f| Arc::clone(f.1)).collect();
        Ok(App { pipeline, articles, tickets, models: Arc::new(models), taggers: Arc::new(taggers), stale })
    }

    /// Fills an engine's indexes from the records, with the vectors that the one in use holds; what serves is not touched. `told` is called
    /// before each kind.
    ///
    /// # Errors
    /// As [`Self::open`], for either engine; another call goes on where this one ended.
    pub async fn migrate(
        config: &Config,
        from: config::Engine,
        to: config::Engine,
        told: &mut dyn FnMut(IndexKind) -> Box<dyn Fn(usize, usize) + Send + Sync>,
    ) -> anyhow::Result<Vec<(IndexKind, Rebuilt)>> {
        let mut old = config.clone();
        (old.retrieve.dense, old.retrieve.lexical) = (from, from);
        let app = App::open(&old).await?;
        let encoder = &app.pipeline.encoder;
        let mut done = Vec::new();
        for (kind, source) in [(IndexKind::Article, &app.articles), (IndexKind::Ticket, &app.tickets)] {
            let engines = Engines::new(config, &config.data.dir, stamp(encoder.as_ref()));
            let (target, _) = tokio::task::spawn_blocking(move || engines.engine(to, kind, true)).await??;
            let target = Knowledge::new(kind, app.pipeline.store.clone(), Arc::clone(encoder), target);
            let progress = told(kind);
            done.push((kind, target.rebuild(Some(Arc::clone(source.index())), Some(&progress)).await?));
        }
        Ok(done)
    }

    /// Brings the indexes up to the records: what a crash left over, and whole indexes that were made by another version.
    ///
    /// # Errors
    /// The store's, the encoder's, the index's.
    pub async fn catch_up(&self, progress: IndexProgress<'_>) -> anyhow::Result<()> {
        for knowledge in &self.stale {
            knowledge.rebuild(None, Some(progress)).await?;
        }
        for knowledge in [&self.articles, &self.tickets] {
            match knowledge.sync(Some(progress)).await {
                // A server that is away is no reason not to serve: what it lacks follows when it is back.
                Err(PipelineError::Retrieve(e @ RetrieveError::Remote { .. })) => tracing::warn!("{e}"),
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// Puts the shipped shop into an empty data folder; one that holds anything is left as it is. Answers whether it did.
    ///
    /// # Errors
    /// The store's.
    pub async fn load_demo(&self) -> anyhow::Result<bool> {
        let store = &self.pipeline.store;
        let empty = store.ticket_count().await? == 0
            && store.articles(ArticleFilter::default(), None, 1).await?.is_empty()
            && store.catalogue().await?.is_empty();
        if empty {
            let items = shipped::catalogue();
            store.put_catalogue(&items, false).await?;
            store.import_articles(&shipped::articles(), false, &timestamp()).await?;
            store.upsert_tickets(&shipped::tickets()).await?;
            let shelf = tokio::task::spawn_blocking(move || Shelf::stock(&items)).await??;
            self.pipeline.shelf.store(Arc::new(shelf));
        }
        Ok(empty)
    }
}

/// What an index of this encoder's vectors is made with.
fn stamp(encoder: &dyn SentenceEncoder) -> IndexStamp {
    IndexStamp { encoder: encoder.name().to_owned(), dim: encoder.dimension(), text_version: TEXT_VERSION }
}

/// The trained models, with those that are served without any of them as version `shipped`.
///
/// # Errors
/// A configured artefact that is none.
pub fn open_registry(config: &Config) -> anyhow::Result<Registry> {
    let shipped = match &config.classifier.artefact {
        Some(dir) => {
            // Read by people only: an artefact without it is served as well.
            let readme = std::fs::read_to_string(dir.join("README.md")).unwrap_or_default();
            let mut card = Card::read(dir).context("classifier.artefact")?;
            // Whatever it calls itself, it stands in the place of the shipped one.
            card.name = SHIPPED_NAME.to_owned();
            Shipped { card, origin: dir.display().to_string(), readme }
        }
        None => {
            let card = Card::parse(SHIPPED_META).map_err(anyhow::Error::msg)?;
            Shipped { card, origin: "built into the program".into(), readme: SHIPPED_CARD.into() }
        }
    };
    let card = Card::parse(tagger::SHIPPED_META).map_err(anyhow::Error::msg)?;
    let tagger = Shipped { card, origin: "built into the program".into(), readme: tagger::SHIPPED_CARD.into() };
    Ok(Registry::open(&config.models.registry).with_shipped(shipped).with_shipped(tagger))
}

/// A classifier by itself: of a folder, a registered version (`intent@4`), or, without either, the one that is served.
///
/// # Errors
/// A folder that holds none, a version that is not there or cannot be read.
pub fn open_classifier(config: &Config, place: Option<&str>) -> anyhow::Result<Cascade> {
    match find_model(config, place, SHIPPED_NAME)? {
        Found::Folder(dir) => Ok(Cascade::load(dir)?),
        Found::Registered(artefact) => Ok(Cascade::load(&artefact.path)?.named(artefact.to_string())),
        Found::Shipped => Ok(config.classifier.artefact.as_deref().map_or_else(Cascade::shipped, Cascade::load)?),
    }
}

/// Where a model that somebody names lies.
enum Found<'a> {
    Folder(&'a Path),
    Registered(Artefact),
    Shipped,
}

/// `place` is a folder or a registered version (`intent@4`); without it the champion of `name` is meant.
fn find_model<'a>(config: &Config, place: Option<&'a str>, name: &str) -> anyhow::Result<Found<'a>> {
    let (name, version) = match place.map(|p| p.split_once('@').filter(|_| !Path::new(p).exists()).ok_or(p)) {
        Some(Err(folder)) => return Ok(Found::Folder(Path::new(folder))),
        Some(Ok(reference)) => reference,
        None => (name, CHAMPION),
    };
    Ok(open_registry(config)?.resolve(name, version)?.map_or(Found::Shipped, Found::Registered))
}

/// Whether a version of the registry can be served, whichever kind it is of.
///
/// # Errors
/// Why not.
pub fn try_artefact(artefact: &Artefact, arithmetic: Arithmetic) -> Result<(), String> {
    match artefact.kind.as_str() {
        tagger::TAGGER => load_tagger(Some(artefact), arithmetic).map(drop),
        _ => load_artefact(artefact, arithmetic).map(drop),
    }
}

/// Loads a tagger of the registry, or the shipped one.
///
/// # Errors
/// Why this program cannot serve it.
pub fn load_tagger(artefact: Option<&Artefact>, arithmetic: Arithmetic) -> Result<Arc<Tagger>, String> {
    let model = match artefact {
        Some(artefact) if artefact.kind != tagger::TAGGER => return Err(format!("it is a model of kind {:?}, no tagger", artefact.kind)),
        Some(artefact) => TaggerModel::load(&artefact.path).map(|m| m.named(artefact.to_string())),
        None => TaggerModel::shipped(),
    };
    Tagger::new(model.map_err(|e| e.to_string())?, arithmetic).map(Arc::new)
}

/// A tagger by itself: of a folder, a registered version (`ner@4`), or, without either, the one that is served.
///
/// # Errors
/// A folder that holds none, a version that is not there or cannot be read.
pub fn open_tagger(config: &Config, place: Option<&str>) -> anyhow::Result<TaggerModel> {
    match find_model(config, place, tagger::SHIPPED_NAME)? {
        Found::Folder(dir) => Ok(TaggerModel::load(dir)?),
        Found::Registered(artefact) => Ok(TaggerModel::load(&artefact.path)?.named(artefact.to_string())),
        Found::Shipped => Ok(TaggerModel::shipped()?),
    }
}

/// Loads a classifier of the registry, whichever engine it is of.
///
/// # Errors
/// Why this program cannot serve it.
pub fn load_artefact(artefact: &Artefact, arithmetic: Arithmetic) -> Result<Arc<IntentModel>, String> {
    if artefact.kind != CLASSIFIER {
        return Err(format!("it is a model of kind {:?}, no classifier", artefact.kind));
    }
    let classifier = Cascade::load(&artefact.path).map_err(|e| e.to_string())?;
    ready(classifier.named(artefact.to_string()), arithmetic)
}

/// The classifier of the configuration, or the shipped one.
fn load_unregistered(configured: Option<&Path>, arithmetic: Arithmetic) -> Result<Arc<IntentModel>, String> {
    let place = configured.map(|dir| format!("{}: ", dir.display())).unwrap_or_default();
    let classifier = configured.map_or_else(Cascade::shipped, Cascade::load).map_err(|e| format!("{place}{e}"))?;
    ready(classifier, arithmetic)
}

fn ready(classifier: Cascade, arithmetic: Arithmetic) -> Result<Arc<IntentModel>, String> {
    IntentModel::new(Arc::new(classifier), arithmetic).map(Arc::new).map_err(|e| format!("its branch: {e}"))
}

/// As [`open_encoder`]; where a server is configured, texts are compared by its vectors.
///
/// # Errors
/// As [`open_encoder`]; a server that does not answer.
pub fn open_comparing_encoder(config: &Config) -> anyhow::Result<Arc<dyn SentenceEncoder>> {
    let settings = &config.encoder;
    if settings.served_url.is_empty() {
        return Ok(Arc::new(open_encoder(config)?));
    }
    let served = ServedSettings {
        url: settings.served_url.clone(),
        api_key: engines::given(&settings.served_api_key),
        model: settings.served_model.clone(),
        prefixes: [settings.served_query_prefix.clone(), settings.served_passage_prefix.clone()],
        timeout: Duration::from_millis(settings.timeout_ms),
    };
    let local = open_pretrained_encoder(config)?;
    Ok(Arc::new(ServedEncoder::connect(local, served).context("encoder.served_url")?))
}

/// The encoder that the configuration names, verified, on its threads, and the branch that texts are compared by.
///
/// # Errors
/// A missing or damaged model, a branch of another encoder.
pub fn open_encoder(config: &Config) -> anyhow::Result<EncoderWorker> {
    let model = &config.encoder.model;
    match open_comparing(config)? {
        Some(trained) => {
            let branch = Branch::parse(trained.branch(), arithmetic(config.encoder.arithmetic))?;
            start_encoder(config, &format!("{model}+{}", trained.version()), Some(branch))
        }
        None => start_encoder(config, model, None),
    }
}

/// As [`open_encoder`], without the branch: all its vectors are the pretrained ones.
///
/// # Errors
/// A missing or damaged model.
pub fn open_pretrained_encoder(config: &Config) -> anyhow::Result<EncoderWorker> {
    start_encoder(config, &config.encoder.model, None)
}

fn start_encoder(config: &Config, name: &str, comparing: Option<Branch>) -> anyhow::Result<EncoderWorker> {
    let settings = &config.encoder;
    let worker =
        WorkerConfig { queue: settings.queue, batch_tokens: settings.batch_tokens, timeout: Duration::from_millis(settings.timeout_ms) };
    let worker = EncoderWorker::start(name, load_encoder(config)?, comparing, worker)?;
    // The first pass packs the weights for the CPU's kernels: done now, not at the first message.
    worker.encode_bulk(&["预热 warm-up".to_owned()], Role::Query)?;
    Ok(worker)
}

/// The branch that texts are compared by: that of the configuration, else the shipped one, where it stands on the encoder that is served.
fn open_comparing(config: &Config) -> anyhow::Result<Option<Comparing>> {
    let model = &config.encoder.model;
    match &config.encoder.comparing {
        None => Ok(Some(Comparing::shipped()?).filter(|shipped| shipped.meta().encoder == *model)),
        Some(dir) => {
            let trained = Comparing::load(dir).with_context(|| dir.display().to_string())?;
            let other = &trained.meta().encoder;
            anyhow::ensure!(
                other == model,
                "{} was trained on {other}, and encoder.model is {model}: train it again on that one, or leave encoder.comparing empty",
                dir.display()
            );
            Ok(Some(trained))
        }
    }
}

/// The encoder that the configuration names, without a thread: for one text at a time.
///
/// # Errors
/// A missing or damaged model.
pub fn load_encoder(config: &Config) -> anyhow::Result<Encoder> {
    let [weights, tokenizer] = encoder_files(config)?;
    Ok(Encoder::load(&weights, &tokenizer, arithmetic(config.encoder.arithmetic))?)
}

/// The encoder that the configuration names, for training on its trunk.
///
/// # Errors
/// A missing or damaged model.
pub fn open_training_encoder(config: &Config) -> anyhow::Result<TrainingEncoder> {
    let [weights, tokenizer] = encoder_files(config)?;
    let encoder = Encoder::load(&weights, &tokenizer, Arithmetic::Float)?;
    Ok(TrainingEncoder { encoder, weights, name: config.encoder.model.clone() })
}

/// Weights (GGUF) and tokenizer of the encoder that the configuration names, verified.
///
/// # Errors
/// A missing or damaged model.
pub fn encoder_files(config: &Config) -> anyhow::Result<[PathBuf; 2]> {
    let (dir, _) = ModelStore::new(config.models.cache.join("models")).verify(&config.encoder.model)?;
    Ok([dir.join(ENCODER_FILE), dir.join(TOKENIZER_FILE)])
}

/// The mode of requests that name none.
pub fn mode(setting: config::Mode) -> Mode {
    match setting {
        config::Mode::Fast => Mode::Fast,
        config::Mode::Full => Mode::Full,
        config::Mode::Auto => Mode::Auto,
    }
}

/// The encoder's arithmetic as the configuration names it.
pub fn arithmetic(setting: config::Arithmetic) -> Arithmetic {
    match setting {
        config::Arithmetic::Auto => Arithmetic::Auto,
        config::Arithmetic::Int8 => Arithmetic::Int8,
        config::Arithmetic::Blocks => Arithmetic::Blocks,
        config::Arithmetic::Float => Arithmetic::Float,
    }
}

fn open_gate(settings: &config::Gate) -> anyhow::Result<GateArtefact> {
    match &settings.artefact {
        None => Ok(GateArtefact::shipped()?),
        Some(path) => {
            let json = std::fs::read(path).with_context(|| path.display().to_string())?;
            GateArtefact::parse(&json).with_context(|| path.display().to_string())
        }
    }
}

/// The policy in a file, or the shipped one.
///
/// # Errors
/// An unreadable or broken file.
pub fn read_policy(path: Option<&Path>) -> anyhow::Result<Policy> {
    match path {
        None => Ok(Policy::shipped()?),
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            Policy::parse(&text).with_context(|| path.display().to_string())
        }
    }
}
