//! The key by which engines know a point: they take no text of any length, so it is a digest of the id.

use sha2::{Digest, Sha256};

/// The first half of the id's SHA-256.
pub(super) fn key(id: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(id).into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// The key as the text of a UUID.
pub(super) fn uuid(id: &str) -> String {
    let hex: String = key(id).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_stable_and_of_the_right_form() {
        // SHA-256 of "abc" begins ba7816bf 8f01cfea 414140de 5dae2223.
        assert_eq!(uuid("abc"), "ba7816bf-8f01-cfea-4141-40de5dae2223");
    }
}
