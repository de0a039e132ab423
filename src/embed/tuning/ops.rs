//! Layer norm, softmax over the real tokens, GELU, dropout and bias as operations that candle can differentiate.
//!
//! candle's fused versions have no backward pass, and its composed ones make a dozen passes over the memory each. These are exact and
//! make one. `tests` hold each gradient against candle's composed operations.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Device, Layout, Result, Shape, Storage, Tensor};

use crate::numeric::{exp_negative, gelu};

/// The numbers of a contiguous f32 tensor.
pub fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!("a contiguous tensor is needed"),
    }
}

/// Runs `f` on the numbers of a tensor, copied together first where they are not contiguous.
pub fn with_slice<T>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(slice(storage, layout)?),
        _ => candle_core::bail!("training runs on the CPU"),
    }
}

pub fn tensor(values: Vec<f32>, shape: &Shape) -> Result<Tensor> {
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// Column sums of `[rows, columns]`, by rows so that the compiler can vectorise.
fn column_sums(rows: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0; columns];
    for row in rows.chunks_exact(columns) {
        for (sum, v) in sums.iter_mut().zip(row) {
            *sum += v;
        }
    }
    sums
}

/// `x + b` for `x` `[rows, n]`, `b` `[n]`.
pub struct AddBias;

impl CustomOp2 for AddBias {
    fn name(&self) -> &'static str {
        "add-bias"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, b: &CpuStorage, lb: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, b) = (slice(x, lx)?, slice(b, lb)?);
        let mut out = Vec::with_capacity(x.len());
        for row in x.chunks_exact(b.len()) {
            out.extend(row.iter().zip(b).map(|(x, b)| x + b));
        }
        Ok((CpuStorage::F32(out), lx.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, b: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let sums = with_slice(grad, |g| Ok(column_sums(g, b.elem_count())))?;
        Ok((Some(grad.clone()), Some(tensor(sums, b.shape())?)))
    }
}

/// Layer norm over the last dimension of `[rows, n]`, with weight and bias `[n]`.
pub struct LayerNorm {
    pub eps: f32,
}

impl LayerNorm {
    /// Mean and reciprocal deviation of a row.
    fn statistics(&self, row: &[f32]) -> (f32, f32) {
        let n = row.len() as f32;
        let mean = row.iter().sum::<f32>() / n;
        let variance = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / n;
        (mean, 1.0 / (variance + self.eps).sqrt())
    }
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w, b) = (slice(x, lx)?, slice(w, lw)?, slice(b, lb)?);
        let mut out = Vec::with_capacity(x.len());
        for row in x.chunks_exact(w.len()) {
            let (mean, scale) = self.statistics(row);
            out.extend(row.iter().zip(w).zip(b).map(|((x, w), b)| (x - mean) * scale * w + b));
        }
        Ok((CpuStorage::F32(out), lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let n = w.elem_count();
        let (dx, dw, db) = with_slice(x, |x| {
            with_slice(w, |w| {
                with_slice(grad, |grad| {
                    let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; n], vec![0.0; n]);
                    for ((x, g), dx) in x.chunks_exact(n).zip(grad.chunks_exact(n)).zip(dx.chunks_exact_mut(n)) {
                        let (mean, scale) = self.statistics(x);
                        let (mut sum, mut dot) = (0.0, 0.0);
                        for i in 0..n {
                            let normal = (x[i] - mean) * scale;
                            let gw = g[i] * w[i];
                            sum += gw;
                            dot += gw * normal;
                            dw[i] += g[i] * normal;
                            db[i] += g[i];
                        }
                        let (sum, dot) = (sum / n as f32, dot / n as f32);
                        for i in 0..n {
                            dx[i] = scale * (g[i] * w[i] - sum - (x[i] - mean) * scale * dot);
                        }
                    }
                    Ok((dx, dw, db))
                })
            })
        })?;
        Ok((Some(tensor(dx, x.shape())?), Some(tensor(dw, w.shape())?), Some(tensor(db, b.shape())?)))
    }
}

/// Softmax over the last dimension of `scale * x`, `[texts, heads, n, n]`, where each text has its own number of real tokens: the
/// others get probability 0, and so do the rows of tokens that are none.
pub struct MaskedSoftmax {
    pub lengths: Vec<usize>,
    pub scale: f32,
}

impl CustomOp1 for MaskedSoftmax {
    fn name(&self) -> &'static str {
        "masked-softmax"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (texts, heads, rows, n) = layout.shape().dims4()?;
        let mut out = slice(x, layout)?.to_vec();
        for (text, block) in out.chunks_exact_mut(heads * rows * n).enumerate().take(texts) {
            let real = self.lengths[text];
            for row in block.chunks_exact_mut(n) {
                let (seen, unseen) = row.split_at_mut(real);
                let max = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let mut sum = 0.0;
                for v in seen.iter_mut() {
                    *v = exp_negative((*v - max) * self.scale);
                    sum += *v;
                }
                seen.iter_mut().for_each(|v| *v /= sum);
                unseen.fill(0.0);
            }
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let n = result.dim(3)?;
        let dx = with_slice(result, |p| {
            with_slice(grad, |grad| {
                let mut dx = Vec::with_capacity(p.len());
                for (p, g) in p.chunks_exact(n).zip(grad.chunks_exact(n)) {
                    let dot: f32 = p.iter().zip(g).map(|(p, g)| p * g).sum();
                    dx.extend(p.iter().zip(g).map(|(p, g)| self.scale * p * (g - dot)));
                }
                Ok(dx)
            })
        })?;
        Ok(Some(tensor(dx, result.shape())?))
    }
}

/// The exact GELU, `x Φ(x)`.
pub struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(slice(x, layout)?.iter().map(|&x| gelu(x)).collect()), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        /// 1 / sqrt(2 pi)
        const DENSITY: f32 = 0.398_942_3;
        let dx = with_slice(x, |x| {
            with_slice(grad, |grad| {
                let one = |(&x, &g): (&f32, &f32)| {
                    // Φ(x) from the function itself; at 0 it is one half.
                    let phi = if x.abs() < 1e-3 { 0.5 + DENSITY * x } else { gelu(x) / x };
                    g * (phi + x * DENSITY * exp_negative(-0.5 * x * x))
                };
                Ok(x.iter().zip(grad).map(one).collect::<Vec<f32>>())
            })
        })?;
        Ok(Some(tensor(dx, x.shape())?))
    }
}

/// Sets numbers to 0 where `keep` is false and scales the others up by what is lost. Same mask forward and backward.
pub struct Dropout {
    /// One byte a number; kept where it is at least `drop_below`.
    pub bytes: Vec<u8>,
    pub drop_below: u8,
}

impl Dropout {
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let scale = 256.0 / (256.0 - f32::from(self.drop_below));
        x.iter().zip(&self.bytes).map(|(x, &b)| if b >= self.drop_below { x * scale } else { 0.0 }).collect()
    }
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(self.apply(slice(x, layout)?)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let dx = with_slice(grad, |g| Ok(self.apply(g)))?;
        Ok(Some(tensor(dx, x.shape())?))
    }
}

/// Mean over each text's real tokens, scaled to length `scale`: `[texts * n, hidden]` to `[texts, hidden]`.
pub struct Pool {
    pub lengths: Vec<usize>,
    pub scale: f32,
}

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let hidden = layout.shape().dims2()?.1;
        let x = slice(x, layout)?;
        let texts = self.lengths.len();
        let mut out = Vec::with_capacity(texts * hidden);
        for (text, &real) in x.chunks_exact(x.len() / texts).zip(&self.lengths) {
            let sums = column_sums(&text[..real * hidden], hidden);
            let norm = sums.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            out.extend(sums.into_iter().map(|v| v * self.scale / norm));
        }
        Ok((CpuStorage::F32(out), Shape::from((texts, hidden))))
    }

    fn bwd(&self, x: &Tensor, result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (rows, hidden) = x.dims2()?;
        let texts = self.lengths.len();
        let dx = with_slice(x, |x| {
            with_slice(result, |y| {
                with_slice(grad, |grad| {
                    let mut dx = vec![0.0; x.len()];
                    let n = rows / texts;
                    for (i, &real) in self.lengths.iter().enumerate() {
                        let sums = column_sums(&x[i * n * hidden..][..real * hidden], hidden);
                        let norm = sums.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
                        let (y, g) = (&y[i * hidden..][..hidden], &grad[i * hidden..][..hidden]);
                        let dot = y.iter().zip(g).map(|(y, g)| y * g).sum::<f32>() / (self.scale * self.scale);
                        let row: Vec<f32> = y.iter().zip(g).map(|(y, g)| self.scale / norm * (g - dot * y)).collect();
                        for token in dx[i * n * hidden..][..real * hidden].chunks_exact_mut(hidden) {
                            token.copy_from_slice(&row);
                        }
                    }
                    Ok(dx)
                })
            })
        })?;
        Ok(Some(tensor(dx, x.shape())?))
    }
}

/// Mean cross-entropy of `logits` `[texts, labels]` against labels softened by `smoothing`: a scalar.
pub struct CrossEntropy {
    pub labels: Vec<u32>,
    pub smoothing: f32,
    /// What the sum over the texts is divided by: the texts of the whole batch, of which these may be a part.
    pub divisor: f32,
}

impl CrossEntropy {
    fn target(&self, text: usize, label: usize, labels: usize) -> f32 {
        self.smoothing / labels as f32 + if self.labels[text] as usize == label { 1.0 - self.smoothing } else { 0.0 }
    }
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let labels = layout.shape().dims2()?.1;
        let mut loss = 0.0;
        for (text, row) in slice(x, layout)?.chunks_exact(labels).enumerate() {
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let log_sum = row.iter().map(|v| (v - max).exp()).sum::<f32>().ln() + max;
            loss += row.iter().enumerate().map(|(i, v)| self.target(text, i, labels) * (log_sum - v)).sum::<f32>();
        }
        Ok((CpuStorage::F32(vec![loss / self.divisor]), Shape::from(())))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let labels = x.dim(1)?;
        let factor = grad.to_dtype(DType::F32)?.to_scalar::<f32>()? / self.divisor;
        let dx = with_slice(x, |x| {
            let mut dx = Vec::with_capacity(x.len());
            for (text, row) in x.chunks_exact(labels).enumerate() {
                let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let exp: Vec<f32> = row.iter().map(|v| (v - max).exp()).collect();
                let sum: f32 = exp.iter().sum();
                dx.extend(exp.iter().enumerate().map(|(i, e)| factor * (e / sum - self.target(text, i, labels))));
            }
            Ok(dx)
        })?;
        Ok(Some(tensor(dx, x.shape())?))
    }
}

/// From the similarities of texts with one another, `[texts, texts]`, to how surely each finds those of its own group before all others:
/// the supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362, equation 2).
pub struct Contrast {
    /// Group of each text. A text alone in its group is only one that the others must not find.
    pub groups: Vec<u32>,
    /// What similarities are divided by.
    pub temperature: f32,
    /// What the sum over the texts is divided by.
    pub divisor: f32,
}

impl Contrast {
    /// For each text its row's probabilities, itself left out, and the share that each text of its group should have.
    fn each(&self, x: &[f32], mut take: impl FnMut(usize, &[f32], f32)) {
        let n = self.groups.len();
        let mut probabilities = vec![0.0; n];
        for (text, row) in x.chunks_exact(n.max(1)).enumerate() {
            let max = row.iter().enumerate().filter(|(i, _)| *i != text).fold(f32::NEG_INFINITY, |m, (_, v)| m.max(*v));
            for (i, (p, v)) in probabilities.iter_mut().zip(row).enumerate() {
                *p = if i == text { 0.0 } else { ((v - max) / self.temperature).exp() };
            }
            let sum: f32 = probabilities.iter().sum();
            probabilities.iter_mut().for_each(|p| *p /= sum.max(f32::MIN_POSITIVE));
            let alike = self.groups.iter().filter(|g| **g == self.groups[text]).count() - 1;
            take(text, &probabilities, if alike == 0 { 0.0 } else { 1.0 / alike as f32 });
        }
    }

    fn is_alike(&self, a: usize, b: usize) -> bool {
        a != b && self.groups[a] == self.groups[b]
    }
}

impl CustomOp1 for Contrast {
    fn name(&self) -> &'static str {
        "contrast"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut loss = 0.0;
        self.each(slice(x, layout)?, |text, probabilities, share| {
            let alike = probabilities.iter().enumerate().filter(|(i, _)| self.is_alike(text, *i));
            loss -= alike.map(|(_, p)| share * p.max(f32::MIN_POSITIVE).ln()).sum::<f32>();
        });
        Ok((CpuStorage::F32(vec![loss / self.divisor]), Shape::from(())))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let factor = grad.to_dtype(DType::F32)?.to_scalar::<f32>()? / (self.divisor * self.temperature);
        let dx = with_slice(x, |x| {
            let mut dx = Vec::with_capacity(x.len());
            self.each(x, |text, probabilities, share| {
                let one = |(i, p): (usize, &f32)| if self.is_alike(text, i) { p - share } else { *p };
                // A text alone has no loss of its own.
                let counts = if share > 0.0 { factor } else { 0.0 };
                dx.extend(probabilities.iter().enumerate().map(|p| counts * one(p)));
            });
            Ok(dx)
        })?;
        Ok(Some(tensor(dx, x.shape())?))
    }
}
