//! The seam for the matrix product, where nearly all of the encoder's time goes: `y = x Wᵀ + b`.
//!
//! Which of candle's paths is taken is decided here and nowhere else; `benches/encoder.rs` measures them side by side.

use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{D, Device, Module, Result, Tensor};

/// Which arithmetic the matrix products use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arithmetic {
    /// `Int8` where the CPU has byte dot products (AVX512-VNNI, AVX-VNNI), `Float` elsewhere: there it is half as fast again as
    /// `Blocks`, for 64 MB.
    Auto,
    /// Weights repacked for candle's VNNI kernels, activations quantised to 8 bits by rows of 256.
    Int8,
    /// candle's stock Q8_0 products, activations quantised by rows of 32.
    Blocks,
    /// Weights dequantised to f32; the reference.
    Float,
}

impl Arithmetic {
    fn resolve(self) -> Self {
        match self {
            Arithmetic::Auto if has_byte_dot_products() => Arithmetic::Int8,
            Arithmetic::Auto => Arithmetic::Float,
            other => other,
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_byte_dot_products() -> bool {
    (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")) || is_x86_feature_detected!("avxvnni")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_byte_dot_products() -> bool {
    false
}

/// candle's repacked kernels take inner dimensions that are whole multiples of this.
const SUPER_BLOCK: usize = 256;

/// One affine layer with 8-bit weights.
pub(super) struct Linear {
    weight: QMatMul,
    bias: Tensor,
    /// Zero columns appended to the input, so that the inner dimension (384) fits the kernels (512). A third more
    /// multiplications, several times faster ones.
    padding: usize,
}

impl Linear {
    /// Layers that share their input are given together and become one product: `weights` are `[out_i, in]`, `biases` `[out_i]`.
    pub(super) fn new(weights: &[QTensor], biases: &[Tensor], arithmetic: Arithmetic) -> Result<Self> {
        let bias = Tensor::cat(biases, 0)?;
        let arithmetic = arithmetic.resolve();
        let inner = weights[0].shape().dims2()?.1;
        let padding = if arithmetic == Arithmetic::Int8 { inner.next_multiple_of(SUPER_BLOCK) - inner } else { 0 };
        let weight = stack(weights, padding)?;
        let weight = if arithmetic == Arithmetic::Float {
            QMatMul::Tensor(weight.dequantize(&Device::Cpu)?)
        } else {
            QMatMul::from_qtensor(weight)?
        };
        Ok(Linear { weight, bias, padding })
    }

    /// `x` is `[rows, in]`; answers `[rows, out]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = if self.padding > 0 { x.pad_with_zeros(D::Minus1, 0, self.padding)? } else { x.clone() };
        self.weight.forward(&x)?.broadcast_add(&self.bias)
    }
}

/// Puts Q8_0 matrices of one inner dimension on top of each other, each row followed by `padding` zeros.
fn stack(weights: &[QTensor], padding: usize) -> Result<QTensor> {
    let dtype = GgmlDType::Q8_0;
    let block = dtype.block_size();
    let zeros = vec![0u8; padding / block * dtype.type_size()];
    let (mut rows, mut inner, mut bytes) = (0, 0, Vec::new());
    for weight in weights {
        if weight.dtype() != dtype {
            candle_core::bail!("encoder matrices are {:?}, not Q8_0: run `fenzhen models pull`", weight.dtype());
        }
        let (out, k) = weight.shape().dims2()?;
        inner = k;
        rows += out;
        for row in weight.data()?.chunks_exact(k / block * dtype.type_size()) {
            bytes.extend_from_slice(row);
            bytes.extend_from_slice(&zeros);
        }
    }
    QTensor::new(QStorage::from_data(bytes.into(), &Device::Cpu, dtype)?, (rows, inner + padding))
}
