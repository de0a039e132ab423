//! AdamW (Loshchilov and Hutter 2019) in one pass over the memory, and a running mean of the weights.

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor, Var};
use rayon::prelude::*;

/// First and second moment of each variable, and the mean of its values over the steps that were averaged.
pub(super) struct AdamW {
    pub moments: Vec<[Vec<f32>; 2]>,
    pub means: Vec<Vec<f32>>,
    pub averaged: usize,
    pub step: usize,
    pub weight_decay: f32,
}

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPS: f32 = 1e-8;

impl AdamW {
    pub(super) fn new(variables: &[(String, Var)], weight_decay: f32) -> Self {
        let zeros = |v: &(String, Var)| vec![0.0; v.1.elem_count()];
        let moments = variables.iter().map(|v| [zeros(v), zeros(v)]).collect();
        AdamW { moments, means: variables.iter().map(zeros).collect(), averaged: 0, step: 0, weight_decay }
    }

    /// One step along `gradients`, each the sum of its parts; `rate` gives a variable's learning rate by its name.
    pub(super) fn step(&mut self, variables: &[(String, Var)], gradients: &[Tensor], rate: impl Fn(&str) -> f32 + Sync) -> Result<()> {
        self.step += 1;
        let correction = [BETA_1, BETA_2].map(|beta| 1.0 - beta.powi(self.step as i32));
        let decay = self.weight_decay;
        variables.par_iter().zip(gradients).zip(&mut self.moments).try_for_each(|(((name, variable), gradient), moments)| {
            // Vectors (biases, norms) do not decay.
            let decay = if variable.rank() == 2 { decay } else { 0.0 };
            let update = Update { moments: std::sync::Mutex::new(moments), correction, rate: rate(name), decay };
            variable.inplace_op2(&gradient.contiguous()?, &update)
        })
    }

    /// Takes the variables' values into their mean.
    pub(super) fn average(&mut self, variables: &[(String, Var)]) -> Result<()> {
        self.averaged += 1;
        let share = 1.0 / self.averaged as f32;
        variables.par_iter().zip(&mut self.means).try_for_each(|((_, variable), mean)| {
            super::ops::with_slice(variable, |values| {
                mean.iter_mut().zip(values).for_each(|(m, v)| *m += (v - *m) * share);
                Ok(())
            })
        })
    }
}

struct Update<'a> {
    moments: std::sync::Mutex<&'a mut [Vec<f32>; 2]>,
    correction: [f32; 2],
    rate: f32,
    decay: f32,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, value: &mut CpuStorage, layout: &Layout, gradient: &CpuStorage, of_gradient: &Layout) -> Result<()> {
        let (CpuStorage::F32(values), Some((start, end))) = (value, layout.contiguous_offsets()) else {
            candle_core::bail!("variables are contiguous and f32")
        };
        let Some((from, to)) = of_gradient.contiguous_offsets() else { candle_core::bail!("gradients are contiguous") };
        let gradient = &gradient.as_slice::<f32>()?[from..to];
        let mut moments = self.moments.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let [first, second] = &mut **moments;
        let [c1, c2] = self.correction;
        for (((p, g), m), v) in values[start..end].iter_mut().zip(gradient).zip(first.iter_mut()).zip(second.iter_mut()) {
            *m = BETA_1 * *m + (1.0 - BETA_1) * g;
            *v = BETA_2 * *v + (1.0 - BETA_2) * g * g;
            *p -= self.rate * ((*m / c1) / ((*v / c2).sqrt() + EPS) + self.decay * *p);
        }
        Ok(())
    }
}
