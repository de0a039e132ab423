//! Moving aliases: tried first, then moved in one step.

use super::aliases::{Aliases, CHAMPION, Move, check_alias};
use super::error::RegistryError;
use super::{Check, Registry};
use crate::domain::{Moved, Version};
use crate::models::timestamp;

impl Registry {
    /// Makes a version the champion: it is whole and `check` takes it, or nothing moves. `shipped` takes the champion back to the
    /// program's own model.
    ///
    /// # Errors
    /// [`RegistryError::Damaged`], [`RegistryError::Refused`], and as [`Self::version_of`].
    pub fn promote(&self, name: &str, what: &str, check: Check<'_>) -> Result<Moved, RegistryError> {
        self.alias(name, CHAMPION, Some(what), check)
    }

    /// Moves an alias, or takes it away where `what` is `None`.
    ///
    /// # Errors
    /// As [`Self::promote`]; [`RegistryError::BadAlias`]; [`RegistryError::UnknownAlias`] where there is nothing to take away.
    pub fn alias(&self, name: &str, alias: &str, what: Option<&str>, check: Check<'_>) -> Result<Moved, RegistryError> {
        check_alias(alias)?;
        let version = what.map(|what| self.version_of(name, what)).transpose()?;
        // Before the lock is taken: a version never changes, so that what was found stays true.
        if let Some(version) = version {
            self.usable(name, version, check)?;
        }
        let _lock = self.lock(name)?;
        let mut aliases = self.aliases(name)?;
        match version {
            // It may have been removed meanwhile.
            Some(version) => self.version_of(name, &version.to_string()).map(|_| ())?,
            None if !aliases.aliases.contains_key(alias) => {
                return Err(RegistryError::UnknownAlias { name: name.to_owned(), alias: alias.to_owned() });
            }
            None => {}
        }
        self.step(name, &mut aliases, alias, version, false)
    }

    /// Makes the champion before this one the champion again.
    ///
    /// # Errors
    /// [`RegistryError::NothingBefore`]; as [`Self::promote`] where the one before cannot be used.
    pub fn rollback(&self, name: &str, check: Check<'_>) -> Result<Moved, RegistryError> {
        let numbers = self.known(name)?;
        let there = |version: &Version| match version {
            Version::Shipped => self.shipped(name).is_some(),
            Version::Number(n) => numbers.contains(n),
        };
        let before = |aliases: &Aliases| aliases.champions().into_iter().rev().skip(1).find(there);
        let version = before(&self.aliases(name)?).ok_or_else(|| RegistryError::NothingBefore(name.to_owned()))?;
        self.usable(name, version, check)?;
        let _lock = self.lock(name)?;
        let mut aliases = self.aliases(name)?;
        if before(&aliases) != Some(version) {
            let why = "the champion was moved by someone else at the same moment; look at it and try again".into();
            return Err(RegistryError::Refused { name: name.to_owned(), version, why });
        }
        self.step(name, &mut aliases, CHAMPION, Some(version), true)
    }

    /// What keeps a version from being used.
    fn usable(&self, name: &str, version: Version, check: Check<'_>) -> Result<(), RegistryError> {
        let Version::Number(number) = version else { return Ok(()) };
        self.verify(name, number)?;
        match self.resolve(name, &number.to_string())? {
            Some(artefact) => check(&artefact).map_err(|why| RegistryError::Refused { name: name.to_owned(), version, why }),
            None => Ok(()),
        }
    }

    /// Moves an alias in the file; the lock is held.
    fn step(
        &self,
        name: &str,
        aliases: &mut Aliases,
        alias: &str,
        version: Option<Version>,
        rollback: bool,
    ) -> Result<Moved, RegistryError> {
        let shipped = (alias == CHAMPION && self.shipped(name).is_some()).then_some(Version::Shipped);
        let before = aliases.set(Move { alias: alias.to_owned(), version, at: timestamp(), rollback });
        aliases.write(&self.aliases_file(name))?;
        Ok(Moved { name: name.to_owned(), alias: alias.to_owned(), before: before.or(shipped), now: version.or(shipped) })
    }
}
