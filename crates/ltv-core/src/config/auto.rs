//! Options that the number of training rows decides, unless they are given.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IntoDeserializer},
};
use std::{fmt, marker::PhantomData, str::FromStr};

/// An option that is given, or `"auto"`: chosen from the number of training rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auto<T> {
    /// By the number of rows.
    Auto,
    /// This.
    Is(T),
}

impl<T: Copy> Auto<T> {
    /// What was given; `None` where rows decide.
    pub fn given(self) -> Option<T> {
        match self {
            Self::Auto => None,
            Self::Is(value) => Some(value),
        }
    }
}

/// Dropout for so many training rows: 0.35 up to 100,000 and less with the fourth root of their
/// number from there, 0.2 for a million and 0.05 for 180 million (docs/decisions/0017-defaults.md).
///
/// ```
/// use ltv_core::config::dropout_for;
///
/// assert_eq!([60_000, 1_000_000, 180_000_000].map(dropout_for), [0.35, 0.2, 0.05]);
/// ```
pub fn dropout_for(rows: u64) -> f64 {
    const FEW: f64 = 0.35;
    const FEW_ROWS: f64 = 100_000.0;
    let share = (FEW_ROWS / rows.max(1) as f64).min(1.0);
    // Two decimals are all that is known of it.
    (100.0 * FEW * share.powf(0.25)).round() / 100.0
}

/// Rows of a step for so many training rows: 512, and fewer where an epoch would have fewer than some
/// 16 steps, in powers of two down to 32 (docs/decisions/0017-defaults.md).
///
/// ```
/// use ltv_core::config::batch_for;
///
/// assert_eq!([500, 2_000, 5_000, 10_000].map(batch_for), [32, 128, 256, 512]);
/// ```
pub fn batch_for(rows: u64) -> usize {
    const STEPS: f64 = 16.0;
    let nearest = (rows.max(1) as f64 / STEPS).log2().round();
    1 << nearest.clamp(5.0, 9.0) as u32
}

impl<T: FromStr> FromStr for Auto<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let value = text.parse().map(Self::Is);
        value.map_err(|_| "neither \"auto\" nor a number that this option can be".into())
    }
}

impl<T: Serialize> Serialize for Auto<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Is(value) => value.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Auto<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrNumber(PhantomData))
    }
}

struct WordOrNumber<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for WordOrNumber<T> {
    type Value = Auto<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"auto\" or a number")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        T::deserialize(number.into_deserializer()).map(Auto::Is)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        T::deserialize(number.into_deserializer()).map(Auto::Is)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        T::deserialize(number.into_deserializer()).map(Auto::Is)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        match text {
            "auto" => Ok(Auto::Auto),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Options {
        dropout: Auto<f64>,
        batch: Auto<usize>,
    }

    #[test]
    fn words_and_numbers_are_read() {
        let read = |text: &str| toml::from_str::<Options>(text);
        let options = read("dropout = 'auto'\nbatch = 64").unwrap();
        assert_eq!((options.dropout, options.batch), (Auto::Auto, Auto::Is(64)));
        let options = read("dropout = 0\nbatch = 'auto'").unwrap();
        assert_eq!(
            (options.dropout, options.batch),
            (Auto::Is(0.0), Auto::Auto)
        );
        let problem = |text| read(text).unwrap_err().to_string();
        let much = problem("dropout = 'much'\nbatch = 64");
        assert!(much.contains("expected \"auto\" or a number"), "{much}");
        assert!(problem("dropout = true\nbatch = 64").contains("boolean"));
        assert!(problem("dropout = 0.1\nbatch = 0.5").contains("batch"));
        assert!(problem("dropout = 0.1\nbatch = -1").contains("batch"));
    }

    #[test]
    fn flags_are_read() {
        assert_eq!("auto".parse::<Auto<f64>>(), Ok(Auto::Auto));
        assert_eq!("0.1".parse(), Ok(Auto::Is(0.1)));
        assert!("much".parse::<Auto<f64>>().is_err());
        assert!("0.1".parse::<Auto<usize>>().is_err());
    }

    #[test]
    fn numbers_are_saved_as_they_were_before_there_was_a_word() {
        let old = r#"{"dropout":0.0,"batch":512}"#;
        let options: Options = serde_json::from_str(old).unwrap();
        assert_eq!(
            (options.dropout, options.batch),
            (Auto::Is(0.0), Auto::Is(512))
        );
        assert_eq!(serde_json::to_string(&options).unwrap(), old);
    }

    proptest! {
        #[test]
        fn more_rows_need_less_dropout_and_larger_batches(rows in 0_u64..1 << 40, more in 0_u64..1 << 40) {
            let all = rows + more;
            prop_assert!((0.0..=0.35).contains(&dropout_for(all)));
            prop_assert!(dropout_for(all) <= dropout_for(rows));
            prop_assert!((32..=512).contains(&batch_for(all)));
            prop_assert!(batch_for(all) >= batch_for(rows));
        }
    }
}
