//! The branch as variables: what is trained, and how a batch runs through it.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use candle_core::quantized::gguf_file;
use candle_core::{Device, Result, Tensor, Var};

use super::super::layer::Dimensions;
use super::ops::{AddBias, Gelu, LayerNorm, MaskedSoftmax};
use super::{Batch, Cached, Head, Noise};

/// Named variables, in a fixed order: the layers' under llama.cpp's names, then the head's.
pub(super) struct Network {
    pub dimensions: Dimensions,
    pub variables: Vec<(String, Var)>,
    /// How many of them are the layers'.
    layers: usize,
}

/// Texts of one forward pass, padded to the longest.
pub(super) struct Padded {
    /// `[texts, n, hidden]`
    states: Tensor,
    lengths: Vec<usize>,
}

impl Padded {
    pub(super) fn of(set: &Cached, texts: &[usize]) -> Result<Self> {
        let lengths: Vec<usize> = texts.iter().map(|&t| set.length(t)).collect();
        let n = lengths.iter().copied().max().unwrap_or(0);
        let mut values = vec![0.0f32; texts.len() * n * set.hidden];
        for (&text, row) in texts.iter().zip(values.chunks_exact_mut((n * set.hidden).max(1))) {
            for (to, from) in row.iter_mut().zip(set.states(text)) {
                *to = from.to_f32();
            }
        }
        Ok(Padded { states: Tensor::from_vec(values, (texts.len(), n, set.hidden), &Device::Cpu)?, lengths })
    }
}

/// Tensors of a layer, in the order in which they are read and run.
const LAYER: [&str; 16] = [
    "attn_q.weight",
    "attn_q.bias",
    "attn_k.weight",
    "attn_k.bias",
    "attn_v.weight",
    "attn_v.bias",
    "attn_output.weight",
    "attn_output.bias",
    "attn_output_norm.weight",
    "attn_output_norm.bias",
    "ffn_up.weight",
    "ffn_up.bias",
    "ffn_down.weight",
    "ffn_down.bias",
    "layer_output_norm.weight",
    "layer_output_norm.bias",
];

impl Network {
    /// The pretrained layers above the trunk, or none; and a head.
    pub(super) fn new(weights: Option<&Path>, head: &dyn Head) -> Result<Self> {
        let (dimensions, mut variables) = match weights {
            Some(weights) => pretrained(weights)?,
            None => (Dimensions { hidden: 0, heads: 1, layers: 0, eps: 0.0 }, Vec::new()),
        };
        let layers = variables.len();
        for (name, value) in head.variables(dimensions.hidden)? {
            variables.push((name, Var::from_tensor(&value)?));
        }
        Ok(Network { dimensions, variables, layers })
    }

    /// The head's variables.
    pub(super) fn head(&self) -> &[(String, Var)] {
        &self.variables[self.layers..]
    }

    /// Runs texts through the layers. `noise` drops numbers and tokens, while training.
    pub(super) fn forward<'a>(&'a self, batch: Padded, rows: &'a [usize], mut noise: Option<&mut Noise>) -> Result<Batch<'a>> {
        let (texts, n, hidden) = batch.states.dims3()?;
        let mut states = batch.states.reshape((texts * n, hidden))?;
        let (layers, _) = self.variables[..self.layers].as_chunks::<{ LAYER.len() }>();
        if let Some(noise) = noise.as_deref_mut().filter(|_| !layers.is_empty()) {
            states = noise.tokens(&states)?;
        }
        for layer in layers {
            states = self.layer(layer, &states, &batch, n, noise.as_deref_mut())?;
        }
        Ok(Batch { states, n, lengths: batch.lengths, rows, variables: self.head() })
    }

    fn layer(
        &self,
        variables: &[(String, Var); LAYER.len()],
        x: &Tensor,
        batch: &Padded,
        n: usize,
        mut noise: Option<&mut Noise>,
    ) -> Result<Tensor> {
        let [qw, qb, kw, kb, vw, vb, ow, ob, nw, nb, uw, ub, dw, db, lw, lb] = variables.each_ref().map(|v| &v.1);
        let Dimensions { hidden, heads, eps, .. } = self.dimensions;
        let (texts, width) = (batch.lengths.len(), hidden / heads);
        let split = |t: Tensor| t.reshape((texts, n, heads, width))?.transpose(1, 2)?.contiguous();
        let (q, k, v) = (split(affine(x, qw, qb)?)?, split(affine(x, kw, kb)?)?, split(affine(x, vw, vb)?)?);
        let softmax = MaskedSoftmax { lengths: batch.lengths.clone(), scale: 1.0 / (width as f32).sqrt() };
        let mixed = q.matmul(&k.t()?)?.apply_op1(softmax)?.matmul(&v)?;
        let mixed = mixed.transpose(1, 2)?.contiguous()?.reshape((texts * n, hidden))?;
        let mut dropped = |t: Tensor| match &mut noise {
            Some(noise) => noise.drop(&t),
            None => Ok(t),
        };
        let attended = dropped(affine(&mixed, ow, ob)?)?;
        let x = (x + attended)?.apply_op3(nw, nb, LayerNorm { eps })?;
        let inner = affine(&x, uw, ub)?.apply_op1(Gelu)?;
        let fed = dropped(affine(&inner, dw, db)?)?;
        (x + fed)?.apply_op3(lw, lb, LayerNorm { eps })
    }
}

/// Names and values of the pretrained layers above the trunk.
fn pretrained(weights: &Path) -> Result<(Dimensions, Vec<(String, Var)>)> {
    let mut file = BufReader::new(File::open(weights)?);
    let content = gguf_file::Content::read(&mut file)?;
    let dimensions = Dimensions::read(&content)?;
    let mut variables = Vec::new();
    for layer in dimensions.trunk_layers()..dimensions.layers {
        for part in LAYER {
            let name = format!("blk.{layer}.{part}");
            let tensor = content.tensor(&mut file, &name, &Device::Cpu)?.dequantize(&Device::Cpu)?;
            variables.push((name, Var::from_tensor(&tensor)?));
        }
    }
    Ok((dimensions, variables))
}

/// `x Wᵀ + b`
pub(super) fn affine(x: &Tensor, weight: &Var, bias: &Var) -> Result<Tensor> {
    x.matmul(&weight.t()?)?.apply_op2(bias, AddBias)
}
