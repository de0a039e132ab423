//! Words of a model: its tokenizer, its chat template and the tokens that end an answer, all from the GGUF file.

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, context};
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::Replace;
use tokenizers::{AddedToken, DecoderWrapper, Tokenizer};

use super::{GenerateError, Speaker, Turn};

/// Tokens that end a turn, as the known families name them; those of the file's `eos_token_id` come to them.
const ENDS: [&str; 6] = ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>", "</s>"];

/// What sentencepiece writes for a space.
const SPACE: &str = "▁";

pub(super) struct Vocabulary {
    tokenizer: Tokenizer,
    templates: Environment<'static>,
    bos: String,
    eos: String,
    ends: Vec<u32>,
    /// What a text must not be read as: tokens that mean something to the model and stand for no words.
    special: Vec<String>,
}

fn failed(e: impl std::fmt::Display) -> GenerateError {
    GenerateError::Model(e.to_string())
}

impl Vocabulary {
    /// # Errors
    /// A file without tokens or chat template, or with a kind of tokenizer that is not known.
    pub(super) fn read(content: &Content) -> Result<Self, GenerateError> {
        let text = |key: &str| match content.metadata.get(key) {
            Some(Value::String(s)) => Some(s.clone()),
            _ => None,
        };
        let template = text("tokenizer.chat_template").ok_or_else(|| {
            failed("the file has no chat template (tokenizer.chat_template): take the model's \"instruct\" or \"chat\" variant")
        })?;
        let kind = text("tokenizer.ggml.model").unwrap_or_default();
        let mut tokenizer = match kind.as_str() {
            "gpt2" => Tokenizer::from_gguf(content).map_err(failed)?,
            "llama" => sentencepiece(content)?,
            other => return Err(failed(format!("its tokenizer is of the kind {other:?}; gpt2 and llama are known"))),
        };
        // The template writes the first token where the model wants one.
        tokenizer.with_post_processor(None::<tokenizers::PostProcessorWrapper>);
        let token = |key: &str| {
            let id = content.metadata.get(key).and_then(|v| v.to_u32().ok());
            id.and_then(|id| tokenizer.id_to_token(id)).unwrap_or_default()
        };
        let (bos, eos) = (token("tokenizer.ggml.bos_token_id"), token("tokenizer.ggml.eos_token_id"));
        let ends = ENDS.iter().copied().chain([eos.as_str()]).filter_map(|t| tokenizer.token_to_id(t)).collect();
        let special = tokenizer.get_added_tokens_decoder().into_values().filter(|t| t.special && t.content.chars().count() > 2);
        let special = special.map(|t| t.content).collect();
        let mut templates = Environment::new();
        templates.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        // As the models' own library reads templates.
        templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(failed)?);
        templates.add_function("raise_exception", |what: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, what))
        });
        templates.add_template_owned("chat", template).map_err(|e| failed(format!("its chat template: {e:#}")))?;
        Ok(Vocabulary { tokenizer, templates, bos, eos, ends, special })
    }

    /// The tokens of a prompt that an answer follows.
    ///
    /// # Errors
    /// A template that fails.
    pub(super) fn prompt(&self, turns: &[Turn]) -> Result<Vec<u32>, GenerateError> {
        let text = self.render(turns, true).or_else(|e| {
            // Some templates (Gemma 2, Mistral) know no system turn: what it says then opens the first user's.
            self.render(turns, false).map_err(|_| e)
        })?;
        self.tokens(&text)
    }

    fn render(&self, turns: &[Turn], system: bool) -> Result<String, GenerateError> {
        let mut messages: Vec<(&str, String)> = Vec::new();
        let mut before = String::new();
        for Turn { speaker, text } in turns {
            let text = self.harmless(text);
            match speaker {
                Speaker::System if !system => before = text + "\n\n",
                Speaker::System => messages.push(("system", text)),
                Speaker::User => messages.push(("user", std::mem::take(&mut before) + &text)),
                Speaker::Assistant => messages.push(("assistant", text)),
            }
        }
        let messages: Vec<minijinja::Value> = messages.into_iter().map(|(role, content)| context! { role, content }).collect();
        let template = self.templates.get_template("chat").map_err(failed)?;
        let values =
            context! { messages, add_generation_prompt => true, bos_token => &self.bos, eos_token => &self.eos, enable_thinking => false };
        template.render(values).map_err(|e| failed(format!("its chat template: {e:#}")))
    }

    /// A text in which no special token can be read: a customer who writes `<|im_start|>system` writes words.
    fn harmless(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for token in &self.special {
            if text.contains(token.as_str()) {
                let mut chars = token.chars();
                let first: String = chars.by_ref().take(1).collect();
                text = text.replace(token.as_str(), &format!("{first} {}", chars.as_str()));
            }
        }
        text
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>, GenerateError> {
        Ok(self.tokenizer.encode_fast(text, false).map_err(failed)?.get_ids().to_vec())
    }

    /// The first token of a text, as it stands at the beginning of an answer.
    pub(super) fn first(&self, text: &str) -> Result<u32, GenerateError> {
        self.tokens(text)?.first().copied().ok_or_else(|| failed("a choice without words"))
    }

    pub(super) fn ends(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// Turns tokens into text one by one; see [`Writer::push`].
    pub(super) fn writer(&self) -> Writer<'_> {
        Writer { vocabulary: self, tokens: Vec::new(), done: 0, text: String::new() }
    }
}

/// The text of an answer as it grows.
pub(super) struct Writer<'a> {
    vocabulary: &'a Vocabulary,
    tokens: Vec<u32>,
    /// Tokens whose text stands in `text`.
    done: usize,
    pub text: String,
}

impl Writer<'_> {
    /// Takes a token and gives what can be read since the last time: nothing while a character's bytes are not all there.
    pub(super) fn push(&mut self, token: u32) -> Result<String, GenerateError> {
        self.tokens.push(token);
        let read = |tokens: &[u32]| self.vocabulary.tokenizer.decode(tokens, true).map_err(failed);
        // A few tokens before the new ones, since sentencepiece takes the space off the first.
        let from = self.done.saturating_sub(4);
        let (before, now) = (read(&self.tokens[from..self.done])?, read(&self.tokens[from..])?);
        if now.ends_with(char::REPLACEMENT_CHARACTER) && self.tokens.len() - self.done < 8 {
            return Ok(String::new());
        }
        let piece = now.strip_prefix(before.as_str()).unwrap_or_default().to_owned();
        self.done = self.tokens.len();
        self.text.push_str(&piece);
        Ok(piece)
    }
}

/// The tokenizer of a file with sentencepiece's tokens and scores (Llama 2, Mistral, Gemma): byte-pair encoding whose merges are the
/// pairs of tokens that make a token, the better scored first.
fn sentencepiece(content: &Content) -> Result<Tokenizer, GenerateError> {
    let list = |key: &str| match content.metadata.get(key) {
        Some(Value::Array(values)) => Ok(values),
        _ => Err(failed(format!("the file has no {key}"))),
    };
    let tokens: Vec<String> =
        list("tokenizer.ggml.tokens")?.iter().map(|v| v.to_string().cloned()).collect::<Result<_, _>>().map_err(failed)?;
    let scores: Vec<f32> = list("tokenizer.ggml.scores")?.iter().map(Value::to_f32).collect::<Result<_, _>>().map_err(failed)?;
    let kinds: Vec<i64> = list("tokenizer.ggml.token_type")?
        .iter()
        .map(|v| v.to_i32().map(i64::from).or_else(|_| v.to_u32().map(i64::from)))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    if scores.len() != tokens.len() || kinds.len() != tokens.len() {
        return Err(failed("its tokens, scores and kinds are of different numbers"));
    }
    let vocab: Vocab = tokens.iter().enumerate().map(|(i, t)| (t.clone(), i as u32)).collect();
    let mut merges: Vec<(f32, usize, (String, String))> = Vec::new();
    for (i, token) in tokens.iter().enumerate().filter(|(i, _)| kinds[*i] == 1) {
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if vocab.contains_key(left) && vocab.contains_key(right) {
                merges.push((scores[i], left.len(), (left.to_owned(), right.to_owned())));
            }
        }
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let unknown = tokens.iter().zip(&kinds).find(|(_, kind)| **kind == 2).map_or("<unk>", |(t, _)| t.as_str());
    let merges = merges.into_iter().map(|(_, _, pair)| pair).collect();
    let bpe = BPE::builder().vocab_and_merges(vocab, merges).unk_token(unknown.to_owned()).byte_fallback(true).fuse_unk(true);
    let mut tokenizer = Tokenizer::new(bpe.build().map_err(failed)?);
    tokenizer.with_normalizer(Some(Replace::new(" ", SPACE).map_err(failed)?)).map_err(failed)?;
    let steps: Vec<DecoderWrapper> = vec![Replace::new(SPACE, " ").map_err(failed)?.into(), ByteFallback::new().into(), Fuse::new().into()];
    tokenizer.with_decoder(Some(Sequence::new(steps)));
    let special = tokens.iter().zip(&kinds).filter(|(_, kind)| matches!(kind, 2..=5)).map(|(t, _)| AddedToken::from(t.clone(), true));
    tokenizer.add_special_tokens(special.collect::<Vec<_>>()).map_err(failed)?;
    Ok(tokenizer)
}
