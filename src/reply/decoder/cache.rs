//! Keys and values of the tokens that a decoder has seen.

/// Of one layer: a list for each key-value head, `width` numbers a token.
#[derive(Debug, Clone, Default)]
pub(super) struct LayerCache {
    pub keys: Vec<Vec<f32>>,
    pub values: Vec<Vec<f32>>,
}

/// Of all layers, with the tokens they belong to. What two prompts have in common at their heads is computed once: the cache of the
/// first, cut off where they part, is where the second begins.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    pub(super) tokens: Vec<u32>,
    pub(super) layers: Vec<LayerCache>,
}

impl Cache {
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Whether these tokens begin with all that are in the cache.
    pub fn begins(&self, other: &Cache) -> bool {
        other.tokens.starts_with(&self.tokens)
    }

    /// How many of the first tokens are the same.
    pub fn shared(&self, tokens: &[u32]) -> usize {
        self.tokens.iter().zip(tokens).take_while(|(a, b)| a == b).count()
    }

    /// A copy of the first `n` tokens' share.
    #[must_use]
    pub fn head(&self, n: usize) -> Self {
        let n = n.min(self.len());
        let cut = |lists: &Vec<Vec<f32>>| lists.iter().map(|list| list[..list.len() / self.len().max(1) * n].to_vec()).collect();
        let layers = self.layers.iter().map(|l| LayerCache { keys: cut(&l.keys), values: cut(&l.values) }).collect();
        Cache { tokens: self.tokens[..n].to_vec(), layers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_keeps_the_first_tokens_and_nothing_of_the_others() {
        let layer = LayerCache { keys: vec![vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]], values: vec![vec![7.0, 8.0, 9.0]] };
        let cache = Cache { tokens: vec![5, 6, 7], layers: vec![layer] };
        assert_eq!(cache.shared(&[5, 6, 9, 7]), 2);
        let head = cache.head(2);
        assert_eq!(
            (head.len(), head.layers[0].keys[0].as_slice(), head.layers[0].values[0].as_slice()),
            (2, &[1.0, 2.0, 3.0, 4.0][..], &[7.0, 8.0][..])
        );
        assert!(Cache::default().head(3).is_empty());
    }
}
