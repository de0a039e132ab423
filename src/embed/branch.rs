//! Top layers of a task, in the place of the pretrained ones.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, Write};
use std::path::Path;

use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use candle_core::{Device, Result, Tensor};

use super::layer::{Dimensions, Layer, States};
use super::{Arithmetic, EncodeError};

/// The layers above the trunk, tuned for one task: states of the trunk in, a vector of length 1 for each text out.
///
/// Its file is a GGUF with llama.cpp's names for these layers only, matrices in Q8_0: 5.7 MB for the three layers of e5-small.
pub struct Branch {
    layers: Vec<Layer>,
    dimensions: Dimensions,
}

impl std::fmt::Debug for Branch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Branch({} layers)", self.layers.len())
    }
}

/// Key of the first layer's number.
const FROM: &str = "fenzhen.branch.from";

impl Branch {
    /// Reads a branch's file.
    ///
    /// # Errors
    /// When it is cut off or of another shape.
    pub fn parse(file: &[u8], arithmetic: Arithmetic) -> std::result::Result<Self, EncodeError> {
        Ok(Self::read(&mut Cursor::new(file), arithmetic)?)
    }

    fn read<R: Read + Seek>(file: &mut R, arithmetic: Arithmetic) -> Result<Self> {
        let content = gguf_file::Content::read(file)?;
        let dimensions = Dimensions::read(&content)?;
        let from = match content.metadata.get(FROM) {
            Some(value) => value.to_u32()? as usize,
            None => candle_core::bail!("the branch's file has no {FROM}"),
        };
        if from != dimensions.trunk_layers() {
            candle_core::bail!("the branch starts at layer {from}, the trunk ends at {}", dimensions.trunk_layers());
        }
        let layers = (from..dimensions.layers).map(|i| Layer::read(&content, file, i, dimensions, arithmetic)).collect::<Result<_>>()?;
        Ok(Branch { layers, dimensions })
    }

    /// The tensors of a branch's file, in f32, sorted by name.
    pub(super) fn tensors(file: &[u8]) -> Result<(Dimensions, Vec<(String, Tensor)>)> {
        let mut file = Cursor::new(file);
        let content = gguf_file::Content::read(&mut file)?;
        let mut names: Vec<&String> = content.tensor_infos.keys().collect();
        names.sort();
        let plain = |name: &String| Ok((name.clone(), content.tensor(&mut file, name, &Device::Cpu)?.dequantize(&Device::Cpu)?));
        Ok((Dimensions::read(&content)?, names.into_iter().map(plain).collect::<Result<_>>()?))
    }

    /// Writes tensors under llama.cpp's names as a branch's file.
    pub(super) fn write(dimensions: Dimensions, tensors: &[(String, Tensor)], out: &mut (impl Write + Seek)) -> Result<()> {
        let quantised = |(name, tensor): &(String, Tensor)| {
            let dtype = if tensor.rank() == 2 { GgmlDType::Q8_0 } else { GgmlDType::F32 };
            Ok((name.clone(), QTensor::quantize(tensor, dtype)?))
        };
        let tensors: Vec<(String, QTensor)> = tensors.iter().map(quantised).collect::<Result<_>>()?;
        let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(n, t)| (n.as_str(), t)).collect();
        let u32_of = |n: usize| gguf_file::Value::U32(n as u32);
        let metadata = [
            ("general.architecture", &gguf_file::Value::String("bert".into())),
            ("bert.embedding_length", &u32_of(dimensions.hidden)),
            ("bert.block_count", &u32_of(dimensions.layers)),
            ("bert.attention.head_count", &u32_of(dimensions.heads)),
            ("bert.attention.layer_norm_epsilon", &gguf_file::Value::F32(dimensions.eps)),
            (FROM, &u32_of(dimensions.trunk_layers())),
        ];
        gguf_file::write(out, &metadata, &tensors)
    }

    /// The file of a branch between the pretrained layers of `weights` (GGUF) and those of `file`, of which it has `share`: what was
    /// learned for one task, and less of what was forgotten over it (Wortsman et al. 2022, arXiv:2109.01903).
    ///
    /// # Errors
    /// Files that cannot be read or are of different shapes.
    pub fn blend(file: &[u8], weights: &Path, share: f64) -> std::result::Result<Vec<u8>, EncodeError> {
        let (dimensions, mut tensors) = Self::tensors(file)?;
        let mut pretrained = BufReader::new(File::open(weights).map_err(candle_core::Error::from)?);
        let content = gguf_file::Content::read(&mut pretrained)?;
        for (name, tensor) in &mut tensors {
            let before = content.tensor(&mut pretrained, name, &Device::Cpu)?.dequantize(&Device::Cpu)?;
            *tensor = ((&*tensor * share)? + (before * (1.0 - share))?)?;
        }
        let mut out = Cursor::new(Vec::new());
        Self::write(dimensions, &tensors, &mut out)?;
        Ok(out.into_inner())
    }

    /// Numbers in a vector.
    pub fn dimension(&self) -> usize {
        self.dimensions.hidden
    }

    /// The states of the tokens of texts whose states the trunk has made, row after row, [`Self::dimension`] numbers a token.
    ///
    /// # Errors
    /// When candle fails, or the states are of another width.
    pub fn token_states(&self, states: &States) -> std::result::Result<Vec<Vec<f32>>, EncodeError> {
        let States { rows, lengths } = states.through(&self.layers)?;
        let rows = rows.flatten_all()?.to_vec1::<f32>()?;
        let mut rest = rows.as_slice();
        let cut = |n: &usize| {
            let (text, later) = rest.split_at(n * self.dimensions.hidden);
            rest = later;
            text.to_vec()
        };
        Ok(lengths.iter().map(cut).collect())
    }

    /// What its layers make of states that the trunk has made.
    pub(super) fn through(&self, states: &States) -> Result<States> {
        states.through(&self.layers)
    }

    /// As [`Encoded::aligned`](super::Encoded::aligned), of texts whose states the trunk has made.
    ///
    /// # Errors
    /// When candle fails, or the states are of another width.
    pub fn words(&self, states: &States) -> std::result::Result<Vec<Vec<f32>>, EncodeError> {
        Ok(self.through(states)?.words()?)
    }

    /// Vectors of texts whose states the trunk has made, each of length 1.
    ///
    /// # Errors
    /// When candle fails, or the states are of another width.
    pub fn pooled(&self, states: &States) -> std::result::Result<Vec<Vec<f32>>, EncodeError> {
        Ok(self.through(states)?.pooled()?)
    }
}
