//! One shop for all tests, small shops for tests that change things, and the way to ask them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use fenzhen::app::{App, load_artefact, load_tagger, open_encoder, open_registry};
use fenzhen::classify::Cascade;
use fenzhen::config::Config;
use fenzhen::decide::{GateArtefact, Policy};
use fenzhen::domain::Mode;
use fenzhen::embed::{Arithmetic, Encoder, EncoderWorker, SentenceEncoder};
use fenzhen::http::{Limits, Readiness, Service, router};
use fenzhen::models::{Artefact, ENCODER_FILE, ModelStore, TOKENIZER_FILE};
use fenzhen::pipeline::{Alignment, Follower, IntentModel, Knowledge, Pipeline, Shelf, Tagger, TaggerFollower};
use fenzhen::retrieve::{EdgeIndex, IndexStamp, TicketIndex};
use fenzhen::store::{IndexKind, Store};
use fenzhen::text::TEXT_VERSION;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tower::ServiceExt;

pub const EXAMPLE: &str = "买的粉色XL码羽绒服还没发货,什么时候能到?";
pub const ENCODER: &str = "multilingual-e5-small";

/// What answers and stamps call it: with the branch that texts are compared by.
pub fn encoder_version() -> String {
    let trained = fenzhen::embed::comparing::Comparing::shipped().expect("the shipped branch");
    format!("{ENCODER}+{}", trained.version())
}

/// Pools and timers belong to a runtime, so that what tests share lives in a shared one.
pub static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime"));

/// Only the first recorder of a process counts.
static METRICS: LazyLock<PrometheusHandle> = LazyLock::new(|| fenzhen::telemetry::install_metrics().expect("metrics"));

static DEMO: LazyLock<Shop> = LazyLock::new(Shop::demo);

static SHARED_ENCODER: LazyLock<Arc<dyn SentenceEncoder>> =
    LazyLock::new(|| Arc::new(open_encoder(&config(Path::new("unused"))).expect("run fenzhen models pull")));

/// The shipped classifier with its branch.
static INTENTS: LazyLock<IntentModel> = LazyLock::new(|| {
    let classifier = Cascade::shipped().expect("the shipped classifier");
    IntentModel::new(Arc::new(classifier), Arithmetic::Auto).expect("its branch")
});

static TAGGER: LazyLock<Arc<Tagger>> = LazyLock::new(|| load_tagger(None, Arithmetic::Auto).expect("the shipped tagger"));

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The defaults, with a data folder; models lie where the environment says.
pub fn config(data: &Path) -> Config {
    configured(data, &[])
}

/// As [`config`], with settings of its own.
pub fn configured(data: &Path, settings: &[(&str, &str)]) -> Config {
    let mut flags = vec![("data.dir".to_owned(), data.display().to_string())];
    flags.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let cache = std::env::vars().filter(|(name, _)| ["HOME", "XDG_CACHE_HOME", "FENZHEN_CACHE"].contains(&name.as_str()));
    Config::load(None, cache, &flags).expect("the defaults").config
}

/// Folder of the installed encoder. The tests that need it do not skip: `make test` pulls it first.
pub fn encoder_folder() -> PathBuf {
    let store = ModelStore::new(config(Path::new("unused")).models.cache.join("models"));
    store.verify(ENCODER).unwrap_or_else(|e| panic!("{e}: run fenzhen models pull")).0
}

pub fn load_encoder(arithmetic: Arithmetic) -> Encoder {
    let folder = encoder_folder();
    Encoder::load(&folder.join(ENCODER_FILE), &folder.join(TOKENIZER_FILE), arithmetic).expect("the encoder")
}

/// The demo shop, loaded once. Tests only read it.
pub fn demo() -> &'static Shop {
    &DEMO
}

pub const LIMITS: Limits = Limits {
    body_bytes: 64_000_000,
    text_chars: 10_000,
    batch: 10_000,
    concurrency: 64,
    request_timeout: Duration::from_secs(60),
    similar: 5,
    mode: Mode::Auto,
};

/// A service with the folder that it keeps its records in.
pub struct Shop {
    pub service: Arc<Service>,
    router: Router,
    // The records go with the last shop over them.
    folder: Arc<TempDir>,
}

impl Shop {
    fn demo() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        encoder_folder();
        let app = RUNTIME.block_on(async {
            let app = App::open(&config(folder.path())).await.expect("the shop opens");
            assert!(app.load_demo().await.expect("demo data"), "an empty folder takes the demo shop");
            app.catch_up(&|_, _| ()).await.expect("the indexes are filled");
            app
        });
        let models = (app.models, app.taggers);
        Self::over(Arc::clone(&app.pipeline), Arc::clone(&app.articles), Arc::clone(&app.tickets), models, Arc::new(folder))
    }

    /// A shop without records, put together by the program itself from a configuration of its own.
    pub fn configured(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        encoder_folder();
        let config = configured(folder.path(), settings);
        let app = RUNTIME.block_on(App::open(&config)).expect("the shop opens");
        RUNTIME.block_on(app.catch_up(&|_, _| ())).expect("the indexes are right");
        let models = (app.models, app.taggers);
        Self::over(Arc::clone(&app.pipeline), Arc::clone(&app.articles), Arc::clone(&app.tickets), models, Arc::new(folder))
    }

    /// A shop without records, over the shared encoder.
    pub fn empty() -> Self {
        Self::with_encoder(Arc::clone(&SHARED_ENCODER))
    }

    /// A shop without records, over the encoder's worker.
    pub fn with_worker(worker: EncoderWorker) -> Self {
        Self::with_encoder(Arc::new(worker))
    }

    /// A shop without records.
    pub fn with_encoder(encoder: Arc<dyn SentenceEncoder>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let stamp = IndexStamp { encoder: encoder.name().into(), dim: encoder.dimension(), text_version: TEXT_VERSION };
        let index = |name: &str| -> Arc<dyn TicketIndex> { Arc::new(EdgeIndex::open(&folder.path().join(name), &stamp).expect(name)) };
        let (articles, tickets) = (index("articles"), index("tickets"));
        let store = RUNTIME.block_on(Store::open(&folder.path().join("fenzhen.db"))).expect("a store");
        let registry = open_registry(&config(folder.path())).expect("a registry");
        let load_ner = |artefact: Option<&Artefact>| match artefact {
            None => Ok(Arc::clone(&TAGGER)),
            some => load_tagger(some, Arithmetic::Auto),
        };
        let taggers = TaggerFollower::open(registry.clone(), "ner", Box::new(load_ner)).expect("the shipped tagger");
        let models = Follower::open(registry, "intent", Box::new(load)).expect("the shipped classifier");
        let pipeline = Pipeline {
            lineup: models.lineup(),
            tagger: taggers.seat(),
            encoder: Arc::clone(&encoder),
            tickets: Arc::clone(&tickets),
            articles: Arc::clone(&articles),
            alignment: Alignment::new(Arc::clone(&encoder)),
            store: store.clone(),
            shelf: Shelf::stock(&[]).expect("an empty shelf").into_swap(),
            policy: Policy::shipped().expect("the shipped policy").into_swap(),
            gate: GateArtefact::shipped().expect("the shipped gate"),
            article_count: 3,
            asked: Default::default(),
        };
        pipeline.lineup.attach(Arc::clone(&encoder), RUNTIME.handle().clone());
        let articles = Knowledge::new(IndexKind::Article, store.clone(), Arc::clone(&encoder), articles);
        let tickets = Knowledge::new(IndexKind::Ticket, store, encoder, tickets);
        let models = (Arc::new(models), Arc::new(taggers));
        Self::over(Arc::new(pipeline), Arc::new(articles), Arc::new(tickets), models, Arc::new(folder))
    }

    fn over(
        pipeline: Arc<Pipeline>,
        articles: Arc<Knowledge>,
        tickets: Arc<Knowledge>,
        (models, taggers): (Arc<Follower>, Arc<TaggerFollower>),
        folder: Arc<TempDir>,
    ) -> Self {
        let service = Service {
            pipeline,
            articles,
            tickets,
            models,
            taggers,
            limits: LIMITS,
            keys: Vec::new(),
            metrics: METRICS.clone(),
            readiness: Readiness::default(),
            permits: Arc::new(Semaphore::new(LIMITS.concurrency)),
        };
        service.readiness.set_ready();
        let service = Arc::new(service);
        Shop { router: router(Arc::clone(&service)), service, folder }
    }

    /// The same shop behind another service: other limits, keys, readiness.
    pub fn behind(&self, change: impl FnOnce(&mut Service)) -> Shop {
        let (old, readiness) = (&self.service, Readiness::default());
        readiness.set_ready();
        let mut service = Service {
            pipeline: Arc::clone(&old.pipeline),
            articles: Arc::clone(&old.articles),
            tickets: Arc::clone(&old.tickets),
            models: Arc::clone(&old.models),
            taggers: Arc::clone(&old.taggers),
            limits: old.limits,
            keys: old.keys.clone(),
            metrics: old.metrics.clone(),
            readiness,
            permits: Arc::new(Semaphore::new(old.limits.concurrency)),
        };
        change(&mut service);
        let service = Arc::new(service);
        Shop { router: router(Arc::clone(&service)), service, folder: Arc::clone(&self.folder) }
    }

    /// The answer to any request.
    pub async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("routers do not fail");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a whole body").to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub fn send(&self, request: Request<Body>) -> Answer {
        RUNTIME.block_on(self.ask(request))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path, &[], Body::empty()))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send(request("DELETE", path, &[], Body::empty()))
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(request("POST", path, &[], Body::from(body.to_string())))
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(request("PUT", path, &[], Body::from(body.to_string())))
    }

    pub fn post_raw(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send(request("POST", path, &[], body.into()))
    }
}

/// As the program does.
fn load(artefact: Option<&Artefact>) -> Result<Arc<IntentModel>, String> {
    match artefact {
        Some(artefact) => load_artefact(artefact, Arithmetic::Auto),
        None => Ok(Arc::new(INTENTS.clone())),
    }
}

trait IntoSwap: Sized {
    fn into_swap(self) -> arc_swap::ArcSwap<Self> {
        arc_swap::ArcSwap::from_pointee(self)
    }
}

impl IntoSwap for Shelf {}
impl IntoSwap for Policy {}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let builder = Request::builder().method(method).uri(path);
    headers.iter().fold(builder, |b, (name, value)| b.header(*name, *value)).body(body).expect("a request")
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {} {}", self.status, self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().expect("a header of text"))
    }

    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self.json()
    }

    /// A problem as RFC 9457 and the house have it.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{problem:#}");
        assert_eq!(problem["type"], format!("urn:fenzhen:error:{code}"), "{problem:#}");
        assert_eq!(problem["status"], status, "{problem:#}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        for field in ["title", "detail", "hint", "request_id"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {problem:#}");
        }
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        problem
    }
}

/// Strings of a field over a list of rows.
pub fn column<'a>(rows: &'a Value, field: &str) -> Vec<&'a str> {
    rows.as_array().expect("a list").iter().map(|row| row[field].as_str().unwrap_or_default()).collect()
}
