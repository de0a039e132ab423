//! The minimum of a smooth function of a few numbers, the same every time.

/// Pattern search: from `start`, the best of the neighbours a step away (along each axis, and each pair of axes in opposite
/// directions) until none is better, then with half the step, until it is below 1e-4.
pub fn minimise<const N: usize>(start: [f64; N], step: f64, loss: impl Fn([f64; N]) -> f64) -> [f64; N] {
    let mut best = (loss(start), start);
    let mut step = step;
    while step > 1e-4 {
        let mut tried = Vec::with_capacity(2 * N * N);
        for i in 0..N {
            for sign in [1.0, -1.0] {
                let mut along = best.1;
                along[i] += sign * step;
                tried.push(along);
                for j in (0..N).filter(|&j| j != i) {
                    let mut across = along;
                    across[j] -= 0.5 * sign * step;
                    tried.push(across);
                }
            }
        }
        let found = tried.into_iter().map(|p| (loss(p), p)).min_by(|x, y| x.0.total_cmp(&y.0));
        match found.filter(|f| f.0 < best.0 - 1e-12) {
            Some(better) => best = better,
            None => step /= 2.0,
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_tilted_bowl() {
        let found = minimise([0.0, 0.0], 0.5, |[x, y]| (x - 1.2).powi(2) + 4.0 * (y + 0.3 - 0.4 * x).powi(2));
        assert!((found[0] - 1.2).abs() < 1e-3 && (found[1] - 0.18).abs() < 1e-3, "{found:?}");
    }
}
