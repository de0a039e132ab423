//! A decoder-only language model from a GGUF file, quantised, on the CPU: Qwen 2, 2.5 and 3, Llama (and what shares its architecture,
//! such as Mistral and SmolLM), Gemma 3.
//!
//! candle reads the file and multiplies; what is ours is what its own models do not offer: a cache of keys and values that can be
//! kept, copied and cut off, word embeddings that stay quantised, and products that are split over threads (`linear`).

mod cache;
mod layer;
mod linear;
mod shape;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::Path;
use std::sync::Arc;

use candle_core::quantized::gguf_file;

pub use cache::Cache;
use layer::{Layer, Norm, Rope, Tensors};
use linear::{Linear, products};
use shape::Shape;

/// Tokens of a prompt that go through the layers together; a deadline is looked at in between.
const BAND: usize = 128;

pub struct Decoder {
    shape: Shape,
    embedding: Arc<Linear>,
    layers: Vec<Layer>,
    norm: Norm,
    output: Arc<Linear>,
    /// Tokens that fit, of prompt and answer together.
    context: usize,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoder({} layers of {})", self.shape.layers, self.shape.hidden)
    }
}

impl Decoder {
    /// Reads a model that will use `threads` threads and at most `context` tokens.
    ///
    /// # Errors
    /// A file that is cut off, foreign, of an architecture that is not known, or whose tensors do not fit together.
    pub fn load(path: &Path, threads: usize, context: usize) -> candle_core::Result<(Self, gguf_file::Content)> {
        let mut file = BufReader::new(File::open(path)?);
        let content = gguf_file::Content::read(&mut file)?;
        let shape = Shape::read(&content)?;
        whole(&content, &mut file)?;
        let context = context.min(shape.context);
        let mut tensors = Tensors { content: &content, file: &mut file, eps: shape.eps, threads };
        let words = match content.tensor_infos.get("token_embd.weight") {
            Some(info) => info.shape.dims2()?.0,
            None => candle_core::bail!("the file has no token_embd.weight"),
        };
        let embedding = Arc::new(tensors.linear("token_embd", (words, shape.hidden))?);
        let output = if content.tensor_infos.contains_key("output.weight") {
            Arc::new(tensors.linear("output", (words, shape.hidden))?)
        } else {
            Arc::clone(&embedding)
        };
        let factors = tensors.vector("rope_freqs.weight", shape.width / 2)?;
        let mut ropes: BTreeMap<u32, Arc<Rope>> = BTreeMap::new();
        let mut layers = Vec::with_capacity(shape.layers);
        for number in 0..shape.layers {
            let base = shape.looks_back(number).1;
            let rope = ropes.entry(base.to_bits()).or_insert_with(|| Arc::new(Rope::new(&shape, base, context, factors.as_deref())));
            layers.push(Layer::read(&mut tensors, number, &shape, Arc::clone(rope))?);
        }
        let norm = tensors.needed_norm("output_norm", shape.hidden)?;
        Ok((Decoder { shape, embedding, layers, norm, output, context }, content))
    }

    /// Tokens that fit, of prompt and answer together.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Words that the model knows: the numbers that [`Self::forward`] answers.
    pub fn vocabulary(&self) -> usize {
        self.output.out()
    }

    /// Puts tokens behind those in the cache, and answers how likely each word comes next (logits). `go_on` is asked now and then;
    /// where it says no, the answer is `None` and the cache holds what was done.
    ///
    /// # Errors
    /// No tokens, more than fit, or one that is no word.
    pub fn forward(&self, tokens: &[u32], cache: &mut Cache, go_on: &dyn Fn() -> bool) -> candle_core::Result<Option<Vec<f32>>> {
        if tokens.is_empty() || cache.len() + tokens.len() > self.context {
            candle_core::bail!("{} tokens after {}: between 1 and {} fit", tokens.len(), cache.len(), self.context);
        }
        cache.layers.resize_with(self.shape.layers, Default::default);
        let mut last = Vec::new();
        for band in tokens.chunks(BAND) {
            if !go_on() {
                return Ok(None);
            }
            let mut x = self.embedding.rows(band)?;
            x.iter_mut().for_each(|v| *v *= self.shape.embedding_scale);
            for (layer, cache) in self.layers.iter().zip(&mut cache.layers) {
                layer.forward(&mut x, &self.shape, cache)?;
            }
            cache.tokens.extend_from_slice(band);
            last = x.split_off(x.len() - self.shape.hidden);
        }
        let [logits] = products(&self.norm.of(&last), [&self.output])?;
        Ok(Some(logits))
    }
}

/// Whether the file is as long as its own directory says: a download that was cut off is told apart from a broken one.
fn whole(content: &gguf_file::Content, file: &mut (impl Seek + std::io::Read)) -> candle_core::Result<()> {
    let length = file.seek(std::io::SeekFrom::End(0))?;
    let end_of = |info: &gguf_file::TensorInfo| {
        let bytes = info.shape.elem_count() / info.ggml_dtype.block_size() * info.ggml_dtype.type_size();
        content.tensor_data_offset + info.offset + bytes as u64
    };
    let end = content.tensor_infos.values().map(end_of).max().unwrap_or(0);
    if end > length {
        candle_core::bail!("it is cut off: {length} bytes of at least {end}");
    }
    Ok(())
}
