//! What is known of a user online, and its bytes in a store.
//!
//! ```text
//! check (2)   status (1)   which numbers are not zero (a bit each, rounded up to bytes)   those numbers, f32 each
//! ```
//!
//! Numbers are those of a snapshot, rounded to the nearest `f32` (a relative error of 6e-8 at most).
//! Most users of most logs have quantiles of exactly zero, which take a bit each. The check is a CRC-16 of
//! the key and of what follows it: a value that was damaged, or is another user's, is not taken for one.

use crc::{CRC_16_IBM_3740, Crc, Table};
use serde::{Deserialize, Serialize};

const CHECK: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_IBM_3740);

/// How much of a snapshot is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Values alone: `ltv_<N>`.
    Values,
    /// Values, quantiles and P(value > 0).
    #[default]
    Everything,
}

impl Detail {
    /// What the ids of versions end with, so that one is not taken for the other.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Values => "-values",
            Self::Everything => "",
        }
    }

    /// What follows `ltv_<N>` in the names of a horizon's columns.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Values => &[""],
            Self::Everything => &["", "_p10", "_p50", "_p90", "_positive"],
        }
    }
}

/// What is known of one user.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Number of the status in [`crate::Version::statuses`].
    pub status: u8,
    /// `[horizons, 5]`: `ltv_<N>`, `ltv_<N>_p10`, `ltv_<N>_p50`, `ltv_<N>_p90`, `ltv_<N>_positive`; with
    /// [`Detail::Values`], `[horizons]`: `ltv_<N>` alone. Finite, never negative.
    pub numbers: Vec<f32>,
}

/// What is known of one horizon, in words.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Horizon {
    /// Days.
    pub days: u32,
    /// Predicted value, in label units.
    pub ltv: f32,
    /// What is known of its distribution; nothing where values alone were published.
    #[serde(flatten)]
    pub distribution: Option<Distribution>,
}

/// What is known of the distribution of a value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distribution {
    /// The first decile.
    pub p10: f32,
    /// The median.
    pub p50: f32,
    /// The ninth decile.
    pub p90: f32,
    /// P(value > 0).
    pub positive: f32,
}

/// What the numbers of a [`Prediction`] say of each horizon of `days`.
pub fn horizons(numbers: &[f32], days: &[u32]) -> Vec<Horizon> {
    let width = numbers.len() / days.len().max(1);
    let one = |(&days, numbers): (&u32, &[f32])| {
        let (&ltv, rest) = numbers.split_first()?;
        let distribution = match *rest {
            [p10, p50, p90, positive] => Some(Distribution {
                p10,
                p50,
                p90,
                positive,
            }),
            _ => None,
        };
        Some(Horizon {
            days,
            ltv,
            distribution,
        })
    };
    let parts = numbers.chunks(width.max(1));
    days.iter().zip(parts).filter_map(one).collect()
}

impl Prediction {
    /// What is known of each horizon of `days`.
    pub fn horizons(&self, days: &[u32]) -> Vec<Horizon> {
        horizons(&self.numbers, days)
    }

    /// Writes its bytes, of the user with this key, to `out`, in place of what is there.
    pub fn encode(&self, key: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.extend([0, 0, self.status]);
        let mask = out.len();
        out.resize(mask + self.numbers.len().div_ceil(8), 0);
        for (i, &number) in self.numbers.iter().enumerate() {
            // There is one zero.
            if number != 0.0 {
                out[mask + i / 8] |= 1 << (i % 8);
                out.extend(number.to_le_bytes());
            }
        }
        let check = check(key, &out[2..]);
        out[..2].copy_from_slice(&check.to_le_bytes());
    }

    /// The prediction of so many numbers that has these bytes where it is of the user with this key; `None` where
    /// none has.
    pub fn decode(key: &[u8], bytes: &[u8], count: usize) -> Option<Self> {
        let (found, bytes) = bytes.split_first_chunk()?;
        if u16::from_le_bytes(*found) != check(key, bytes) {
            return None;
        }
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

/// A value with the check that fits it and the user with this key.
#[cfg(any(test, fuzzing))]
pub(crate) fn checked(key: &[u8], value: &[u8]) -> Vec<u8> {
    [&check(key, value).to_le_bytes()[..], value].concat()
}

fn check(key: &[u8], value: &[u8]) -> u16 {
    let mut digest = CHECK.digest();
    digest.update(key);
    digest.update(value);
    digest.finalize()
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
        fn bytes_come_back(
            key: Vec<u8>,
            status: u8,
            numbers in prop::collection::vec(number(), 0..40),
            flip: prop::sample::Index,
            bit in 0u8..8,
        ) {
            let prediction = Prediction { status, numbers };
            let mut bytes = vec![7];
            prediction.encode(&key, &mut bytes);
            let count = prediction.numbers.len();
            let decode = |key: &[u8], bytes: &[u8]| Prediction::decode(key, bytes, count);
            prop_assert_eq!(decode(&key, &bytes), Some(prediction));
            // No bit can be turned, here or in the key.
            let turned = |bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                let at = flip.index(bytes.len());
                bytes[at] ^= 1 << bit;
                bytes
            };
            prop_assert_eq!(decode(&key, &turned(&bytes)), None);
            if !key.is_empty() {
                prop_assert_eq!(decode(&turned(&key), &bytes), None);
            }
        }

        /// Even where the check says yes.
        #[test]
        fn no_bytes_are_too_strange(key: Vec<u8>, rest: Vec<u8>, count in 0usize..40) {
            let bytes = checked(&key, &rest);
            if let Some(found) = Prediction::decode(&key, &bytes, count) {
                prop_assert_eq!(found.numbers.len(), count);
                prop_assert!(found.numbers.iter().all(|n| n.is_finite() && *n >= 0.0));
            }
            prop_assert_eq!(Prediction::decode(&key, &rest[..rest.len().min(2)], count), None);
        }
    }

    /// By hand: status 2, the first and the last of five numbers; the check by a slow implementation.
    #[test]
    fn layout() {
        let mut bytes = vec![];
        let prediction = Prediction {
            status: 2,
            numbers: vec![1.0, 0.0, 0.0, 0.0, 0.5],
        };
        prediction.encode(b"user", &mut bytes);
        let rest = [2, 0b1_0001, 0, 0, 128, 63, 0, 0, 0, 63];
        assert_eq!(bytes[2..], rest);
        let slow = [&b"user"[..], &rest]
            .concat()
            .iter()
            .fold(0xffffu16, |crc, &byte| {
                (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
                    (crc << 1) ^ if crc & 0x8000 != 0 { 0x1021 } else { 0 }
                })
            });
        assert_eq!(bytes[..2], slow.to_le_bytes());
        let horizon = prediction.horizons(&[30])[0];
        assert_eq!((horizon.days, horizon.ltv), (30, 1.0));
        assert_eq!(horizon.distribution.unwrap().positive, 0.5);
        let values = horizons(&[1.0, 2.0], &[30, 90]);
        assert_eq!((values[1].ltv, values[1].distribution), (2.0, None));
    }
}
