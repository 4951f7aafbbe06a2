//! Who is in which arm of an experiment: a keyed hash of the user, the same in every run, on every
//! machine, in every language.
//!
//! The hash is keyed BLAKE3 of the user's id as text (an integer in decimal); the key is the BLAKE3
//! hash of the salt. In Python, with the package `blake3`:
//!
//! ```text
//! key = blake3(salt.encode()).digest()
//! digest = blake3(user.encode(), key=key).digest()
//! fraction = (int.from_bytes(digest[:8], "little") >> 11) / 2**53   # decides the arm
//! order = int.from_bytes(digest[8:16], "little")                    # a random order, for ties
//! ```

/// Hashes users under one salt.
#[derive(Debug, Clone)]
pub struct Assigner {
    key: [u8; 32],
}

/// The hash of one user: independent numbers for independent purposes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// In `[0, 1)`: decides the arm.
    pub fraction: f64,
    /// A random order of users that does not depend on their arms.
    pub order: u64,
    /// Two more fractions in `(0, 1]`, for whatever else is drawn.
    pub rest: [f64; 2],
}

impl Assigner {
    /// Another salt, another and independent assignment.
    pub fn new(salt: &str) -> Self {
        Self {
            key: *blake3::hash(salt.as_bytes()).as_bytes(),
        }
    }

    /// The user's hash; an id that is an integer is given in decimal.
    pub fn draw(&self, user: &str) -> Draw {
        let hash = blake3::keyed_hash(&self.key, user.as_bytes());
        let word = |i: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&hash.as_bytes()[8 * i..8 * i + 8]);
            u64::from_le_bytes(bytes)
        };
        // 53 bits are what a double holds: more would round up to 1.
        let fraction = |word: u64| (word >> 11) as f64 / (1u64 << 53) as f64;
        Draw {
            fraction: fraction(word(0)),
            order: word(1),
            rest: [1.0 - fraction(word(2)), 1.0 - fraction(word(3))],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_user_and_salt_the_same_draw() {
        let (a, b) = (Assigner::new("spring"), Assigner::new("autumn"));
        assert_eq!(a.draw("17"), Assigner::new("spring").draw("17"));
        assert_ne!(a.draw("17"), b.draw("17"));
        assert_ne!(a.draw("17"), a.draw("18"));
    }

    /// From the definition, word by word.
    #[test]
    fn draws_are_what_the_page_says() {
        let key = blake3::hash(b"spring");
        let digest = blake3::keyed_hash(key.as_bytes(), b"anna");
        let word = |i: usize| {
            let bytes = digest.as_bytes()[8 * i..8 * i + 8].iter().rev();
            bytes.fold(0u64, |sum, &b| sum * 256 + u64::from(b))
        };
        let found = Assigner::new("spring").draw("anna");
        assert!((found.fraction - word(0) as f64 / 2f64.powi(64)).abs() < 1e-15);
        assert_eq!(found.order, word(1));
    }

    /// 100,000 users in ten bins: chi-squared with 9 degrees of freedom, whose 99.9th percentile is
    /// 27.88; and the arms of two salts, or arm and order, have nothing to do with each other.
    #[test]
    fn shares_are_even_and_independent() {
        let (a, b) = (Assigner::new("a"), Assigner::new("b"));
        let (mut bins, mut both) = ([0u32; 10], [0u32; 3]);
        for user in 0..100_000 {
            let (first, second) = (a.draw(&user.to_string()), b.draw(&user.to_string()));
            assert!((0.0..1.0).contains(&first.fraction));
            assert!(first.rest.iter().all(|&u| u > 0.0 && u <= 1.0));
            bins[(first.fraction * 10.0) as usize] += 1;
            let low = first.fraction < 0.5;
            both[0] += u32::from(low && second.fraction < 0.5);
            both[1] += u32::from(low && first.order < u64::MAX / 2);
            both[2] += u32::from(low && first.rest[0] < 0.5);
        }
        let chi: f64 = bins
            .iter()
            .map(|&n| (f64::from(n) - 1e4).powi(2) / 1e4)
            .sum();
        assert!(chi < 27.88, "{bins:?}");
        // A quarter each, within four standard errors.
        let far = |n: u32| (f64::from(n) - 25_000.0).abs() > 4.0 * (1e5f64 * 0.1875).sqrt();
        assert!(!both.into_iter().any(far), "{both:?}");
    }
}
