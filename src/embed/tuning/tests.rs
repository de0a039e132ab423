use candle_core::{D, DType, Device, Tensor, Var};
use rand_chacha::rand_core::RngCore;

use super::ops::{AddBias, Contrast, CrossEntropy, Gelu, LayerNorm, MaskedSoftmax, Pool};
use super::run::{place, stalled};

/// Numbers without a pattern, from -1 to 1.
fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut random = place(seed, 0, 0, 0);
    (0..n).map(|_| (random.next_u32() as f32 / u32::MAX as f32).mul_add(2.0, -1.0)).collect()
}

fn variable(shape: &[usize], seed: u64) -> Var {
    Var::from_tensor(&Tensor::from_vec(numbers(shape.iter().product(), seed), shape, &Device::Cpu).unwrap()).unwrap()
}

/// Both ways to the same tensor must agree in value and in the gradient of a weighted sum, for each variable.
fn agree(ours: &Tensor, theirs: &Tensor, variables: &[&Var]) {
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let close = |a: &[f32], b: &[f32], what: &str| {
        assert_eq!(a.len(), b.len());
        for (x, y) in a.iter().zip(b) {
            assert!((x - y).abs() < 2e-5 * y.abs().max(1.0), "{what}: {x} and {y}");
        }
    };
    close(&flat(ours), &flat(theirs), "value");
    let weights = Tensor::from_vec(numbers(ours.elem_count(), 99), ours.shape(), &Device::Cpu).unwrap();
    let gradients = [ours, theirs].map(|t| (t * &weights).unwrap().sum_all().unwrap().backward().unwrap());
    for v in variables {
        close(&flat(gradients[0].get(v).unwrap()), &flat(gradients[1].get(v).unwrap()), "gradient");
    }
}

#[test]
fn own_operations_have_the_values_and_gradients_of_candles() {
    let (x, w, b) = (variable(&[6, 8], 1), variable(&[8], 2), variable(&[8], 3));
    agree(&x.apply_op2(&b, AddBias).unwrap(), &x.broadcast_add(&b).unwrap(), &[&x, &b]);

    let mean = x.mean_keepdim(D::Minus1).unwrap();
    let centred = x.broadcast_sub(&mean).unwrap();
    let deviation = (centred.sqr().unwrap().mean_keepdim(D::Minus1).unwrap() + 1e-5).unwrap().sqrt().unwrap();
    let normal = centred.broadcast_div(&deviation).unwrap().broadcast_mul(&w).unwrap().broadcast_add(&b).unwrap();
    agree(&x.apply_op3(&w, &b, LayerNorm { eps: 1e-5 }).unwrap(), &normal, &[&x, &w, &b]);

    let wide = variable(&[40], 4);
    let wide = Var::from_tensor(&(wide.as_tensor() * 4.0).unwrap()).unwrap();
    agree(&wide.apply_op1(Gelu).unwrap(), &wide.gelu_erf().unwrap(), &[&wide]);

    let scores = variable(&[2, 2, 3, 3], 5);
    let hidden = Tensor::new(&[[[[0f32, 0.0, 0.0]]], [[[0.0, 0.0, -1e9]]]], &Device::Cpu).unwrap();
    let soft = candle_nn::ops::softmax((scores.as_tensor() * 0.5).unwrap().broadcast_add(&hidden).unwrap().as_ref(), D::Minus1).unwrap();
    agree(&scores.apply_op1(MaskedSoftmax { lengths: vec![3, 2], scale: 0.5 }).unwrap(), &soft, &[&scores]);

    // The last text is alone in its group.
    let alike = variable(&[5, 5], 7);
    let groups = [0u32, 1, 0, 1, 2];
    let target: Vec<f32> = (0..25).map(|i| f32::from(u8::from(i / 5 != i % 5 && groups[i / 5] == groups[i % 5]))).collect();
    let target = Tensor::from_vec(target, (5, 5), &Device::Cpu).unwrap();
    let itself = (Tensor::eye(5, DType::F32, &Device::Cpu).unwrap() * -1e9).unwrap();
    let others = ((alike.as_tensor() / 0.5).unwrap() + itself).unwrap();
    let sure = candle_nn::ops::log_softmax(&others, D::Minus1).unwrap();
    let loss = ((sure * target).unwrap().sum_all().unwrap() / -3.0).unwrap();
    agree(&alike.apply_op1(Contrast { groups: groups.to_vec(), temperature: 0.5, divisor: 3.0 }).unwrap(), &loss, &[&alike]);

    // Two texts of three places, the second with two real tokens.
    let states = variable(&[6, 4], 6);
    let means = [(0, 3), (3, 2)].map(|(start, n)| {
        let mean = states.narrow(0, start, n).unwrap().mean(0).unwrap();
        let norm = mean.sqr().unwrap().sum_all().unwrap().sqrt().unwrap();
        mean.broadcast_div(&norm).unwrap()
    });
    let means = (Tensor::stack(&means, 0).unwrap() * 3.0).unwrap();
    agree(&states.apply_op1(Pool { lengths: vec![3, 2], scale: 3.0 }).unwrap(), &means, &[&states]);

    let logits = variable(&[3, 4], 7);
    let labels = Tensor::new(&[1u32, 0, 3], &Device::Cpu).unwrap();
    let plain = candle_nn::loss::cross_entropy(&logits, &labels).unwrap();
    let ours = logits.apply_op1(CrossEntropy { labels: vec![1, 0, 3], smoothing: 0.0, divisor: 3.0 }).unwrap();
    agree(&ours, &plain, &[&logits]);
    let soft = candle_nn::ops::log_softmax(&logits, 1).unwrap().mean_all().unwrap().neg().unwrap();
    let ours = logits.apply_op1(CrossEntropy { labels: vec![1, 0, 3], smoothing: 0.3, divisor: 3.0 }).unwrap();
    agree(&ours, &((plain * 0.7).unwrap() + (soft * 0.3).unwrap()).unwrap(), &[&logits]);
    assert_eq!(ours.dtype(), DType::F32);
}

#[test]
fn stalls_after_patience_only() {
    assert!(!stalled(&[0.5, 0.6, 0.6], 2));
    assert!(stalled(&[0.5, 0.6, 0.6, 0.5], 2));
    assert!(!stalled(&[], 1));
}
