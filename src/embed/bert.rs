//! The forward pass of a BERT encoder over a GGUF, and its tokenizer.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use candle_core::quantized::{QTensor, gguf_file};
use candle_core::{Device, IndexOp, Result, Tensor};
use tokenizers::{Tokenizer, TruncationParams};

use super::layer::{Dimensions, Layer, Norm, States};
use super::{Arithmetic, EncodeError, Role};

/// A sentence encoder: tokenizer, trunk, top layers, mean over the tokens, L2.
pub struct Encoder {
    tokenizer: Tokenizer,
    words: QTensor,
    /// Position and token-type embeddings, summed once: `[positions, hidden]`.
    positions: Tensor,
    norm: Norm,
    /// The lower layers, whose states everybody shares.
    trunk: Vec<Layer>,
    /// The upper layers as they were pretrained: the sentence vector's. A task has [`super::Branch`]es of its own in their place.
    top: Vec<Layer>,
    dimensions: Dimensions,
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
        let dimensions = Dimensions::read(&content)?;
        let words = content.tensor(file, "token_embd.weight", &Device::Cpu)?;
        let mut plain = |name: &str| content.tensor(file, name, &Device::Cpu)?.dequantize(&Device::Cpu);
        let positions = plain("position_embd.weight")?.broadcast_add(&plain("token_types.weight")?.i(0)?)?;
        let norm = Norm::read(&content, file, "token_embd_norm", dimensions.eps)?;
        let mut layers = |range: std::ops::Range<usize>| {
            range.map(|i| Layer::read(&content, file, i, dimensions, arithmetic)).collect::<Result<Vec<_>>>()
        };
        let cut = dimensions.trunk_layers();
        let (trunk, top) = (layers(0..cut)?, layers(cut..dimensions.layers)?);
        Ok(Encoder { tokenizer, words, positions, norm, trunk, top, dimensions })
    }

    /// Numbers in a vector.
    pub fn dimension(&self) -> usize {
        self.dimensions.hidden
    }

    /// Token ids of a text with its role's prefix, at most [`Self::MAX_TOKENS`]. About 10 microseconds for a short text.
    ///
    /// # Errors
    /// When the tokenizer fails, which no text is known to bring about.
    pub fn tokenize(&self, text: &str, role: Role) -> std::result::Result<Tokens, EncodeError> {
        let encoding = self.tokenizer.encode_fast(Self::input(text, role), true).map_err(|e| EncodeError::Model(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Which code points of the text, `start..end`, each token of [`Self::tokenize`] stands for; an empty range for the prefix and the
    /// special tokens.
    ///
    /// # Errors
    /// As [`Self::tokenize`].
    pub fn offsets(&self, text: &str, role: Role) -> std::result::Result<Vec<(u32, u32)>, EncodeError> {
        let encoding = self.tokenizer.encode_char_offsets(Self::input(text, role), true).map_err(|e| EncodeError::Model(e.to_string()))?;
        let skipped = role.prefix().chars().count();
        let of_text = |(start, end): &(usize, usize)| (start.saturating_sub(skipped) as u32, end.saturating_sub(skipped) as u32);
        Ok(encoding.get_offsets().iter().map(of_text).collect())
    }

    /// What the tokenizer is given. Far more characters than can become tokens are not worth reading: 10 MB would take seconds to be cut
    /// to 512 tokens.
    fn input(text: &str, role: Role) -> String {
        let end = text.char_indices().nth(Self::MAX_TOKENS * 16).map_or(text.len(), |(at, _)| at);
        format!("{}{}", role.prefix(), &text[..end])
    }

    /// What the trunk makes of a batch of token lists: the input of [`Self::sentences`] and of every branch.
    ///
    /// Rows are laid end to end, without padding: only attention works text by text.
    ///
    /// # Errors
    /// When candle fails or a token id is not in the vocabulary.
    pub fn trunk(&self, batch: &[Tokens]) -> std::result::Result<States, EncodeError> {
        let lengths: Vec<usize> = batch.iter().map(Vec::len).collect();
        let ids: Vec<u32> = batch.concat();
        let positions: Vec<u32> = lengths.iter().flat_map(|&n| 0..n as u32).collect();
        let words = self.words.embedding(&Tensor::new(ids, &Device::Cpu)?)?;
        let positions = self.positions.index_select(&Tensor::new(positions, &Device::Cpu)?, 0)?;
        let mut rows = self.norm.forward(&(words + positions)?)?;
        for layer in &self.trunk {
            rows = layer.forward(&rows, &lengths)?;
        }
        Ok(States { rows, lengths })
    }

    /// What the pretrained upper layers make of the trunk's states.
    pub(super) fn through(&self, states: &States) -> Result<States> {
        states.through(&self.top)
    }

    /// Sentence vectors, each of [`Self::dimension`] numbers and length 1.
    ///
    /// # Errors
    /// When candle fails.
    pub fn sentences(&self, states: &States) -> std::result::Result<Vec<Vec<f32>>, EncodeError> {
        Ok(self.through(states)?.pooled()?)
    }

    /// Sentence vectors of a batch of token lists.
    ///
    /// # Errors
    /// As [`Self::trunk`].
    pub fn encode(&self, batch: &[Tokens]) -> std::result::Result<Vec<Vec<f32>>, EncodeError> {
        if batch.is_empty() { Ok(Vec::new()) } else { self.sentences(&self.trunk(batch)?) }
    }
}
