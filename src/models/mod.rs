//! Models on disk: pretrained ones that are fetched, and trained ones with versions and aliases ([`registry`]).
//!
//! Pretrained: what there is (`manifest.toml`), how it is fetched and verified, and where it lies.
//! `pull` tries a file's sources in order, takes only bytes whose sha256 is right, converts them once to a standard format
//! (GGUF, `tokenizer.json`) and writes `installed.json` last, so that a half-finished pull is never taken for a model. Everything
//! else only reads. Nothing downloaded is ever executed.

mod convert;
mod download;
mod files;
mod manifest;
pub mod registry;
mod store;

pub use convert::{CONVERTER_VERSION, ENCODER_FILE, TOKENIZER_FILE};
pub use download::Progress;
pub use manifest::{Manifest, ModelEntry, ModelFile, Place, Source};
pub use registry::{Artefact, Registry, RegistryError};
pub use store::{Installed, ModelStore, State};

/// What can go wrong with a model; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("model {0:?} is not in the manifest")]
    Unknown(String),
    #[error("model {id} is not installed in {dir}")]
    Missing { id: String, dir: std::path::PathBuf },
    #[error("{file} of model {id} does not have the hash that it was installed with: it was changed or damaged")]
    Damaged { id: String, file: String },
    #[error("model {id} was converted by version {found} of the converter, this program needs {wanted}")]
    OtherConverter { id: String, found: u32, wanted: u32 },
    #[error("no source of {file} answered:\n{}", .tried.join("\n"))]
    NoSource { file: String, tried: Vec<String> },
    #[error("{what}: sha256 is {found}, the manifest says {wanted}")]
    WrongHash { what: String, found: String, wanted: String },
    #[error("cannot convert {what}: {why}")]
    Convert { what: String, why: String },
    #[error("{path}: {source}")]
    Io {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the model manifest is broken: {0}")]
    Manifest(#[from] toml::de::Error),
}

impl ModelError {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            ModelError::Unknown(_) => "run `fenzhen models list` to see the names",
            ModelError::Missing { .. } | ModelError::OtherConverter { .. } => "run `fenzhen models pull`",
            ModelError::Damaged { .. } => "run `fenzhen models pull`: it fetches again what does not verify",
            ModelError::NoSource { .. } => {
                "check the network, a proxy (HTTPS_PROXY) or pip's index; on a machine without network copy another machine's cache folder and set FENZHEN_CACHE"
            }
            ModelError::WrongHash { .. } => "the source served another file; nothing was installed. Try again, or another network",
            ModelError::Convert { .. } | ModelError::Manifest(_) => "this is a fault of the program or its manifest; please report it",
            ModelError::Io { .. } => "check that the cache folder is writable and has 1 GB free; FENZHEN_CACHE names another",
        }
    }
}

pub(crate) fn io_error(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> ModelError + '_ {
    move |source| ModelError::Io { path: path.to_owned(), source }
}

/// Now, in RFC 3339 UTC, to the second.
pub fn timestamp() -> String {
    let now = time::OffsetDateTime::now_utc().replace_nanosecond(0).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
