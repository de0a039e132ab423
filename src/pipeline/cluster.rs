//! Texts that tell the same problem, found among themselves.

use crate::numeric::dot;

/// Groups vectors, in their order: each goes to the group whose mean it is nearest to, where that is near enough to be the same, else it
/// begins one. Largest groups first; in each the member nearest to the mean first.
///
/// Vectors are L2-normalised and of one length. Time grows with vectors times groups.
pub(super) fn cluster(vectors: &[&[f32]], same: impl Fn(f32) -> bool) -> Vec<Vec<usize>> {
    let mut groups: Vec<(Vec<f32>, Vec<usize>)> = Vec::new();
    for (at, vector) in vectors.iter().enumerate() {
        let nearest = groups.iter_mut().map(|group| (cosine(vector, &group.0), group)).max_by(|a, b| a.0.total_cmp(&b.0));
        match nearest.filter(|(cosine, _)| same(*cosine)) {
            Some((_, (sum, members))) => {
                sum.iter_mut().zip(*vector).for_each(|(s, x)| *s += x);
                members.push(at);
            }
            None => groups.push((vector.to_vec(), vec![at])),
        }
    }
    groups.sort_by_key(|(_, members)| (std::cmp::Reverse(members.len()), members[0]));
    let central = |(sum, mut members): (Vec<f32>, Vec<usize>)| {
        members.sort_by(|a, b| cosine(vectors[*b], &sum).total_cmp(&cosine(vectors[*a], &sum)).then(a.cmp(b)));
        members
    };
    groups.into_iter().map(central).collect()
}

/// Of a vector of unit length to one of any length.
fn cosine(vector: &[f32], sum: &[f32]) -> f32 {
    dot(vector, sum) / dot(sum, sum).sqrt().max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_stands_together_the_most_typical_first() {
        let at = |degrees: f32| vec![degrees.to_radians().cos(), degrees.to_radians().sin()];
        let vectors = [at(0.0), at(90.0), at(10.0), at(20.0), at(92.0)];
        let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        assert_eq!(cluster(&vectors, |cosine| cosine > 0.9), [vec![2, 0, 3], vec![1, 4]]);
        assert_eq!(cluster(&vectors, |_| false).len(), 5);
        assert!(cluster(&[], |_| true).is_empty());
    }
}
