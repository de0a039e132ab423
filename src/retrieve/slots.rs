//! An index on a server: an alias over two names that take turns.
//!
//! The service works on the alias. The names carry the digest of the stamp, so that an index of another encoder is seen before anything is
//! compared with it. A rebuild fills the name that does not serve and moves the alias in one step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::remote::Remote;
use super::{IndexStamp, Rebuild, RetrieveError, TicketIndex};

/// The names of one index.
pub(super) struct Slots {
    stamp: IndexStamp,
    pub alias: String,
    /// What requests name: the alias, or the slot that is being filled.
    pub target: String,
    /// Beginning of the names of this stamp's slots.
    stem: String,
    names: [String; 2],
    /// What the alias stands for is known to be right.
    looked_at: AtomicBool,
}

impl Slots {
    /// Of the index of a kind (`tickets`, `articles`); `between` stands between the parts of a name.
    pub fn new(prefix: &str, kind: &str, stamp: &IndexStamp, between: char) -> Self {
        let alias = format!("{prefix}{between}{kind}");
        let stem = format!("{alias}{between}{}", stamp.digest());
        let names = ["a", "b"].map(|slot| format!("{stem}{between}{slot}"));
        Slots { stamp: stamp.clone(), target: alias.clone(), alias, stem, names, looked_at: AtomicBool::new(true) }
    }

    /// Length of the vectors.
    pub fn dim(&self) -> usize {
        self.stamp.dim
    }

    /// The same names for requests about one slot.
    fn on(&self, slot: &str) -> Self {
        Slots {
            stamp: self.stamp.clone(),
            alias: self.alias.clone(),
            target: slot.to_owned(),
            stem: self.stem.clone(),
            names: self.names.clone(),
            looked_at: AtomicBool::new(true),
        }
    }
}

/// What a server does with its slots; what follows from it is the same for all.
pub(super) trait Slotted: TicketIndex + Sized + 'static {
    fn slots(&self) -> &Slots;

    fn remote(&self) -> &Remote;

    /// Another handle on the server, for other requests.
    fn over(&self, slots: Slots) -> Self;

    /// What the alias stands for.
    fn aliased(&self) -> Result<Option<String>, RetrieveError>;

    /// Makes a slot, unless an interrupted call has made it.
    fn create(&self, slot: &str) -> Result<(), RetrieveError>;

    /// Lets the alias stand for a slot instead of the old one, in one step.
    fn switch(&self, slot: &str, old: Option<&str>) -> Result<(), RetrieveError>;

    /// Deletes what the alias stood for.
    fn discard(&self, old: &str) -> Result<(), RetrieveError>;

    /// The index with what the alias stands for looked at. A server that does not answer is asked again at each call.
    fn looked_at(self) -> Result<Self, RetrieveError> {
        self.slots().looked_at.store(false, Ordering::Release);
        match self.ready() {
            Err(e) if self.remote().is_silent() => tracing::warn!("{e}"),
            other => other?,
        }
        Ok(self)
    }

    /// Looks once at what the alias stands for, and makes it where it stands for nothing.
    fn ready(&self) -> Result<(), RetrieveError> {
        let slots = self.slots();
        if slots.looked_at.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.aliased()? {
            Some(found) if found.starts_with(&slots.stem) => {}
            Some(found) => return Err(slots.stamp.unlike(&format!("{found} at {}", self.remote().place()))),
            None => {
                self.create(&slots.names[0])?;
                self.switch(&slots.names[0], None)?;
            }
        }
        slots.looked_at.store(true, Ordering::Release);
        Ok(())
    }

    /// Begins a rebuild in the slot that does not serve; what an interrupted one left there is gone on with.
    fn rebuild(self: Arc<Self>) -> Result<Rebuild, RetrieveError> {
        let (old, names) = (self.aliased()?, &self.slots().names);
        let next = names.iter().find(|slot| Some(*slot) != old.as_ref()).unwrap_or(&names[0]).clone();
        self.create(&next)?;
        let index = Arc::new(self.over(self.slots().on(&next)));
        let finish = move || {
            self.switch(&next, old.as_deref())?;
            old.map_or(Ok(()), |old| self.discard(&old))
        };
        Ok(Rebuild { index, finish: Box::new(finish) })
    }
}
