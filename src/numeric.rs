//! Functions of single numbers that the encoder and the models on top of it share, written so that the compiler makes vector code of
//! them.

/// The exact GELU, `x Φ(x)`, with an error below 2e-7 (Abramowitz and Stegun 7.1.26).
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly = t * (0.254_829_6 + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152_1 + t * 1.061_405_4))));
    let erf = 1.0 - poly * exp_negative(-z * z);
    0.5 * (x + x.abs() * erf)
}

/// `exp(x)` for `x <= 0`, relative error below 2e-7: two to the whole part by its bits, the rest by a polynomial.
#[inline(always)]
pub fn exp_negative(x: f32) -> f32 {
    let y = (x * std::f32::consts::LOG2_E).max(-126.0);
    let whole = y.floor();
    let f = y - whole;
    // Taylor series of 2^f around 1/2 would do as well; this is the minimax one of degree 6 on [0, 1).
    let p = 1.0
        + f * (std::f32::consts::LN_2
            + f * (0.240_226_5 + f * (0.055_504_11 + f * (0.009_618_129 + f * (0.001_333_355_8 + f * 0.000_154_353_3)))));
    f32::from_bits(((whole as i32 + 127) as u32) << 23) * p
}

/// Sum of the products of two vectors' numbers, as far as the shorter goes.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums side by side, for the compiler to put into one register.
    let mut sums = [0.0f32; 8];
    let (a8, a1) = a.as_chunks::<8>();
    let (b8, b1) = b.as_chunks::<8>();
    for (x, y) in a8.iter().zip(b8) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f32>() + a1.iter().zip(b1).map(|(x, y)| x * y).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn gelu_is_the_exact_one() {
        let xs: Vec<f32> = (-1200..=1200).map(|i| i as f32 / 100.0).collect();
        let exact = Tensor::new(xs.clone(), &Device::Cpu).unwrap().gelu_erf().unwrap().to_vec1::<f32>().unwrap();
        for (x, want) in xs.iter().zip(exact) {
            assert!((gelu(*x) - want).abs() <= 1e-5 * want.abs().max(1.0), "gelu({x}) = {} not {want}", gelu(*x));
        }
    }
}
