//! Who tells the intents: the champion, and silently beside it a challenger.
//!
//! A request takes the [`Seats`] once and keeps them to its end, so that a swap in between changes nothing for it. Swapping takes no
//! lock and waits for nobody; the old seats go with the last request that holds them.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use super::intents::IntentModel;
use super::shadow::{Ask, Shadow};
use crate::domain::{Intent, Lang, ShadowReport};
use crate::embed::SentenceEncoder;

/// The classifiers of the moment.
pub struct Lineup {
    seats: ArcSwap<Seats>,
    /// By which a challenger takes its full path; empty until there is an encoder.
    ask: Arc<OnceLock<Ask>>,
}

/// A champion, and the challenger that is measured against this champion.
pub struct Seats {
    champion: Arc<IntentModel>,
    shadow: Option<Shadow>,
}

impl Lineup {
    pub fn new(champion: Arc<IntentModel>) -> Self {
        Lineup { seats: ArcSwap::from_pointee(Seats { champion, shadow: None }), ask: Arc::default() }
    }

    /// Gives challengers the encoder, so that they answer on the path that the champion took.
    pub fn attach(&self, encoder: Arc<dyn SentenceEncoder>, runtime: tokio::runtime::Handle) {
        // Set once; another encoder comes with another start.
        let _ = self.ask.set(Ask { encoder, runtime });
    }

    /// The seats of the moment: take them once a request.
    pub fn seats(&self) -> Arc<Seats> {
        self.seats.load_full()
    }

    /// The champion of the moment, for work that is no customer's message.
    pub fn champion(&self) -> Arc<IntentModel> {
        Arc::clone(&self.seats.load().champion)
    }

    /// Seats a champion and, maybe, a challenger. `earlier` is gone on with where it is of the same pair.
    ///
    /// # Errors
    /// When no thread can be started for the challenger; the seats are as before then.
    pub fn seat(
        &self,
        champion: Arc<IntentModel>,
        challenger: Option<Arc<IntentModel>>,
        earlier: Option<ShadowReport>,
    ) -> std::io::Result<()> {
        let shadow =
            challenger.map(|challenger| Shadow::start(champion.version(), challenger, earlier, Arc::clone(&self.ask))).transpose()?;
        self.seats.store(Arc::new(Seats { champion, shadow }));
        Ok(())
    }
}

impl Seats {
    pub fn champion(&self) -> &IntentModel {
        &self.champion
    }

    pub fn shadow(&self) -> Option<&Shadow> {
        self.shadow.as_ref()
    }

    /// Lets the challenger judge a message that the champion has answered. Never waits.
    pub fn observe(&self, text: &str, lang: Lang, intent: &Intent) {
        if let Some(shadow) = &self.shadow {
            shadow.observe(text, lang, intent);
        }
    }
}
