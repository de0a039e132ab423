//! The seam for the matrix product: `y = x Wᵀ`, a part of the rows of `W` for each thread.
//!
//! The program runs candle's products on the thread that asks for them (`embed::worker` says why), so a lone generation would use one
//! core. Cut by rows, the parts are products of their own, that run side by side without a word to one another.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{D, Device, Result, Tensor};
use rayon::prelude::*;

/// Rows that candle's kernels take at a time; a part is a multiple of it.
const TILE: usize = 16;

/// candle's repacked kernels take inner dimensions that are whole multiples of this.
const SUPER_BLOCK: usize = 256;

/// A quantised matrix `[out, in]`.
pub(super) struct Linear {
    parts: Vec<Arc<QTensor>>,
    out: usize,
    inner: usize,
    /// Zero columns appended to the input, as in `embed::linear`.
    padding: usize,
}

impl Linear {
    /// Cuts a matrix into at most `threads` parts. Formats that candle has only scalar code for become Q8_0.
    pub(super) fn new(weight: QTensor, threads: usize) -> Result<Self> {
        let (out, inner) = weight.shape().dims2()?;
        let weight = if has_kernel(weight.dtype()) { weight } else { to_q8(&weight)? };
        let dtype = weight.dtype();
        // Only zeros of Q8_0 can be appended block by block: the larger blocks of others fill whole multiples already.
        let padding = if dtype == GgmlDType::Q8_0 { inner.next_multiple_of(SUPER_BLOCK) - inner } else { 0 };
        let row = inner / dtype.block_size() * dtype.type_size();
        let zeros = vec![0u8; padding / dtype.block_size() * dtype.type_size()];
        let rows = out.div_ceil(threads.max(1)).next_multiple_of(TILE);
        let data = weight.data()?;
        let part = |bytes: &[u8]| {
            let padded: Vec<u8> = bytes.chunks_exact(row).flat_map(|r| r.iter().chain(&zeros)).copied().collect();
            let storage = QStorage::from_data(padded.into(), &Device::Cpu, dtype)?;
            Ok(Arc::new(QTensor::new(storage, (bytes.len() / row, inner + padding))?))
        };
        let parts = data.chunks(rows * row).map(part).collect::<Result<_>>()?;
        Ok(Linear { parts, out, inner, padding })
    }

    /// Numbers in a row of the answer.
    pub(super) fn out(&self) -> usize {
        self.out
    }

    /// Rows of the matrix, dequantised, `in` numbers each: how a matrix of word embeddings is looked up.
    pub(super) fn rows(&self, ids: &[u32]) -> Result<Vec<f32>> {
        let per_part = self.parts[0].shape().dims2()?.0 as u32;
        let mut found = Vec::with_capacity(ids.len() * self.inner);
        for &id in ids {
            let Some(part) = self.parts.get((id / per_part) as usize) else { candle_core::bail!("token {id} of {}", self.out) };
            let row = part.embedding(&Tensor::new(&[id % per_part], &Device::Cpu)?)?.flatten_all()?.to_vec1::<f32>()?;
            found.extend_from_slice(&row[..self.inner]);
        }
        Ok(found)
    }
}

/// Products of several matrices of one inner dimension with the rows of `x`; one meeting of the threads for all of them.
pub(super) fn products<const N: usize>(x: &[f32], matrices: [&Linear; N]) -> Result<[Vec<f32>; N]> {
    let inner = matrices[0].inner;
    let rows = x.len() / inner;
    let plain = Tensor::from_slice(x, (rows, inner), &Device::Cpu)?;
    let padded = match matrices.iter().map(|m| m.padding).max() {
        Some(padding) if padding > 0 => plain.pad_with_zeros(D::Minus1, 0, padding)?,
        _ => plain.clone(),
    };
    let jobs: Vec<(usize, usize)> = (0..N).flat_map(|m| (0..matrices[m].parts.len()).map(move |p| (p, m))).collect();
    let threads = matrices.iter().map(|m| m.parts.len()).max().unwrap_or(1);
    let share = |thread: usize| {
        let mine = jobs.iter().filter(|(part, _)| part % threads == thread);
        let product = |&(part, m): &(usize, usize)| {
            let x = if matrices[m].padding > 0 { &padded } else { &plain };
            Ok((m, part, x.apply_op1_no_bwd(matrices[m].parts[part].as_ref())?))
        };
        mine.map(product).collect::<Result<Vec<_>>>()
    };
    let done: Vec<Vec<(usize, usize, Tensor)>> = (0..threads).into_par_iter().map(share).collect::<Result<_>>()?;
    let mut out = matrices.map(|m| vec![0.0; rows * m.out]);
    for (m, part, product) in done.into_iter().flatten() {
        let (storage, _) = product.storage_and_layout();
        let candle_core::Storage::Cpu(storage) = &*storage else { candle_core::bail!("a product that is not in memory") };
        let (from, width) = (part * matrices[m].parts[0].shape().dims2()?.0, matrices[m].parts[part].shape().dims2()?.0);
        for (to, row) in out[m].chunks_exact_mut(matrices[m].out).zip(storage.as_slice::<f32>()?.chunks_exact(width)) {
            to[from..from + width].copy_from_slice(row);
        }
    }
    Ok(out)
}

/// Formats that candle has vector code for on x86 and on ARM.
fn has_kernel(dtype: GgmlDType) -> bool {
    use GgmlDType::{Q2K, Q3K, Q4_0, Q4K, Q5K, Q6K, Q8_0};
    matches!(dtype, Q2K | Q3K | Q4_0 | Q4K | Q5K | Q6K | Q8_0)
}

/// In eight bits, a band of rows for each thread.
fn to_q8(weight: &QTensor) -> Result<QTensor> {
    let (out, inner) = weight.shape().dims2()?;
    let dtype = weight.dtype();
    if !inner.is_multiple_of(GgmlDType::Q8_0.block_size()) {
        candle_core::bail!("a matrix of {inner} columns cannot be held in 8 bits");
    }
    let row = inner / dtype.block_size() * dtype.type_size();
    let band = |bytes: &[u8]| {
        let part = QTensor::new(QStorage::from_data(bytes.to_vec().into(), &Device::Cpu, dtype)?, (bytes.len() / row, inner))?;
        Ok(QTensor::quantize(&part.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)?.data()?.into_owned())
    };
    let bands: Vec<Vec<u8>> = weight.data()?.par_chunks(1024 * row).map(band).collect::<Result<_>>()?;
    QTensor::new(QStorage::from_data(bands.concat().into(), &Device::Cpu, GgmlDType::Q8_0)?, (out, inner))
}
