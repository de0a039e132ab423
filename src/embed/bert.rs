//! The forward pass of a BERT encoder over a GGUF, and its tokenizer.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use candle_core::quantized::{QTensor, gguf_file};
use candle_core::{CpuStorage, CustomOp1, Device, IndexOp, Layout, Result, Shape, Tensor};
use candle_nn::ops::{layer_norm, softmax_last_dim};
use tokenizers::{Tokenizer, TruncationParams};

use super::linear::Linear;
use super::{Arithmetic, EncodeError, Role};

/// A sentence encoder: tokenizer, 12 layers, mean over the tokens, L2.
pub struct Encoder {
    tokenizer: Tokenizer,
    words: QTensor,
    /// Position and token-type embeddings, summed once: `[positions, hidden]`.
    positions: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
    hidden: usize,
}

struct Layer {
    qkv: Linear,
    attention_output: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    output_norm: Norm,
}

struct Norm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

impl Norm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        layer_norm(x, &self.weight, &self.bias, self.eps)
    }
}

/// Token ids of one text, with the special tokens.
pub type Tokens = Vec<u32>;

impl Encoder {
    /// Longest input in tokens, the special ones included; what is longer is cut.
    pub const MAX_TOKENS: usize = 512;

    /// Reads `weights` (GGUF, llama.cpp's names for BERT) and `tokenizer` (tokenizer.json).
    ///
    /// # Errors
    /// When a file is missing, cut off or of another shape.
    pub fn load(weights: &Path, tokenizer: &Path, arithmetic: Arithmetic) -> std::result::Result<Self, EncodeError> {
        let mut words = Tokenizer::from_file(tokenizer).map_err(|e| EncodeError::Model(format!("{}: {e}", tokenizer.display())))?;
        let truncation = TruncationParams { max_length: Self::MAX_TOKENS, ..Default::default() };
        words.with_truncation(Some(truncation)).map_err(|e| EncodeError::Model(e.to_string()))?;
        words.with_padding(None);
        let file = File::open(weights).map_err(|e| EncodeError::Model(format!("{}: {e}", weights.display())))?;
        Ok(Self::read(&mut BufReader::new(file), words, arithmetic)?)
    }

    fn read(file: &mut BufReader<File>, tokenizer: Tokenizer, arithmetic: Arithmetic) -> Result<Self> {
        let content = gguf_file::Content::read(file)?;
        let number = |key: &str| match content.metadata.get(key) {
            Some(value) => Ok(value.to_u32()? as usize),
            None => candle_core::bail!("the encoder's file has no {key}"),
        };
        let (hidden, heads) = (number("bert.embedding_length")?, number("bert.attention.head_count")?);
        let layers = number("bert.block_count")?;
        let eps = match content.metadata.get("bert.attention.layer_norm_epsilon") {
            Some(value) => value.to_f32()?,
            None => candle_core::bail!("the encoder's file has no layer norm epsilon"),
        };
        let mut quantised = |name: &str| content.tensor(file, name, &Device::Cpu);
        let words = quantised("token_embd.weight")?;
        let mut plain = |name: &str| quantised(name)?.dequantize(&Device::Cpu);
        let positions = plain("position_embd.weight")?.broadcast_add(&plain("token_types.weight")?.i(0)?)?;
        let norm = |plain: &mut dyn FnMut(&str) -> Result<Tensor>, name: &str| {
            Result::Ok(Norm { weight: plain(&format!("{name}.weight"))?, bias: plain(&format!("{name}.bias"))?, eps })
        };
        let embedding_norm = norm(&mut plain, "token_embd_norm")?;
        let mut blocks = Vec::with_capacity(layers);
        for i in 0..layers {
            let mut linear = |names: &[&str]| {
                let weights =
                    names.iter().map(|n| content.tensor(file, &format!("blk.{i}.{n}.weight"), &Device::Cpu)).collect::<Result<Vec<_>>>()?;
                let bias = |n: &&str| content.tensor(file, &format!("blk.{i}.{n}.bias"), &Device::Cpu)?.dequantize(&Device::Cpu);
                let biases = names.iter().map(bias).collect::<Result<Vec<_>>>()?;
                Linear::new(&weights, &biases, arithmetic)
            };
            let (qkv, attention_output) = (linear(&["attn_q", "attn_k", "attn_v"])?, linear(&["attn_output"])?);
            let (up, down) = (linear(&["ffn_up"])?, linear(&["ffn_down"])?);
            let mut plain = |name: &str| content.tensor(file, name, &Device::Cpu)?.dequantize(&Device::Cpu);
            let attention_norm = norm(&mut plain, &format!("blk.{i}.attn_output_norm"))?;
            let output_norm = norm(&mut plain, &format!("blk.{i}.layer_output_norm"))?;
            blocks.push(Layer { qkv, attention_output, attention_norm, up, down, output_norm });
        }
        Ok(Encoder { tokenizer, words, positions, norm: embedding_norm, layers: blocks, heads, hidden })
    }

    /// Numbers in a vector.
    pub fn dimension(&self) -> usize {
        self.hidden
    }

    /// Token ids of a text with its role's prefix, at most [`Self::MAX_TOKENS`]. About 10 microseconds for a short text.
    ///
    /// # Errors
    /// When the tokenizer fails, which no text is known to bring about.
    pub fn tokenize(&self, text: &str, role: Role) -> std::result::Result<Tokens, EncodeError> {
        // Far more characters than can become tokens are not worth reading: 10 MB would take seconds to be cut to 512 tokens.
        let end = text.char_indices().nth(Self::MAX_TOKENS * 16).map_or(text.len(), |(at, _)| at);
        let input = format!("{}{}", role.prefix(), &text[..end]);
        let encoding = self.tokenizer.encode_fast(input, true).map_err(|e| EncodeError::Model(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Vectors of a batch of token lists, each of [`Self::dimension`] numbers and length 1.
    ///
    /// Rows are laid end to end, without padding: only attention works text by text.
    ///
    /// # Errors
    /// When candle fails or a token id is not in the vocabulary.
    pub fn encode(&self, batch: &[Tokens]) -> std::result::Result<Vec<Vec<f32>>, EncodeError> {
        Ok(self.forward(batch)?)
    }

    fn forward(&self, batch: &[Tokens]) -> Result<Vec<Vec<f32>>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let lengths: Vec<usize> = batch.iter().map(Vec::len).collect();
        let ids: Vec<u32> = batch.concat();
        let positions: Vec<u32> = lengths.iter().flat_map(|&n| 0..n as u32).collect();
        let words = self.words.embedding(&Tensor::new(ids, &Device::Cpu)?)?;
        let positions = self.positions.index_select(&Tensor::new(positions, &Device::Cpu)?, 0)?;
        let mut x = self.norm.forward(&(words + positions)?)?;
        for layer in &self.layers {
            let attended = layer.attention_output.forward(&self.attention(&layer.qkv.forward(&x)?, &lengths)?)?;
            x = layer.attention_norm.forward(&(x + attended)?)?;
            let inner = layer.up.forward(&x)?.apply_op1_no_bwd(&Gelu)?;
            x = layer.output_norm.forward(&(&x + layer.down.forward(&inner)?)?)?;
        }
        let mut start = 0;
        lengths
            .iter()
            .map(|&n| {
                let mean = x.narrow(0, start, n)?.mean(0)?.to_vec1::<f32>()?;
                start += n;
                let norm = mean.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
                Ok(mean.into_iter().map(|v| v / norm).collect())
            })
            .collect()
    }

    /// Multi-head attention of each text over itself. `qkv` is `[rows, 3 * hidden]`; answers `[rows, hidden]`.
    fn attention(&self, qkv: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        let width = self.hidden / self.heads;
        let scale = 1.0 / (width as f64).sqrt();
        let mut start = 0;
        let mut texts = Vec::with_capacity(lengths.len());
        for &n in lengths {
            // [3, heads, n, width]
            let rows = qkv.narrow(0, start, n)?.reshape((n, 3, self.heads, width))?.permute((1, 2, 0, 3))?.contiguous()?;
            let scores = (rows.i(0)?.matmul(&rows.i(1)?.t()?)? * scale)?;
            let mixed = softmax_last_dim(&scores)?.matmul(&rows.i(2)?)?;
            texts.push(mixed.transpose(0, 1)?.reshape((n, self.hidden))?);
            start += n;
        }
        if texts.len() == 1 { Ok(texts.remove(0)) } else { Tensor::cat(&texts, 0) }
    }
}

/// The exact GELU, x Φ(x). candle's own calls a scalar error function for each number, a tenth of the whole forward pass; this
/// one is a polynomial that the compiler turns into vector code, with an error below 2e-7 (Abramowitz and Stegun 7.1.26).
struct Gelu;

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

#[inline(always)]
fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly = t * (0.254_829_6 + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152_1 + t * 1.061_405_4))));
    let erf = 1.0 - poly * exp_negative(-z * z);
    0.5 * (x + x.abs() * erf)
}

/// `exp(x)` for `x <= 0`, relative error below 2e-7: two to the whole part by its bits, the rest by a polynomial.
#[inline(always)]
fn exp_negative(x: f32) -> f32 {
    let y = (x * std::f32::consts::LOG2_E).max(-126.0);
    let whole = y.floor();
    let f = y - whole;
    // Taylor series of 2^f around 1/2 would do as well; this is the minimax one of degree 6 on [0, 1).
    let p = 1.0
        + f * (std::f32::consts::LN_2
            + f * (0.240_226_5 + f * (0.055_504_11 + f * (0.009_618_129 + f * (0.001_333_355_8 + f * 0.000_154_353_3)))));
    f32::from_bits(((whole as i32 + 127) as u32) << 23) * p
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gelu_is_the_exact_one() {
        let xs: Vec<f32> = (-1200..=1200).map(|i| i as f32 / 100.0).collect();
        let exact = Tensor::new(xs.clone(), &Device::Cpu).unwrap().gelu_erf().unwrap().to_vec1::<f32>().unwrap();
        for (x, want) in xs.iter().zip(exact) {
            assert!((gelu(*x) - want).abs() <= 1e-5 * want.abs().max(1.0), "gelu({x}) = {} not {want}", gelu(*x));
        }
    }
}
