//! Which version is meant by a word, and how that came about.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::files::write_json;
use super::error::{RegistryError, io_error};
use crate::domain::Version;

/// The version that is served.
pub const CHAMPION: &str = "champion";

/// The version that is asked silently beside the champion.
pub const CHALLENGER: &str = "challenger";

/// Moves that are remembered; a rollback past them leads to the shipped model.
const REMEMBERED: usize = 500;

/// `aliases.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aliases {
    /// The highest number ever given, so that none is given twice even where the newest version was removed.
    #[serde(default)]
    pub(super) last: u32,
    /// A champion that is not named is the shipped model.
    #[serde(default)]
    pub aliases: BTreeMap<String, Version>,
    /// Oldest first.
    #[serde(default)]
    pub history: Vec<Move>,
}

/// An alias was moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    pub alias: String,
    /// `None`: it was taken away.
    pub version: Option<Version>,
    /// RFC 3339 UTC.
    pub at: String,
    /// A step back, which is no step to go back to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rollback: bool,
}

impl Aliases {
    /// # Errors
    /// [`RegistryError::Broken`], the disk's. A file that is not there holds nothing.
    pub(super) fn read(path: &Path) -> Result<Self, RegistryError> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| RegistryError::Broken { path: path.to_owned(), why: e.to_string() }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(io_error(path)(e)),
        }
    }

    /// # Errors
    /// The disk's; the file is then as it was.
    pub(super) fn write(&self, path: &Path) -> Result<(), RegistryError> {
        write_json(path, self).map_err(io_error(path))
    }

    /// The version that is served.
    pub fn champion(&self) -> Version {
        self.aliases.get(CHAMPION).copied().unwrap_or(Version::Shipped)
    }

    /// The version that is asked beside it, if any; one that has become the champion has nobody to challenge.
    pub fn challenger(&self) -> Option<Version> {
        self.aliases.get(CHALLENGER).copied().filter(|v| *v != self.champion())
    }

    /// Champions on the way to today's, which is the last: what was rolled back is not among them.
    pub(super) fn champions(&self) -> Vec<Version> {
        let mut way = vec![Version::Shipped];
        for step in self.history.iter().filter(|s| s.alias == CHAMPION) {
            let version = step.version.unwrap_or(Version::Shipped);
            if step.rollback {
                match way.iter().rposition(|v| *v == version) {
                    Some(at) => way.truncate(at + 1),
                    None => way = vec![version],
                }
            } else if way.last() != Some(&version) {
                way.push(version);
            }
        }
        way
    }

    /// Moves an alias, or takes it away. Answers where it was.
    pub(super) fn set(&mut self, step: Move) -> Option<Version> {
        let before = match step.version {
            // A champion that is not named is the shipped one: there is one way to say it.
            Some(version) if !(step.alias == CHAMPION && version == Version::Shipped) => self.aliases.insert(step.alias.clone(), version),
            _ => self.aliases.remove(&step.alias),
        };
        self.history.push(step);
        let over = self.history.len().saturating_sub(REMEMBERED);
        self.history.drain(..over);
        before
    }
}

/// An alias must not read as a version.
pub(super) fn check_alias(alias: &str) -> Result<(), RegistryError> {
    let good = super::is_word(alias, 32) && alias.parse::<Version>().is_err();
    if good { Ok(()) } else { Err(RegistryError::BadAlias(alias.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(aliases: &mut Aliases, version: Version, rollback: bool) {
        aliases.set(Move { alias: CHAMPION.into(), version: Some(version), at: String::new(), rollback });
    }

    #[test]
    fn the_way_to_todays_champion_leaves_out_what_was_rolled_back() {
        let n = Version::Number;
        let mut aliases = Aliases::default();
        assert_eq!((aliases.champion(), aliases.champions()), (Version::Shipped, vec![Version::Shipped]));
        for (version, rollback, way) in [
            (n(1), false, vec![Version::Shipped, n(1)]),
            (n(2), false, vec![Version::Shipped, n(1), n(2)]),
            (n(2), false, vec![Version::Shipped, n(1), n(2)]),
            (n(1), false, vec![Version::Shipped, n(1), n(2), n(1)]),
            (n(2), true, vec![Version::Shipped, n(1), n(2)]),
            (n(1), true, vec![Version::Shipped, n(1)]),
            (n(3), false, vec![Version::Shipped, n(1), n(3)]),
            (Version::Shipped, true, vec![Version::Shipped]),
        ] {
            moved(&mut aliases, version, rollback);
            assert_eq!((aliases.champion(), aliases.champions()), (version, way));
        }
        assert!(!aliases.aliases.contains_key(CHAMPION), "the shipped one is said in one way");
    }

    #[test]
    fn the_history_is_bounded_and_the_newest_moves_stay() {
        let mut aliases = Aliases::default();
        for n in 1..=REMEMBERED as u32 + 20 {
            moved(&mut aliases, Version::Number(n), false);
        }
        assert_eq!(aliases.history.len(), REMEMBERED);
        assert_eq!(aliases.champions().last(), Some(&Version::Number(REMEMBERED as u32 + 20)));
    }

    #[test]
    fn a_challenger_that_was_promoted_challenges_nobody_until_it_is_rolled_back() {
        let mut aliases = Aliases::default();
        aliases.set(Move { alias: CHALLENGER.into(), version: Some(Version::Number(1)), at: String::new(), rollback: false });
        assert_eq!(aliases.challenger(), Some(Version::Number(1)));
        moved(&mut aliases, Version::Number(1), false);
        assert_eq!(aliases.challenger(), None);
        moved(&mut aliases, Version::Shipped, true);
        assert_eq!(aliases.challenger(), Some(Version::Number(1)));
    }
}
