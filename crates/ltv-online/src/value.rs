//! What is known of a user online, and its bytes in a store.
//!
//! ```text
//! status (1)   which numbers are not zero (5 bits a horizon, rounded up to bytes)   those numbers, f32 each
//! ```
//!
//! Numbers are those of a snapshot, rounded to the nearest `f32` (a relative error of 6e-8 at most).
//! Most users of most logs have quantiles of exactly zero, which take a bit each.

use serde::Serialize;

/// Numbers of a horizon: value, P10, P50, P90, P(value > 0).
pub const NUMBERS: usize = 5;

/// What is known of one user.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Number of the status in [`crate::Version::statuses`].
    pub status: u8,
    /// `[horizons, 5]`: `ltv_<N>`, `ltv_<N>_p10`, `ltv_<N>_p50`, `ltv_<N>_p90`, `ltv_<N>_positive`. Finite,
    /// never negative.
    pub numbers: Vec<f32>,
}

/// What is known of one horizon, in words.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Horizon {
    /// Days.
    pub days: u32,
    /// Predicted value, in label units.
    pub ltv: f32,
    /// Quantiles of its distribution.
    pub p10: f32,
    /// The median.
    pub p50: f32,
    /// The ninth decile.
    pub p90: f32,
    /// P(value > 0).
    pub positive: f32,
}

impl Prediction {
    /// What is known of each horizon of `days`.
    pub fn horizons(&self, days: &[u32]) -> Vec<Horizon> {
        let (numbers, _) = self.numbers.as_chunks::<NUMBERS>();
        let one = |(&days, &[ltv, p10, p50, p90, positive]): (&u32, &[f32; NUMBERS])| Horizon {
            days,
            ltv,
            p10,
            p50,
            p90,
            positive,
        };
        days.iter().zip(numbers).map(one).collect()
    }

    /// Writes its bytes to `out`, in place of what is there.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        out.push(self.status);
        let mask = out.len();
        out.resize(mask + self.numbers.len().div_ceil(8), 0);
        for (i, &number) in self.numbers.iter().enumerate() {
            // There is one zero.
            if number != 0.0 {
                out[mask + i / 8] |= 1 << (i % 8);
                out.extend(number.to_le_bytes());
            }
        }
    }

    /// The prediction for so many horizons that has these bytes; `None` where none has.
    pub fn decode(bytes: &[u8], horizons: usize) -> Option<Self> {
        let count = horizons * NUMBERS;
        let (&status, rest) = bytes.split_first()?;
        let (mask, mut rest) = rest.split_at_checked(count.div_ceil(8))?;
        let mut numbers = vec![0.0; count];
        for (i, number) in numbers.iter_mut().enumerate() {
            if mask[i / 8] & (1 << (i % 8)) != 0 {
                let (bytes, others) = rest.split_first_chunk()?;
                *number = f32::from_le_bytes(*bytes);
                rest = others;
            }
        }
        let whole = rest.is_empty() && numbers.iter().all(|n| n.is_finite() && *n >= 0.0);
        whole.then_some(Self { status, numbers })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = f32> {
        prop_oneof![Just(0.0f32), 0.0f32..1e30, Just(f32::MIN_POSITIVE)]
    }

    proptest! {
        #[test]
        fn bytes_come_back(status: u8, numbers in (1usize..9).prop_flat_map(|h| {
            prop::collection::vec(number(), h * NUMBERS)
        })) {
            let prediction = Prediction { status, numbers };
            let mut bytes = vec![];
            prediction.encode(&mut bytes);
            let horizons = prediction.numbers.len() / NUMBERS;
            prop_assert_eq!(Prediction::decode(&bytes, horizons), Some(prediction));
            // Neither shorter nor longer ones, nor those of another number of horizons.
            prop_assert_eq!(Prediction::decode(&bytes[..bytes.len() - 1], horizons), None);
            bytes.push(0);
            prop_assert_eq!(Prediction::decode(&bytes, horizons), None);
        }

        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>, horizons in 0usize..12) {
            if let Some(found) = Prediction::decode(&bytes, horizons) {
                prop_assert_eq!(found.numbers.len(), horizons * NUMBERS);
                prop_assert!(found.numbers.iter().all(|n| n.is_finite() && *n >= 0.0));
            }
        }
    }

    /// By hand: status 2, the first and the last of five numbers.
    #[test]
    fn layout() {
        let mut bytes = vec![];
        let prediction = Prediction {
            status: 2,
            numbers: vec![1.0, 0.0, 0.0, 0.0, 0.5],
        };
        prediction.encode(&mut bytes);
        assert_eq!(bytes, [2, 0b1_0001, 0, 0, 128, 63, 0, 0, 0, 63]);
        let horizon = prediction.horizons(&[30])[0];
        assert_eq!(
            (horizon.days, horizon.ltv, horizon.positive),
            (30, 1.0, 0.5)
        );
    }
}
