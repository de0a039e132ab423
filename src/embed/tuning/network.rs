//! The branch as variables: what is trained, and how a batch runs through it.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use candle_core::quantized::gguf_file;
use candle_core::{Device, Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

use super::super::layer::Dimensions;
use super::Cached;
use super::ops::{AddBias, Dropout, Gelu, LayerNorm, MaskedSoftmax, Pool};

/// Named variables, in a fixed order: the layers' under llama.cpp's names, then `head.weight` `[labels, hidden]` and `head.bias`.
pub(super) struct Network {
    pub dimensions: Dimensions,
    pub variables: Vec<(String, Var)>,
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
        for (&text, row) in texts.iter().zip(values.chunks_exact_mut(n * set.hidden)) {
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
    /// Vectors are scaled to this length before the head: the square root of their dimension, so that a number is about 1.
    pub(super) fn scale(&self) -> f32 {
        (self.dimensions.hidden as f32).sqrt()
    }

    /// The pretrained layers above the trunk, and a head of zeros.
    pub(super) fn pretrained(weights: &Path, labels: usize) -> Result<Self> {
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
        for (name, shape) in [("head.weight", vec![labels, dimensions.hidden]), ("head.bias", vec![labels])] {
            variables.push((name.to_owned(), Var::from_tensor(&Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu)?)?));
        }
        Ok(Network { dimensions, variables })
    }

    /// Vectors `[texts, hidden]` of length [`Self::scale`]. `noise` drops numbers, while training.
    pub(super) fn pooled(&self, batch: &Padded, mut noise: Option<&mut Noise>) -> Result<Tensor> {
        let (texts, n, hidden) = batch.states.dims3()?;
        let mut x = batch.states.reshape((texts * n, hidden))?;
        if let Some(noise) = &mut noise {
            x = noise.tokens(&x)?;
        }
        let (layers, _) = self.variables.as_chunks::<{ LAYER.len() }>();
        for layer in layers {
            x = self.layer(layer, &x, batch, n, noise.as_deref_mut())?;
        }
        x.apply_op1(Pool { lengths: batch.lengths.clone(), scale: self.scale() })
    }

    /// Logits `[texts, labels]` of pooled vectors.
    pub(super) fn head(&self, pooled: &Tensor, noise: Option<&mut Noise>) -> Result<Tensor> {
        let pooled = match noise {
            Some(noise) => noise.drop(pooled)?,
            None => pooled.clone(),
        };
        let [.., (_, weight), (_, bias)] = self.variables.as_slice() else { candle_core::bail!("a network without a head") };
        affine(&pooled, weight, bias)
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

fn affine(x: &Tensor, weight: &Var, bias: &Var) -> Result<Tensor> {
    x.matmul(&weight.t()?)?.apply_op2(bias, AddBias)
}

/// Random numbers for one part of one batch; the same for the same seed and place.
pub(super) struct Noise {
    pub random: ChaCha8Rng,
    /// Of 256 numbers, how many are dropped.
    pub drop_below: u8,
    /// Of 256 tokens, how many are blanked.
    pub tokens_below: u8,
}

impl Noise {
    fn drop(&mut self, x: &Tensor) -> Result<Tensor> {
        if self.drop_below == 0 {
            return Ok(x.clone());
        }
        let mut bytes = vec![0; x.elem_count()];
        self.random.fill_bytes(&mut bytes);
        x.apply_op1(Dropout { bytes, drop_below: self.drop_below })
    }

    /// Sets whole tokens of `[tokens, hidden]` to 0: a message still says the same without one of its words.
    fn tokens(&mut self, x: &Tensor) -> Result<Tensor> {
        if self.tokens_below == 0 {
            return Ok(x.clone());
        }
        let (tokens, hidden) = x.dims2()?;
        let mut bytes = vec![0; tokens];
        self.random.fill_bytes(&mut bytes);
        let keep: Vec<f32> = bytes.into_iter().map(|b| if b >= self.tokens_below { 1.0 } else { 0.0 }).collect();
        x.broadcast_mul(&Tensor::from_vec(keep, (tokens, 1), &Device::Cpu)?)?.reshape((tokens, hidden))
    }
}
