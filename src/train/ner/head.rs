//! The tagger's network as a head on the encoder's layers: what `ner::learned::network` runs, in operations that can be differentiated.

use std::collections::HashMap;

use candle_core::{Device, Result, Tensor, Var};
use ndarray::Array2;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::data::{Features, TaggerCorpus};
use super::ops::{Likelihood, Neighbours, RowSums, UnitMeans};
use super::recipe::TaggerParameters;
use crate::embed::tuning::ops::{AddBias, Gelu, LayerNorm};
use crate::embed::tuning::{Batch, Head, Noise};
use crate::ner::learned::crf::Crf;
use crate::ner::learned::features::FIXED;
use crate::ner::learned::network::{EPS, Layer, Network, Norm};
use crate::ner::learned::tags::spans_of;

/// The rows of a corpus with what the head reads of them.
pub struct TaggerHead<'a> {
    pub corpus: &'a TaggerCorpus,
    pub parameters: &'a TaggerParameters,
    pub seed: u64,
    /// Tokens of each row's units.
    pub tokens: &'a [Vec<(u32, u32)>],
    /// Under each invented catalogue.
    pub readings: &'a [Features],
    /// Under the catalogue with which the score is taken.
    pub watched: &'a Features,
    /// Rows of the features' matrix.
    pub features: usize,
    pub tags: usize,
}

/// Names of the variables that come before the layers' and after.
const ROWS: [&str; 3] = ["head.rows", "head.rows.norm.weight", "head.rows.norm.bias"];
const LAYER: [&str; 4] = ["weight", "bias", "norm.weight", "norm.bias"];
const LAST: [&str; 4] = ["head.out.weight", "head.out.bias", "head.ends", "head.between"];
const PROJECT: &str = "head.project";

impl Head for TaggerHead<'_> {
    fn variables(&self, hidden: usize) -> Result<Vec<(String, Tensor)>> {
        let TaggerParameters { width, layers, .. } = *self.parameters;
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut uniform = |shape: &[usize], bound: f64| {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.random_range(-bound..bound) as f32).collect();
            Tensor::from_vec(values, shape, &Device::Cpu)
        };
        let full = |n: usize, value: f32| Tensor::from_vec(vec![value; n], n, &Device::Cpu);
        let fan = |inner: usize| (1.0 / inner as f64).sqrt();
        let mut out = Vec::new();
        if hidden > 0 {
            out.push((PROJECT.to_owned(), uniform(&[width, hidden], fan(hidden))?));
        }
        for (name, value) in ROWS.iter().zip([uniform(&[self.features, width], 0.1)?, full(width, 1.0)?, full(width, 0.0)?]) {
            out.push(((*name).to_owned(), value));
        }
        for layer in 0..layers {
            let values = [uniform(&[width, 3 * width], fan(3 * width))?, full(width, 0.0)?, full(width, 1.0)?, full(width, 0.0)?];
            out.extend(LAYER.iter().zip(values).map(|(part, value)| (format!("head.layer.{layer}.{part}"), value)));
        }
        let values = [
            uniform(&[self.tags, width], fan(width))?,
            full(self.tags, 0.0)?,
            full(2 * self.tags, 0.0)?,
            uniform(&[self.tags, self.tags], 0.01)?,
        ];
        out.extend(LAST.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value)));
        Ok(out)
    }

    fn loss(&self, batches: &[Batch<'_>], texts: usize, noise: &mut Noise) -> Result<Tensor> {
        let [batch] = batches else { candle_core::bail!("tagged texts come in one batch") };
        // Each row meets one of the catalogues, another one each epoch.
        let reading = |row: usize| &self.readings[(row + noise.epoch) % self.readings.len()][row];
        let mut rows: Vec<Vec<u32>> = batch.rows.iter().flat_map(|&r| reading(r).iter().cloned()).collect();
        let hidden = self.parameters.term_dropout;
        if hidden > 0.0 {
            rows.iter_mut().for_each(|unit| unit.retain(|&row| (row as usize) < FIXED || noise.random.random::<f64>() >= hidden));
        }
        let variables = Variables::of(batch)?;
        let scores = self.scores(batch, &variables, rows, Some(noise))?;
        let tags = batch.rows.iter().map(|&r| self.corpus.rows[r].tags.clone()).collect();
        scores.apply_op3(variables.get("head.ends")?, variables.get("head.between")?, Likelihood { tags, divisor: texts as f32 })
    }

    fn measure(&self, batch: &Batch<'_>) -> Result<Vec<Vec<f32>>> {
        let variables = Variables::of(batch)?;
        let rows = batch.rows.iter().flat_map(|&r| self.watched[r].iter().cloned()).collect();
        let scores = self.scores(batch, &variables, rows, None)?.flatten_all()?.to_vec1::<f32>()?;
        let crf = Crf { tags: self.tags, ends: variables.get("head.ends")?.to_vec1()?, between: variables.flat("head.between")? };
        let mut measured = Vec::with_capacity(batch.rows.len());
        let mut rest = scores.as_slice();
        for &row in batch.rows {
            let tags = &self.corpus.rows[row].tags;
            let (own, later) = rest.split_at(tags.len() * self.tags);
            rest = later;
            let (there, found) = (spans_of(tags), spans_of(&crf.best(own)));
            let right = found.iter().filter(|span| there.contains(span)).count();
            // Spans that no tags can tell are missed, too.
            let all = found.len() + self.corpus.rows[row].row.entities.len();
            measured.push(vec![2.0 * right as f32, all as f32]);
        }
        Ok(measured)
    }
}

impl TaggerHead<'_> {
    /// `[units, tags]` of all texts of a batch.
    fn scores(&self, batch: &Batch<'_>, variables: &Variables<'_>, rows: Vec<Vec<u32>>, mut noise: Option<&mut Noise>) -> Result<Tensor> {
        let lengths: Vec<usize> = batch.rows.iter().map(|&r| self.corpus.rows[r].units.len()).collect();
        let mut x = variables.get("head.rows")?.apply_op1(RowSums { rows })?;
        if let Ok(project) = variables.get(PROJECT) {
            let shifted = |(number, &row): (usize, &usize)| {
                let start = (number * batch.n) as u32;
                self.tokens[row].iter().map(move |&(from, to)| (start + from, start + to))
            };
            let tokens = batch.rows.iter().enumerate().flat_map(shifted).collect();
            x = (x + batch.states.apply_op1(UnitMeans { tokens })?.matmul(&project.t()?)?)?;
        }
        let norm = |x: Tensor, name: &str| {
            let [weight, bias] = [variables.get(&format!("{name}.norm.weight"))?, variables.get(&format!("{name}.norm.bias"))?];
            x.apply_op3(weight, bias, LayerNorm { eps: EPS })?.apply_op1(Gelu)
        };
        let mut dropped = |x: Tensor| match &mut noise {
            Some(noise) => noise.drop(&x),
            None => Ok(x),
        };
        x = dropped(norm(x, "head.rows")?)?;
        for layer in 0..self.parameters.layers {
            let name = format!("head.layer.{layer}");
            let wide = x.apply_op1(Neighbours { lengths: lengths.clone() })?;
            let y = wide.matmul(&variables.get(&format!("{name}.weight"))?.t()?)?;
            let y = y.apply_op2(variables.get(&format!("{name}.bias"))?, AddBias)?;
            x = (x + dropped(norm(y, &name)?)?)?;
        }
        x.matmul(&variables.get("head.out.weight")?.t()?)?.apply_op2(variables.get("head.out.bias")?, AddBias)
    }
}

/// The head's variables by their names.
struct Variables<'a>(HashMap<&'a str, &'a Var>);

impl<'a> Variables<'a> {
    fn of(batch: &Batch<'a>) -> Result<Self> {
        Ok(Variables(batch.variables.iter().map(|(name, v)| (name.as_str(), v)).collect()))
    }

    fn get(&self, name: &str) -> Result<&'a Var> {
        self.0.get(name).copied().ok_or_else(|| candle_core::Error::Msg(format!("the head has no {name}")))
    }

    fn flat(&self, name: &str) -> Result<Vec<f32>> {
        self.get(name)?.flatten_all()?.to_vec1()
    }
}

/// The network and the field of what was learned.
///
/// # Errors
/// A variable that is missing.
pub fn network(head: &[(String, Tensor)], layers: usize) -> Result<(Network, Crf)> {
    let by_name: HashMap<&str, &Tensor> = head.iter().map(|(name, t)| (name.as_str(), t)).collect();
    let get = |name: &str| by_name.get(name).copied().ok_or_else(|| candle_core::Error::Msg(format!("no {name} was learned")));
    let flat = |name: &str| get(name)?.flatten_all()?.to_vec1::<f32>();
    let matrix = |name: &str| {
        let shape = get(name)?.dims2()?;
        Array2::from_shape_vec(shape, flat(name)?).map_err(candle_core::Error::wrap)
    };
    let turned = |name: &str| Result::Ok(matrix(name)?.reversed_axes().as_standard_layout().into_owned());
    let norm = |name: &str| Result::Ok(Norm { weight: flat(&format!("{name}.norm.weight"))?, bias: flat(&format!("{name}.norm.bias"))? });
    let layer = |number: usize| {
        let name = format!("head.layer.{number}");
        Result::Ok(Layer { weight: turned(&format!("{name}.weight"))?, bias: flat(&format!("{name}.bias"))?, norm: norm(&name)? })
    };
    let network = Network {
        rows: matrix("head.rows")?,
        project: if by_name.contains_key(PROJECT) { Some(turned(PROJECT)?) } else { None },
        norm: norm("head.rows")?,
        layers: (0..layers).map(layer).collect::<Result<_>>()?,
        out: turned("head.out.weight")?,
        out_bias: flat("head.out.bias")?,
    };
    let ends = flat("head.ends")?;
    Ok((network, Crf { tags: ends.len() / 2, ends, between: flat("head.between")? }))
}
