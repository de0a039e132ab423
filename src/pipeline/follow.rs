//! The lineup kept at what the registry's aliases say, while the service runs.
//!
//! One small file is read each second. What has moved is loaded beside what serves and swapped in when it is whole; what cannot be
//! loaded is refused in the log, and the last one goes on. All of it blocks: call it from a blocking thread. Requests never wait for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::intents::IntentModel;
use super::lineup::Lineup;
use crate::domain::{Moved, ShadowReport, Version};
use crate::models::registry::{Aliases, CHALLENGER, CHAMPION};
use crate::models::{Artefact, Registry, RegistryError};
use crate::telemetry::Metric;

/// Makes a model of a version's files, or of what the program serves without a registry.
pub type Loader<M> = Box<dyn Fn(Option<&Artefact>) -> Result<Arc<M>, String> + Send + Sync>;

/// How often the aliases are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// How often a report that has changed is written down.
const WRITE_DOWN: Duration = Duration::from_secs(5);

/// What the challenger would have said, as last written down, beside the aliases.
pub const SHADOW_FILE: &str = "shadow.json";

#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("{model}, the {alias}, cannot be loaded: {why}")]
    Load { model: String, alias: &'static str, why: String },
    #[error("no thread for the challenger: {0}")]
    Thread(#[from] std::io::Error),
}

impl FollowError {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            FollowError::Registry(e) => e.hint(),
            FollowError::Load { model, .. } if model == "ner@shipped" => {
                "the program was built with a broken tagger: train it (`fenzhen train ner training/ner.toml`) and build again".into()
            }
            FollowError::Load { model, .. } if model.ends_with("@shipped") => {
                "train it again (`fenzhen train classifier training/intent.toml`), or leave classifier.artefact empty for the shipped one"
                    .into()
            }
            FollowError::Load { model, .. } => {
                let name = model.split('@').next().unwrap_or_default();
                format!(
                    "`fenzhen models rollback {name}` goes back to the one before, `fenzhen models promote {name}@shipped` to the shipped one"
                )
            }
            FollowError::Thread(_) => "the system's limit of threads or memory is reached".into(),
        }
    }
}

/// Follows one model's aliases. The only one that seats anybody in its lineup.
pub struct Follower {
    registry: Registry,
    name: String,
    load: Loader<IntentModel>,
    lineup: Arc<Lineup>,
    held: Mutex<Held>,
}

struct Held {
    /// What was followed last, whether it could be loaded or not.
    seen: Aliases,
    /// What sits in the lineup.
    champion: (Version, Arc<IntentModel>),
    challenger: Option<(Version, Arc<IntentModel>)>,
    /// The last error, so that each is told once.
    told: String,
    written: Option<ShadowReport>,
    written_at: Instant,
}

impl Follower {
    /// Loads the champion, and the challenger if there is one.
    ///
    /// # Errors
    /// The champion cannot be loaded. A challenger that cannot is logged, and nobody sits in its place.
    pub fn open(registry: Registry, name: &str, load: Loader<IntentModel>) -> Result<Self, FollowError> {
        let seen = registry.aliases(name)?;
        let version = seen.champion();
        let champion = fetch(&registry, name, &load, version, CHAMPION)?;
        let follower = Follower {
            lineup: Arc::new(Lineup::new(Arc::clone(&champion))),
            held: Mutex::new(Held {
                seen: Aliases::default(),
                champion: (version, champion),
                challenger: None,
                told: String::new(),
                written: None,
                written_at: Instant::now(),
            }),
            registry,
            name: name.to_owned(),
            load,
        };
        if let Err(error) = follower.follow() {
            tracing::error!(%error, "there is no challenger");
        }
        Ok(follower)
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The model that is followed.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn lineup(&self) -> Arc<Lineup> {
        Arc::clone(&self.lineup)
    }

    /// Seats what the aliases name; does nothing where they have not moved.
    ///
    /// # Errors
    /// Aliases that cannot be read, a version that cannot be loaded; the seat is as it was then.
    pub fn follow(&self) -> Result<(), FollowError> {
        // Read under the lock, so that nobody seats what was true a moment before.
        let mut held = self.held();
        let aliases = self.registry.aliases(&self.name)?;
        if held.seen == aliases {
            return Ok(());
        }
        held.seen = aliases;
        let (champion, challenger) = (held.seen.champion(), held.seen.challenger());
        let seated = |version| [Some(&held.champion), held.challenger.as_ref()].into_iter().flatten().find(|s| s.0 == version).cloned();
        let fetched = |version, alias| match seated(version) {
            Some(there) => Ok(there),
            None => fetch(&self.registry, &self.name, &self.load, version, alias).map(|classifier| (version, classifier)),
        };
        // A challenger that cannot be loaded keeps no champion from its seat, nor the other way round.
        let next = fetched(champion, CHAMPION);
        let beside = challenger.map(|version| fetched(version, CHALLENGER)).transpose();
        let versions = |held: &Held| (held.champion.0, held.challenger.as_ref().map(|c| c.0));
        let before = versions(&held);
        let mut failed = None;
        match next {
            Ok(next) => held.champion = next,
            Err(e) => failed = Some(e),
        }
        match beside {
            Ok(beside) => held.challenger = beside,
            Err(e) => failed = failed.or(Some(e)),
        }
        if versions(&held) != before {
            self.write_down(&mut held);
            let earlier = self.registry.read_note(&self.name, SHADOW_FILE).unwrap_or_default();
            let (champion, challenger) = (&held.champion, held.challenger.as_ref().filter(|c| c.0 != held.champion.0));
            self.lineup.seat(Arc::clone(&champion.1), challenger.map(|c| Arc::clone(&c.1)), earlier)?;
            tracing::info!(champion = champion.1.version(), challenger = challenger.map(|c| c.1.version()), "the lineup is");
            Metric::ModelSwaps.count(&[("outcome", "taken".into())]);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Moves an alias after trying that the version can be loaded, and follows it: in force when this answers.
    ///
    /// # Errors
    /// As [`Registry::alias`] and [`Self::follow`]; nothing has moved unless it is the latter's.
    pub fn alias(&self, alias: &str, what: Option<&str>) -> Result<Moved, FollowError> {
        let moved = self.registry.alias(&self.name, alias, what, &self.check())?;
        self.follow().map(|()| moved)
    }

    /// As [`Self::alias`], back to the champion before.
    ///
    /// # Errors
    /// As [`Registry::rollback`] and [`Self::follow`].
    pub fn rollback(&self) -> Result<Moved, FollowError> {
        let moved = self.registry.rollback(&self.name, &self.check())?;
        self.follow().map(|()| moved)
    }

    /// What the challenger would have said; `None` where there is none.
    pub fn report(&self) -> Option<ShadowReport> {
        self.lineup.seats().shadow().map(super::Shadow::report)
    }

    /// Looks at the aliases each second, for as long as it is polled.
    pub async fn run(self: Arc<Self>) {
        each_period(move || self.look(), "following the models failed; the ones in force go on").await;
    }

    /// Lets the challenger come to an end with what it was given, and writes down what it said.
    pub fn finish(&self) {
        if let Some(shadow) = self.lineup.seats().shadow() {
            shadow.flush(Duration::from_secs(2));
        }
        self.write_down(&mut self.held());
    }

    fn look(&self) {
        let told = self.follow().err().map(|e| e.to_string()).unwrap_or_default();
        let mut held = self.held();
        // What was refused is not tried again until the aliases move: it is no error any more, but nothing new either.
        if !told.is_empty() && told != held.told {
            tracing::error!(error = told, "a model was refused; the one in force goes on");
            Metric::ModelSwaps.count(&[("outcome", "refused".into())]);
        }
        held.told = told;
        if held.written_at.elapsed() >= WRITE_DOWN {
            self.write_down(&mut held);
        }
    }

    fn write_down(&self, held: &mut Held) {
        held.written_at = Instant::now();
        let report = self.report();
        if report.is_some() && report != held.written {
            match self.registry.write_note(&self.name, SHADOW_FILE, &report) {
                Ok(()) => held.written = report,
                Err(error) => tracing::warn!(%error, "what the challenger said could not be written down"),
            }
        }
    }

    fn check(&self) -> impl Fn(&Artefact) -> Result<(), String> + '_ {
        |artefact| (self.load)(Some(artefact)).map(drop)
    }

    /// Seats are whole at every moment: a panic while one was loaded spoils nothing.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks again and again, on a thread that may wait, for as long as it is polled; `failed` is told where looking panics.
pub(super) async fn each_period(look: impl Fn() + Send + Sync + 'static, failed: &'static str) {
    let look = Arc::new(look);
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let look = Arc::clone(&look);
        if let Err(error) = tokio::task::spawn_blocking(move || look()).await {
            tracing::error!(%error, "{failed}");
        }
    }
}

/// The model of a version.
pub(super) fn fetch<M>(
    registry: &Registry,
    name: &str,
    load: &Loader<M>,
    version: Version,
    alias: &'static str,
) -> Result<Arc<M>, FollowError> {
    let artefact = match version {
        // Whatever the program has without a registry, whether the registry knows its card or not.
        Version::Shipped => None,
        Version::Number(n) => registry.resolve(name, &n.to_string())?,
    };
    load(artefact.as_ref()).map_err(|why| FollowError::Load { model: format!("{name}@{version}"), alias, why })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;
    use tempfile::TempDir;

    use super::*;
    use crate::classify::{Classifier, Encoding};
    use crate::domain::{Intent, Lang};
    use crate::embed::Arithmetic;
    use crate::text::Normalized;

    struct Named(String);

    impl Classifier for Named {
        fn labels(&self) -> &[String] {
            &[]
        }

        fn encoding(&self) -> Encoding {
            Encoding::None
        }

        fn classify(&self, _: &Normalized, _: Lang, _: Option<&[f32]>, _: usize) -> Intent {
            Intent {
                id: self.0.clone(),
                category: String::new(),
                confidence: 0.5,
                alternatives: vec![],
                out_of_scope: 0.0,
                path: crate::domain::Path::Fast,
                evidence: vec![],
                neighbours: vec![],
            }
        }

        fn version(&self) -> &str {
            &self.0
        }

        fn threshold(&self, _: &Intent, _: f64) -> Option<f32> {
            None
        }
    }

    fn named(version: String) -> Arc<IntentModel> {
        Arc::new(IntentModel::new(Arc::new(Named(version)), Arithmetic::Float).unwrap())
    }

    fn load(artefact: Option<&Artefact>) -> Result<Arc<IntentModel>, String> {
        let Some(artefact) = artefact else { return Ok(named("intent@built-in".into())) };
        match artefact.path.join("broken").exists() {
            true => Err("it is broken".into()),
            false => Ok(named(artefact.to_string())),
        }
    }

    fn register(registry: &Registry, dir: &Path, broken: bool) -> u32 {
        let folder = tempfile::tempdir_in(dir).unwrap();
        let card = json!({"name": "intent", "text_version": 1, "data_hash": "ab", "scores": {}});
        std::fs::write(folder.path().join("model.json"), card.to_string()).unwrap();
        if broken {
            std::fs::write(folder.path().join("broken"), "").unwrap();
        }
        registry.register("intent", folder.path()).unwrap()
    }

    fn anything(_: &Artefact) -> Result<(), String> {
        Ok(())
    }

    fn following() -> (TempDir, Registry, Follower) {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::open(dir.path().join("models"));
        for _ in 0..2 {
            register(&registry, dir.path(), false);
        }
        register(&registry, dir.path(), true);
        let follower = Follower::open(registry.clone(), "intent", Box::new(load)).unwrap();
        (dir, registry, follower)
    }

    fn champion(follower: &Follower) -> String {
        follower.lineup().champion().version().to_owned()
    }

    #[test]
    fn what_others_move_is_followed_and_a_request_keeps_what_it_took() {
        let (_dir, registry, follower) = following();
        assert_eq!(champion(&follower), "intent@built-in");
        let taken = follower.lineup().seats();
        registry.promote("intent", "1", &anything).unwrap();
        assert_eq!(champion(&follower), "intent@built-in", "until it is looked at");
        follower.follow().unwrap();
        assert_eq!(champion(&follower), "intent@1");
        assert_eq!(taken.champion().version(), "intent@built-in");
        registry.alias("intent", CHAMPION, None, &anything).unwrap();
        follower.follow().unwrap();
        assert_eq!(champion(&follower), "intent@built-in");
    }

    #[test]
    fn what_cannot_be_loaded_is_refused_and_the_last_one_goes_on() {
        let (_dir, registry, follower) = following();
        follower.alias(CHAMPION, Some("1")).unwrap();
        let refused = follower.alias(CHAMPION, Some("3")).unwrap_err();
        assert!(refused.to_string().contains("it is broken") && !refused.hint().is_empty(), "{refused}");
        assert_eq!(registry.version_of("intent", CHAMPION).unwrap(), Version::Number(1));

        // Another program, which knows no better, moves it all the same.
        registry.promote("intent", "3", &anything).unwrap();
        registry.alias("intent", CHALLENGER, Some("2"), &anything).unwrap();
        let error = follower.follow().unwrap_err();
        assert!(error.to_string().contains("intent@3, the champion") && error.hint().contains("rollback intent"), "{error}");
        assert_eq!(champion(&follower), "intent@1");
        assert_eq!(follower.report().map(|r| r.challenger), Some("intent@2".into()), "one bad seat empties no other");
        follower.follow().unwrap();
        assert!(Follower::open(registry.clone(), "intent", Box::new(load)).is_err(), "a service does not start with a broken champion");

        let moved = follower.rollback().unwrap();
        assert_eq!(moved.now, Some(Version::Number(1)));
        registry.alias("intent", CHALLENGER, Some("3"), &anything).unwrap();
        assert!(follower.follow().is_err());
        assert_eq!(champion(&follower), "intent@1");
        let again = Follower::open(registry, "intent", Box::new(load)).unwrap();
        assert!(again.report().is_none(), "without its challenger it starts");
    }

    #[test]
    fn a_challenger_is_measured_written_down_and_gone_on_with() {
        let (_dir, registry, follower) = following();
        follower.alias(CHALLENGER, Some("2")).unwrap();
        let observe = |follower: &Follower| {
            let (lineup, clean) = (follower.lineup().seats(), crate::text::normalize("x"));
            lineup.observe("x", Lang::En, &lineup.champion().fast(&clean, Lang::En));
        };
        observe(&follower);
        follower.finish();
        let written: ShadowReport = registry.read_note("intent", SHADOW_FILE).unwrap().unwrap();
        assert_eq!((written.messages, written.disagreed, written.challenger.as_str()), (1, 1, "intent@2"));
        drop(follower);
        let again = Follower::open(registry, "intent", Box::new(load)).unwrap();
        observe(&again);
        again.finish();
        assert_eq!(again.report().unwrap().messages, 2);

        again.alias(CHAMPION, Some("2")).unwrap();
        assert!(again.report().is_none(), "the challenger has become the champion");
        again.alias(CHAMPION, None).unwrap();
        assert_eq!(again.report().unwrap().messages, 2, "the same pair goes on");
        again.alias(CHALLENGER, Some("1")).unwrap();
        assert_eq!(again.report().unwrap().messages, 0, "another pair begins anew");
        again.alias(CHALLENGER, None).unwrap();
        assert!(again.report().is_none());
    }
}
