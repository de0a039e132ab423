//! The tagger on disk: a folder of `model.json`, `vocabulary.txt`, `weights.safetensors`, `README.md` (the card) and, where the encoder
//! has a share, `branch.gguf`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::TaggerModel;
use super::crf::Crf;
use super::features::Vocabulary;
use super::network::{Layer, Network, Norm};
use super::scores::SpanScores;
use super::tags;
use crate::artefact::{self, ArtefactError, CARD, Kind, META, Numbers, Read, WEIGHTS};

const KIND: Kind = Kind { noun: "tagger", train: "fenzhen train ner training/ner.toml" };

/// What the registry calls such a model.
pub const TAGGER: &str = "tagger";

/// Name of the shipped artefact; its folder is `models/ner`.
pub const SHIPPED_NAME: &str = "ner";
/// Its `model.json`.
pub const SHIPPED_META: &[u8] = include_bytes!("../../../models/ner/model.json");
/// Its card.
pub const SHIPPED_CARD: &str = include_str!("../../../models/ner/README.md");

const VOCABULARY: &str = "vocabulary.txt";
const BRANCH: &str = "branch.gguf";

/// The files that the program was built with.
const SHIPPED: [(&str, &[u8]); 4] = [
    (META, SHIPPED_META),
    (VOCABULARY, include_bytes!("../../../models/ner/vocabulary.txt")),
    (WEIGHTS, include_bytes!("../../../models/ner/weights.safetensors")),
    (BRANCH, include_bytes!("../../../models/ner/branch.gguf")),
];

/// Everything about a tagger but its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// [`TAGGER`].
    pub kind: String,
    pub name: String,
    /// [`crate::text::TEXT_VERSION`] that made it; another is refused.
    pub text_version: u32,
    /// The types of its spans, in the order of its tags.
    pub types: Vec<String>,
    /// Layers that look at neighbours.
    pub layers: usize,
    /// Whether it reads the encoder's states.
    pub encoder: bool,
    /// Whether it reads what is near a name of the catalogue.
    pub near: bool,
    /// All scores are divided by it: fitted on validation, so that a span's probability is true.
    pub temperature: f32,
    /// sha256 of the training and validation files.
    pub data_hash: String,
    /// The whole recipe, with what was set on the command line.
    pub recipe: serde_json::Value,
    /// Set (`test.zh`) to scores.
    pub scores: BTreeMap<String, SpanScores>,
}

impl TaggerModel {
    /// The tagger that the program was built with.
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
        let meta: Meta = KIND.meta(files)?;
        let usable = meta.kind == TAGGER && !meta.types.is_empty() && meta.temperature.is_finite() && meta.temperature > 0.0;
        if !usable {
            return Err(KIND.broken(META)(&"kind, types or temperature are none of a tagger"));
        }
        let vocabulary = Vocabulary::new(KIND.lines(files, VOCABULARY)?);
        let branch: Option<Arc<[u8]>> = if meta.encoder { Some(KIND.needed(files, BRANCH)?.into_owned().into()) } else { None };
        let numbers = Numbers::read(KIND, files)?;
        let width_of = |name: &str| numbers.width(name).ok_or_else(|| KIND.broken(WEIGHTS)(&format!("no {name}")));
        let (width, tags) = (width_of("rows")?, tags::count(meta.types.len()));
        let matrix = |name: &str, rows: usize, columns: usize| {
            let values = numbers.get(name, rows * columns)?;
            Array2::from_shape_vec((rows, columns), values).map_err(|e| KIND.broken(WEIGHTS)(&e))
        };
        // Kept as `[out, in]`, as everybody does; multiplied from the left.
        let turned = |name: &str, out: usize, inner: usize| Ok(matrix(name, out, inner)?.reversed_axes().as_standard_layout().into_owned());
        let norm = |name: &str| {
            Ok::<_, ArtefactError>(Norm {
                weight: numbers.get(&format!("{name}.norm.weight"), width)?,
                bias: numbers.get(&format!("{name}.norm.bias"), width)?,
            })
        };
        let layer = |number: usize| {
            let name = format!("layer.{number}");
            Ok::<_, ArtefactError>(Layer {
                weight: turned(&format!("{name}.weight"), width, 3 * width)?,
                bias: numbers.get(&format!("{name}.bias"), width)?,
                norm: norm(&name)?,
            })
        };
        let network = Network {
            rows: matrix("rows", vocabulary.rows(), width)?,
            project: if meta.encoder { Some(turned("project", width, width_of("project")?)?) } else { None },
            norm: norm("rows")?,
            layers: (0..meta.layers).map(layer).collect::<Result<_, _>>()?,
            out: turned("out.weight", tags, width)?,
            out_bias: numbers.get("out.bias", tags)?,
        };
        let crf = Crf { tags, ends: numbers.get("ends", 2 * tags)?, between: numbers.get("between", tags * tags)? };
        Ok(TaggerModel::new(meta, vocabulary, network, crf, branch))
    }

    /// Writes an artefact, whole or not at all.
    ///
    /// # Errors
    /// The disk's.
    pub fn save(&self, dir: &Path, card: &str) -> Result<(), ArtefactError> {
        artefact::replace(dir, |fresh| {
            let json = serde_json::to_string_pretty(&self.meta).map_err(|e| KIND.broken(META)(&e))?;
            artefact::put(fresh, META, (json + "\n").as_bytes())?;
            artefact::put(fresh, VOCABULARY, (self.vocabulary.terms().join("\n") + "\n").as_bytes())?;
            artefact::put(fresh, CARD, card.as_bytes())?;
            if let Some(branch) = &self.branch {
                artefact::put(fresh, BRANCH, branch)?;
            }
            let bytes = self.tensors().and_then(|tensors| artefact::safetensors(&tensors));
            artefact::put(fresh, WEIGHTS, &bytes.map_err(|e| KIND.broken(WEIGHTS)(&e))?)
        })
    }

    fn tensors(&self) -> candle_core::Result<HashMap<String, Tensor>> {
        let mut tensors = HashMap::new();
        let network = &self.network;
        let half = |m: &Array2<f32>| {
            let values: Vec<f32> = m.iter().copied().collect();
            Tensor::from_vec(values, m.dim(), &Device::Cpu)?.to_dtype(DType::F16)
        };
        let turned = |m: &Array2<f32>| half(&m.t().to_owned());
        let plain = |v: &[f32]| Tensor::from_slice(v, v.len(), &Device::Cpu);
        let mut norm = |name: &str, norm: &Norm| {
            tensors.insert(format!("{name}.norm.weight"), plain(&norm.weight)?);
            tensors.insert(format!("{name}.norm.bias"), plain(&norm.bias)?);
            candle_core::Result::Ok(())
        };
        norm("rows", &network.norm)?;
        for (number, layer) in network.layers.iter().enumerate() {
            norm(&format!("layer.{number}"), &layer.norm)?;
        }
        for (number, layer) in network.layers.iter().enumerate() {
            tensors.insert(format!("layer.{number}.weight"), turned(&layer.weight)?);
            tensors.insert(format!("layer.{number}.bias"), plain(&layer.bias)?);
        }
        tensors.insert("rows".into(), half(&network.rows)?);
        if let Some(project) = &network.project {
            tensors.insert("project".into(), turned(project)?);
        }
        tensors.insert("out.weight".into(), turned(&network.out)?);
        tensors.insert("out.bias".into(), plain(&network.out_bias)?);
        tensors.insert("ends".into(), plain(&self.crf.ends)?);
        tensors.insert("between".into(), Tensor::from_slice(&self.crf.between, (self.crf.tags, self.crf.tags), &Device::Cpu)?);
        Ok(tensors)
    }
}
