//! What a GGUF file says of its model: which of the known architectures, and its numbers.

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{Result, bail};

/// Architectures that [`super::Decoder`] runs, as `general.architecture` names them.
const KNOWN: [&str; 4] = ["qwen2", "qwen3", "llama", "gemma3"];

/// How the rotary embedding pairs the numbers of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairs {
    /// The first half with the second (GPT-NeoX).
    Halves,
    /// Each with its neighbour (GPT-J): llama.cpp permutes Llama's weights so.
    Neighbours,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    Silu,
    /// The tanh approximation of GELU.
    Gelu,
}

/// The numbers of a model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub layers: usize,
    pub hidden: usize,
    pub heads: usize,
    pub kv_heads: usize,
    /// Numbers in a head.
    pub width: usize,
    /// Tokens that the model was trained to look back on.
    pub context: usize,
    pub eps: f32,
    pub pairs: Pairs,
    pub activation: Activation,
    /// What the word embeddings are multiplied by.
    pub embedding_scale: f32,
    pub rope_base: f32,
    /// Layers that look back on the last tokens only.
    pub sliding: Option<Sliding>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sliding {
    /// Tokens that such a layer sees, its own among them.
    pub window: usize,
    /// Every so-manieth layer sees all.
    pub period: usize,
    pub rope_base: f32,
}

impl Shape {
    pub(super) fn read(content: &Content) -> Result<Self> {
        let name = match content.metadata.get("general.architecture") {
            Some(Value::String(name)) => name.as_str(),
            _ => bail!("the file does not say its architecture (general.architecture)"),
        };
        if !KNOWN.contains(&name) {
            bail!("its architecture is {name}; this program runs {}", KNOWN.join(", "));
        }
        let value = |key: &str| content.metadata.get(&format!("{name}.{key}"));
        let number = |key: &str| match value(key) {
            Some(v) => v.to_u32().map(|n| n as usize).or_else(|_| v.to_u64().map(|n| n as usize)),
            None => bail!("the file has no {name}.{key}"),
        };
        let float = |key: &str, default: f32| value(key).map_or(Ok(default), Value::to_f32);
        let (hidden, heads) = (number("embedding_length")?, number("attention.head_count")?);
        let kv_heads = if value("attention.head_count_kv").is_some() { number("attention.head_count_kv")? } else { heads };
        if heads == 0 || kv_heads == 0 || hidden == 0 || heads % kv_heads != 0 {
            bail!("{heads} heads over {kv_heads} key-value heads and {hidden} dimensions");
        }
        let width = if value("attention.key_length").is_some() { number("attention.key_length")? } else { hidden / heads };
        if width == 0 || width % 2 != 0 {
            bail!("heads of {width} numbers");
        }
        let gemma = name == "gemma3";
        // The period stands in no file: it is Gemma 3's own (five local layers to a global one).
        let sliding = |window: usize| Sliding { window, period: 6, rope_base: 10_000.0 };
        Ok(Shape {
            layers: number("block_count")?,
            hidden,
            heads,
            kv_heads,
            width,
            context: number("context_length")?,
            eps: match value("attention.layer_norm_rms_epsilon") {
                Some(v) => v.to_f32()?,
                None => bail!("the file has no {name}.attention.layer_norm_rms_epsilon"),
            },
            pairs: if name == "llama" { Pairs::Neighbours } else { Pairs::Halves },
            activation: if gemma { Activation::Gelu } else { Activation::Silu },
            embedding_scale: if gemma { (hidden as f32).sqrt() } else { 1.0 },
            rope_base: float("rope.freq_base", if gemma { 1_000_000.0 } else { 10_000.0 })?,
            sliding: if gemma { number("attention.sliding_window").ok().map(sliding) } else { None },
        })
    }

    /// The window of a layer and the base of its rotary embedding.
    pub(super) fn looks_back(&self, layer: usize) -> (Option<usize>, f32) {
        match self.sliding {
            Some(s) if !(layer + 1).is_multiple_of(s.period) => (Some(s.window), s.rope_base),
            _ => (None, self.rope_base),
        }
    }
}
