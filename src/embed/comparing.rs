//! The branch that texts are compared by, on disk: a folder of `model.json`, `branch.gguf` and `README.md` (the card).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::artefact::{self, ArtefactError, CARD, Kind, META, Read};

const KIND: Kind = Kind { noun: "retrieval model", train: "fenzhen train retrieval training/retrieval.toml" };

/// What its `model.json` calls it.
pub const KIND_NAME: &str = "retrieval";

const BRANCH: &str = "branch.gguf";

/// The files that the program was built with.
const SHIPPED: [(&str, &[u8]); 2] =
    [(META, include_bytes!("../../models/retrieval/model.json")), (BRANCH, include_bytes!("../../models/retrieval/branch.gguf"))];

/// Everything about it but its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparingMeta {
    /// [`KIND_NAME`].
    pub kind: String,
    pub name: String,
    pub text_version: u32,
    /// The encoder on whose trunk it stands.
    pub encoder: String,
    /// sha256 of the files it was trained on.
    pub data_hash: String,
    /// The whole recipe, with what was set on the command line.
    pub recipe: serde_json::Value,
    /// By source, on groups that were held out.
    pub scores: BTreeMap<String, HitScores>,
}

/// How many texts find one that means the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct HitScores {
    pub n: usize,
    /// Share for which it is the nearest.
    pub at_1: f64,
    /// Share for which it is among the nearest three.
    pub at_3: f64,
}

impl HitScores {
    /// Counts a text whose first right hit stands at this place; the shares are sums until [`Self::mean`].
    pub fn add(&mut self, place: Option<usize>) {
        self.n += 1;
        self.at_1 += f64::from(u8::from(place == Some(0)));
        self.at_3 += f64::from(u8::from(place.is_some_and(|p| p < 3)));
    }

    /// The sums as shares.
    #[must_use]
    pub fn mean(self) -> Self {
        let n = self.n.max(1) as f64;
        HitScores { at_1: self.at_1 / n, at_3: self.at_3 / n, ..self }
    }
}

/// A trained branch for comparing texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparing {
    meta: ComparingMeta,
    branch: Arc<[u8]>,
}

impl Comparing {
    pub fn new(meta: ComparingMeta, branch: Arc<[u8]>) -> Self {
        Comparing { meta, branch }
    }

    /// With the branch that a share of its weights makes; its scores were those of the whole, and are left out.
    #[must_use]
    pub fn blended(&self, share: f64, branch: Vec<u8>) -> Self {
        let mut meta = self.meta.clone();
        meta.recipe["model"]["blend"] = share.into();
        meta.scores.clear();
        Comparing::new(meta, branch.into())
    }

    pub fn meta(&self) -> &ComparingMeta {
        &self.meta
    }

    /// A file for [`super::Branch::parse`].
    pub fn branch(&self) -> &Arc<[u8]> {
        &self.branch
    }

    /// Name and what it holds, for the stamps of indexes: vectors of another branch do not meet its own.
    pub fn version(&self) -> String {
        let digest = Sha256::digest(&self.branch);
        let mut version = format!("{}@", self.meta.name);
        digest.iter().take(6).for_each(|b| _ = write!(version, "{b:02x}"));
        version
    }

    /// The one that the program was built with.
    ///
    /// # Errors
    /// When the shipped files are broken or of another text version, which a test excludes.
    pub fn shipped() -> Result<Self, ArtefactError> {
        Self::parse(&artefact::built_in(&SHIPPED))
    }

    /// Reads an artefact's folder.
    ///
    /// # Errors
    /// Missing or broken files, another text version.
    pub fn load(dir: &Path) -> Result<Self, ArtefactError> {
        Self::parse(&artefact::folder(dir))
    }

    fn parse(files: Read<'_>) -> Result<Self, ArtefactError> {
        let meta: ComparingMeta = KIND.meta(files)?;
        if meta.kind != KIND_NAME {
            return Err(KIND.broken(META)(&format!("it is a {}", meta.kind)));
        }
        Ok(Comparing { meta, branch: KIND.needed(files, BRANCH)?.into_owned().into() })
    }

    /// Writes an artefact, whole or not at all.
    ///
    /// # Errors
    /// The disk's.
    pub fn save(&self, dir: &Path) -> Result<(), ArtefactError> {
        artefact::replace(dir, |fresh| {
            let json = serde_json::to_string_pretty(&self.meta).map_err(|e| KIND.broken(META)(&e))?;
            artefact::put(fresh, META, (json + "\n").as_bytes())?;
            artefact::put(fresh, BRANCH, &self.branch)?;
            artefact::put(fresh, CARD, self.card().as_bytes())
        })
    }

    fn card(&self) -> String {
        let ComparingMeta { name, encoder, text_version, data_hash, scores, .. } = &self.meta;
        let mut out = format!(
            "# {name}: the vectors that texts are compared by\n\nMade by `fenzhen train retrieval`; do not edit. The recipe stands in `model.json`.\n\n\
             - the top layers of {encoder}, tuned so that texts of one group are near one another and others that share their words are not\n\
             - text pipeline version {text_version}, data sha256 `{data_hash}`\n\n## Scores\n\n\
             On groups that were held out, each text among all held-out ones of its source; `pretrained` is the encoder as it was.\n\n\
             | source | texts | nearest is of its group | one of three is |\n|---|---|---|---|\n"
        );
        for (source, s) in scores {
            let _ = writeln!(out, "| {source} | {} | {:.1} % | {:.1} % |", s.n, 100.0 * s.at_1, 100.0 * s.at_3);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artefact_is_read_as_it_was_written_and_another_kind_is_refused() {
        let shipped = Comparing::shipped().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("retrieval");
        shipped.save(&place).unwrap();
        let read = Comparing::load(&place).unwrap();
        assert_eq!((&read, read.version()), (&shipped, shipped.version()));
        let other = shipped.blended(0.5, vec![1, 2, 3]);
        assert_ne!(other.version(), shipped.version());
        assert_eq!(other.meta().recipe["model"]["blend"], 0.5);
        let json = std::fs::read_to_string(place.join(META)).unwrap().replace("\"kind\": \"retrieval\"", "\"kind\": \"tagger\"");
        std::fs::write(place.join(META), json).unwrap();
        assert!(Comparing::load(&place).unwrap_err().to_string().contains("it is a tagger"));
        std::fs::remove_file(place.join(BRANCH)).unwrap();
        assert!(Comparing::load(&place).is_err());
    }

    #[test]
    fn hits_are_counted_by_their_place() {
        let mut hits = HitScores::default();
        [Some(0), Some(2), Some(3), None].into_iter().for_each(|place| hits.add(place));
        assert_eq!(hits.mean(), HitScores { n: 4, at_1: 0.25, at_3: 0.5 });
    }
}
