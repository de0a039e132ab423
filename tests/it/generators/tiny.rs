//! Language models of a few kilobytes: right in form, with weights out of a hat.

use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub const CHAT: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}\
                        {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// What a tiny model is like.
pub struct Tiny {
    pub architecture: &'static str,
    pub template: Option<&'static str>,
    /// Values of `general` and of the architecture that replace or join the usual ones.
    pub more: Vec<(String, Value)>,
}

impl Tiny {
    pub fn of(architecture: &'static str) -> Self {
        Tiny { architecture, template: Some(CHAT), more: Vec::new() }
    }

    pub fn write(&self, path: &Path) {
        const HIDDEN: usize = 64;
        const LAYERS: usize = 2;
        const WIDTH: usize = 32;
        const FEED: usize = 96;
        let words = vocabulary();
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut tensors: Vec<(String, QTensor)> = Vec::new();
        let mut put = |name: String, shape: &[usize], around: f32| {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| around + random.random_range(-0.3..0.3)).collect();
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).expect("a tiny model");
            let dtype = if shape.len() == 2 { GgmlDType::Q8_0 } else { GgmlDType::F32 };
            tensors.push((name, QTensor::quantize(&tensor, dtype).expect("a tiny model")));
        };
        put("token_embd.weight".into(), &[words.len(), HIDDEN], 0.0);
        put("output_norm.weight".into(), &[HIDDEN], 1.0);
        for layer in 0..LAYERS {
            let mut put = |part: &str, shape: &[usize], around: f32| put(format!("blk.{layer}.{part}"), shape, around);
            put("attn_norm.weight", &[HIDDEN], 1.0);
            put("ffn_norm.weight", &[HIDDEN], 1.0);
            put("attn_q.weight", &[4 * WIDTH, HIDDEN], 0.0);
            put("attn_k.weight", &[2 * WIDTH, HIDDEN], 0.0);
            put("attn_v.weight", &[2 * WIDTH, HIDDEN], 0.0);
            put("attn_output.weight", &[HIDDEN, 4 * WIDTH], 0.0);
            put("ffn_gate.weight", &[FEED, HIDDEN], 0.0);
            put("ffn_up.weight", &[FEED, HIDDEN], 0.0);
            put("ffn_down.weight", &[HIDDEN, FEED], 0.0);
            if self.architecture == "qwen2" {
                put("attn_q.bias", &[4 * WIDTH], 0.0);
                put("attn_k.bias", &[2 * WIDTH], 0.0);
                put("attn_v.bias", &[2 * WIDTH], 0.0);
            }
            if matches!(self.architecture, "qwen3" | "gemma3") {
                put("attn_q_norm.weight", &[WIDTH], 1.0);
                put("attn_k_norm.weight", &[WIDTH], 1.0);
            }
            if self.architecture == "gemma3" {
                put("post_attention_norm.weight", &[HIDDEN], 1.0);
                put("post_ffw_norm.weight", &[HIDDEN], 1.0);
            }
        }
        let own = |key: &str, value: Value| (format!("{}.{key}", self.architecture), value);
        let strings = |list: &[String]| Value::Array(list.iter().cloned().map(Value::String).collect());
        let end = words.iter().position(|w| w == "<|im_end|>").expect("a tiny model") as u32;
        let kinds = words.iter().map(|w| Value::I32(if w.starts_with("<|") { 3 } else { 1 })).collect();
        let mut metadata = vec![
            ("general.architecture".into(), Value::String(self.architecture.into())),
            own("block_count", Value::U32(LAYERS as u32)),
            own("embedding_length", Value::U32(HIDDEN as u32)),
            own("context_length", Value::U32(512)),
            own("attention.head_count", Value::U32(4)),
            own("attention.head_count_kv", Value::U32(2)),
            own("attention.key_length", Value::U32(WIDTH as u32)),
            own("attention.layer_norm_rms_epsilon", Value::F32(1e-6)),
            own("attention.sliding_window", Value::U32(4)),
            ("tokenizer.ggml.model".into(), Value::String("gpt2".into())),
            ("tokenizer.ggml.pre".into(), Value::String("qwen2".into())),
            ("tokenizer.ggml.tokens".into(), strings(&words)),
            ("tokenizer.ggml.merges".into(), strings(&["h e".into(), "l l".into()])),
            ("tokenizer.ggml.token_type".into(), Value::Array(kinds)),
            ("tokenizer.ggml.eos_token_id".into(), Value::U32(end)),
        ];
        if let Some(template) = self.template {
            metadata.push(("tokenizer.chat_template".into(), Value::String(template.into())));
        }
        for (key, value) in &self.more {
            metadata.retain(|(k, _)| k != key);
            metadata.push((key.clone(), value.clone()));
        }
        let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
        let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(n, t)| (n.as_str(), t)).collect();
        gguf_file::write(&mut std::fs::File::create(path).expect("a tiny model"), &metadata, &tensors).expect("a tiny model");
    }
}

/// A token for each byte, as GPT-2 writes bytes, two merged ones, and what marks turns.
fn vocabulary() -> Vec<String> {
    let plain = |b: &u32| matches!(b, 33..=126 | 161..=172 | 174..=255);
    let mut others = 256..;
    let letter =
        |b: u32| char::from_u32(if plain(&b) { b } else { others.next().expect("a tiny model") }).expect("a tiny model").to_string();
    let mut words: Vec<String> = (0..256).map(letter).collect();
    words.extend(["he", "ll", "<|im_start|>", "<|im_end|>", "<|endoftext|>"].map(str::to_owned));
    // As many as three threads share evenly, so that all take the same kernel and round alike.
    let spare = words.len().next_multiple_of(48) - words.len();
    words.extend((0..spare).map(|n| format!("<|spare_{n}|>")));
    words
}
