//! One decoder layer: attention over what has been, then a gated feed-forward net.

use std::io::{Read, Seek};
use std::sync::Arc;

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Result};
use rayon::prelude::*;

use super::cache::LayerCache;
use super::linear::{Linear, products};
use super::shape::{Activation, Pairs, Shape};

/// Rotary angles: `context` rows of `width / 2`.
pub(super) struct Rope {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rope {
    /// `factors` slow single frequencies down (Llama 3's long context).
    pub(super) fn new(shape: &Shape, base: f32, context: usize, factors: Option<&[f32]>) -> Self {
        let half = shape.width / 2;
        let slow = |i: usize| factors.and_then(|f| f.get(i)).copied().unwrap_or(1.0);
        let frequency: Vec<f32> = (0..half).map(|i| base.powf(-(2.0 * i as f32) / shape.width as f32) / slow(i)).collect();
        let angles = (0..context).flat_map(|at| frequency.iter().map(move |f| at as f32 * f));
        let (sin, cos) = angles.map(f32::sin_cos).unzip();
        Rope { cos, sin }
    }

    fn turn(&self, head: &mut [f32], at: usize, pairs: Pairs) {
        let half = head.len() / 2;
        let (cos, sin) = (&self.cos[at * half..(at + 1) * half], &self.sin[at * half..(at + 1) * half]);
        for i in 0..half {
            let (a, b) = match pairs {
                Pairs::Halves => (i, i + half),
                Pairs::Neighbours => (2 * i, 2 * i + 1),
            };
            let (x, y) = (head[a], head[b]);
            head[a] = x * cos[i] - y * sin[i];
            head[b] = x * sin[i] + y * cos[i];
        }
    }
}

/// Root mean square normalisation with weights.
pub(super) struct Norm {
    weight: Vec<f32>,
    eps: f32,
}

impl Norm {
    /// Of each run of as many numbers as there are weights.
    pub(super) fn apply(&self, x: &mut [f32]) {
        for row in x.chunks_exact_mut(self.weight.len()) {
            let mean = row.iter().map(|v| v * v).sum::<f32>() / row.len() as f32;
            let scale = 1.0 / (mean + self.eps).sqrt();
            row.iter_mut().zip(&self.weight).for_each(|(v, w)| *v *= scale * w);
        }
    }

    pub(super) fn of(&self, x: &[f32]) -> Vec<f32> {
        let mut out = x.to_vec();
        self.apply(&mut out);
        out
    }
}

/// The tensors of a file by their names.
pub(super) struct Tensors<'a, R> {
    pub content: &'a Content,
    pub file: &'a mut R,
    pub eps: f32,
    pub threads: usize,
}

impl<R: Read + Seek> Tensors<'_, R> {
    pub(super) fn linear(&mut self, name: &str, shape: (usize, usize)) -> Result<Linear> {
        let tensor = self.content.tensor(self.file, &format!("{name}.weight"), &Device::Cpu)?;
        if tensor.shape().dims2()? != shape {
            candle_core::bail!("{name} is {:?} where {shape:?} fits", tensor.shape());
        }
        Linear::new(tensor, self.threads)
    }

    /// A vector that some architectures have.
    pub(super) fn vector(&mut self, name: &str, len: usize) -> Result<Option<Vec<f32>>> {
        if !self.content.tensor_infos.contains_key(name) {
            return Ok(None);
        }
        let vector = self.content.tensor(self.file, name, &Device::Cpu)?.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
        if vector.len() != len {
            candle_core::bail!("{name} has {} numbers where {len} fit", vector.len());
        }
        Ok(Some(vector))
    }

    pub(super) fn norm(&mut self, name: &str, len: usize) -> Result<Option<Norm>> {
        let eps = self.eps;
        Ok(self.vector(&format!("{name}.weight"), len)?.map(|weight| Norm { weight, eps }))
    }

    pub(super) fn needed_norm(&mut self, name: &str, len: usize) -> Result<Norm> {
        match self.norm(name, len)? {
            Some(norm) => Ok(norm),
            None => candle_core::bail!("the file has no {name}.weight"),
        }
    }
}

pub(super) struct Layer {
    attention_norm: Norm,
    qkv: [Linear; 3],
    bias: [Option<Vec<f32>>; 3],
    /// Of each head's query and key.
    head_norms: [Option<Norm>; 2],
    attention_output: Linear,
    after_attention: Option<Norm>,
    feed_norm: Norm,
    gate_up: [Linear; 2],
    down: Linear,
    after_feed: Option<Norm>,
    rope: Arc<Rope>,
    window: Option<usize>,
}

impl Layer {
    pub(super) fn read<R: Read + Seek>(tensors: &mut Tensors<'_, R>, number: usize, shape: &Shape, rope: Arc<Rope>) -> Result<Self> {
        let (hidden, own, shared) = (shape.hidden, shape.heads * shape.width, shape.kv_heads * shape.width);
        let name = |part: &str| format!("blk.{number}.{part}");
        let feed = match tensors.content.tensor_infos.get(&name("ffn_gate.weight")) {
            Some(info) => info.shape.dims2()?.0,
            None => candle_core::bail!("the file has no {}", name("ffn_gate.weight")),
        };
        Ok(Layer {
            attention_norm: tensors.needed_norm(&name("attn_norm"), hidden)?,
            qkv: [
                tensors.linear(&name("attn_q"), (own, hidden))?,
                tensors.linear(&name("attn_k"), (shared, hidden))?,
                tensors.linear(&name("attn_v"), (shared, hidden))?,
            ],
            bias: [
                tensors.vector(&name("attn_q.bias"), own)?,
                tensors.vector(&name("attn_k.bias"), shared)?,
                tensors.vector(&name("attn_v.bias"), shared)?,
            ],
            head_norms: [tensors.norm(&name("attn_q_norm"), shape.width)?, tensors.norm(&name("attn_k_norm"), shape.width)?],
            attention_output: tensors.linear(&name("attn_output"), (hidden, own))?,
            after_attention: tensors.norm(&name("post_attention_norm"), hidden)?,
            feed_norm: tensors.needed_norm(&name("ffn_norm"), hidden)?,
            gate_up: [tensors.linear(&name("ffn_gate"), (feed, hidden))?, tensors.linear(&name("ffn_up"), (feed, hidden))?],
            down: tensors.linear(&name("ffn_down"), (hidden, feed))?,
            after_feed: tensors.norm(&name("post_ffw_norm"), hidden)?,
            rope,
            window: shape.looks_back(number).0,
        })
    }

    /// Adds the layer's work to `x` (`[rows, hidden]`), the states of tokens that follow those in the cache, and theirs to the cache.
    pub(super) fn forward(&self, x: &mut [f32], shape: &Shape, cache: &mut LayerCache) -> Result<()> {
        let [q, k, v] = &self.qkv;
        let mut qkv = products(&self.attention_norm.of(x), [q, k, v])?;
        for (rows, bias) in qkv.iter_mut().zip(&self.bias) {
            if let Some(bias) = bias {
                rows.chunks_exact_mut(bias.len()).for_each(|row| row.iter_mut().zip(bias).for_each(|(v, b)| *v += b));
            }
        }
        let [mut q, mut k, v] = qkv;
        let width = shape.width;
        let before = cache.keys.first().map_or(0, |keys| keys.len() / width);
        for (rows, norm, heads) in [(&mut q, &self.head_norms[0], shape.heads), (&mut k, &self.head_norms[1], shape.kv_heads)] {
            if let Some(norm) = norm {
                norm.apply(rows);
            }
            for (i, head) in rows.chunks_exact_mut(width).enumerate() {
                self.rope.turn(head, before + i / heads, shape.pairs);
            }
        }
        for (lists, rows) in [(&mut cache.keys, &k), (&mut cache.values, &v)] {
            lists.resize_with(shape.kv_heads, Vec::new);
            for (i, head) in rows.chunks_exact(width).enumerate() {
                lists[i % shape.kv_heads].extend_from_slice(head);
            }
        }
        let [mut attended] = products(&attention(&q, cache, before, self.window, shape), [&self.attention_output])?;
        if let Some(norm) = &self.after_attention {
            norm.apply(&mut attended);
        }
        x.iter_mut().zip(&attended).for_each(|(x, a)| *x += a);
        let [gate, up] = &self.gate_up;
        let [mut gate, up] = products(&self.feed_norm.of(x), [gate, up])?;
        gate.par_iter_mut().with_min_len(4096).zip(&up).for_each(|(g, u)| *g = activate(*g, shape.activation) * u);
        let [mut fed] = products(&gate, [&self.down])?;
        if let Some(norm) = &self.after_feed {
            norm.apply(&mut fed);
        }
        x.iter_mut().zip(&fed).for_each(|(x, f)| *x += f);
        Ok(())
    }
}

fn activate(x: f32, activation: Activation) -> f32 {
    match activation {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => 0.5 * x * (1.0 + ((2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh()),
    }
}

/// Causal attention of new tokens over all in the cache, their own among them. `q` is `[rows, heads * width]`, and so is the answer.
fn attention(q: &[f32], cache: &LayerCache, before: usize, window: Option<usize>, shape: &Shape) -> Vec<f32> {
    let (width, heads) = (shape.width, shape.heads);
    let scale = 1.0 / (width as f32).sqrt();
    let group = heads / shape.kv_heads;
    let mut out = vec![0.0; q.len()];
    let one = |(i, out): (usize, &mut [f32])| {
        let (row, head) = (i / heads, i % heads);
        let (keys, values) = (&cache.keys[head / group], &cache.values[head / group]);
        let end = before + row + 1;
        let start = window.map_or(0, |w| end.saturating_sub(w));
        let query = &q[i * width..(i + 1) * width];
        let mut scores: Vec<f32> = keys[start * width..end * width].chunks_exact(width).map(|key| dot(query, key) * scale).collect();
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for s in &mut scores {
            *s = (*s - most).exp();
            sum += *s;
        }
        for (s, value) in scores.iter().zip(values[start * width..end * width].chunks_exact(width)) {
            let share = s / sum;
            out.iter_mut().zip(value).for_each(|(o, v)| *o += share * v);
        }
    };
    out.par_chunks_exact_mut(width).enumerate().with_min_len(heads.div_ceil(2)).for_each(one);
    out
}

/// Eight sums side by side, which the compiler turns into one vector of them.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}
