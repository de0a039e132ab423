//! Who tells the entities, kept at what the registry's aliases say.
//!
//! As the intents' [`Follower`](super::Follower), without a challenger: spans have no single answer that two could be compared by
//! silently.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::follow::{FollowError, Loader, each_period, fetch};
use super::{Pipeline, PipelineError, Shelf, language};
use crate::domain::{Entity, Lang, Mode, Moved, Resolution};
use crate::embed::{Arithmetic, Branch, EncodeError, Role, TokenStates, Wanted};
use crate::models::Registry;
use crate::models::registry::{Aliases, CHAMPION};
use crate::ner::learned::Tokens;
use crate::ner::{EntityTagger, TaggerModel};
use crate::telemetry::Metric;
use crate::text::{Normalized, normalize};

/// A tagger with the branch that it asks for, ready to run.
pub struct Tagger {
    model: TaggerModel,
    branch: Option<Arc<Branch>>,
}

impl Tagger {
    /// # Errors
    /// When the model's branch cannot be read or stands on another trunk, or it has types that no entity can have.
    pub fn new(model: TaggerModel, arithmetic: Arithmetic) -> Result<Self, String> {
        if let [first, ..] = model.unknown_types()[..] {
            return Err(format!("it tags {first:?}, which no entity of this program can be"));
        }
        let parse = |file: &Arc<[u8]>| Branch::parse(file, arithmetic).map(Arc::new).map_err(|e| format!("its branch: {e}"));
        let branch = model.branch().map(parse).transpose()?;
        Ok(Tagger { model, branch })
    }

    pub fn version(&self) -> &str {
        self.model.version()
    }

    /// The branch whose token states it reads; `None` where it does without the encoder.
    pub fn branch(&self) -> Option<&Arc<Branch>> {
        self.branch.as_ref()
    }

    /// The entities of a message whose tokens the encoder has read.
    pub fn tag(&self, original: &str, clean: &Normalized, shelf: &Shelf, tokens: Option<&TokenStates>) -> Vec<Entity> {
        let tokens = tokens.map_or(Tokens::default(), |t| Tokens { states: &t.states, offsets: &t.offsets });
        self.model.tag(original, clean, &shelf.tagger, &shelf.lexicon, tokens)
    }
}

/// Follows one model's aliases; the only one that changes who tags.
pub struct TaggerFollower {
    registry: Registry,
    name: String,
    load: Loader<Tagger>,
    seat: Arc<ArcSwap<Tagger>>,
    /// What was followed last, whether it could be loaded or not, and the last error, so that each is told once.
    held: Mutex<(Aliases, String)>,
}

impl TaggerFollower {
    /// Loads the champion.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub fn open(registry: Registry, name: &str, load: Loader<Tagger>) -> Result<Self, FollowError> {
        let seen = registry.aliases(name)?;
        let seat = Arc::new(ArcSwap::new(fetch(&registry, name, &load, seen.champion(), CHAMPION)?));
        Ok(TaggerFollower { registry, name: name.to_owned(), load, seat, held: Mutex::new((seen, String::new())) })
    }

    /// The model that is followed.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the tagger of the moment stands.
    pub fn seat(&self) -> Arc<ArcSwap<Tagger>> {
        Arc::clone(&self.seat)
    }

    /// Seats what the aliases name; does nothing where they have not moved.
    ///
    /// # Errors
    /// Aliases that cannot be read, a version that cannot be loaded; the seat is as it was then.
    pub fn follow(&self) -> Result<(), FollowError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let aliases = self.registry.aliases(&self.name)?;
        if held.0 == aliases {
            return Ok(());
        }
        let (before, now) = (held.0.champion(), aliases.champion());
        held.0 = aliases;
        if before != now {
            self.seat.store(fetch(&self.registry, &self.name, &self.load, now, CHAMPION)?);
            tracing::info!(tagger = self.seat.load().version(), "the tagger is");
            Metric::ModelSwaps.count(&[("outcome", "taken".into())]);
        }
        Ok(())
    }

    /// Moves an alias after trying that the version can be loaded, and follows it.
    ///
    /// # Errors
    /// As [`Registry::alias`] and [`Self::follow`].
    pub fn alias(&self, alias: &str, what: Option<&str>) -> Result<Moved, FollowError> {
        let moved = self.registry.alias(&self.name, alias, what, &|artefact| (self.load)(Some(artefact)).map(drop))?;
        self.follow().map(|()| moved)
    }

    /// Back to the champion before.
    ///
    /// # Errors
    /// As [`Registry::rollback`] and [`Self::follow`].
    pub fn rollback(&self) -> Result<Moved, FollowError> {
        let moved = self.registry.rollback(&self.name, &|artefact| (self.load)(Some(artefact)).map(drop))?;
        self.follow().map(|()| moved)
    }

    /// Looks at the aliases each second, for as long as it is polled.
    pub async fn run(self: Arc<Self>) {
        each_period(move || self.look(), "following the tagger failed; the one in force goes on").await;
    }

    fn look(&self) {
        let told = self.follow().err().map(|e| e.to_string()).unwrap_or_default();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.is_empty() && told != held.1 {
            tracing::error!(error = told, "a tagger was refused; the one in force goes on");
            Metric::ModelSwaps.count(&[("outcome", "refused".into())]);
        }
        held.1 = told;
    }
}

impl Pipeline {
    /// The entities alone: in mode `fast` what patterns and catalogue see, else what the tagger reads with the encoder.
    ///
    /// # Errors
    /// [`PipelineError::Overloaded`] when the encoder's queue is full. Where the encoder fails otherwise, patterns and catalogue answer.
    pub async fn entities(&self, text: &str, lang: Option<Lang>, mode: Mode) -> Result<(Lang, Vec<Entity>), PipelineError> {
        let clean = normalize(text);
        let lang = lang.unwrap_or_else(|| language(&clean));
        let shelf = self.shelf.load_full();
        if mode == Mode::Fast {
            return Ok((lang, shelf.tagger.tag(text, &clean)));
        }
        let tagger = self.tagger.load_full();
        let Some(branch) = tagger.branch() else { return Ok((lang, tagger.tag(text, &clean, &shelf, None))) };
        let wanted = Wanted { tokens: Some(Arc::clone(branch)), ..Wanted::default() };
        let entities = match self.encoder.encode(text, Role::Query, wanted).await {
            Ok(encoded) => tagger.tag(text, &clean, &shelf, encoded.tokens.as_ref()),
            Err(e @ EncodeError::Overloaded { .. }) => return Err(e.into()),
            Err(e) => {
                tracing::error!(error = %e, "the encoder failed; patterns and catalogue tell the entities");
                shelf.tagger.tag(text, &clean)
            }
        };
        Ok((lang, entities))
    }

    /// The catalogue entries that a text means.
    ///
    /// The linker reads values as the patterns do and names from the catalogue itself; on the validation messages the tagger's spans beside
    /// them made it worse (97.6 % right for 100 %), so that products are linked alike in all modes.
    pub fn resolve(&self, text: &str) -> Resolution {
        let (clean, shelf) = (normalize(text), self.shelf.load());
        shelf.products.resolve(text, &clean, &shelf.tagger.tag(text, &clean)).resolution
    }
}
