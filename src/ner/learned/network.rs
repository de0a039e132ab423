//! From a unit's token states and features to a score a tag: the forward pass of what `train::ner` learns.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use crate::numeric::gelu;

/// Added to the variance in the layer norms.
pub const EPS: f32 = 1e-5;

/// Weight and bias of a layer norm.
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// A layer that looks at a unit and its two neighbours.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// `[3 * width, width]`
    pub weight: Array2<f32>,
    pub bias: Vec<f32>,
    pub norm: Norm,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// `[features, width]`
    pub rows: Array2<f32>,
    /// `[hidden, width]`; `None` where there is no encoder.
    pub project: Option<Array2<f32>>,
    pub norm: Norm,
    pub layers: Vec<Layer>,
    /// `[width, tags]`
    pub out: Array2<f32>,
    pub out_bias: Vec<f32>,
}

impl Network {
    pub fn tags(&self) -> usize {
        self.out_bias.len()
    }

    /// Scores `[units * tags]`.
    ///
    /// `states` are the tokens', row after row; `tokens` says which of them each unit takes, by their mean. `features` are each unit's
    /// rows.
    pub fn scores(&self, states: &[f32], tokens: &[(u32, u32)], features: &[Vec<u32>]) -> Vec<f32> {
        let (units, width) = (features.len(), self.rows.ncols());
        let mut x = match &self.project {
            Some(project) => means(states, tokens, units, project.nrows()).dot(project),
            None => Array2::zeros((units, width)),
        };
        for (mut to, rows) in x.axis_iter_mut(Axis(0)).zip(features) {
            for &row in rows {
                to += &self.rows.row(row as usize);
            }
        }
        activate(&mut x, &self.norm);
        for layer in &self.layers {
            let mut y = with_neighbours(&x.view()).dot(&layer.weight);
            y += &ArrayView1::from(&layer.bias);
            activate(&mut y, &layer.norm);
            x += &y;
        }
        let mut scores = x.dot(&self.out);
        scores += &ArrayView1::from(&self.out_bias);
        scores.into_raw_vec_and_offset().0
    }
}

/// The mean of each unit's tokens, `[units, hidden]`; zeros where it has none.
fn means(states: &[f32], tokens: &[(u32, u32)], units: usize, hidden: usize) -> Array2<f32> {
    let mut out = Array2::zeros((units, hidden));
    for (mut to, &(from, end)) in out.axis_iter_mut(Axis(0)).zip(tokens) {
        for row in states.chunks_exact(hidden).take(end as usize).skip(from as usize) {
            to.iter_mut().zip(row).for_each(|(t, v)| *t += v / (end - from) as f32);
        }
    }
    out
}

/// Each row between the one before and the one after, `[units, 3 * width]`.
fn with_neighbours(x: &ArrayView2<'_, f32>) -> Array2<f32> {
    let (units, width) = x.dim();
    Array2::from_shape_fn((units, 3 * width), |(unit, column)| {
        let (which, column) = (column / width, column % width);
        (unit + which).checked_sub(1).filter(|&u| u < units).map_or(0.0, |u| x[[u, column]])
    })
}

/// Layer norm, then GELU.
fn activate(x: &mut Array2<f32>, norm: &Norm) {
    for mut row in x.axis_iter_mut(Axis(0)) {
        let n = row.len() as f32;
        let mean = row.sum() / n;
        let variance = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / n;
        let scale = 1.0 / (variance + EPS).sqrt();
        for ((v, w), b) in row.iter_mut().zip(&norm.weight).zip(&norm.bias) {
            *v = gelu((*v - mean) * scale * w + b);
        }
    }
}
