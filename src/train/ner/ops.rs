//! What the tagger's head needs beyond the encoder's own operations, each with its gradient (held against differences in `tests`).

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Device, Layout, Result, Shape, Tensor};

use crate::embed::tuning::ops::{slice, tensor, with_slice};
use crate::ner::learned::crf::Crf;

/// The mean of each unit's token rows: `[tokens, hidden]` to `[units, hidden]`; zeros where a unit has none.
pub struct UnitMeans {
    /// `from..to` of each unit.
    pub tokens: Vec<(u32, u32)>,
}

impl CustomOp1 for UnitMeans {
    fn name(&self) -> &'static str {
        "unit-means"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let hidden = layout.shape().dims2()?.1;
        let x = slice(x, layout)?;
        let mut out = vec![0.0; self.tokens.len() * hidden];
        for (to, &(from, end)) in out.chunks_exact_mut(hidden).zip(&self.tokens) {
            for row in x[from as usize * hidden..end as usize * hidden].chunks_exact(hidden) {
                to.iter_mut().zip(row).for_each(|(t, v)| *t += v / (end - from) as f32);
            }
        }
        Ok((CpuStorage::F32(out), Shape::from((self.tokens.len(), hidden))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let hidden = x.dim(1)?;
        let dx = with_slice(grad, |grad| {
            let mut dx = vec![0.0; x.elem_count()];
            for (g, &(from, end)) in grad.chunks_exact(hidden).zip(&self.tokens) {
                for row in dx[from as usize * hidden..end as usize * hidden].chunks_exact_mut(hidden) {
                    row.iter_mut().zip(g).for_each(|(d, g)| *d += g / (end - from) as f32);
                }
            }
            Ok(dx)
        })?;
        Ok(Some(tensor(dx, x.shape())?))
    }
}

/// The sum of each unit's rows of a matrix: `[features, width]` to `[units, width]`.
pub struct RowSums {
    /// Rows of each unit.
    pub rows: Vec<Vec<u32>>,
}

impl CustomOp1 for RowSums {
    fn name(&self) -> &'static str {
        "row-sums"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = layout.shape().dims2()?.1;
        let x = slice(x, layout)?;
        let mut out = vec![0.0; self.rows.len() * width];
        for (to, rows) in out.chunks_exact_mut(width).zip(&self.rows) {
            for &row in rows {
                to.iter_mut().zip(&x[row as usize * width..][..width]).for_each(|(t, v)| *t += v);
            }
        }
        Ok((CpuStorage::F32(out), Shape::from((self.rows.len(), width))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = x.dim(1)?;
        let dx = with_slice(grad, |grad| {
            let mut dx = vec![0.0; x.elem_count()];
            for (g, rows) in grad.chunks_exact(width).zip(&self.rows) {
                for &row in rows {
                    dx[row as usize * width..][..width].iter_mut().zip(g).for_each(|(d, g)| *d += g);
                }
            }
            Ok(dx)
        })?;
        Ok(Some(tensor(dx, x.shape())?))
    }
}

/// Each unit between the one before and the one after in its text: `[units, width]` to `[units, 3 * width]`.
pub struct Neighbours {
    /// Units of each text.
    pub lengths: Vec<usize>,
}

impl Neighbours {
    /// Calls `f` with each unit, which of its three places, and the unit that stands there.
    fn each(&self, mut f: impl FnMut(usize, usize, usize)) {
        let mut start = 0;
        for &n in &self.lengths {
            for unit in 0..n {
                for which in 0..3 {
                    if let Some(other) = (unit + which).checked_sub(1).filter(|&o| o < n) {
                        f(start + unit, which, start + other);
                    }
                }
            }
            start += n;
        }
    }
}

impl CustomOp1 for Neighbours {
    fn name(&self) -> &'static str {
        "neighbours"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (units, width) = layout.shape().dims2()?;
        let x = slice(x, layout)?;
        let mut out = vec![0.0; units * 3 * width];
        self.each(|unit, which, other| {
            out[(unit * 3 + which) * width..][..width].copy_from_slice(&x[other * width..][..width]);
        });
        Ok((CpuStorage::F32(out), Shape::from((units, 3 * width))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = x.dim(1)?;
        let dx = with_slice(grad, |grad| {
            let mut dx = vec![0.0; x.elem_count()];
            self.each(|unit, which, other| {
                let g = &grad[(unit * 3 + which) * width..][..width];
                dx[other * width..][..width].iter_mut().zip(g).for_each(|(d, g)| *d += g);
            });
            Ok(dx)
        })?;
        Ok(Some(tensor(dx, x.shape())?))
    }
}

/// Minus the logarithm of the probability of the texts' tags, summed and divided: scores `[units, tags]`, ends `[2 * tags]` and between
/// `[tags, tags]` of a [`Crf`] to a scalar.
pub struct Likelihood {
    /// The tags of each text, one a unit.
    pub tags: Vec<Vec<usize>>,
    pub divisor: f32,
}

fn crf(ends: &[f32], between: &[f32]) -> Crf {
    Crf { tags: ends.len() / 2, ends: ends.to_vec(), between: between.to_vec() }
}

impl CustomOp3 for Likelihood {
    fn name(&self) -> &'static str {
        "likelihood"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        e: &CpuStorage,
        le: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (mut scores, crf) = (slice(x, lx)?, crf(slice(e, le)?, slice(b, lb)?));
        let mut loss = 0.0;
        for tags in &self.tags {
            let (own, rest) = scores.split_at(tags.len() * crf.tags);
            loss += crf.loss(own, tags);
            scores = rest;
        }
        Ok((CpuStorage::F32(vec![loss as f32 / self.divisor]), Shape::from(())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        e: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let factor = f64::from(grad.to_scalar::<f32>()? / self.divisor);
        let crf = with_slice(e, |e| with_slice(b, |b| Ok(crf(e, b))))?;
        let (dx, de, db) = with_slice(x, |x| {
            let (mut dx, mut de, mut db) = (vec![0.0; x.len()], vec![0.0; crf.ends.len()], vec![0.0; crf.between.len()]);
            let (mut scores, mut to) = (x, dx.as_mut_slice());
            for tags in &self.tags {
                let (own, rest) = scores.split_at(tags.len() * crf.tags);
                let (own_to, rest_to) = to.split_at_mut(own.len());
                crf.gradient(own, tags, factor, [own_to, &mut de, &mut db]);
                (scores, to) = (rest, rest_to);
            }
            Ok((dx, de, db))
        })?;
        let shaped = |values: Vec<f32>, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu).map(Some);
        Ok((shaped(dx, x)?, shaped(de, e)?, shaped(db, b)?))
    }
}
