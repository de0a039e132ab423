//! One transformer layer, as the trunk and every branch run it.

use std::io::{Read, Seek};

use candle_core::quantized::gguf_file;
use candle_core::{CpuStorage, CustomOp1, Device, IndexOp, Layout, Result, Shape, Tensor};
use candle_nn::ops::{layer_norm, softmax_last_dim};

use super::Arithmetic;
use super::linear::Linear;
use crate::numeric::gelu;

/// Layers of the top that a branch replaces. Fixed by measurement: tuning six gains nothing over three.
const BRANCH_LAYERS: usize = 3;

/// Texts inside the encoder: their token states laid end to end, without padding.
pub struct States {
    /// `[sum of lengths, hidden]`.
    pub(super) rows: Tensor,
    /// Tokens of each text.
    pub(super) lengths: Vec<usize>,
}

impl States {
    pub(super) fn through(&self, layers: &[Layer]) -> Result<States> {
        let mut rows = self.rows.clone();
        for layer in layers {
            rows = layer.forward(&rows, &self.lengths)?;
        }
        Ok(States { rows, lengths: self.lengths.clone() })
    }

    /// Some of the texts, in the order of `texts`.
    pub(super) fn only(&self, texts: &[usize]) -> Result<States> {
        if texts.len() == self.lengths.len() {
            return Ok(States { rows: self.rows.clone(), lengths: self.lengths.clone() });
        }
        let starts: Vec<usize> = self.lengths.iter().scan(0, |sum, n| Some(std::mem::replace(sum, *sum + n))).collect();
        let parts = texts.iter().map(|&t| self.rows.narrow(0, starts[t], self.lengths[t])).collect::<Result<Vec<_>>>()?;
        Ok(States { rows: Tensor::cat(&parts, 0)?, lengths: texts.iter().map(|&t| self.lengths[t]).collect() })
    }

    /// The rows of each text's tokens, scaled to length 1, without `<s>`, the two that follow it and `</s>`. `passage: ` is two tokens, `query: `
    /// three: its colon stays, in a message and in an article alike, since a trained branch reads both with it.
    pub(super) fn words(&self) -> Result<Vec<Vec<f32>>> {
        const BEFORE: usize = 3;
        const BEHIND: usize = 1;
        let mut start = 0;
        let of_text = |&n: &usize| {
            let (first, count) = (start + BEFORE, n.saturating_sub(BEFORE + BEHIND));
            start += n;
            if count == 0 {
                return Ok(Vec::new());
            }
            let mut rows = self.rows.narrow(0, first, count)?.flatten_all()?.to_vec1::<f32>()?;
            for row in rows.chunks_exact_mut(self.rows.dim(1)?) {
                let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
                row.iter_mut().for_each(|v| *v /= norm);
            }
            Ok(rows)
        };
        self.lengths.iter().map(of_text).collect()
    }

    /// The mean over each text's tokens, scaled to length 1.
    pub(super) fn pooled(&self) -> Result<Vec<Vec<f32>>> {
        let mut start = 0;
        let pool = |&n: &usize| {
            let mean = self.rows.narrow(0, start, n)?.mean(0)?.to_vec1::<f32>()?;
            start += n;
            let norm = mean.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            Ok(mean.into_iter().map(|v| v / norm).collect())
        };
        self.lengths.iter().map(pool).collect()
    }
}

/// The numbers that all layers of a model share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dimensions {
    pub hidden: usize,
    pub heads: usize,
    pub layers: usize,
    pub eps: f32,
}

impl Dimensions {
    pub(super) fn read(content: &gguf_file::Content) -> Result<Self> {
        let number = |key: &str| match content.metadata.get(key) {
            Some(value) => Ok(value.to_u32()? as usize),
            None => candle_core::bail!("the encoder's file has no {key}"),
        };
        let eps = match content.metadata.get("bert.attention.layer_norm_epsilon") {
            Some(value) => value.to_f32()?,
            None => candle_core::bail!("the encoder's file has no layer norm epsilon"),
        };
        let (hidden, heads) = (number("bert.embedding_length")?, number("bert.attention.head_count")?);
        if heads == 0 || hidden % heads != 0 {
            candle_core::bail!("{hidden} dimensions do not divide into {heads} heads");
        }
        Ok(Dimensions { hidden, heads, layers: number("bert.block_count")?, eps })
    }

    /// Layers below the branches.
    pub(super) fn trunk_layers(&self) -> usize {
        self.layers.saturating_sub(BRANCH_LAYERS)
    }
}

pub(super) struct Norm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

impl Norm {
    pub(super) fn read<R: Read + Seek>(content: &gguf_file::Content, file: &mut R, name: &str, eps: f32) -> Result<Self> {
        let mut plain = |part: &str| content.tensor(file, &format!("{name}.{part}"), &Device::Cpu)?.dequantize(&Device::Cpu);
        Ok(Norm { weight: plain("weight")?, bias: plain("bias")?, eps })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        layer_norm(x, &self.weight, &self.bias, self.eps)
    }
}

pub(super) struct Layer {
    qkv: Linear,
    attention_output: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    output_norm: Norm,
    dimensions: Dimensions,
}

impl Layer {
    /// Reads `blk.{number}` under llama.cpp's names.
    pub(super) fn read<R: Read + Seek>(
        content: &gguf_file::Content,
        file: &mut R,
        number: usize,
        dimensions: Dimensions,
        arithmetic: Arithmetic,
    ) -> Result<Self> {
        let mut linear = |names: &[&str]| {
            let weights = names.iter().map(|n| content.tensor(file, &format!("blk.{number}.{n}.weight"), &Device::Cpu));
            let weights = weights.collect::<Result<Vec<_>>>()?;
            let bias = |n: &&str| content.tensor(file, &format!("blk.{number}.{n}.bias"), &Device::Cpu)?.dequantize(&Device::Cpu);
            let biases = names.iter().map(bias).collect::<Result<Vec<_>>>()?;
            Linear::new(&weights, &biases, arithmetic)
        };
        let (qkv, attention_output) = (linear(&["attn_q", "attn_k", "attn_v"])?, linear(&["attn_output"])?);
        let (up, down) = (linear(&["ffn_up"])?, linear(&["ffn_down"])?);
        let mut norm = |name: &str| Norm::read(content, file, &format!("blk.{number}.{name}"), dimensions.eps);
        let (attention_norm, output_norm) = (norm("attn_output_norm")?, norm("layer_output_norm")?);
        Ok(Layer { qkv, attention_output, attention_norm, up, down, output_norm, dimensions })
    }

    pub(super) fn forward(&self, x: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        let attended = self.attention_output.forward(&self.attention(&self.qkv.forward(x)?, lengths)?)?;
        let x = self.attention_norm.forward(&(x + attended)?)?;
        let inner = self.up.forward(&x)?.apply_op1_no_bwd(&Gelu)?;
        self.output_norm.forward(&(&x + self.down.forward(&inner)?)?)
    }

    /// Multi-head attention of each text over itself. `qkv` is `[rows, 3 * hidden]`; answers `[rows, hidden]`.
    fn attention(&self, qkv: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        let Dimensions { hidden, heads, .. } = self.dimensions;
        let width = hidden / heads;
        let scale = 1.0 / (width as f64).sqrt();
        let mut start = 0;
        let mut texts = Vec::with_capacity(lengths.len());
        for &n in lengths {
            // [3, heads, n, width]
            let rows = qkv.narrow(0, start, n)?.reshape((n, 3, heads, width))?.permute((1, 2, 0, 3))?.contiguous()?;
            let scores = (rows.i(0)?.matmul(&rows.i(1)?.t()?)? * scale)?;
            let mixed = softmax_last_dim(&scores)?.matmul(&rows.i(2)?)?;
            texts.push(mixed.transpose(0, 1)?.reshape((n, hidden))?);
            start += n;
        }
        if texts.len() == 1 { Ok(texts.remove(0)) } else { Tensor::cat(&texts, 0) }
    }
}

/// The exact GELU. candle's own calls a scalar error function for each number, a tenth of the whole forward pass; ours is a polynomial
/// that the compiler turns into vector code.
pub(super) struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else { candle_core::bail!("gelu wants a contiguous input") };
        let input = &storage.as_slice::<f32>()?[start..end];
        Ok((CpuStorage::F32(input.iter().map(|&x| gelu(x)).collect()), layout.shape().clone()))
    }
}
