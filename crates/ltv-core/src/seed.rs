//! Randomness is a parameter: one user seed, one named stream for each purpose.

/// A 64-bit seed for `purpose`, independent of the seeds of other purposes.
///
/// Made by hashing, so that adding a purpose never changes the others.
pub fn derive(seed: u64, purpose: &str) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&seed.to_le_bytes())
        .update(purpose.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

/// Knuth's multiplicative hash of an integer user id, as a fraction in `[0, 1)`:
/// `(id * 2654435761 mod 2^32) / 2^32`. Splits made with it are the same in every run, every
/// language and every table that holds the user.
pub fn user_fraction(id: i64) -> f64 {
    let hashed = (id as u64).wrapping_mul(2_654_435_761) % (1 << 32);
    hashed as f64 / (1u64 << 32) as f64
}

/// A fraction in `[0, 1)` for a user id that is text, from its BLAKE3 hash.
pub fn user_fraction_text(id: &str) -> f64 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..4]);
    f64::from(u32::from_le_bytes(bytes)) / (1u64 << 32) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_repeat() {
        assert_eq!(derive(7, "shuffle"), derive(7, "shuffle"));
        assert_ne!(derive(7, "shuffle"), derive(8, "shuffle"));
        assert_ne!(derive(7, "shuffle"), derive(7, "init"));
    }

    #[test]
    fn fraction_matches_its_definition() {
        assert_eq!(user_fraction(0), 0.0);
        assert_eq!(user_fraction(1), 2_654_435_761.0 / 4_294_967_296.0);
        // 123456789 * 2654435761 mod 2^32, worked out with Python's integers
        assert_eq!(
            user_fraction(123_456_789),
            ((123_456_789u128 * 2_654_435_761) % (1 << 32)) as f64 / 4_294_967_296.0
        );
        assert!((0.0..1.0).contains(&user_fraction_text("anna")));
    }
}
